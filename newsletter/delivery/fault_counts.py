"""Refusals for our own fault, as they are on record: of which causes there are any, and how many.

A cause is an enhanced status code that a mailbox's server gave, or what a provider says that did
not even try. Neither is a server's free words, which may name a reader and are kept nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery import fault_codes
from newsletter.store.feedback import IS_DROPPED, IS_REFUSED
from newsletter.store.timed import timed

DAY: Final = timedelta(days=1)


class Cause(NamedTuple):
    """Why mail of ours is not taken. name: a code, or one of `verdicts.DROPS`.

    told_as: what stands on record for it: the code, or each way the provider wrote its reason.
    """

    name: str
    is_drop: bool
    told_as: tuple[str, ...]


def _within(which: str, column: str, value: str) -> str:
    return (
        f"FROM provider_event WHERE {which} AND {column} = {value}"
        " AND received_at >= :start AND received_at < :end"
    )


def _firsts(which: str, column: str) -> Any:
    """Of each value on record when the first of the time came, or NULL.

    From each value it steps straight to the next one in the index that holds no other events: of a
    dozen values two dozen looks, however many events there are.
    """
    next_one = f"SELECT min({column}) FROM provider_event WHERE {which}"  # noqa: S608  (ours)
    return timed(
        f"WITH RECURSIVE told (value) AS ({next_one}"  # noqa: S608  (ours)
        f" UNION ALL SELECT ({next_one} AND {column} > told.value)"
        " FROM told WHERE told.value IS NOT NULL)"
        f" SELECT value, (SELECT min(received_at) {_within(which, column, 'told.value')}) AS first"
        " FROM told WHERE value IS NOT NULL",
        "start",
        "end",
    ).columns(first=UTCDateTime())


# On ix_provider_event_refused (code, received_at) and ix_provider_event_dropped (detail,
# received_at), in this order.
_FIRST_REFUSED: Final = _firsts(IS_REFUSED, "code")
_FIRST_DROPPED: Final = _firsts(IS_DROPPED, "detail")
_MANY_REFUSED: Final = timed(
    f"SELECT count(*) {_within(IS_REFUSED, 'code', ':value')}", "start", "end"
)
_MANY_DROPPED: Final = timed(
    f"SELECT count(*) {_within(IS_DROPPED, 'detail', ':value')}", "start", "end"
)


def within(day: date) -> dict[str, datetime]:
    """A day of UTC."""
    start = datetime.combine(day, time(), UTC)
    return {"start": start, "end": start + DAY}


def causes(session: Session, day: date, *, by: datetime) -> list[Cause]:
    """Those of a day of UTC of which we were told by an instant, by their names."""
    found: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for row in session.execute(_FIRST_REFUSED, within(day)):
        if row.first is not None and row.first <= by and fault_codes.is_ours(row.value):
            found[row.value, False].append(row.value)
    for row in session.execute(_FIRST_DROPPED, within(day)):
        name = fault_codes.drop_of_ours(row.value)
        if row.first is not None and row.first <= by and name:
            found[name, True].append(row.value)
    return [Cause(*key, tuple(told_as)) for key, told_as in sorted(found.items())]


def many(session: Session, cause: Cause, *, start: datetime, end: datetime) -> int:
    """How many were told of it from an instant on and before another."""
    statement = _MANY_DROPPED if cause.is_drop else _MANY_REFUSED
    values = ({"value": one, "start": start, "end": end} for one in cause.told_as)
    return sum(int(session.execute(statement, one).scalar_one()) for one in values)
