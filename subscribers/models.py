"""The audience's tables. Consent records are append-only; a suppression outlives its subscriber."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# Set here, before the first table: constraint names are what migrations refer to.
SQLModel.metadata.naming_convention = NAMING


class SubscriberStatus(StrEnum):
    PENDING = "pending"  # signed up, not confirmed
    ACTIVE = "active"  # confirmed: may be written to
    PAUSED = "paused"  # asked for silence, still on the list
    UNSUBSCRIBED = "unsubscribed"  # left
    ERASED = "erased"  # profile removed on request


class ConsentAction(StrEnum):
    SIGNED_UP = "signed_up"  # sent the form
    CONFIRMED = "confirmed"  # followed the link in the confirmation mail and pressed the button
    IMPORTED = "imported"  # came with a list, whose consent was stated
    ADDED = "added"  # an operator added it, stating the consent
    PAUSED = "paused"  # asked for silence for a while
    RESUMED = "resumed"  # asked for issues again
    UNSUBSCRIBED = "unsubscribed"  # left


class SuppressionReason(StrEnum):
    COMPLAINT = "complaint"  # called a mail spam: for good, only a fresh double opt-in lifts it
    HARD_BOUNCE = "hard_bounce"  # the mailbox does not exist
    MANUAL = "manual"  # an operator's decision


class Subscriber(SQLModel, table=True):
    """A person on the list. `address` is as given; `address_key` its unique normal form."""

    __tablename__ = "subscriber"
    __table_args__ = (Index("ix_subscriber_status_id", "status", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    address: str = Field(max_length=320)
    address_key: str = Field(max_length=320, unique=True)
    name: str = Field(default="", max_length=200)
    status: str = Field(max_length=16)
    created_at: datetime
    confirmed_at: datetime | None = None  # the first time ever: a candidate of issues from then on
    unsubscribed_at: datetime | None = None
    confirmations_sent: int = 0
    confirmation_sent_at: datetime | None = None


class ConsentRecord(SQLModel, table=True):
    """Append-only proof of what a person agreed to: when, from where, which words."""

    __tablename__ = "consent_record"

    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    action: str = Field(max_length=16)
    at: datetime
    source: str = Field(max_length=200)  # "form", "mail:one-click", "import:list.csv", ...
    wording: str = ""  # the text agreed to, to the letter
    given_on: str = Field(default="", max_length=40)  # a stated date, of imported consent
    network: str = Field(default="", max_length=64)  # truncated: /24 of IPv4, /48 of IPv6


class Suppression(SQLModel, table=True):
    """An address we must not write to, and why; lifted ones stay as history."""

    __tablename__ = "suppression"
    __table_args__ = (
        CheckConstraint("address_key <> ''", name="address_key_given"),
        Index(
            "uq_suppression_address_key_standing",
            "address_key",
            unique=True,
            sqlite_where=text("lifted_at IS NULL"),
            postgresql_where=text("lifted_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    address_key: str = Field(max_length=320, index=True)
    reason: str = Field(max_length=16)
    at: datetime
    detail: str = ""
    lifted_at: datetime | None = None
    lifted_because: str = ""
