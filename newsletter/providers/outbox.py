"""A provider that delivers into a folder: one RFC 5322 file a message, whole or not at all.

A message is written under a temporary name, brought to the disk, and only then given its own name,
which is its Message-ID: whoever sees `<Message-ID>.eml` sees all of it, and there is never a second
one. A receipt follows after the names, too, are on the disk, since the ledger's own commits survive
a host crash and a receipt must not outlive its file.

Measured with 40 KB messages, ext4, two busy cores, 4,000 at a time, messages a second over several
runs: nothing brought to the disk 4,600 to 18,000; one sync(2) a thousand 1,900 to 4,900; fsync(2)
for each 1,300 to 2,000. So a large hand-over is synced once, as a whole; a small one file by file,
because sync(2) also waits for whatever else the machine is writing.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from newsletter.errors import NewsletterError, TransientError, UncertainError
from newsletter.providers.base import (
    AttemptLog,
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Receipt,
)

SYNC_WHOLE_FROM: Final = 100  # messages; below, fsync(2) for each is cheaper and disturbs nobody
MAX_NAME_CHARS: Final = 200  # leaves room for the temporary name within a file system's 255 bytes
_SAFE_NAME = re.compile(r"[A-Za-z0-9_=+$-][A-Za-z0-9_.=+$@-]*")
_TEMPORARY = re.compile(r"\..+\.(\d+)\.part")

_HINTS: Mapping[int | None, str] = {
    errno.ENOSPC: "free disk space, then run the same command again: it goes on where it stopped",
    errno.EDQUOT: "free disk space, then run the same command again: it goes on where it stopped",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), then run it again",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`), then run it again",
}
_HINT = "make the outbox folder in NEWSLETTER_HOME writable, then run the same command again"


class Outbox:
    """Writes messages to `root/<folder>/<Message-ID>.eml`; several processes may share a root."""

    name = "outbox"
    at_once = 250

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept: set[Path] = set()

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> list[Receipt]:
        """A receipt for each envelope, on the disk by then; `detail` is the Message-ID.

        A message that is there already is left as it is. Raises TransientError, with what to do,
        where nothing could be written; where only some could, the others are deferred.
        """
        folder = self._open(mailing.folder)
        log.attempting([envelope.key for envelope in envelopes])
        receipts = [_unusable(envelope) for envelope in envelopes if not _is_name(envelope)]
        waiting = deque(envelope for envelope in envelopes if _is_name(envelope))
        staged: list[tuple[Path, Path]] = []
        taken: list[Envelope] = []
        trouble = None
        try:
            while waiting:
                final = folder / _file_name(waiting[0])
                try:
                    message = None if final.exists() else mailing.splice(waiting[0])
                except NewsletterError as error:  # of this one reader: no message can be made
                    receipts.append(Receipt(waiting.popleft().key, Outcome.FAILED, error.what))
                    continue
                if message is not None:
                    staged.append((_stage(final, message), final))
                taken.append(waiting.popleft())
        except OSError as error:
            trouble = _explained(error, folder)
        except BaseException:
            _discard(staged)
            raise
        self._publish(folder, staged)
        if trouble and not taken:
            raise trouble
        receipts += [_submitted(envelope) for envelope in taken]
        return receipts + [_deferred(envelope, trouble) for envelope in waiting]

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> dict[int, Evidence]:
        """Taken where the file is there, else not: an outbox always knows."""
        folder = self._root / _checked(mailing.folder)
        return {envelope.key: _evidence(folder, envelope) for envelope in envelopes}

    def _open(self, name: str) -> Path:
        """The folder, made if need be, without what dead processes left half written in it."""
        folder = self._root / _checked(name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if folder not in self._swept:
                _sweep(folder)
                self._swept.add(folder)
        except OSError as error:
            raise _explained(error, folder) from error
        return folder

    def _publish(self, folder: Path, staged: Sequence[tuple[Path, Path]]) -> None:
        """Contents to the disk, then names, then names to the disk."""
        if not staged:
            return
        try:
            _sync([temporary for temporary, _ in staged])
        except OSError as error:
            _discard(staged)
            raise _explained(error, folder) from error
        try:
            for temporary, final in staged:
                temporary.rename(final)
            _fsync(folder)
        except OSError as error:
            _discard(staged)
            # Some have their names by now, and whether those names are on the disk is not known.
            raise UncertainError(_explained(error, folder).what, hint=_HINT) from error


def _stage(final: Path, message: bytes) -> Path:
    """Writes the whole message beside its final name; leaves nothing where that fails."""
    temporary = final.with_name(f".{final.stem}.{os.getpid()}.part")
    try:
        with temporary.open("wb", buffering=0) as file:
            rest = memoryview(message)
            while rest:
                rest = rest[file.write(rest) :]
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync(paths: Sequence[Path]) -> None:
    if len(paths) >= SYNC_WHOLE_FROM:
        os.sync()  # on Linux it returns when everything is written, see sync(2)
        return
    for path in paths:
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(staged: Sequence[tuple[Path, Path]]) -> None:
    for temporary, _ in staged:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Removes temporary files of processes that run no more: they never were messages."""
    for path in folder.glob(".*.part"):
        match = _TEMPORARY.fullmatch(path.name)
        if match and not _runs(int(match[1])):
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True


def _is_name(envelope: Envelope) -> bool:
    name = envelope.message_id
    return len(name) <= MAX_NAME_CHARS and _SAFE_NAME.fullmatch(name) is not None


def _file_name(envelope: Envelope) -> str:
    return f"{envelope.message_id}.eml"


def _checked(folder: str) -> str:
    if _SAFE_NAME.fullmatch(folder) is None:
        raise TransientError(
            f"{folder!r} cannot be a folder of the outbox",
            hint="a mailing's folder is a week or `system`: letters, digits and hyphens",
        )
    return folder


def _evidence(folder: Path, envelope: Envelope) -> Evidence:
    taken = _is_name(envelope) and (folder / _file_name(envelope)).exists()
    return Evidence.TAKEN if taken else Evidence.NOT_TAKEN


def _submitted(envelope: Envelope) -> Receipt:
    return Receipt(envelope.key, Outcome.SUBMITTED, envelope.message_id)


def _deferred(envelope: Envelope, trouble: TransientError | None) -> Receipt:
    return Receipt(envelope.key, Outcome.DEFERRED, trouble.what if trouble else "")


def _unusable(envelope: Envelope) -> Receipt:
    return Receipt(envelope.key, Outcome.FAILED, "its Message-ID cannot be a file's name")


def _explained(error: OSError, folder: Path) -> TransientError:
    return TransientError(
        f"the outbox cannot write to {folder}: {error.strerror or error}",
        hint=_HINTS.get(error.errno, _HINT),
    )
