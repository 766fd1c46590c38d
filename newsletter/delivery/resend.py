"""Sending again by a person's word: deliveries of a frozen issue that become planned once more.

Nothing here happens by itself. Who was never to get the issue stays without it, and so does whoever
may not be written to any more. What a delivery was before is kept as an event of the kind `resend`,
a fact about this delivery like its clicks: the delivery's own reason is overwritten by its next
answer, the event stays. Its `agent` says who decided and what the delivery had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Row, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery import statements as sql
from newsletter.delivery.proof import RESEND
from newsletter.errors import LedgerError
from newsletter.store.states import RESEND_MOVES, DeliveryState, move
from newsletter.tracking import events
from subscribers import audience

NOT_TAKEN = (DeliveryState.FAILED, DeliveryState.BOUNCED)
TAKEN = (DeliveryState.SUBMITTED, DeliveryState.DELIVERED)
MAX_REFUSED = 1_000  # named in a report; the rest is counted

_WHY_NOT: Mapping[str, str] = {
    DeliveryState.PLANNED: "is planned already",
    DeliveryState.ATTEMPTING: "a sender has it in hand",
    DeliveryState.DEFERRED: "the provider is still trying",
    DeliveryState.COMPLAINED: "called it spam",
    DeliveryState.SUBMITTED: "has it already; --again sends it twice",
    DeliveryState.DELIVERED: "has it already; --again sends it twice",
}

_COLUMNS = "delivery.subscriber_id, subscriber.address, delivery.state, delivery.reason, \
delivery.receipt, delivery.attempts"
_FROM = "FROM delivery JOIN subscriber ON subscriber.id = delivery.subscriber_id"

# Rows by primary key, each with its reader by primary key.
_NAMED = text(
    f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE delivery.issue_id = :issue_id AND delivery.subscriber_id IN :ids
    ORDER BY delivery.subscriber_id
    """
).bindparams(bindparam("ids", expanding=True))

# A page of the issue's part of the primary key.
_FAILED = text(
    f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE delivery.issue_id = :issue_id AND delivery.subscriber_id > :after_id
        AND delivery.state IN ('failed', 'bounced')
    ORDER BY delivery.subscriber_id LIMIT :page
    """
)

# One row by primary key, in executemany. Attempts begin anew: how long a deferred message is tried
# depends on them. When the new copy arrives is another instant, which its provider may still name.
_PLAN = text(
    """
    UPDATE delivery SET state = 'planned', reason = :reason, receipt = '', attempts = 0,
        due_at = NULL, delivered_at = NULL, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = :state
    """
).bindparams(bindparam("now", type_=UTCDateTime()))

_SAY = text(
    "INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)"
    " VALUES (:issue_id, :subscriber_id, :kind, :now, '', :agent, '')"
).bindparams(bindparam("now", type_=UTCDateTime()))


@dataclass(frozen=True, slots=True)
class Refused:
    """A reader it is not sent to again, and why."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resent:
    """planned: how many go out again. twice: how many of them have it. refused: the first 1,000."""

    planned: int = 0
    twice: int = 0
    refused_count: int = 0
    refused: tuple[Refused, ...] = ()

    def plus(self, other: Resent) -> Resent:
        kept = (*self.refused, *other.refused)[:MAX_REFUSED]
        return Resent(
            self.planned + other.planned,
            self.twice + other.twice,
            self.refused_count + other.refused_count,
            kept,
        )


def plan_again(
    session: Session,
    issue_id: int,
    subscriber_ids: Sequence[int],
    *,
    again: bool,
    by: str,
    now: datetime,
) -> Resent:
    """Plans these candidates' deliveries once more; again: those too who have it already.

    An id without a delivery in the issue is left out; the caller knows whom they asked for.
    """
    session.flush()
    done = Resent()
    for ids in audience.in_chunks(subscriber_ids, audience.MAX_IDS):
        rows = session.execute(_NAMED, {"issue_id": issue_id, "ids": ids}).all()
        done = done.plus(_plan(session, issue_id, rows, again=again, by=by, now=now))
    session.execute(sql.REOPEN_BATCHES, {"issue_id": issue_id})
    return done


def plan_failed_again(session: Session, issue_id: int, *, by: str, now: datetime) -> Resent:
    """Plans every failed and bounced delivery of the issue once more, a page in memory."""
    session.flush()
    done = Resent()
    for rows in _failed(session, issue_id):
        done = done.plus(_plan(session, issue_id, rows, again=False, by=by, now=now))
    session.execute(sql.REOPEN_BATCHES, {"issue_id": issue_id})
    return done


def _failed(session: Session, issue_id: int) -> Iterator[Sequence[Row[Any]]]:
    after_id = 0
    where = {"issue_id": issue_id, "page": audience.MAX_IDS}
    while rows := session.execute(_FAILED, {**where, "after_id": after_id}).all():
        yield rows
        after_id = rows[-1].subscriber_id


def _plan(
    session: Session,
    issue_id: int,
    rows: Sequence[Row[Any]],
    *,
    again: bool,
    by: str,
    now: datetime,
) -> Resent:
    barred = audience.still_excluded(session, [row.subscriber_id for row in rows])
    refused = {row.subscriber_id: _why_not(row, barred, again=again) for row in rows}
    chosen = [row for row in rows if not refused[row.subscriber_id]]
    _write(session, issue_id, chosen, by=by, now=now)
    kept = [Refused(r.address, why) for r in rows if (why := refused[r.subscriber_id])]
    return Resent(
        planned=len(chosen),
        twice=sum(row.state in TAKEN for row in chosen),
        refused_count=len(kept),
        refused=tuple(kept[:MAX_REFUSED]),
    )


def _why_not(row: Row[Any], barred: Mapping[int, str], *, again: bool) -> str:
    """Why this delivery stays as it is; "" where it may go out again."""
    if row.state == DeliveryState.EXCLUDED:
        return f"was never to get it: {row.reason}"
    if row.subscriber_id in barred:
        return f"may not be written to: {barred[row.subscriber_id]}"
    if row.state in TAKEN and again:
        return ""
    return _WHY_NOT.get(row.state, "")


def _write(
    session: Session, issue_id: int, rows: Iterable[Row[Any]], *, by: str, now: datetime
) -> None:
    for row in rows:
        move(RESEND_MOVES, DeliveryState(row.state), DeliveryState.PLANNED)
    facts = [
        {
            "issue_id": issue_id,
            "subscriber_id": row.subscriber_id,
            "state": row.state,
            "kind": RESEND,
            "agent": (said := _said(row, by)),
            "reason": f"sent again by {said}",
            "now": now,
        }
        for row in rows
    ]
    if not facts:
        return
    planned = cast("CursorResult[Any]", session.execute(_PLAN, facts)).rowcount
    if planned != len(facts):
        raise LedgerError(
            f"a delivery of issue {issue_id} was changed while it was planned again",
            hint="nothing was kept; run the same command again",
        )
    session.execute(_SAY, facts)


def _said(row: Row[Any], by: str) -> str:
    """`Ann: was bounced after 1 attempt: 5.1.1 no such user`, at most 300 characters."""
    tries = f"{row.attempts} attempt{'s' if row.attempts != 1 else ''}"
    said = f"{by.strip()}: was {row.state} after {tries}"
    details = row.reason or row.receipt
    whole = f"{said}: {details}" if details else said
    return whole[: events.MAX_AGENT_CHARACTERS]
