"""How many messages may leave now, over all processes that share a store.

Each grant is one short transaction on the tables `rate_scope` and `rate_slot`; the arithmetic is
in `rate_budget`, the SQL in `rate_statements`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import Engine, TextClause
from sqlmodel import Session

from newsletter.delivery import rate_statements as sql
from newsletter.delivery.rate_budget import TOLERANCE_S, Budget, Gate, Grant, Pacer, Window
from newsletter.store.engine import session_on

__all__ = ["TOLERANCE_S", "Grant", "Limits", "Throttle"]

ALL = "*"  # scopes: every message; the windows; any other is a domain
HOUR = "hour"
DAY = "day"
HOUR_S = 3_600
DAY_S = 86_400
NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an operator allows; None and empty: no limit. Rates are positive, numbers 1 or more.

    per_domain: messages a second by domain, in lower-case ASCII. warm_up: the most messages in 24
    hours on the first, second, ... day from warm_up_from on; the first holds before that day too,
    none after the last. zone: where a day begins. tolerance_s: how many seconds' worth of messages
    may leave together; more where one hand-over takes longer than that.
    """

    per_second: float | None = None
    per_hour: int | None = None
    per_day: int | None = None
    per_domain: Mapping[str, float] = field(default_factory=dict)
    warm_up_from: date | None = None
    warm_up: tuple[int, ...] = ()
    zone: tzinfo = UTC
    tolerance_s: float = TOLERANCE_S

    def are_none(self, now: datetime) -> bool:
        """Whether nothing is limited, today or later."""
        set_ = (self.per_second, self.per_hour, self.per_day, self._warm_up_day(now))
        return not self.per_domain and set_ == (None, None, None, None)

    def shared(self, now: datetime) -> dict[str, Gate]:
        """The gates every message passes, by their scope, with nothing taken yet."""
        gates: dict[str, Gate] = {}
        if self.per_second is not None:
            says = f"{_a_second(self.per_second)} (NEWSLETTER_RATE_PER_SECOND)"
            gates[ALL] = Pacer(says, self.per_second, tolerance_s=self.tolerance_s)
        if self.per_hour is not None:
            says = f"{_messages(self.per_hour)} an hour (NEWSLETTER_RATE_PER_HOUR)"
            gates[HOUR] = Window(says, HOUR_S, ((0.0, self.per_hour),))
        steps = tuple(self._day_steps(now))
        if steps:
            gates[DAY] = Window(self._day_says(now, steps[0][1]), DAY_S, steps)
        return gates

    def own(self, domains: Iterable[str]) -> dict[str, Pacer]:
        """The gates of those of `domains` that have one, with nothing taken yet."""
        rates = {each: self.per_domain[each] for each in domains if each in self.per_domain}
        return {
            domain: Pacer(f"{domain}: {_a_second(rate)}", rate, tolerance_s=self.tolerance_s)
            for domain, rate in rates.items()
        }

    def _warm_up_day(self, now: datetime) -> int | None:
        """The day of the warm-up, from 0; None where there is none, or no more."""
        if self.warm_up_from is None:
            return None
        day = max(0, (now.astimezone(self.zone).date() - self.warm_up_from).days)
        return day if day < len(self.warm_up) else None

    def _day_steps(self, now: datetime) -> Iterator[tuple[float, int]]:
        """The limit of 24 hours now and from each of the next two midnights on."""
        limit = self._day_limit(now)
        if limit is None:
            return
        yield 0.0, limit
        today = now.astimezone(self.zone).date()
        for days in (1, 2):
            # Days are of 23 and 25 hours too: a midnight is asked for, not counted up to.
            midnight = datetime.combine(today + timedelta(days), time.min, self.zone)
            yield midnight.timestamp(), self._day_limit(midnight) or NO_LIMIT

    def _day_limit(self, at: datetime) -> int | None:
        day = self._warm_up_day(at)
        warm = None if day is None else self.warm_up[day]
        return min((n for n in (self.per_day, warm) if n is not None), default=None)

    def _day_says(self, now: datetime, limit: int) -> str:
        day = self._warm_up_day(now)
        if day is not None and self.warm_up[day] == limit:
            return f"day {day + 1} of the warm-up: {_messages(limit)}"
        return f"{_messages(limit)} a day (NEWSLETTER_RATE_PER_DAY)"


