"""Labels for events: which are due, what the rules say of them, written where it is something new.

All events of a reader and an issue are looked at together, again whenever one comes in. Functions
take a Session and never commit; labels are an opinion and may change, so running anything here
twice, or half and then again, is harmless.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Boolean, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.tracking.agents import coarse
from newsletter.tracking.events import EventKind, Label
from newsletter.tracking.links import CANARY
from newsletter.tracking.rules import RULES_VERSION, Fact, Rule, Scene, judge
from subscribers.models import SubscriberStatus

AT_ONCE = 500  # pairs of a transaction: a tenth of a second
READERS_AT_ONCE = 100  # all of whose history is looked at again in a transaction
SAME_VOTE = timedelta(seconds=2)  # a vote and the event of its press

# By ix_to_classify_due_at, then the primary key. Taken off the list before the events are read: an
# event that comes in meanwhile finds no row (or waits for this transaction) and puts a new one.
_TAKE_DUE = text(
    "DELETE FROM to_classify WHERE (issue_id, subscriber_id) IN (SELECT issue_id, subscriber_id"
    " FROM to_classify WHERE due_at <= :now ORDER BY due_at LIMIT :at_once)"
    " RETURNING issue_id, subscriber_id"
).bindparams(bindparam("now", type_=UTCDateTime()))
_IS_DUE = text("SELECT 1 FROM to_classify WHERE due_at <= :now LIMIT 1").bindparams(
    bindparam("now", type_=UTCDateTime())
)
_WAITING = text("SELECT count(*) FROM to_classify")

# Event's index on (subscriber_id, issue_id), each with its reader and its delivery by primary key.
_COLUMNS = """
    SELECT event.issue_id, event.subscriber_id, event.id, event.kind, event.link, event.at,
        event.method, event.agent, event.network, event.label, event.rule, event.rules,
        delivery.submitted_at, delivery.delivered_at, subscriber.status
    FROM event
    JOIN subscriber ON subscriber.id = event.subscriber_id
    LEFT JOIN delivery ON delivery.issue_id = event.issue_id
        AND delivery.subscriber_id = event.subscriber_id
