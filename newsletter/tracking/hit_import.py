"""From the log of hits into the store: each line once, whoever dies when, and however many import.

A chunk's events, what is to be classified anew, and how far the file was read are one transaction.
A file read to its end that no process holds any more (`tracking.hitlog`) is deleted. Its row stays
for some weeks: a file that comes back, because the machine crashed before its disk knew, or out of
a copy of the home that is older than its database, is known by its name and read no further.

A database restored from a backup takes in again what it had not yet, as far as the files are there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import BindParameter, Boolean, Engine, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.errors import StoreError
from newsletter.store.engine import session_on
from newsletter.store.turns import never, turns
from newsletter.tracking.events import APPEND, SETTLE, TO_CLASSIFY, EventKind
from newsletter.tracking.hitlog import DRAFT, FOLDER, SUFFIX, Hit, read_line
from newsletter.tracking.rules import HEAD
from subscribers.models import SubscriberStatus
from subscribers.tuples import run_for_each, stored

CHUNK_BYTES: Final = 512 * 1024  # some 3,000 hits a transaction: others write in between
MOST_CHUNKS: Final = 100  # a call, some seconds: a tick has more to do
KNOWN_FOR: Final = timedelta(days=56)  # a file that was read, by its name

_log = structlog.get_logger(__name__)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)

# The others by primary key; hit_log has a row for each file made in KNOWN_FOR, some hundreds.
_OFFSETS = text("SELECT name, read_to FROM hit_log")
_FORGET = text("DELETE FROM hit_log WHERE name = :name")
_READ_TO = text("UPDATE hit_log SET read_to = :read_to WHERE name = :name")

# Makes the row or locks it, and reads it either way: a second importer waits here for the first.
_HOLD = text(
    "INSERT INTO hit_log (name, read_to) VALUES (:name, 0)"
    " ON CONFLICT (name) DO UPDATE SET read_to = hit_log.read_to RETURNING read_to"
)

# By primary key.
_ISSUES = (
    text("SELECT id, frozen_at, is_tracked FROM issue WHERE id IN :ids")
    .bindparams(_IDS)
    .columns(frozen_at=UTCDateTime(), is_tracked=Boolean())
)
_READERS = (
    text("SELECT id, is_tracked FROM subscriber WHERE id IN :ids AND status <> :erased")
    .bindparams(_IDS)
    .columns(is_tracked=Boolean())
)

_COLUMNS = ("issue_id", "subscriber_id", "kind", "link", "at", "method", "agent", "network")
_PAIR = ("issue_id", "subscriber_id", "due_at")


# An issue, and what readers of it did of whom nothing is kept: the kind, by subscriber id.
Prove = Callable[[Session, int, Mapping[int, EventKind]], object]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a look at the log brought. damaged: lines. unknown: hits of an issue not on record."""

    hits: int = 0
    damaged: int = 0
    unknown: int = 0
    unreadable: tuple[str, ...] = ()  # files of the log, and why: `20261124T.log: Is a directory`
    is_all: bool = True  # False: there is more, for the next call

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            self.hits + other.hits,
            self.damaged + other.damaged,
            self.unknown + other.unknown,
            self.unreadable + other.unreadable,
            self.is_all and other.is_all,
        )


def take_in(
    engine: Engine,
    home: Path,
    *,
    now: datetime,
    tracking: bool = True,
    prove: Prove | None = None,
    should_stop: Callable[[], bool] = never,
    chunk_bytes: int = CHUNK_BYTES,
    most_chunks: int = MOST_CHUNKS,
) -> Taken:
    """Makes events of the hits in HOME/hits that are not in the store yet; a kill at any point,
    or a second importer beside it, neither loses nor doubles one.

    now: no hit can be later. tracking: False where the publication counts nobody's reading. prove:
    is told, in the transaction of the events, of hits whose readers are not kept: such a one has
    the mail. Damaged lines are skipped, counted, and logged by their place; so is a file that
    cannot be read. Raises StoreError for a store or a folder that cannot be used; what was taken in
    before stays.
    """
    folder = home / FOLDER
    try:
        names = _waiting(folder)
    except OSError as error:
        raise StoreError(
            f"the hits in {folder} cannot be read: {error.strerror}",
            hint="make the home folder readable and writable; nothing is lost meanwhile",
        ) from error
    if not names:
        return Taken()
    with session_on(engine, readonly=True) as session:
        known = {row.name: row.read_to for row in session.execute(_OFFSETS)}
    its_turns = turns(most_chunks, should_stop=should_stop)
    store = _Store(engine, now, chunk_bytes, tracking=tracking, prove=prove)
    taken = Taken()
    for name in names:
        taken += _taken_in(store, folder / name, known.get(name, 0), its_turns)
        if not taken.is_all:
            break
    _forget_old(engine, known.keys() - set(names), now)
    return taken


