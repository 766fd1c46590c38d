"""The hits of readers' mail, written down before they are answered: files only ever appended to.

A hit costs one write(2), which reaches the kernel: what was answered survives the death of the
process at any instant. A thread beside it has the disk keep it within a second, for a crash of the
whole machine. Each process writes files of its own, HOME/hits/<UTC time>-<random>.log, and holds
an exclusive flock on the one it writes, which the kernel lets go when the process is no more: an
importer (`tracking.hit_import`) can tell what will grow from what will not.

A line is a checksum (CRC-32, eight hex digits), a blank and a JSON array: kind, issue, subscriber,
link, at (microseconds since 1970), method, agent, network. What is torn or damaged fails the
checksum. JSON's escapes keep an agent's line breaks and control characters out of the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Final

import structlog

from newsletter.errors import StoreError
from newsletter.tracking.events import MAX_AGENT_CHARACTERS, EventKind

FOLDER: Final = "hits"  # of the home
SUFFIX: Final = ".log"
DRAFT: Final = ".tmp"  # not locked yet: nobody reads it
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_AGE_S: Final = 3_600  # a file is imported and deleted soon, with whatever it says of a reader
SYNC_EVERY_S: Final = 1.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CHECKSUM_CHARACTERS = 8
_TRIES = 3
_quoted = json.encoder.encode_basestring_ascii  # a JSON string, at a fifth of what an encoder costs
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Hit:
    """One request for a pixel or a link. network: truncated already."""

    kind: EventKind
    issue_id: int
    subscriber_id: int
    link: int | None
    at: datetime
    method: str
    agent: str
    network: str


def line_of(hit: Hit) -> bytes:
    """The hit as a line of the log, its agent cut at 300 characters."""
    link = "null" if hit.link is None else hit.link
    at = (hit.at - _EPOCH) // _MICROSECOND
    agent = _quoted(hit.agent[:MAX_AGENT_CHARACTERS])
    said = (
        f'["{hit.kind.value}",{hit.issue_id},{hit.subscriber_id},{link},{at},'
        f'{_quoted(hit.method)},{agent},"{hit.network}"]'
    ).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(said), said)


def read_line(line: bytes) -> Hit | None:
    """The hit of a line, with or without its line break; None where it is torn or damaged."""
    said = line[_CHECKSUM_CHARACTERS + 1 :].rstrip(b"\n")
    if line[: _CHECKSUM_CHARACTERS + 1] != b"%08x " % zlib.crc32(said):
        return None
    try:
        kind, issue_id, subscriber_id, link, at, method, agent, network = json.loads(said)
        instant = _EPOCH + at * _MICROSECOND
        return Hit(EventKind(kind), issue_id, subscriber_id, link, instant, method, agent, network)
    except (ValueError, TypeError, OverflowError):  # whole, and of another version
        return None


class HitLog:
    """The log of one process; any thread may write. The first file is made by the first hit."""

    def __init__(self, home: Path, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = home / FOLDER
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._file: _File | None = None
        self._full: list[_File] = []  # to be synced and closed
        self._unsynced = False
        self._closing = Event()
        self._syncing: Thread | None = None

    def append(self, line: bytes) -> None:
        """Writes a line of `line_of`; once this returns, kill -9 does not lose it.

        Raises StoreError where it cannot be written (a full disk); then nothing of it is kept.
        """
        with self._lock:
            try:
                file = self._file
                if file is None or file.size + len(line) > self._max_bytes:
                    file = self._begin()
                file.append(line)
            except OSError as error:
                if self._file is not None and self._file.is_torn:
                    self._set_aside()
                raise _unwritable(self._folder, error) from error
            self._unsynced = True

    def close(self) -> None:
        """Has the disk keep everything and lets go of the file; what comes later begins another."""
        self._closing.set()
        if self._syncing is not None:
            self._syncing.join()
            self._syncing = None
        with self._lock:
            self._set_aside()
        self._sync()
        self._closing.clear()

    def _begin(self) -> _File:
        self._set_aside()
        self._file = _File.make(self._folder)
        if self._syncing is None or not self._syncing.is_alive():
            self._syncing = Thread(target=self._keep_syncing, name="hit log", daemon=True)
            self._syncing.start()
        return self._file

    def _set_aside(self) -> None:
        """The next hit begins another file. Under the lock."""
        if self._file is not None:
            self._full.append(self._file)
            self._file = None

    def _keep_syncing(self) -> None:
        while not self._closing.wait(SYNC_EVERY_S):
            file = self._file
            if file is not None and (file.age_s > MAX_AGE_S or file.is_gone):
                with self._lock:
                    self._set_aside()
            self._sync()

    def _sync(self) -> None:
        """Runs in one thread at a time, the only one to close files: never under a writer."""
        with self._lock:
            full, self._full = self._full, []
            file, unsynced, self._unsynced = self._file, self._unsynced, False
        try:
            for one in full:
                one.sync()
            if file is not None and unsynced:
                file.sync()
        except OSError as error:
            _log.error("hit_log_not_synced", error=error.strerror)
        for one in full:
            one.close()


class _File:
    """A file under our lock, open for appending."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._began = monotonic()
        self._is_named = False  # whether the disk keeps its name
        self.is_torn = False
        self.size = 0

    @classmethod
    def make(cls, folder: Path) -> _File:
        """A file that is locked before it can be seen. Raises OSError."""
        folder.mkdir(mode=0o700, exist_ok=True)
        for _ in range(_TRIES):
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}"
            made = cls._made(folder / f"{name}{DRAFT}", folder / f"{name}{SUFFIX}")
            if made is not None:
                return made
        raise OSError("somebody removes it at once")

    @classmethod
    def _made(cls, draft: Path, path: Path) -> _File | None:
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            # The losing case: an importer took the draft for a dead process's and removes it.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(path)
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        return cls(path, descriptor)

    @property
    def age_s(self) -> float:
        return monotonic() - self._began

    @property
    def is_gone(self) -> bool:
        """Whether somebody deleted it under us: what is written from now on would be lost."""
        return os.fstat(self._descriptor).st_nlink == 0

    def append(self, line: bytes) -> None:
        """All of the line or nothing; raises OSError.

        Half a line is cut off again. Where even that fails it stays the end of the file: `is_torn`.
        """
        written = os.write(self._descriptor, line)
        if written < len(line):
            self.is_torn = True
            os.ftruncate(self._descriptor, self.size)
            self.is_torn = False
            raise OSError("no space is left for it")
        self.size += written

    def sync(self) -> None:
        os.fdatasync(self._descriptor)
        if not self._is_named:
            _sync_folder(self._path.parent)
            self._is_named = True

    def close(self) -> None:
        if self.size == 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"a hit cannot be written to {folder}: {error.strerror or error}",
        hint="free disk space, and make the home folder writable",
    )