"""
_TYPES = {
    "at": UTCDateTime(),
    "submitted_at": UTCDateTime(),
    "delivered_at": UTCDateTime(),
}
_OF_READERS = (
    text(
        f"{_COLUMNS} WHERE event.subscriber_id IN :readers AND event.issue_id IN :issues"
        " AND event.kind <> 'resend'"
    )
    .bindparams(bindparam("readers", expanding=True), bindparam("issues", expanding=True))
    .columns(**_TYPES)
)
_OF_STRETCH = text(
    f"{_COLUMNS} WHERE event.subscriber_id > :after_id AND event.subscriber_id <= :last_id"
    " AND event.issue_id IS NOT NULL AND event.kind <> 'resend'"
).columns(**_TYPES)

# The first part of the same index, nothing else.
_STRETCH_END = text(
    "SELECT max(subscriber_id) FROM (SELECT DISTINCT subscriber_id FROM event"
    " WHERE subscriber_id > :after_id ORDER BY subscriber_id LIMIT :at_once) AS some"
)

# The issue's part of issue_link's primary key.
_LINKS = text("SELECT n, label FROM issue_link WHERE issue_id = :issue_id")

# By primary key.
_IS_SEALED = text("SELECT 1 FROM snapshot WHERE name = :name AND is_sealed")

# One row by primary key each, in executemany.
_LABEL = text("UPDATE event SET label = :label, rule = :rule, rules = :rules WHERE id = :id")
_FORGET = text("UPDATE event SET subscriber_id = NULL, network = '', agent = :agent WHERE id = :id")

# The first part of ballot's primary key; all of it, in executemany.
_BALLOTS = (
    text("SELECT * FROM ballot WHERE subscriber_id IN :readers")
    .bindparams(bindparam("readers", expanding=True))
    .columns(at=UTCDateTime(), is_machine=Boolean())
)
_MARK = text(
    "UPDATE ballot SET is_machine = :is_machine WHERE subscriber_id = :subscriber_id"
    " AND comparison_id = :comparison_id AND tool = :tool AND at = :at AND verdict = :verdict"
    " AND is_hurried = :is_hurried"
).bindparams(bindparam("at", type_=UTCDateTime()))

Pair = tuple[int, int]  # issue id, subscriber id


@dataclass(slots=True)
class Done:
    """What one call did. signs: the newest event of each reader that became human by it.

    withdrawn: the instants of what each reader was thought to have done, and is no more.
    voters: whose ballots are taken for another's than before; their votes are to be judged again.
    """

    taken: int = 0  # pairs off the list of what is due; those that did nothing are no `pairs`
    pairs: int = 0
    events: int = 0
    labels: Counter[str] = field(default_factory=Counter)  # of all events looked at
    changed: int = 0  # events whose label is another now
    issues: set[int] = field(default_factory=set)  # of which figures may be others now
    signs: dict[int, datetime] = field(default_factory=dict)
    withdrawn: dict[int, list[datetime]] = field(default_factory=dict)
    voters: set[int] = field(default_factory=set)
    after_id: int | None = None  # of `run_again`: where the next call begins; None: it is over

    def add(self, other: Done) -> None:
        self.pairs += other.pairs
        self.events += other.events
        self.labels += other.labels
        self.changed += other.changed
        self.issues |= other.issues


class _Links(NamedTuple):
    many: int
    canary: int | None
    is_sealed: bool


def run(session: Session, now: datetime, at_once: int = AT_ONCE) -> Done:
    """Labels the events of pairs that are due, `at_once` of them at most."""
    session.flush()
    due = session.execute(_TAKE_DUE, {"now": now, "at_once": at_once}).all()
    pairs = {(row.issue_id, row.subscriber_id) for row in due}
    if not pairs:
        return Done()
    issues, readers = (sorted(set(ids)) for ids in zip(*pairs, strict=True))
    rows = session.execute(_OF_READERS, {"readers": readers, "issues": issues})
    done = _look_at(session, [row for row in rows if (row.issue_id, row.subscriber_id) in pairs])
    done.taken = len(pairs)
    return done


def run_again(
    session: Session,
    *,
    after_id: int = 0,
    at_once: int = READERS_AT_ONCE,
    before_version: int | None = None,
) -> Done:
    """Labels all events of the next `at_once` readers; begin with 0, then with `Done.after_id`.

    before_version: only pairs of which an event has a label of older rules than that, or none.
    """
    session.flush()
    last_id = session.execute(_STRETCH_END, {"after_id": after_id, "at_once": at_once}).scalar()
    if last_id is None:
        return Done()
    found = session.execute(_OF_STRETCH, {"after_id": after_id, "last_id": last_id}).all()
    if before_version is not None:
        old = {(row.issue_id, row.subscriber_id) for row in found if row.rules < before_version}
        found = [row for row in found if (row.issue_id, row.subscriber_id) in old]
    done = _look_at(session, found)
    done.after_id = last_id
    return done


def run_for(session: Session, subscriber_id: int) -> Done:
    """Labels all events of one reader."""
    session.flush()
    only = {"after_id": subscriber_id - 1, "last_id": subscriber_id}
    return _look_at(session, session.execute(_OF_STRETCH, only).all())


def is_behind(session: Session, now: datetime) -> bool:
    """Whether there is anything due that nobody has looked at."""
    return session.execute(_IS_DUE, {"now": now}).first() is not None


def waiting(session: Session) -> int:
    """How many pairs of reader and issue wait to be looked at, due or not."""
    return int(session.execute(_WAITING).scalar() or 0)


def scenes_of(session: Session, rows: Iterable[Any]) -> Iterator[tuple[Pair, Scene, Sequence[Any]]]:
    """Rows of events with their delivery's instants, a scene a pair."""
    for pair, links, its in _by_pair(session, rows):
        yield pair, _scene(its, links), its


def _by_pair(session: Session, rows: Iterable[Any]) -> Iterator[tuple[Pair, _Links, Sequence[Any]]]:
    links: dict[int, _Links] = {}
    ordered = sorted(rows, key=itemgetter(0, 1))  # issue, subscriber
    for pair, group in groupby(ordered, key=itemgetter(0, 1)):
        known = links.get(pair[0])
        if known is None:
            known = links[pair[0]] = _links(session, pair[0])
        yield pair, known, list(group)


