"""The audience's tables. Consent records are append-only; a suppression outlives its subscriber."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, Computed, Index, Table, text, true
from sqlmodel import AutoString, Field, SQLModel

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
    RETURNED = "returned"  # took their leaving back, on the page that told of it
    ADDRESS_CHANGED = "address_changed"  # both mailboxes agreed to the move
    ERASED = "erased"  # had their data erased
    RESTORED = "restored"  # an operator took back that operators took them off the list


class SuppressionReason(StrEnum):
    COMPLAINT = "complaint"  # called a mail spam: for good, only a fresh double opt-in lifts it
    HARD_BOUNCE = "hard_bounce"  # the mailbox does not exist
    SOFT_BOUNCES = "soft_bounces"  # refused issue after issue, for reasons that might have passed
    MANUAL = "manual"  # an operator's decision
    ERASED = "erased"  # had their data erased: only their own double opt-in brings them back


class Subscriber(SQLModel, table=True):
    """A person on the list. `address` is as given; `address_key` its unique normal form."""

    __tablename__ = "subscriber"
    # The second and third hold all that counting readers by them looks at.
    __table_args__ = (
        Index("ix_subscriber_status_id", "status", "id"),
        Index("ix_subscriber_confirmed_at_status", "confirmed_at", "status"),
        Index("ix_subscriber_language_status", "language", "status"),
    )

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
    # what they chose for themselves
    language: str = Field(  # of the content; "": the publication's
        default="", max_length=35, sa_column_kwargs={"server_default": ""}
    )
    timezone: str = Field(  # "": the publication's
        default="", max_length=64, sa_column_kwargs={"server_default": ""}
    )
    frequency: str = Field(
        default="weekly", max_length=16, sa_column_kwargs={"server_default": "weekly"}
    )
    paused_until: datetime | None = None  # None beside `paused`: until they say otherwise
    is_tracked: bool = Field(  # False: their mail has no pixel, and links lead straight
        default=True, sa_column_kwargs={"server_default": true()}
    )


# What follows the last @ of the address, in functions that SQLite and PostgreSQL share: rtrim takes
# away whatever is no @ from the end. The store works it out, so it cannot be wrong; segments and
# their index are all that asks for it, so it is of the table and not of the class.
DOMAIN_SQL = "substr(address_key, length(rtrim(address_key, replace(address_key, '@', ''))) + 1)"
_READERS: Table = Subscriber.__table__  # type: ignore[attr-defined]
_READERS.append_column(Column("domain", AutoString(length=320), Computed(DOMAIN_SQL)))
Index("ix_subscriber_domain_status", _READERS.c.domain, _READERS.c.status)


class SubscriberTopic(SQLModel, table=True):
    """A category of comparisons somebody wants to read about; who has none wants all."""

    __tablename__ = "subscriber_topic"
    # no row ids: the index on the topic then holds the readers, in order
    __table_args__ = {"sqlite_with_rowid": False}

    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    topic: str = Field(primary_key=True, max_length=60, index=True)


class SubscriberTag(SQLModel, table=True):
    """A word an operator put on a reader."""

    __tablename__ = "subscriber_tag"
    # no row ids: the index on the tag then holds the readers, in order
    __table_args__ = {"sqlite_with_rowid": False}

    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    tag: str = Field(primary_key=True, max_length=60, index=True)


class AddressChange(SQLModel, table=True):
    """A reader's wish to be written to elsewhere; done once both mailboxes have said so."""

    __tablename__ = "address_change"

    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    address: str = Field(max_length=320)  # the new one, as given
    address_key: str = Field(max_length=320)
    asked_at: datetime
    old_agreed_at: datetime | None = None
    new_agreed_at: datetime | None = None
    ended_at: datetime | None = None  # done, replaced by a later wish, or refused


class Engagement(SQLModel, table=True):
    """What is known of a reader's behaviour, written by feedback: segments look no further up."""

    __tablename__ = "engagement"

    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    last_human_at: datetime | None = Field(default=None, index=True)
    issues_without: int = 0  # in a row, without a human sign of life
    soft_bounces: int = 0  # issues in a row
    soft_bounced_issue: int | None = None  # the newest of them: each counts once
    asked_at: datetime | None = None  # whether they still want it, by the sunset rule


class Segment(SQLModel, table=True):
    """A part of the list by a rule, kept by name."""

    __tablename__ = "segment"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=60, unique=True)
    rule: str
    saved_at: datetime
    saved_by: str = Field(max_length=200)


class AuditEntry(SQLModel, table=True):
    """Who did what to the list; append-only. undone_by: the entry that took it back."""

    __tablename__ = "audit_entry"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    by: str = Field(max_length=200)
    action: str = Field(max_length=40)
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    readers: int = 0  # how many it affected
    undone_by: int | None = None


class AuditRow(SQLModel, table=True):
    """One reader an undoable act changed, and what they were before."""

    __tablename__ = "audit_row"

    entry_id: int = Field(foreign_key="audit_entry.id", primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True, index=True)
    before: str = ""


class ConsentRecord(SQLModel, table=True):
    """Append-only proof of what a person agreed to: when, from where, which words."""

    __tablename__ = "consent_record"

    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    action: str = Field(max_length=16)
    at: datetime
    source: str = Field(max_length=200)  # "form", "mail:one-click", "import:list.csv", ...
    wording: str = ""  # the text agreed to, to the letter
    version: str = Field(  # of that text: a short hash of it
        default="", max_length=40, sa_column_kwargs={"server_default": ""}
    )
    detail: dict[str, Any] = Field(  # why they left, from which address to which
        default_factory=dict, sa_column=Column(JSON, nullable=False, server_default="{}")
    )
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