def _a_second(rate: float) -> str:
    return f"{rate:,g} {'message' if rate == 1 else 'messages'} a second"


def _messages(count: int) -> str:
    return f"{count:,} {'message' if count == 1 else 'messages'}"


class Throttle:
    """The budget all processes on one store share.

    clock: one that goes on by itself; where it stands still, so does the budget.
    """

    def __init__(self, engine: Engine, limits: Limits, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._limits = limits
        self._clock = clock

    def grant(self, domains: Sequence[str], *, at_most: int) -> Grant:
        """Takes the messages that may leave now: at most `at_most`, one a domain in `domains`.

        Those whose domain has used up its own limit are passed over. Who does not send what was
        granted has used it up all the same. Raises StoreError as `session_on` does.
        """
        wanted = max(0, min(len(domains), at_most))
        if not wanted or self._limits.are_none(self._clock()):
            return Grant(tuple(range(wanted)))
        if self._limits.per_domain:
            domains = [domain.lower() for domain in domains]
        with self._budget(set(domains)) as budget:
            return budget.grant(domains, wanted)

    def spend(self, count: int) -> None:
        """Counts messages that do not wait: system mails. Raises StoreError as `session_on` does.

        They may pass a limit; the next ones granted make up for it, by a pause of at most a minute
        for a rate a second.
        """
        if count <= 0 or self._limits.are_none(self._clock()):
            return
        with self._budget(()) as budget:
            budget.spend(count)

    @contextmanager
    def _budget(self, domains: Iterable[str]) -> Iterator[Budget]:
        """What is left, as nobody else can change it meanwhile; written back at the end."""
        with session_on(self._engine) as session:
            session.execute(sql.LOCK)
            now = self._clock()  # not before: waiting for the lock takes time
            own = self._limits.own(domains)
            free_at = _free_at(session, [ALL, *own])
            before: dict[str, Gate] = {
                scope: _as_stored(session, scope, gate, free_at)
                for scope, gate in self._limits.shared(now).items()
            }
            own = {
                each: replace(pacer, free_at=free_at.get(each, 0.0)) for each, pacer in own.items()
            }
            budget = Budget(now.timestamp(), before, own)
            yield budget
            changes = [*_changes(before, budget.shared), *_changes(own, budget.own)]
            for statement, values in changes:
                session.execute(statement, values)
            if not changes:
                session.rollback()  # who only asks how long to wait does not make the disk write


def _free_at(session: Session, scopes: Sequence[str]) -> dict[str, float]:
    rows = session.execute(sql.FREE_AT, {"scopes": list(scopes)})
    return {row.scope: row.free_at for row in rows}


def _as_stored(session: Session, scope: str, gate: Gate, free_at: Mapping[str, float]) -> Gate:
    if isinstance(gate, Pacer):
        return replace(gate, free_at=free_at[scope])
    rows = session.execute(sql.SLOTS, {"scope": scope})
    return replace(gate, slots={row.starts_at: row.taken for row in rows})


Change = tuple[TextClause, dict[str, Any]]


def _changes(before: Mapping[str, Gate], after: Mapping[str, Gate]) -> Iterator[Change]:
    for scope, gate in after.items():
        was = before[scope]
        if isinstance(gate, Window) and isinstance(was, Window):
            yield from _slot_changes(scope, was.slots, gate.slots)
        elif isinstance(gate, Pacer) and gate != was:
            yield sql.SET_FREE_AT, {"scope": scope, "free_at": gate.free_at}


def _slot_changes(
    scope: str, before: Mapping[int, int], after: Mapping[int, int]
) -> Iterator[Change]:
    for starts_at in before.keys() - after.keys():
        yield sql.DROP_SLOT, {"scope": scope, "starts_at": starts_at}
    for starts_at, taken in after.items() - before.items():
        yield sql.SET_SLOT, {"scope": scope, "starts_at": starts_at, "taken": taken}
