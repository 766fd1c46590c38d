"""What providers tell, taken in: on record once, and followed to delivery, reader and list.

A delivery's state is a function of the set of events told of it, by `verdicts.PRECEDENCE`, never of
their order. Most events only move deliveries, a thousand in one statement; refusals, complaints and
leavings are few: what is on record of their readers is looked up at once, and what follows is drawn
for one after the other, by `delivery.bounces`. Nothing here commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

import structlog
from sqlalchemy import CursorResult, Row
from sqlmodel import Session

from newsletter.delivery import bounces, evidence, on_record, told_erased, verdicts
from newsletter.delivery import refusals as rows_of_refusals
from newsletter.delivery import told_statements as sql
from newsletter.delivery.bounces import Followed, Told
from newsletter.delivery.on_record import OnRecord
from newsletter.delivery.verdicts import Fact
from newsletter.providers.told import Kind, ProviderEvent
from newsletter.store.states import DELIVERY_MOVES, DeliveryState
from subscribers import tuples
from subscribers.policy import Verdict

AT_ONCE: Final = 2_000  # waiting events of one look
MAX_LOOKS: Final = 5  # at a delivery that others move between our look and our decision
MAX_AHEAD: Final = timedelta(days=1)  # of our clock; what lies further off happens now

_log = structlog.get_logger(__name__)
_MOVING: Final = frozenset({Kind.DELIVERED, Kind.DEFERRED})
_STORED: Final[Mapping[Kind, str]] = {kind: kind.value for kind in Kind}
_LEAVING: Final = frozenset({Kind.COMPLAINED, Kind.UNSUBSCRIBED})
_RANK: Final[Mapping[str, int]] = {
    kind: rank for rank, (kinds, _state) in enumerate(verdicts.PRECEDENCE) for kind in kinds
}


class Traced(NamedTuple):
    """An event and whose it is. subscriber_id None: nobody's we know; issue_id None: a system
    mail's, and sent_at is when that left, where it is known."""

    event: ProviderEvent
    issue_id: int | None = None
    subscriber_id: int | None = None
    sent_at: datetime | None = None


@dataclass(slots=True)
class TakenIn:
    """What came of some events.

    new: those not on record before. settled: the issues of which something uncertain is settled.
    left: who is off the list just now, by their own word and no complaint. through: issue and
    reader, of each that somebody left through or called spam. alerts: codes of faults of ours.
    """

    told: int = 0
    new: int = 0
    suppressed: int = 0
    settled: set[int] = field(default_factory=set)
    left: list[int] = field(default_factory=list)
    through: set[tuple[int, int]] = field(default_factory=set)
    alerts: Counter[str] = field(default_factory=Counter)

    def add(self, more: TakenIn) -> None:
        """What came of the next ones, too."""
        self.told += more.told
        self.new += more.new
        self.suppressed += more.suppressed
        self.settled |= more.settled
        self.left += more.left
        self.through |= more.through
        self.alerts += more.alerts


def take_in(session: Session, provider: str, events: Sequence[Traced], now: datetime) -> TakenIn:
    """Puts the events on record and follows those that are new; the caller commits.

    One about a message still being sent waits, for `look_again`.
    """
    after = session.execute(sql.LAST_ID).scalar_one()
    new = _insert(session, provider, events, now)
    done = TakenIn(told=len(events), new=new)
    if new:
        which = {"after": after, "last": session.execute(sql.LAST_ID).scalar_one()}
        concern = session.execute(sql.JUST_TOLD.concern, which).one()
        if concern.erased:
            told_erased.cut_words(session, which)
        if concern.being_sent:
            session.execute(sql.JUST_TOLD.wait, which)
        kinds = frozenset(one.event.kind for one in events)
        sent = {one.event.event_id: one.sent_at for one in events if one.sent_at is not None}
        _follow(session, sql.JUST_TOLD, which, concern, kinds, done, now, sent)
        if concern.erased:
            told_erased.let_go(session, which)
    return done