def _waiting(folder: Path) -> list[str]:
    """The names of the files to read, oldest first; what dead processes left half made goes."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  (each tick: nothing but the names)
    except FileNotFoundError:
        return []
    for name in names:
        if name.endswith(DRAFT):
            with contextlib.suppress(OSError):  # it harms nobody
                _remove_draft(folder / name)
    return [name for name in names if name.endswith(SUFFIX)]


def _forget_old(engine: Engine, names: Collection[str], now: datetime) -> None:
    """Names of files that are gone begin with the instant they were made."""
    before = f"{now - KNOWN_FOR:%Y%m%dT%H%M%S}"
    old = [{"name": name} for name in names if name < before]
    if old:
        with session_on(engine) as session:
            session.connection().execute(_FORGET, old)


@dataclass(frozen=True, slots=True)
class _Store:
    """Where hits go, and what holds for all of them."""

    engine: Engine
    now: datetime
    chunk_bytes: int
    tracking: bool
    prove: Prove | None


def _taken_in(store: _Store, path: Path, read_to: int, its_turns: Iterator[int]) -> Taken:
    """One file; what cannot be read holds up no other."""
    try:
        return _LogFile(store, path).take_in(read_to, its_turns)
    except OSError as error:
        _log.warning("hits_unreadable", file=path.name, why=error.strerror)
        return Taken(unreadable=(f"{path.name}: {error.strerror}",))


class _LogFile:
    """One file of the log, as far as it is there."""

    def __init__(self, store: _Store, path: Path) -> None:
        self._store = store
        self._path = path

    def take_in(self, read_to: int, its_turns: Iterator[int]) -> Taken:
        """Reads on from `read_to`, a chunk a turn, and deletes the file once it is nobody's.

        Raises OSError where it cannot be read.
        """
        taken = Taken()
        with _opened(self._path) as descriptor:
            if descriptor is None:
                return taken
            is_left = False  # by its writer: it grows no more
            while True:
                before = read_to
                if os.fstat(descriptor).st_size > read_to:
                    if next(its_turns, None) is None:
                        return replace(taken, is_all=False)
                    read_to, chunk = self._take_chunk(descriptor)
                    taken += chunk
                if read_to > before:
                    continue
                if is_left:
                    return taken + self._finish(os.fstat(descriptor).st_size - read_to)
                # What came between our look and the writer's death is read before the file goes.
                is_left = _is_left(descriptor)
                if not is_left:
                    return taken

    def _take_chunk(self, descriptor: int) -> tuple[int, Taken]:
        """(how far the file is read by now, what came of it), in one transaction."""
        name = self._path.name
        with session_on(self._store.engine) as session:
            read_to = int(session.execute(_HOLD, {"name": name}).scalar_one())
            lines, end = _whole_lines(descriptor, read_to, self._store.chunk_bytes)
            hits = [read_line(line) for line in lines]
            taken = _put(session, [hit for hit in hits if hit is not None], self._store)
            damaged = hits.count(None)
            session.execute(_READ_TO, {"name": name, "read_to": end})
        if damaged:
            _log.warning("hits_damaged", file=name, lines=damaged, after_byte=read_to)
        return end, replace(taken, damaged=damaged)

    def _finish(self, torn_bytes: int) -> Taken:
        """A last line without its end is no hit: its process died before it answered."""
        try:
            self._path.unlink()
        except FileNotFoundError:  # another importer was faster
            return Taken()
        if torn_bytes > 0:
            _log.warning("hits_torn", file=self._path.name, bytes=torn_bytes)
        return Taken(damaged=int(torn_bytes > 0))


def _put(session: Session, hits: Sequence[Hit], store: _Store) -> Taken:
    """The hits as events, and their readers marked to be looked at again.

    Of a reader who was erased, is on no record, or wants nobody to count what they read, by now, a
    hit stays as nobody's: a fact about an issue. One of an issue that is on no record says nothing,
    and is counted.

    A clock that was wrong costs no hit: no mail is read before its issue was frozen, and nothing
    happens after now, so an instant beyond either is moved there. What is later than now would be
    classified never, and what is earlier than the issue would have a negative hour.
    """
    if not hits:
        return Taken()
    issues = _issues(session, {hit.issue_id for hit in hits})
    readers = _on_record(session, {hit.subscriber_id for hit in hits})
    rows: list[tuple[Any, ...]] = []
    latest: dict[tuple[int, int], datetime] = {}
    proven: dict[int, dict[int, EventKind]] = {}
    for hit in hits:
        issue = issues.get(hit.issue_id)
        if issue is None:
            continue
        pair = (hit.issue_id, hit.subscriber_id)
        at = min(max(hit.at, issue.frozen_at or hit.at), store.now)
        what = (hit.kind.value, hit.link, stored(session, APPEND, "at", at), hit.method)
        if store.tracking and issue.is_tracked and readers.get(hit.subscriber_id):
            rows.append((*pair, *what, hit.agent, hit.network))
            latest[pair] = max(latest.get(pair, at), at)
            continue
        rows.append((hit.issue_id, None, *what, "", ""))
        if hit.method != HEAD and hit.subscriber_id in readers:
            proven.setdefault(hit.issue_id, {}).setdefault(hit.subscriber_id, hit.kind)
    run_for_each(session, APPEND, _COLUMNS, rows)
    _look_again(session, latest)
    if store.prove is not None:
        for issue_id, kinds in sorted(proven.items()):
            store.prove(session, issue_id, kinds)
    return Taken(hits=len(rows), unknown=len(hits) - len(rows))


def _look_again(session: Session, latest: Mapping[tuple[int, int], datetime]) -> None:
    """In one order everywhere: two importers never wait for each other in a circle."""
    rows = [
        (*pair, stored(session, TO_CLASSIFY, "due_at", at + SETTLE))
        for pair, at in sorted(latest.items())
    ]
    run_for_each(session, TO_CLASSIFY, _PAIR, rows)


def _issues(session: Session, ids: set[int]) -> dict[int, Any]:
    return {row.id: row for row in session.execute(_ISSUES, {"ids": sorted(ids)})}


def _on_record(session: Session, ids: set[int]) -> dict[int, bool]:
    """Whether what they read may be counted, by subscriber id."""
    given = {"ids": sorted(ids), "erased": str(SubscriberStatus.ERASED)}
    return {row.id: row.is_tracked for row in session.execute(_READERS, given)}


def _whole_lines(descriptor: int, start: int, most: int) -> tuple[list[bytes], int]:
    """The lines that are complete, and where they end.

    A stretch without any line break that is longer than every line is no hit, nor its beginning
    (a disk's zeros, after a crash): one damaged line.
    """
    read = os.pread(descriptor, most, start)
    whole = read.rfind(b"\n") + 1
    if not whole and len(read) == most:
        return [read], start + most
    return read[:whole].split(b"\n")[:-1], start + whole


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A descriptor to read from; None where somebody deleted the file. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    except FileNotFoundError:
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_left(descriptor: int) -> bool:
    """Whether no process writes it any more; from then on the lock is ours, until we close it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_draft(path: Path) -> None:
    with _opened(path) as descriptor:
        if descriptor is not None and _is_left(descriptor):
            path.unlink(missing_ok=True)
