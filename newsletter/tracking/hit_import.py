"""From the log of hits into the store: each line once, whoever dies when, and however many import.

A chunk's events, what is to be classified anew, and how far the file was read are one transaction.
A file read to its end that no process holds any more (`tracking.hitlog`) is renamed first, then its
row is deleted, then the file: while there is a file to be read there is its row, at every instant
a process may die; and another importer that still has it open finds its name gone.

A database restored from a backup takes in again what it had not yet, as far as the files are there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import BindParameter, Engine, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.errors import StoreError
from newsletter.store.engine import session_on
from newsletter.tracking.events import APPEND, SETTLE, TO_CLASSIFY
from newsletter.tracking.hitlog import DRAFT, FOLDER, SUFFIX, Hit, read_line
from subscribers.models import SubscriberStatus
from subscribers.tuples import run_for_each, stored

CHUNK_BYTES: Final = 512 * 1024  # some 3,000 hits a transaction: others write in between
MOST_CHUNKS: Final = 100  # a call, some seconds: a tick has more to do
DONE: Final = ".done"  # read to its end; not deleted yet

_log = structlog.get_logger(__name__)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)

# All three by primary key; hit_log has as many rows as there are files.
_OFFSETS = text("SELECT name, read_to FROM hit_log")
_FORGET = text("DELETE FROM hit_log WHERE name = :name")
_READ_TO = text("UPDATE hit_log SET read_to = :read_to WHERE name = :name")

# Makes the row or locks it, and reads it either way: a second importer waits here for the first.
_HOLD = text(
    "INSERT INTO hit_log (name, read_to) VALUES (:name, 0)"
    " ON CONFLICT (name) DO UPDATE SET read_to = hit_log.read_to RETURNING read_to"
)

# By primary key.
_FROZEN = (
    text("SELECT id, frozen_at FROM issue WHERE id IN :ids")
    .bindparams(_IDS)
    .columns(frozen_at=UTCDateTime())
)
_READERS = text("SELECT id FROM subscriber WHERE id IN :ids AND status <> :erased").bindparams(_IDS)

_COLUMNS = (
    "issue_id",
    "subscriber_id",
    "kind",
    "link",
    "at",
    "method",
    "agent",
    "network",
)
_PAIR = ("issue_id", "subscriber_id", "due_at")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a look at the log brought. damaged: lines. unknown: hits of an issue not on record."""

    hits: int = 0
    damaged: int = 0
    unknown: int = 0
    is_all: bool = True  # False: there is more, for the next call

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            self.hits + other.hits,
            self.damaged + other.damaged,
            self.unknown + other.unknown,
            self.is_all and other.is_all,
        )


def take_in(
    engine: Engine,
    home: Path,
    *,
    now: datetime,
    chunk_bytes: int = CHUNK_BYTES,
    most_chunks: int = MOST_CHUNKS,
) -> Taken:
    """Makes events of the hits in HOME/hits that are not in the store yet; a kill at any point,
    or a second importer beside it, neither loses nor doubles one.

    now: no hit can be later. Damaged lines are skipped, counted, and logged by their place. Raises
    StoreError for a store or a folder that cannot be used; what was taken in before stays.
    """
    try:
        names = _waiting(home / FOLDER)
        if not names:
            return Taken()
        with session_on(engine, readonly=True) as session:
            known = {row.name: row.read_to for row in session.execute(_OFFSETS)}
        taken = Taken()
        for name in names:
            file = _LogFile(engine, home / FOLDER / name, now, chunk_bytes)
            taken += file.take_in(known.get(name, 0), most_chunks)
            if not taken.is_all:
                break
    except OSError as error:
        raise StoreError(
            f"the hits in {home / FOLDER} cannot be read: {error.strerror}",
            hint="make the home folder readable and writable; nothing is lost meanwhile",
        ) from error
    return taken


