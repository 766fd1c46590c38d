"""Who got an issue, who did not, and why: an account anyone can add up.

A proof holds when the states add up to the candidates and nothing is doubled or unexplained. It is
complete when, besides, no delivery is planned, attempting or uncertain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.errors import NotFoundError, RefusedError
from newsletter.store.states import DeliveryState

_PENDING = (DeliveryState.PLANNED, DeliveryState.ATTEMPTING, DeliveryState.UNCERTAIN)
_PAGE = 1_000
RESEND = "resend"  # the kind of the event that says who planned a delivery again, and what it was

# One row by primary key.
_ISSUE = text(
    """
    SELECT candidates, frozen_at IS NOT NULL AS frozen,
        week || CASE WHEN kind = 'weekly' THEN '' ELSE '/' || kind END AS ref
    FROM issue WHERE id = :issue_id
    """
)

# One pass over the issue's part of delivery's primary key.
_STATES = text(
    "SELECT state, count(*) AS n FROM delivery WHERE issue_id = :issue_id GROUP BY state"
)

# As above.
_EXCLUDED = text(
    """
    SELECT reason, count(*) AS n FROM delivery
    WHERE issue_id = :issue_id AND state = 'excluded' GROUP BY reason ORDER BY n DESC, reason
    """
)

# As above; each delivery but the first with one receipt, or to one mailbox, is a duplicate.
_DUPLICATES = text(
    """
    SELECT
    (SELECT coalesce(sum(n - 1), 0) FROM (
        SELECT count(*) AS n FROM delivery
        WHERE issue_id = :issue_id AND receipt <> '' GROUP BY receipt HAVING count(*) > 1
    ) AS same_receipt)
    +
    (SELECT coalesce(sum(n - 1), 0) FROM (
        SELECT count(*) AS n FROM delivery
        JOIN subscriber ON subscriber.id = delivery.subscriber_id
        WHERE delivery.issue_id = :issue_id AND delivery.state <> 'excluded'
            AND subscriber.address <> ''
        GROUP BY lower(subscriber.address) HAVING count(*) > 1
    ) AS same_mailbox)
    """
)

# As above, each row with its batch by primary key. See `Proof.unexplained`.
_UNEXPLAINED = text(
    """
    SELECT count(*) FROM delivery LEFT JOIN batch
        ON batch.id = delivery.batch_id AND batch.issue_id = delivery.issue_id
    WHERE delivery.issue_id = :issue_id AND (
        delivery.state NOT IN ('planned', 'attempting', 'submitted', 'delivered', 'deferred',
            'bounced', 'complained', 'failed', 'uncertain', 'excluded')
        OR (delivery.state IN ('excluded', 'failed', 'bounced', 'uncertain')
            AND delivery.reason = '')
        OR (delivery.state <> 'excluded' AND batch.id IS NULL)
        OR (delivery.state = 'planned' AND batch.state = 'done')
        OR (delivery.state = 'attempting' AND batch.state <> 'claimed')
        OR (delivery.state NOT IN ('planned', 'attempting', 'excluded') AND delivery.attempts = 0)
    )
    """
)

# The issue's batches by (issue_id, number), their rows by (batch_id, state). Freezing fills every
# batch and rows are never deleted, so a batch without any has lost them.
_EMPTY_BATCHES = text(
    """
    SELECT count(*) FROM batch WHERE issue_id = :issue_id
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.batch_id = batch.id)
    """
)

# A page in primary key order, each row with its reader by primary key and, for the few readers it
# was sent to again, the newest event that says so, by event's index on subscriber_id. The sums with
# nothing keep the index on (issue_id, kind) out of it: that one holds everybody sent to again.
_ROWS = text(
    """
    SELECT delivery.subscriber_id, delivery.state, delivery.reason, delivery.attempts,
        delivery.changed_at, delivery.receipt, delivery.due_at,
        CASE WHEN subscriber.status <> 'erased' THEN subscriber.address END AS address,
        (SELECT event.agent FROM event
            WHERE event.subscriber_id = delivery.subscriber_id
                AND event.issue_id + 0 = delivery.issue_id AND event.kind || '' = :resend
            ORDER BY event.id DESC LIMIT 1) AS again
    FROM delivery LEFT JOIN subscriber ON subscriber.id = delivery.subscriber_id
    WHERE delivery.issue_id = :issue_id AND delivery.subscriber_id > :after_id
    ORDER BY delivery.subscriber_id LIMIT :page
    """
).columns(changed_at=UTCDateTime(), due_at=UTCDateTime())

# What the ledger keeps as one word, in words for whoever asks why somebody got nothing.
_IN_WORDS: Mapping[str, str] = {
    "unsubscribed": "unsubscribed: left the list before it went out",
    "erased": "erased: asked to be forgotten",
    "paused": "paused: takes a break from every issue",
    "pending": "pending: has not confirmed the address",
    "issue cancelled": "issue cancelled: it was stopped before this one went out",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """The account of one issue.

    candidates: as counted when the audience was frozen, not from the rows. states: deliveries by
    state, every state named. excluded: how many for which reason.
    duplicates: deliveries beyond the first with one receipt or to one mailbox.
    unexplained: deliveries in no known state; excluded, failed, bounced or uncertain without a
    reason; not excluded and in no batch of this issue; planned in a batch that is done, attempting
    in one nobody holds; answered for without an attempt; and batches that have lost their rows.
    """

    issue: str
    candidates: int
    states: Mapping[str, int]
    excluded: Mapping[str, int]
    duplicates: int
    unexplained: int

    @property
    def holds(self) -> bool:
        return (
            self.candidates == sum(self.states.values())
            and self.states[DeliveryState.EXCLUDED] == sum(self.excluded.values())
            and not self.duplicates
            and not self.unexplained
        )

    @property
    def complete(self) -> bool:
        return not any(self.states[state] for state in _PENDING)

    def to_dict(self) -> dict[str, Any]:
        """The shape of `issue proof --json`."""
        return {
            "issue": self.issue,
            "candidates": self.candidates,
            "states": dict(self.states),
            "excluded": dict(self.excluded),
            "duplicates": self.duplicates,
            "unexplained": self.unexplained,
            "holds": self.holds,
            "complete": self.complete,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one candidate.

    address: "" of an erased reader. reason: why there is nothing in the mailbox, in words; "" where
    the provider has the message, unless there is more to say of it. attempts: since it was planned,
    or planned again. receipt: the provider's own id or answer.
    """

    subscriber_id: int
    address: str
    state: str
    reason: str
    attempts: int
    changed_at: datetime
    receipt: str


