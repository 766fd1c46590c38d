"""What providers tell, taken in: on record once, and followed to delivery, reader and list.

A delivery's state is a function of the set of events told of it, by `verdicts.PRECEDENCE`, never of
their order. Most events only move deliveries, a thousand in one statement; refusals, complaints and
leavings are few and are followed one by one, by `delivery.bounces`. Nothing here commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

import structlog
from sqlalchemy import CursorResult, Row
from sqlmodel import Session

from newsletter.delivery import bounces, evidence, told_erased, verdicts
from newsletter.delivery import refusals as rows_of_refusals
from newsletter.delivery import told_statements as sql
from newsletter.delivery.bounces import Followed, Told
from newsletter.delivery.verdicts import Fact
from newsletter.providers.told import Kind, ProviderEvent
from newsletter.store.models import Delivery
from newsletter.store.states import DELIVERY_MOVES, DeliveryState
from subscribers import tuples
from subscribers.policy import Verdict

AT_ONCE: Final = 2_000  # waiting events of one look
MAX_AHEAD: Final = timedelta(days=1)  # of our clock; what lies further off happens now

_log = structlog.get_logger(__name__)
_MOVING: Final = frozenset({Kind.DELIVERED, Kind.DEFERRED})
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
        has_erased = told_erased.cut_words(session, which)
        session.execute(sql.JUST_TOLD.wait, which)
        kinds = frozenset(one.event.kind for one in events)
        sent = {one.event.event_id: one.sent_at for one in events if one.sent_at is not None}
        _follow(session, sql.JUST_TOLD, which, kinds, done, now, sent)
        if has_erased:
            told_erased.let_go(session, which)
    return done


def look_again(session: Session, now: datetime, *, most: int = AT_ONCE) -> TakenIn:
    """Follows events that waited for a sender, the oldest first; `told` is how many."""
    ids = list(session.execute(sql.READY, {"most": most}).scalars())
    done = TakenIn(told=len(ids))
    if ids:
        session.execute(sql.NOT_WAITING, {"ids": ids})
        _follow(session, sql.LISTED, {"ids": ids}, frozenset(Kind), done, now)
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
                event.kind.value,
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
    kinds: frozenset[Kind],
    done: TakenIn,
    now: datetime,
    sent: Mapping[str, datetime] = MappingProxyType({}),
) -> None:
    """kinds: those among the events; what none of them asks for is not looked for.

    sent: when system mails left, by the id of an event about one. Such an event never waits.
    """
    session.execute(about.doubt, which)
    done.settled |= set(session.execute(about.uncertain, which).scalars())
    if done.settled or Kind.DELIVERED in kinds:
        session.execute(about.to_classify, {**which, "now": now})
    if done.settled or kinds & _MOVING:
        session.execute(about.move, {**which, "now": now, "proven": evidence.TOLD})
    for request_id in session.execute(about.requests, which).scalars().all():
        if evidence.request_known(session, request_id, now):
            done.settled.add(evidence.issue_of(session, request_id))
    session.expire_all()  # deliveries have changed behind the session's back
    if Kind.DELIVERED in kinds:
        rows_of_refusals.recount(session, session.execute(about.arrived, which).scalars().all())
    if kinds & verdicts.WEIGHTY:
        weighty = session.execute(about.weighty, which).all()
        for row in sorted(weighty, key=lambda row: (_RANK[row.kind], row.at, row.id)):
            _weigh(session, row, done, now, sent.get(row.event_id))
    for code, events in done.alerts.items():
        _log.warning("refused_for_our_fault", code=code, events=events)


def _weigh(
    session: Session, row: Row[Any], done: TakenIn, now: datetime, sent_at: datetime | None
) -> None:
    """One refusal, complaint or leaving: the delivery by all that is known of it, then the rest."""
    if row.issue_id is not None:
        sent_at = _decide(session, row.issue_id, row.subscriber_id, now)
    verdict = verdicts.verdict_of(Kind(row.kind), row.code, row.detail)
    if row.kind == Kind.DROPPED and _is_the_providers_list(session, row.subscriber_id, verdict):
        verdict = Verdict.SENDER_FAULT
    fact = Fact(Kind(row.kind), row.at, row.code, row.detail)
    told = Told(row.subscriber_id, row.issue_id, verdict, fact.reason, row.at)
    followed = bounces.consequences(session, told, now, sent_at=sent_at)
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


def _decide(session: Session, issue_id: int, subscriber_id: int, now: datetime) -> datetime | None:
    """Moves the delivery to where the facts about it lead; when it was sent."""
    ids = {"issue_id": issue_id, "subscriber_id": subscriber_id}
    delivery = session.get(Delivery, (issue_id, subscriber_id), populate_existing=True)
    if delivery is None:
        return None
    decided = verdicts.decided(_facts(session, ids))
    sent_at = delivery.submitted_at or delivery.changed_at
    if decided is None:
        return sent_at
    state, reason = decided
    was = DeliveryState(delivery.state)
    is_news = state is not was or reason != delivery.reason
    if is_news and (state is was or state in DELIVERY_MOVES[was]) and _is_out(was):
        row = {**ids, "was": str(was), "state": str(state), "reason": reason, "now": now}
        changed = cast("CursorResult[Any]", session.execute(sql.DECIDE, row)).rowcount
        session.expire(delivery)
        if changed != 1:
            _log.warning("delivery_changed_meanwhile", issue=issue_id, subscriber=subscriber_id)
    return sent_at


def _is_out(state: DeliveryState) -> bool:
    return state not in (DeliveryState.PLANNED, DeliveryState.ATTEMPTING, DeliveryState.EXCLUDED)


def _facts(session: Session, ids: Mapping[str, int]) -> list[Fact]:
    """The weighty facts since the message was last sent, on purpose, again."""
    again = session.execute(sql.SENT_AGAIN, ids).scalar()
    since = again.replace(microsecond=0) if again is not None else None
    return [
        Fact(Kind(row.kind), row.at, row.code, row.detail)
        for row in session.execute(sql.FACTS, ids)
        if since is None or row.at >= since
    ]