@dataclass(slots=True)
class _Writes:
    labels: list[dict[str, Any]] = field(default_factory=list)
    erased: list[dict[str, Any]] = field(default_factory=list)
    sealed: set[int] = field(default_factory=set)  # issues
    votes: dict[Pair, list[tuple[datetime, bool]]] = field(default_factory=dict)  # at, is machine


def _look_at(session: Session, rows: Iterable[Any]) -> Done:
    """Of an issue whose figures are sealed, some events may be gone, and what they said of others:
    there a label that was given stands, and only what never had one gets it.
    """
    done, writes = Done(), _Writes()
    for pair, links, its in _by_pair(session, rows):
        done.pairs += 1
        done.events += len(its)
        if links.is_sealed:
            writes.sealed.add(pair[0])
        verdicts = judge(_scene(its, links))
        for row in its:
            if links.is_sealed and row.rules:
                done.labels[row.label] += 1
                continue
            rule = verdicts[row.id]
            done.labels[rule.label.value] += 1
            _hear(done, pair, row, rule.label)
            _note(writes, pair, row, rule)
    _write(session, writes)
    done.voters = _mark(session, writes)
    return done


def _hear(done: Done, pair: Pair, row: Any, label: Label) -> None:
    """What is another label now, and what it says of the reader."""
    if row.label == label:
        return
    done.changed += 1
    done.issues.add(pair[0])
    if row.status == SubscriberStatus.ERASED:
        return
    if label is Label.HUMAN:
        done.signs[pair[1]] = max(row.at, done.signs.get(pair[1], row.at))
    elif row.label == Label.HUMAN:
        done.withdrawn.setdefault(pair[1], []).append(row.at)


def _note(writes: _Writes, pair: Pair, row: Any, rule: Rule) -> None:
    label = rule.label.value
    if (row.label, row.rule, row.rules) != (label, rule.name, RULES_VERSION):
        writes.labels.append(
            {"id": row.id, "label": label, "rule": rule.name, "rules": RULES_VERSION}
        )
    if row.kind == EventKind.VOTE:
        writes.votes.setdefault(pair, []).append((row.at, rule.label is Label.MACHINE))
    if row.status == SubscriberStatus.ERASED:
        writes.erased.append({"id": row.id, "agent": coarse(row.agent)})


def _write(session: Session, writes: _Writes) -> None:
    connection = session.connection()
    if writes.labels:
        connection.execute(_LABEL, writes.labels)
    if writes.erased:  # came after the erasure, of a mail they still have: a fact, and nobody's
        connection.execute(_FORGET, writes.erased)


def _mark(session: Session, writes: _Writes) -> set[int]:
    """Ballots that a machine pressed are marked, and no more where the rules think better.

    Whose: their votes have to be judged again.
    """
    if not writes.votes:
        return set()
    changed = []
    readers = sorted({subscriber_id for _, subscriber_id in writes.votes})
    for ballot in session.execute(_BALLOTS, {"readers": readers}).mappings():
        near = writes.votes.get((ballot["issue_id"], ballot["subscriber_id"]))
        if near is None:
            continue
        found = any(is_machine and abs(at - ballot["at"]) <= SAME_VOTE for at, is_machine in near)
        if ballot["is_machine"] and ballot["issue_id"] in writes.sealed:
            continue  # what showed it may be gone
        if found != ballot["is_machine"]:
            changed.append({**ballot, "is_machine": found})
    if changed:
        session.connection().execute(_MARK, changed)
    return {row["subscriber_id"] for row in changed}


def _scene(rows: Sequence[Any], links: _Links) -> Scene:
    facts = [
        Fact(row.id, row.kind, row.link, row.at.timestamp(), row.method, row.agent, row.network)
        for row in rows
    ]
    return Scene(
        facts,
        submitted_at=_seconds(rows[0].submitted_at),
        delivered_at=_seconds(rows[0].delivered_at),
        canary=links.canary,
        links=links.many,
    )


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def _links(session: Session, issue_id: int) -> _Links:
    rows = session.execute(_LINKS, {"issue_id": issue_id}).all()
    canary = next((row.n for row in rows if row.label == CANARY), None)
    name = {"name": f"issue:{issue_id}"}
    return _Links(len(rows), canary, session.execute(_IS_SEALED, name).first() is not None)