def prove(session: Session, issue_id: int) -> Proof:
    """Adds an issue up. Raises NotFoundError, or RefusedError where its audience is not frozen."""
    issue = {"issue_id": issue_id}
    frozen = _frozen(session, issue_id)
    counted = {row.state: row.n for row in session.execute(_STATES, issue)}
    excluded = {row.reason: row.n for row in session.execute(_EXCLUDED, issue)}
    unexplained = session.execute(_UNEXPLAINED, issue).scalar_one()
    empty_batches = session.execute(_EMPTY_BATCHES, issue).scalar_one()
    return Proof(
        issue=frozen.ref,
        candidates=frozen.candidates,
        states={str(state): counted.get(state, 0) for state in DeliveryState},
        excluded=excluded,
        duplicates=int(session.execute(_DUPLICATES, issue).scalar_one()),
        unexplained=unexplained + empty_batches,
    )


def explain(session: Session, issue_id: int) -> Iterator[Explanation]:
    """Every candidate of an issue by subscriber id, a page in memory; raises as `prove`."""
    _frozen(session, issue_id)
    where = {"issue_id": issue_id, "resend": RESEND, "page": _PAGE}
    after_id, rows = 0, True
    while rows:
        page = session.execute(_ROWS, {**where, "after_id": after_id}).all()
        yield from map(_explained, page)
        rows = len(page) == _PAGE
        after_id = page[-1].subscriber_id if page else after_id


def _explained(row: Row[Any]) -> Explanation:
    why = _why(row)
    again = f"sent again by {row.again}" if row.again and row.again not in why else ""
    return Explanation(
        subscriber_id=row.subscriber_id,
        address=row.address or "",
        state=row.state,
        reason="; ".join(part for part in (why, again) if part),
        attempts=row.attempts,
        changed_at=row.changed_at,
        receipt=row.receipt,
    )


def _why(row: Row[Any]) -> str:
    if row.state == DeliveryState.EXCLUDED:
        return _IN_WORDS.get(row.reason, row.reason)
    if row.state == DeliveryState.PLANNED:
        later = f", goes out after {row.due_at:%Y-%m-%d %H:%M %Z}" if row.due_at else ""
        return f"not sent yet{later}{': ' if row.reason else ''}{row.reason}"
    if row.state == DeliveryState.ATTEMPTING:
        return "a sender has it in hand"
    return str(row.reason)


def _frozen(session: Session, issue_id: int) -> Row[Any]:
    issue = session.execute(_ISSUE, {"issue_id": issue_id}).one_or_none()
    if issue is None:
        raise NotFoundError(f"there is no issue {issue_id}", hint="see `newsletter issue list`")
    if not issue.frozen:
        raise RefusedError(
            f"issue {issue.ref} has no frozen audience yet: there is nothing to prove",
            hint=f"approve it, then send it with `newsletter issue send {issue.ref}`",
        )
    return issue