def look_again(session: Session, now: datetime, *, most: int = AT_ONCE) -> TakenIn:
    """Follows events that waited for a sender, the oldest first; `told` is how many."""
    ids = list(session.execute(sql.READY, {"most": most}).scalars())
    done = TakenIn(told=len(ids))
    if ids:
        session.execute(sql.NOT_WAITING, {"ids": ids})
        concern = session.execute(sql.LISTED.concern, {"ids": ids}).one()
        _follow(session, sql.LISTED, {"ids": ids}, concern, frozenset(Kind), done, now)
    return done


def _insert(session: Session, provider: str, events: Sequence[Traced], now: datetime) -> int:
    instants: dict[datetime | None, Any] = {}
    rows = []
    for event, issue_id, subscriber_id, _sent_at in events:
        at = instants.get(event.at)
        if at is None:
            happened = event.at if event.at and event.at <= now + MAX_AHEAD else now
            at = instants[event.at] = tuples.stored(session, sql.INSERT, "at", happened)
        rows.append(
            (
                event.event_id,
                event.twin,
                _STORED[event.kind],
                event.word,
                at,
                issue_id,
                subscriber_id,
                event.request_id,
                event.code,
                event.detail,
                event.raw,
            )
        )
    return tuples.run_for_each(session, sql.INSERT, sql.NAMES, rows, provider=provider, now=now)


def _follow(
    session: Session,
    about: sql.About,
    which: Mapping[str, Any],
    concern: Row[Any],
    kinds: frozenset[Kind],
    done: TakenIn,
    now: datetime,
    sent: Mapping[str, datetime] = MappingProxyType({}),
) -> None:
    """concern, kinds: what the events are about; what none of them asks for is not looked for.

    sent: when system mails left, by the id of an event about one. Such an event never waits.
    """
    done.settled |= _settled(session, about, which, concern)
    if done.settled or Kind.DELIVERED in kinds:
        session.execute(about.to_classify, {**which, "now": now})
    if done.settled or kinds & _MOVING:
        session.execute(about.move, {**which, "now": now, "proven": evidence.TOLD})
    requests = session.execute(about.requests, which).scalars().all() if concern.in_requests else ()
    for request_id in requests:
        if evidence.request_known(session, request_id, now):
            done.settled.add(evidence.issue_of(session, request_id))
    session.expire_all()  # deliveries have changed behind the session's back
    if Kind.DELIVERED in kinds and concern.refused_before:
        rows_of_refusals.recount(session, session.execute(about.arrived, which).scalars().all())
    if kinds & verdicts.WEIGHTY:
        _weigh(session, session.execute(about.weighty, which).all(), done, now, sent)
    for code, events in done.alerts.items():
        _log.warning("refused_for_our_fault", code=code, events=events)


def _settled(
    session: Session, about: sql.About, which: Mapping[str, Any], concern: Row[Any]
) -> set[int]:
    """The issues of which something uncertain is proven now."""
    doubted = 0
    if concern.planned_again:
        doubted = cast("CursorResult[Any]", session.execute(about.doubt, which)).rowcount
    if not (concern.uncertain or doubted):
        return set()
    return set(session.execute(about.uncertain, which).scalars())


def _weigh(
    session: Session,
    rows: Sequence[Row[Any]],
    done: TakenIn,
    now: datetime,
    sent: Mapping[str, datetime],
) -> None:
    """Refusals, complaints and leavings.

    Each delivery is where it belongs before anything follows for a reader, so that none of it
    depends on which was looked at first.
    """
    if not rows:
        return
    deliveries = {(row.issue_id, row.subscriber_id): row for row in rows if row.state is not None}
    readers = {row.subscriber_id for row in rows}
    known = _decide_all(session, readers, deliveries.values(), now)
    for row in sorted(rows, key=lambda row: (_RANK[row.kind], row.at, row.id)):
        sent_at = sent.get(row.event_id) if row.issue_id is None else row.sent_at
        _draw(session, known, row, done, now, sent_at)