def _waiting(folder: Path) -> list[str]:
    """The names of the files to read, oldest first; what dead processes left half made goes."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208  (each tick: nothing but the names)
    except FileNotFoundError:
        return []
    for name in names:
        if name.endswith(DRAFT):
            _remove_draft(folder / name)
    return [name for name in names if name.endswith((SUFFIX, DONE))]


class _LogFile:
    """One file of the log, as far as it is there."""

    def __init__(self, engine: Engine, path: Path, now: datetime, chunk_bytes: int) -> None:
        self._engine = engine
        self._path = path
        self._now = now
        self._chunk_bytes = chunk_bytes

    def take_in(self, read_to: int, most_chunks: int) -> Taken:
        """Reads on from `read_to`, and clears away the file once it is read and nobody's."""
        if self._path.suffix == DONE:
            self._clear_away()
            return Taken()
        taken = Taken()
        with _opened(self._path) as descriptor:
            if descriptor is None:
                return taken
            is_left = False  # by its writer: it grows no more
            for _ in range(most_chunks):
                before, chunk = read_to, None
                if os.fstat(descriptor).st_size > read_to:
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
        return replace(taken, is_all=False)

    def _take_chunk(self, descriptor: int) -> tuple[int, Taken]:
        """(how far the file is read by now, what came of it), in one transaction."""
        name = self._path.name
        with session_on(self._engine) as session:
            read_to = int(session.execute(_HOLD, {"name": name}).scalar_one())
            if not self._path.exists():  # another importer finished it, and forgot its row
                session.execute(_FORGET, {"name": name})
                return os.fstat(descriptor).st_size, Taken()
            lines, end = _whole_lines(descriptor, read_to, self._chunk_bytes)
            hits = [read_line(line) for line in lines]
            taken = _store(session, [hit for hit in hits if hit is not None], self._now)
            damaged = hits.count(None)
            session.execute(_READ_TO, {"name": name, "read_to": end})
        if damaged:
            _log.warning("hits_damaged", file=name, lines=damaged, after_byte=read_to)
        return end, replace(taken, damaged=damaged)

    def _finish(self, torn_bytes: int) -> Taken:
        """A last line without its end is no hit: its process died before it answered."""
        if torn_bytes > 0:
            _log.warning("hits_torn", file=self._path.name, bytes=torn_bytes)
        with contextlib.suppress(FileNotFoundError):  # another importer was faster
            self._path = self._path.rename(self._path.with_suffix(DONE))
            self._clear_away()
        return Taken(damaged=int(torn_bytes > 0))

    def _clear_away(self) -> None:
        with session_on(self._engine) as session:
            session.execute(_FORGET, {"name": self._path.with_suffix(SUFFIX).name})
        self._path.unlink(missing_ok=True)


def _store(session: Session, hits: Sequence[Hit], now: datetime) -> Taken:
    """The hits as events, and their readers marked to be looked at again.

    Of a reader who was erased, or is on no record, a hit stays as nobody's: a fact about an issue.
    One of an issue that is on no record says nothing, and is counted.

    A clock that was wrong costs no hit: no mail is read before its issue was frozen, and nothing
    happens after now, so an instant beyond either is moved there. What is later than now would be
    classified never, and what is earlier than the issue would have a negative hour.
    """
    if not hits:
        return Taken()
    frozen_at = _frozen_at(session, {hit.issue_id for hit in hits})
    readers = _on_record(session, {hit.subscriber_id for hit in hits})
    rows: list[tuple[Any, ...]] = []
    latest: dict[tuple[int, int], datetime] = {}
    for hit in hits:
        if hit.issue_id not in frozen_at:
            continue
        at = min(max(hit.at, frozen_at[hit.issue_id] or hit.at), now)
        stored_at = stored(session, APPEND, "at", at)
        if hit.subscriber_id not in readers:
            rows.append(
                (hit.issue_id, None, hit.kind.value, hit.link, stored_at, hit.method, "", "")
            )
            continue
        pair = (hit.issue_id, hit.subscriber_id)
        rows.append(
            (*pair, hit.kind.value, hit.link, stored_at, hit.method, hit.agent, hit.network)
        )
        latest[pair] = max(latest.get(pair, at), at)
    run_for_each(session, APPEND, _COLUMNS, rows)
    _look_again(session, latest)
    return Taken(hits=len(rows), unknown=len(hits) - len(rows))


def _look_again(session: Session, latest: Mapping[tuple[int, int], datetime]) -> None:
    """In one order everywhere: two importers never wait for each other in a circle."""
    rows = [
        (*pair, stored(session, TO_CLASSIFY, "due_at", at + SETTLE))
        for pair, at in sorted(latest.items())
    ]
    run_for_each(session, TO_CLASSIFY, _PAIR, rows)


def _frozen_at(session: Session, ids: set[int]) -> dict[int, datetime | None]:
    return {row.id: row.frozen_at for row in session.execute(_FROZEN, {"ids": sorted(ids)})}


def _on_record(session: Session, ids: set[int]) -> set[int]:
    given = {"ids": sorted(ids), "erased": str(SubscriberStatus.ERASED)}
    return {row.id for row in session.execute(_READERS, given)}


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
    """A descriptor to read from; None where somebody deleted the file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
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
