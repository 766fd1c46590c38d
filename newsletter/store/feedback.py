"""The tables of what comes back: hits and their log, provider events, votes, figures, webhooks.

Instants are aware UTC. `store.models` imports this, so that all tables are registered together.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

# Of provider_event; a statement says it in these words, or stands on no index. Not by IN: SQLite
# makes a list of more than two anew for each row that is written, which doubles what a row costs.
IS_REFUSED = "(kind = 'bounced' OR kind = 'invalid' OR kind = 'blocked')"
IS_DROPPED = "kind = 'dropped'"


class Event(SQLModel, table=True):
    """An immutable fact about a delivery. Append-only.

    label, rule, rules: what it was taken for, by which rule, of which version of the rules (0: not
    looked at yet). They are an opinion, and are written again when the rules change.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_issue_id_kind", "issue_id", "kind"),
        Index("ix_event_subscriber_id_issue_id", "subscriber_id", "issue_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    issue_id: int | None = Field(default=None, foreign_key="issue.id")
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id")
    kind: str = Field(max_length=24)  # `tracking.events.EventKind`, or `resend`
    link: int | None = None
    at: datetime
    method: str = Field(default="", max_length=8)
    agent: str = Field(default="", max_length=300)  # coarsened after 30 days
    network: str = Field(default="", max_length=64)  # /24 of IPv4, /48 of IPv6; cut after 30 days
    label: str = Field(default="", max_length=8, sa_column_kwargs={"server_default": ""})
    rule: str = Field(default="", max_length=24, sa_column_kwargs={"server_default": ""})
    rules: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class HitLog(SQLModel, table=True):
    """How far a file of `tracking.hitlog` has been taken into `event`, in bytes.

    It outlives the file by some weeks: one that comes back, out of a copy, is known by it.
    """

    __tablename__ = "hit_log"

    name: str = Field(primary_key=True, max_length=120)
    read_to: int = Field(sa_column=Column(BigInteger, nullable=False))


class ToClassify(SQLModel, table=True):
    """A reader of an issue of whom something new is known: their events are looked at again.

    due_at: not before, so that what belongs together has come in.
    """

    __tablename__ = "to_classify"
    __table_args__ = (
        Index("ix_to_classify_due_at", "due_at"),
        {"sqlite_with_rowid": False},
    )

    issue_id: int = Field(foreign_key="issue.id", primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    due_at: datetime


class ProviderEvent(SQLModel, table=True):
    """What a provider told by webhook; append-only, each once.

    event_id: the provider's own. twin: a hash of message, word and instant, since the id may change
    on a retry. kind: ours; `unknown` keeps the event's JSON in `raw`. is_waiting: its message was
    still being sent, it is looked at again.
    """

    __tablename__ = "provider_event"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        UniqueConstraint("provider", "twin"),
        Index(
            "ix_provider_event_waiting",
            "id",
            sqlite_where=text("is_waiting"),
            postgresql_where=text("is_waiting"),
        ),
        Index(  # the few through whose issue somebody left
            "ix_provider_event_left",
            "issue_id",
            sqlite_where=text("kind = 'unsubscribed'"),
            postgresql_where=text("kind = 'unsubscribed'"),
        ),
        Index(  # refusals by their code, and of a code by when we were told
            "ix_provider_event_refused",
            "code",
            "received_at",
            sqlite_where=text(IS_REFUSED),
            postgresql_where=text(IS_REFUSED),
        ),
        Index(  # what a provider did not even try, by the reason it gives
            "ix_provider_event_dropped",
            "detail",
            "received_at",
            sqlite_where=text(IS_DROPPED),
            postgresql_where=text(IS_DROPPED),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    provider: str = Field(max_length=24)
    event_id: str = Field(max_length=120)
    twin: str = Field(max_length=64)
    kind: str = Field(max_length=24)
    word: str = Field(default="", max_length=40)  # the provider's own
    at: datetime
    received_at: datetime
    issue_id: int | None = Field(default=None, foreign_key="issue.id")
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)
    request_id: str = Field(default="", max_length=64)
    code: str = Field(default="", max_length=16)  # enhanced status (RFC 3463)
    detail: str = Field(default="", max_length=500)
    raw: str = ""
    is_waiting: bool = False


class Vote(SQLModel, table=True):
    """Ship or skip for one tool of a comparison: one a reader, or one a visitor of the page.

    tool: its slug. subscriber_id None: a visitor, told apart by `visitor`, a keyed hash.
    suspicion: the rule by which it is not believed; "" where it is.
    """

    __tablename__ = "vote"
    __table_args__ = (
        UniqueConstraint("comparison_id", "tool", "subscriber_id"),
        # Holds all that is added up, in the order it is added up in.
        Index("ix_vote_tally", "comparison_id", "tool", "verdict", "suspicion", "subscriber_id"),
        Index(
            "uq_vote_visitor",
            "comparison_id",
            "tool",
            "visitor",
            unique=True,
            sqlite_where=text("visitor <> ''"),
            postgresql_where=text("visitor <> ''"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    comparison_id: int = Field(foreign_key="comparison.id")
    tool: str = Field(max_length=120)
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)
    visitor: str = Field(default="", max_length=64)
    issue_id: int | None = Field(default=None, foreign_key="issue.id")  # whose mail it came from
    verdict: str = Field(max_length=4)
    at: datetime  # of its last change
    suspicion: str = Field(default="", max_length=24)


class Ballot(SQLModel, table=True):
    """One press of ship or skip by a reader, as it came; append-only, each once.

    A reader's votes are worked out from all their ballots: see `editorial.votes`. is_hurried: the
    form came back sooner than a person answers. is_machine: by the rules for events, an opinion.
    """

    __tablename__ = "ballot"
    __table_args__ = ({"sqlite_with_rowid": False},)

    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    comparison_id: int = Field(foreign_key="comparison.id", primary_key=True)
    tool: str = Field(primary_key=True, max_length=120)
    at: datetime = Field(primary_key=True)
    verdict: str = Field(primary_key=True, max_length=4)
    is_hurried: bool = Field(primary_key=True)
    issue_id: int = Field(foreign_key="issue.id")  # whose mail it came from
    is_machine: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class Snapshot(SQLModel, table=True):
    """Figures as they were worked out at an instant: `issue:12`, `list`.

    is_sealed: the events behind them were folded away; they stand for good.
    """

    __tablename__ = "snapshot"

    name: str = Field(primary_key=True, max_length=40)
    computed_at: datetime
    took_ms: int
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    is_sealed: bool = False


class WebhookEndpoint(SQLModel, table=True):
    """An address that is told of what happens; signed with its own secret.

    sends_addresses: whether it is told readers' mail addresses beside their ids. failing_since,
    failed_at: of the calls since which it took nothing, the first and the last. held_until: the
    instant before which it asked not to be called. id_key: of what its messages' ids are made,
    whatever becomes of the secret. It signs nothing, but of an endpoint older than schema 0005 it
    is the secret of then, for its receiver knows what it was told by ids that were made of that.
    """

    __tablename__ = "webhook_endpoint"

    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(max_length=2_000)
    secret: str = Field(max_length=120)
    kinds: list[str] = Field(sa_column=Column(JSON, nullable=False))
    added_at: datetime
    added_by: str = Field(max_length=200)
    removed_at: datetime | None = None
    removed_because: str = Field(default="", max_length=200)
    sends_addresses: bool = False
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    held_until: datetime | None = None
    id_key: str = Field(default="", max_length=120, sa_column_kwargs={"server_default": ""})


class OldSecret(SQLModel, table=True):
    """A secret that an endpoint had before; it signs beside the newest until it ends."""

    __tablename__ = "old_secret"

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="webhook_endpoint.id", index=True)
    secret: str = Field(max_length=120)
    ends_at: datetime


class WebhookMessage(SQLModel, table=True):
    """One thing to tell one endpoint, and how far it got."""

    __tablename__ = "webhook_message"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event"),
        Index("ix_webhook_message_due", "endpoint_id", "state", "due_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    endpoint_id: int = Field(foreign_key="webhook_endpoint.id")
    event: str = Field(max_length=80)  # what happened, and when: `issue:7:2026-...`
    kind: str = Field(max_length=40)
    body: str
    state: str = Field(max_length=16)
    attempts: int = 0
    created_at: datetime
    due_at: datetime | None = None
    ended_at: datetime | None = None


class WebhookAttempt(SQLModel, table=True):
    """One call of an endpoint, and what it answered."""

    __tablename__ = "webhook_attempt"

    id: int | None = Field(default=None, primary_key=True)
    message_id: int = Field(foreign_key="webhook_message.id", index=True)
    at: datetime
    status: int | None = None  # HTTP; None: no answer
    trouble: str = Field(default="", max_length=200)
    took_ms: int = 0
