"""The tables of the whole flow, from a comparison's revision to an event in a reader's mail.

Instants are aware UTC. Hot paths (`delivery.ledger`, `tracking.events`) speak plain SQL to the same
tables; everything else uses these classes. Importing this module also registers the audience's
tables, since deliveries point at subscribers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, UniqueConstraint, true
from sqlmodel import Field, SQLModel

import newsletter.store.feedback  # noqa: F401  (registers what comes back from readers)
import subscribers.models  # noqa: F401  (registers the tables that foreign keys point at)


class Comparison(SQLModel, table=True):
    """Two tools judged side by side; its text lives in revisions."""

    __tablename__ = "comparison"

    id: int | None = Field(default=None, primary_key=True)
    slug: str = Field(max_length=200, unique=True)
    state: str = Field(max_length=16)
    sample: bool = False  # invented, for the demo: never in a real issue
    revision: int = 0  # the number of the current revision
    finished_at: datetime | None = None  # when it was first imported as finished


class ComparisonRevision(SQLModel, table=True):
    """One version of a comparison as its editor wrote it; never changed, never deleted."""

    __tablename__ = "comparison_revision"
    __table_args__ = (UniqueConstraint("comparison_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    comparison_id: int = Field(foreign_key="comparison.id")
    number: int
    sha256: str = Field(max_length=64)  # of the canonical JSON in `body`
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    imported_at: datetime


class Issue(SQLModel, table=True):
    """One week's newsletter. Unique on (kind, week), so planning twice makes one."""

    __tablename__ = "issue"
    __table_args__ = (UniqueConstraint("kind", "week"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(default="weekly", max_length=16)
    week: str = Field(max_length=8)  # 2026-W48
    slot_at: datetime
    state: str = Field(max_length=16)
    reason: str = ""  # why it is paused, cancelled or skipped
    # what an editor decided; null means: derived from the comparisons
    subject: str | None = None
    preheader: str | None = None
    intro: str | None = None
    wanted: dict[str, Any] = Field(  # {"include": [slug], "exclude": [slug], "order": [slug]}
        default_factory=dict, sa_column=Column(JSON, nullable=False)
    )
    choices: list[dict[str, Any]] = Field(  # every candidate: {"slug", "chosen", "reason"}
        default_factory=list, sa_column=Column(JSON, nullable=False)
    )
    samples: bool = False  # the demo's issue: sample comparisons may enter
    audience: str = Field(  # or `segment:` and its name
        default="all", max_length=80, sa_column_kwargs={"server_default": "all"}
    )
    language: str = Field(  # of its content when it was frozen (BCP 47); "": every reader's
        default="", max_length=35, sa_column_kwargs={"server_default": ""}
    )
    is_tracked: bool = Field(  # False: no pixel, links lead straight where they go
        default=True, sa_column_kwargs={"server_default": true()}
    )
    silence_counted_at: datetime | None = None  # when who gave no sign of life was counted
    rendered_id: int | None = None  # the render that stands now
    planned_at: datetime
    candidates: int | None = None  # how many the audience held when it was frozen
    frozen_at: datetime | None = None
    done_at: datetime | None = None
    told_at: datetime | None = None  # when that it is done was written down for webhooks
    corrects_id: int | None = None  # of a correction: the issue whose readers it goes to


class IssueItem(SQLModel, table=True):
    """A comparison in an issue, at the revision that was rendered; position 0 is the lead."""

    __tablename__ = "issue_item"
    __table_args__ = (UniqueConstraint("issue_id", "comparison_id"),)

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    position: int = Field(primary_key=True)
    comparison_id: int = Field(foreign_key="comparison.id", index=True)
    revision: int


class Slot(SQLModel, table=True):
    """A claimed slot. Whoever inserts the row owns it; every other scheduler finds it taken."""

    __tablename__ = "slot"

    kind: str = Field(primary_key=True, max_length=16)
    slot_at: datetime = Field(primary_key=True)
    week: str = Field(max_length=8)
    outcome: str = Field(max_length=16)
    issue_id: int | None = Field(default=None, foreign_key="issue.id")
    claimed_at: datetime
    note: str = ""


class Rendered(SQLModel, table=True):
    """A rendered issue: append-only, one row a render."""

    __tablename__ = "rendered"

    id: int | None = Field(default=None, primary_key=True)
    issue_id: int = Field(foreign_key="issue.id", index=True)
    variant: str = Field(default="all", max_length=16)
    sha256: str = Field(max_length=64)
    subject: str
    preheader: str
    html: str
    text: str
    mjml: str
    links: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    findings: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    inputs: dict[str, Any] = Field(  # what it was made of: `rendering.snapshot`
        sa_column=Column(JSON, nullable=False)
    )
    rendered_at: datetime


class Approval(SQLModel, table=True):
    """Bound to a rendered sha256 and an audience rule; void as soon as either changes."""

    __tablename__ = "approval"

    id: int | None = Field(default=None, primary_key=True)
    issue_id: int = Field(foreign_key="issue.id", index=True)
    sha256: str = Field(max_length=64)
    audience: str  # the rule, not the people: "all", or a segment's name and rule
    by: str = Field(max_length=200)
    at: datetime
    voided_at: datetime | None = None
    void_reason: str = ""


class IssueLink(SQLModel, table=True):
    """Where link number `n` of an issue leads; written when the issue is frozen."""

    __tablename__ = "issue_link"

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    n: int = Field(primary_key=True)
    url: str
    label: str = ""


class IssueTopic(SQLModel, table=True):
    """A category an issue is about; written when it is frozen, for readers who chose topics."""

    __tablename__ = "issue_topic"

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    topic: str = Field(primary_key=True, max_length=60)


class InboundReport(SQLModel, table=True):
    """A mail about our mail: a delivery status (RFC 3464) or an abuse report (RFC 5965).

    digest: of the mail, so that reading a mailbox twice counts once. verdict: what it was taken
    for; `unclassified` stays so. subscriber_id, issue_id: whose it was, where that is known.
    """

    __tablename__ = "inbound_report"

    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(max_length=64, unique=True)
    received_at: datetime
    kind: str = Field(max_length=16)
    verdict: str = Field(max_length=24)
    code: str = Field(default="", max_length=16)
    reason: str = ""
    issue_id: int | None = Field(default=None, foreign_key="issue.id")
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)


class Batch(SQLModel, table=True):
    """Up to 1,000 deliveries claimed together. `epoch` fences an owner thought dead."""

    __tablename__ = "batch"
    __table_args__ = (UniqueConstraint("issue_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    issue_id: int = Field(foreign_key="issue.id")
    number: int
    state: str = Field(max_length=16)
    owner: str = Field(default="", max_length=120)  # host/boot/pid/start
    epoch: int = 0
    lease_until: datetime | None = None
    due_at: datetime | None = None  # nothing in it goes out before


class Delivery(SQLModel, table=True):
    """One issue for one subscriber: every candidate has a row, the excluded with their reason."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_batch_id", "batch_id"),
        {"sqlite_with_rowid": False},
    )

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    batch_id: int | None = Field(default=None, foreign_key="batch.id")
    state: str = Field(max_length=16)
    reason: str = ""  # why excluded, failed, bounced, uncertain
    attempts: int = 0
    changed_at: datetime
    receipt: str = ""  # the provider's own id or answer
    due_at: datetime | None = None  # deferred by us: planned again, for then
    submitted_at: datetime | None = None  # when the provider took it
    delivered_at: datetime | None = None  # the earliest instant the provider names


class Request(SQLModel, table=True):
    """Messages that leave together, on record before they do: one that is known proves them all."""

    __tablename__ = "request"

    id: str = Field(primary_key=True, max_length=64)
    issue_id: int = Field(foreign_key="issue.id")
    batch_id: int = Field(foreign_key="batch.id", index=True)
    made_at: datetime
    subscriber_ids: list[int] = Field(sa_column=Column(JSON, nullable=False))


class RateScope(SQLModel, table=True):
    """When the next message of a scope may leave, whichever process sends it.

    scope: `*` for all messages, or a mailbox domain. free_at: seconds since 1970.
    """

    __tablename__ = "rate_scope"

    scope: str = Field(primary_key=True, max_length=255)
    free_at: float


class RateSlot(SQLModel, table=True):
    """How many messages of a scope left in a stretch of time: what sliding windows add up."""

    __tablename__ = "rate_slot"

    scope: str = Field(primary_key=True, max_length=255)
    starts_at: int = Field(  # seconds since 1970
        sa_column=Column(BigInteger, primary_key=True, autoincrement=False)
    )
    taken: int


class Pace(SQLModel, table=True):
    """How fast one sender is, and what holds it back; written as it goes."""

    __tablename__ = "pace"

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    owner: str = Field(primary_key=True, max_length=120)
    seen_at: datetime
    per_second: float
    limited_by: str = ""  # a sentence; empty where nothing of ours holds it back


class Bookmark(SQLModel, table=True):
    """How far somebody has read an append-only table: the last id they took in."""

    __tablename__ = "bookmark"

    name: str = Field(primary_key=True, max_length=40)
    last_id: int = 0


class SystemMail(SQLModel, table=True):
    """A mail about one thing to one person, drained by `serve` and `run --once`."""

    __tablename__ = "system_mail"
    __table_args__ = (Index("ix_system_mail_state_id", "state", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=24)  # a folder of templates/email
    once: str = Field(max_length=120, unique=True)  # the same thing is said once
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)
    address: str = Field(default="", max_length=320)  # where it is not a subscriber's
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: str = Field(max_length=16)
    reason: str = ""
    attempts: int = 0
    claimed_at: datetime | None = None
    created_at: datetime
    sent_at: datetime | None = None
