"""How the list grew and shrank, month by month, and what became of those who came in one month.

Somebody is there who has confirmed, has not left or been erased, and against whose address nothing
stands; a pause is no leaving. It is worked out from what is append-only (consent records,
suppressions), so past months never change but for the erased, whose marks stay. Months are UTC's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.models import ConsentAction

SEEN_WITHIN = timedelta(days=30)
SUPPRESSED = "suppressed"  # in `statuses`, beside those of subscribers

_MONTH = "substr(CAST(s.confirmed_at AS VARCHAR(40)), 1, 7)"  # 2026-11
_STANDING = " LEFT JOIN suppression p ON p.address_key = s.address_key AND p.lifted_at IS NULL"
_GONE = "('unsubscribed', 'erased')"

# Those who ever left, and those of whose address anything ever was said: by walks over
# consent_record and suppression, the latter's readers by the unique index on address_key.
_LEAVERS = (
    "SELECT subscriber_id FROM consent_record WHERE action IN ('unsubscribed', 'erased')"
    " UNION SELECT s.id FROM suppression p JOIN subscriber s ON s.address_key = p.address_key"
    " WHERE p.reason <> 'erased'"
)

# Everybody else came once and stayed: one walk over subscriber.
_STAYED = text(
    f"SELECT {_MONTH} AS month, count(*) AS readers FROM subscriber s"  # noqa: S608  (constants)
    f" WHERE s.confirmed_at IS NOT NULL AND s.id NOT IN ({_LEAVERS}) GROUP BY 1"
)

# What happened to those, reader by reader in the order of time. Their records by consent_record's
# index on subscriber_id, their suppressions by the index on address_key.
_FACTS = (
    text(
        f"""
        SELECT subscriber_id, at, what FROM (
            SELECT c.subscriber_id AS subscriber_id, c.at AS at, c.id AS id, c.action AS what
            FROM consent_record c WHERE c.subscriber_id IN ({_LEAVERS})
            UNION ALL
            SELECT s.id, p.at, p.id, 'suppressed'
            FROM suppression p JOIN subscriber s ON s.address_key = p.address_key
            WHERE p.reason <> 'erased'
            UNION ALL
            SELECT s.id, p.lifted_at, p.id, 'lifted'
            FROM suppression p JOIN subscriber s ON s.address_key = p.address_key
            WHERE p.reason <> 'erased' AND p.lifted_at IS NOT NULL
        ) AS fact
        ORDER BY subscriber_id, at, id
        """  # noqa: S608
    )
    .columns(at=UTCDateTime())
    .execution_options(yield_per=10_000)
)

# One walk over subscriber, each with what stands against the address and with what is known of the
# behaviour, by unique indexes.
_COHORTS = text(
    f"""
    SELECT {_MONTH} AS month, count(*) AS confirmed,
        count(CASE WHEN s.status NOT IN {_GONE} AND p.id IS NULL THEN 1 END) AS active,
        count(CASE WHEN e.last_human_at >= :since THEN 1 END) AS seen
    FROM subscriber s {_STANDING} LEFT JOIN engagement e ON e.subscriber_id = s.id
    WHERE s.confirmed_at IS NOT NULL GROUP BY 1 ORDER BY 1
    """  # noqa: S608
).bindparams(bindparam("since", type_=UTCDateTime()))

_STATUSES = text(
    f"""
    SELECT CASE WHEN p.id IS NOT NULL AND s.status NOT IN {_GONE} THEN '{SUPPRESSED}'
        ELSE s.status END AS status, count(*) AS readers
    FROM subscriber s {_STANDING} GROUP BY 1
    """  # noqa: S608
)

_CAME = frozenset(
    {
        ConsentAction.CONFIRMED,
        ConsentAction.IMPORTED,
        ConsentAction.ADDED,
        ConsentAction.RETURNED,
        ConsentAction.RESTORED,
    }
)
_LEFT = frozenset({ConsentAction.UNSUBSCRIBED, ConsentAction.ERASED})


class Turn(StrEnum):
    """What a month's figure counts of one person."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"


class Fact(NamedTuple):
    """what: a consent record's action, `suppressed` or `lifted`."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Month:
    """active_at_end = that of the month before + confirmed + returned - the three who went."""

    month: date  # its first day
    confirmed: int
    returned: int
    unsubscribed: int
    suppressed: int
    erased: int
    active_at_end: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """confirmed: all of that month. active: there now. seen: in the last 30 days."""

    month: date
    confirmed: int
    active: int
    seen: int


def months(session: Session, *, now: datetime) -> list[Month]:
    """From the first month anybody confirmed in to the one of `now`, none left out."""
    session.flush()
    turns: dict[date, Counter[Turn]] = defaultdict(Counter)
    for row in session.execute(_STAYED):
        turns[_first_day(row.month)][Turn.CONFIRMED] += row.readers
    rows = session.execute(_FACTS)
    for _reader, facts in groupby(rows, key=lambda row: row.subscriber_id):
        for at, turn in turns_of(Fact(row.at, row.what) for row in facts):
            turns[at.date().replace(day=1)][turn] += 1
    return list(_months(turns, now.date().replace(day=1)))


def cohorts(session: Session, *, now: datetime) -> list[Cohort]:
    """Everybody ever confirmed, by the month of it, oldest first."""
    session.flush()
    return [
        Cohort(_first_day(row.month), row.confirmed, row.active, row.seen)
        for row in session.execute(_COHORTS, {"since": now - SEEN_WITHIN})
    ]


def statuses(session: Session) -> dict[str, int]:
    """How many are on record by status; who is suppressed and has not left stands apart."""
    session.flush()
    return {row.status: row.readers for row in session.execute(_STATUSES)}


def turns_of(facts: Iterable[Fact]) -> Iterator[tuple[datetime, Turn]]:
    """When one person came and went, from all facts about them in the order of time.

    What happens in one instant counts as one: a complaint that takes a bounce's place brings nobody
    back for a moment.
    """
    is_on_list = is_there = was_there = False
    against, turn = 0, Turn.UNSUBSCRIBED
    for at, together in groupby(facts, key=lambda fact: fact.at):
        for fact in together:
            if fact.what in _CAME:
                is_on_list = True
            elif fact.what in _LEFT:
                is_on_list, turn = False, Turn(fact.what)
            elif fact.what == SUPPRESSED:
                against, turn = against + 1, Turn.SUPPRESSED
            elif fact.what == "lifted":
                against -= 1
        is_now = is_on_list and against <= 0
        if is_now and not is_there:
            yield at, Turn.RETURNED if was_there else Turn.CONFIRMED
            was_there = True
        elif is_there and not is_now:
            yield at, turn
        is_there = is_now


def _months(turns: Mapping[date, Counter[Turn]], last: date) -> Iterator[Month]:
    if not turns:
        return
    there, month = 0, min(turns)
    while month <= max(last, *turns):
        of = turns.get(month, Counter())
        there += of[Turn.CONFIRMED] + of[Turn.RETURNED]
        there -= of[Turn.UNSUBSCRIBED] + of[Turn.SUPPRESSED] + of[Turn.ERASED]
        yield Month(
            month=month,
            confirmed=of[Turn.CONFIRMED],
            returned=of[Turn.RETURNED],
            unsubscribed=of[Turn.UNSUBSCRIBED],
            suppressed=of[Turn.SUPPRESSED],
            erased=of[Turn.ERASED],
            active_at_end=there,
        )
        month = (month + timedelta(days=31)).replace(day=1)


def _first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")
