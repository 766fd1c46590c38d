"""What is forgotten, and when: agents and networks after 30 days, events after 13 months.

What running the rules again needs stays: an agent's program, and which of a reader's requests came
from one network, as a number that says no more (`#1`). Events of an issue go once its figures are
sealed, and never before everybody who needs them has heard of them.

Each function does one bounded step in the caller's transaction, with a bookmark in it, says how
many rows it changed, and is harmless at any time and any number of times; the next call goes on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count, takewhile
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import CursorResult, Executable, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.store import bookmarks
from newsletter.tracking.agents import coarse
from newsletter.tracking.links import CANARY
from newsletter.tracking.rules import FARTHEST_S, HEAD

# What we promise readers. 13 months is what the French authority allows for measuring an audience
# without consent (CNIL, guidelines on cookies and other trackers, 2020-09-17).
WHOLE: Final = timedelta(days=30)  # agents, networks, what providers said in words
EVENTS: Final = timedelta(days=396)  # 13 months
AT_ONCE: Final = 2_000  # rows a step: some tenths of a second
CUT: Final = "(cut)"


class Step(NamedTuple):
    """What one call did. rows: changed or deleted. is_over: nothing more is due."""

    rows: int
    is_over: bool


OVER: Final = Step(0, is_over=True)

RESEND: Final = "resend"  # an operator's word, in the event's agent: no reader's
_CLOCK_ASTRAY = timedelta(days=1)  # an event from beyond that has no true date, and waits for none
_COARSENED, _CUT, _FOLDED = "retention_events", "retention_told", "retention_folded"
_READERS_OF: Final = {"event": [_COARSENED], "provider_event": [_CUT, _FOLDED]}
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")

# After the newest rows went: SQLite gives their ids again, and what comes then is not read yet. By
# the end of a primary key.
_LOWER = {
    table: text(
        f"UPDATE bookmark SET last_id = (SELECT coalesce(max(id), 0) FROM {table})"  # noqa: S608
        f" WHERE name IN :names AND last_id > (SELECT coalesce(max(id), 0) FROM {table})"
    ).bindparams(bindparam("names", names, expanding=True))
    for table, names in _READERS_OF.items()
}

# By primary key, from the bookmark on.
_NEXT_EVENTS = text(
    "SELECT id, issue_id, subscriber_id, at, kind, agent, network FROM event"
    " WHERE id > :last_id ORDER BY id LIMIT :at_once"
).columns(at=UTCDateTime())

# Event's index on (subscriber_id, issue_id); the issue's part of issue_link's primary key.
_EVENTS_OF = (
    text(
        "SELECT event.id, event.issue_id, event.subscriber_id, event.at, event.method,"
        " event.agent, event.network, issue_link.label AS followed FROM event"
        " LEFT JOIN issue_link ON issue_link.issue_id = event.issue_id"
        " AND issue_link.n = event.link"
        " WHERE event.subscriber_id IN :readers AND event.issue_id IN :issues"
        " AND event.kind <> 'resend'"
    )
    .bindparams(bindparam("readers", expanding=True), bindparam("issues", expanding=True))
    .columns(at=UTCDateTime())
)
_NOBODYS = text(
    "SELECT id, agent, network FROM event WHERE id > :after_id AND id <= :last_id"
    " AND (subscriber_id IS NULL OR issue_id IS NULL) AND kind <> 'resend'"
)
_COARSEN = text("UPDATE event SET agent = :agent, network = :network WHERE id = :id")

# By primary key, from the bookmark on.
_NEXT_TOLD = text(
    "SELECT id, received_at, issue_id, detail, raw FROM provider_event WHERE id > :last_id"
    " ORDER BY id LIMIT :at_once"
).columns(received_at=UTCDateTime())
_CUT_TOLD = text("UPDATE provider_event SET raw = '', detail = :detail WHERE id = :id")
_DROP_TOLD = text("DELETE FROM provider_event WHERE id > :after_id AND id <= :last_id")

# A table of one row a week, each with its figures by primary key.
_TO_SEAL = text(
    "SELECT issue.id FROM issue"
    " LEFT JOIN snapshot ON snapshot.name = 'issue:' || CAST(issue.id AS VARCHAR(20))"
    " WHERE coalesce(issue.done_at, issue.frozen_at) <= :before"
    " AND coalesce(snapshot.is_sealed, false) = false AND NOT EXISTS"
    " (SELECT 1 FROM to_classify WHERE to_classify.issue_id = issue.id)"
    " ORDER BY issue.id"
).bindparams(bindparam("before", type_=UTCDateTime()))
_SEALED = text(
    "SELECT issue.id FROM issue"
    " JOIN snapshot ON snapshot.name = 'issue:' || CAST(issue.id AS VARCHAR(20))"
    " WHERE snapshot.is_sealed ORDER BY issue.id"
)

# The issue's part of the index on (issue_id, kind). What an operator did belongs to the proof.
_DROP_EVENTS = text(
    "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE issue_id = :issue_id"
    " AND kind IN ('image_load', 'click', 'unsubscribe', 'vote', 'preferences')"
    " AND (subscriber_id IS NULL OR (rules > 0 AND NOT EXISTS (SELECT 1 FROM to_classify"
    " WHERE to_classify.issue_id = event.issue_id"
    " AND to_classify.subscriber_id = event.subscriber_id))) LIMIT :at_once)"
)


def coarsen(session: Session, now: datetime, at_once: int = AT_ONCE) -> Step:
    """Cuts agents and networks of events older than 30 days.

    With an event go those of the same reader and issue that a rule compares its network with.
    """
    last_id = _bookmark(session, "event", _COARSENED)
    old = _next(session, _NEXT_EVENTS, last_id, at_once, lambda row: _is_old(row.at, now))
    if not old:
        return OVER
    # Most are cut already, together with what came in before them.
    pairs = {(row.issue_id, row.subscriber_id) for row in old if _is_whole(row)}
    by_pair = _events_of(session, pairs)
    cut = [row for pair, its in by_pair.items() if pair in pairs for row in _coarsened(its, now)]
    stretch = {"after_id": last_id, "last_id": old[-1].id}
    for row in session.execute(_NOBODYS, stretch):
        cut += _changed(row, "")
    if cut:
        session.connection().execute(_COARSEN, cut)
    bookmarks.put(session, _COARSENED, old[-1].id)
    return Step(len(cut), is_over=False)


def cut_told(session: Session, now: datetime, at_once: int = AT_ONCE) -> Step:
    """Cuts what providers said, older than 30 days: addresses, and the raw text of what is unknown.

    Codes and kinds stay.
    """
    last_id = _bookmark(session, "provider_event", _CUT)
    old = _next(session, _NEXT_TOLD, last_id, at_once, lambda row: _is_old(row.received_at, now))
    if not old:
        return OVER
    cut = [
        {"id": row.id, "detail": without_addresses(row.detail)}
        for row in old
        if row.raw or row.detail != without_addresses(row.detail)
    ]
    if cut:
        session.connection().execute(_CUT_TOLD, cut)
    bookmarks.put(session, _CUT, old[-1].id)
    return Step(len(cut), is_over=False)


def to_seal(session: Session, now: datetime) -> list[int]:
    """The issues that are over since 13 months and whose figures do not stand for good yet.

    Not while any of its events waits for a label: what a person did must be heard of first.
    """
    session.flush()
    return list(session.execute(_TO_SEAL, {"before": now - EVENTS}).scalars())


def drop_sealed(session: Session, at_once: int = AT_ONCE) -> Step:
    """Deletes events of issues whose figures are sealed, once they were heard of."""
    session.flush()
    dropped = 0
    for issue_id in session.execute(_SEALED).scalars().all():
        found = session.execute(_DROP_EVENTS, {"issue_id": issue_id, "at_once": at_once - dropped})
        dropped += cast("CursorResult[Any]", found).rowcount
        if dropped >= at_once:
            break
    if dropped:
        session.execute(_LOWER["event"])
    return Step(dropped, is_over=not dropped)


def drop_told(session: Session, now: datetime, at_once: int = AT_ONCE) -> Step:
    """Deletes what providers told 13 months ago and earlier, of sealed issues or of none.

    In order: what is of an issue that is not sealed yet holds up what came after it.
    """
    session.flush()
    last_id = _bookmark(session, "provider_event", _FOLDED)
    sealed = set(session.execute(_SEALED).scalars())

    def is_over(row: Any) -> bool:
        is_long_ago = not now - EVENTS < row.received_at <= now + _CLOCK_ASTRAY
        return is_long_ago and (row.issue_id is None or row.issue_id in sealed)

    old = _next(session, _NEXT_TOLD, last_id, at_once, is_over)
    if not old:
        return OVER
    session.execute(_DROP_TOLD, {"after_id": last_id, "last_id": old[-1].id})
    bookmarks.put(session, _FOLDED, old[-1].id)
    session.execute(_LOWER["provider_event"])
    return Step(len(old), is_over=False)


def without_addresses(said: str) -> str:
    """The text with every address in it cut; ids of messages look like addresses, and go, too."""
    return _ADDRESS.sub(CUT, said)


def _is_whole(row: Any) -> bool:
    is_cut = not row.network or is_number(row.network)
    return row.kind != RESEND and not (is_cut and coarse(row.agent) == row.agent)


def is_number(network: str) -> bool:
    """Whether it stands for a network that was cut already."""
    return network.startswith("#")


def _events_of(
    session: Session, pairs: Collection[tuple[int | None, int | None]]
) -> dict[tuple[int, int], list[Any]]:
    readers = sorted({reader for _, reader in pairs if reader is not None})
    issues = sorted({issue for issue, _ in pairs if issue is not None})
    found: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for some in _parts(readers):
        for row in session.execute(_EVENTS_OF, {"readers": some, "issues": issues}):
            found[row.issue_id, row.subscriber_id].append(row)
    return found


def _coarsened(rows: Sequence[Any], now: datetime) -> list[dict[str, Any]]:
    """One reader's events of one issue: what is to be written of those whose time has come.

    Numbers already given are given to no other network: what came late is compared with nothing.
    """
    taken = {row.network for row in rows if is_number(row.network)}
    fresh = (f"#{n}" for n in count(1) if f"#{n}" not in taken)
    numbers: dict[str, str] = {"": "", **{one: one for one in taken}}
    cut: list[dict[str, Any]] = []
    for row in _with_compared(rows, now):
        if row.network not in numbers:
            numbers[row.network] = next(fresh)
        cut += _changed(row, numbers[row.network])
    return cut


def _with_compared(rows: Sequence[Any], now: datetime) -> list[Any]:
    """The old among these rows and, step by step, all whose networks a rule compares with theirs.

    Rules compare networks with those of a HEAD and of the canary alone, no further than FARTHEST_S.
    """
    reach = timedelta(seconds=FARTHEST_S)
    ordered = sorted(rows, key=lambda row: (row.at, row.id))
    until = before = now - WHOLE
    for row in ordered:
        if row.at - reach > until:
            break
        if row.method == HEAD or row.followed == CANARY:
            until = max(until, row.at + reach)  # it takes in what is around it
    return [row for row in ordered if _is_old(row.at, now) or before < until >= row.at]


def _is_old(at: datetime, now: datetime) -> bool:
    return not now - WHOLE <= at <= now + _CLOCK_ASTRAY


def _changed(row: Any, network: str) -> list[dict[str, Any]]:
    """What is to be written of an event; nothing where it says so already."""
    agent = coarse(row.agent)
    if (agent, network) == (row.agent, row.network):
        return []
    return [{"id": row.id, "agent": agent, "network": network}]


def _next(
    session: Session,
    statement: Executable,
    last_id: int,
    at_once: int,
    holds: Callable[[Any], bool],
) -> list[Any]:
    """The rows after `last_id`, up to the first of which it does not hold; one look where none."""
    found: list[Any] = []
    for most in (1, at_once):
        rows = session.execute(statement, {"last_id": last_id, "at_once": most}).all()
        found = list(takewhile(holds, rows))
        if not found:
            break
    return found


def _parts(readers: Sequence[int], size: int = 1_000) -> Iterable[Sequence[int]]:
    return (readers[start : start + size] for start in range(0, len(readers), size))


def _bookmark(session: Session, table: str, name: str) -> int:
    """How far the table was read; never beyond its end, wherever the rows in between went."""
    session.flush()
    session.execute(_LOWER[table])
    return bookmarks.read_to(session, name)