def _draw(
    session: Session,
    known: OnRecord,
    row: Row[Any],
    done: TakenIn,
    now: datetime,
    sent_at: datetime | None,
) -> None:
    """What follows from one of them for its reader."""
    verdict = verdicts.verdict_of(Kind(row.kind), row.code, row.detail)
    if row.kind == Kind.DROPPED and _is_the_providers_list(session, row.subscriber_id, verdict):
        verdict = Verdict.SENDER_FAULT
    fact = Fact(Kind(row.kind), row.at, row.code, row.detail)
    told = Told(row.subscriber_id, row.issue_id, verdict, fact.reason, row.at)
    followed = bounces.consequences(session, known, told, now, sent_at=sent_at)
    _note(done, row, followed, verdict)


def _note(done: TakenIn, row: Row[Any], followed: Followed, verdict: Verdict) -> None:
    done.suppressed += followed.suppressed is not None
    if followed.alert:
        done.alerts[row.code or "no code"] += 1
    if followed.left and verdict is not Verdict.COMPLAINT:
        done.left.append(row.subscriber_id)
    if row.kind in _LEAVING and row.issue_id is not None and not followed.is_history:
        done.through.add((row.issue_id, row.subscriber_id))


def _is_the_providers_list(session: Session, subscriber_id: int, verdict: Verdict) -> bool:
    """Whether a drop only says that the provider still keeps off somebody who agreed anew.

    They left or complained once and came back: its list is to be mended, not ours.
    """
    if verdict not in (Verdict.COMPLAINT, Verdict.LEAVING):
        return False
    return bool(session.execute(sql.CAME_BACK, {"subscriber_id": subscriber_id}).scalar())


def _decide_all(
    session: Session,
    readers: Collection[int],
    deliveries: Iterable[Row[Any]],
    now: datetime,
    looks: int = MAX_LOOKS,
) -> OnRecord:
    """Moves each delivery to where the facts about it lead; what is on record of the readers.

    The losing case: another worker, told of the same delivery, commits between our look and our
    decision (on PostgreSQL; SQLite lets in one writer). Neither knew what the other was told, so
    both are looked at anew, the delivery before the facts: who lacks a fact then loses once more.
    """
    known = on_record.look_up(session, readers)
    lost = [row for row in deliveries if not _decide(session, known, row, now)]
    if lost and looks > 1:
        found = [row for one in lost for row in session.execute(sql.DELIVERY, _ids(one))]
        return _decide_all(session, readers, found, now, looks - 1)
    for row in lost:
        _log.warning("delivery_changed_meanwhile", issue=row.issue_id, subscriber=row.subscriber_id)
    return known


def _decide(session: Session, known: OnRecord, row: Row[Any], now: datetime) -> bool:
    """Whether a delivery is where the facts about it lead; not, where it is not as in `row`."""
    decided = verdicts.decided(_facts(known, row.issue_id, row.subscriber_id))
    if decided is None:
        return True
    state, reason = decided
    was = DeliveryState(row.state)
    is_news = state is not was or reason != row.reason
    if not (is_news and (state is was or state in DELIVERY_MOVES[was]) and _is_out(was)):
        return True
    move = {
        **_ids(row),
        "was": str(was),
        "was_reason": row.reason,
        "state": str(state),
        "reason": reason,
        "now": now,
    }
    return cast("CursorResult[Any]", session.execute(sql.DECIDE, move)).rowcount == 1


def _ids(row: Row[Any]) -> dict[str, int]:
    return {"issue_id": row.issue_id, "subscriber_id": row.subscriber_id}


def _is_out(state: DeliveryState) -> bool:
    return state not in (DeliveryState.PLANNED, DeliveryState.ATTEMPTING, DeliveryState.EXCLUDED)


def _facts(known: OnRecord, issue_id: int, subscriber_id: int) -> list[Fact]:
    """The weighty facts since the message was last sent, on purpose, again."""
    since = known.again.get(subscriber_id, {}).get(issue_id)
    return [
        Fact(Kind(row.kind), row.at, row.code, row.detail)
        for row in known.told.get(subscriber_id, ())
        if row.issue_id == issue_id and not row.is_waiting and (since is None or row.at >= since)
    ]
