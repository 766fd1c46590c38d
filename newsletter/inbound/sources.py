"""Where mails come from: a Maildir, an mbox, an IMAP folder, one mail on standard input.

Nothing is ever deleted. What was read in a Maildir moves to `cur` with the flag for seen; in IMAP
it is flagged \\Seen; an mbox stays as it is and is read whole each time: its mails have no names.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from newsletter.errors import NotFoundError, RefusedError
from newsletter.inbound import imap
from newsletter.inbound.intake import Mail
from newsletter.inbound.mime import MAX_OCTETS

PIPE = "-"
_CHUNK_OCTETS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """A mail in our hands, of a source that keeps no mark of what was read."""

    raw: bytes

    def mark_read(self) -> None:
        """Its digest is its mark."""


@dataclass(frozen=True, slots=True)
class MaildirMail:
    """A file of a Maildir's `new` or `cur`."""

    path: Path

    @property
    def raw(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_OCTETS)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def mark_read(self) -> None:
        name, _, flags = self.path.name.partition(":2,")
        flags = "".join(sorted({*flags, "S"}))
        try:
            self.path.rename(self.path.parent.parent / "cur" / f"{name}:2,{flags}")
        except FileNotFoundError:  # another program of its owner's moved it meanwhile
            return
        except OSError as error:
            raise _unreadable(self.path, error) from None


def open_source(source: str, stdin: BinaryIO, *, password: str = "") -> Iterable[Mail]:
    """The mails of `source`: a folder, a file, `imaps://...` or `-`.

    password: for an IMAP address that names none. Raises NotFoundError, RefusedError.
    """
    if source == PIPE:
        return [Given(_head(stdin))]
    if "://" in source:
        return imap.unseen(imap.parse_url(source, password=password))
    path = Path(source)
    if (path / "cur").is_dir() and (path / "new").is_dir():
        return _maildir(path)
    if path.is_file():
        return _mbox(path)
    raise NotFoundError(
        "the source is no Maildir (a folder with `new` and `cur`), no mbox file, no IMAP address",
        hint="name one of these, or `-` for one mail on standard input",
    )


def _head(stream: BinaryIO) -> bytes:
    """The beginning of a stream that is read to its end: whoever writes it must not be cut off."""
    head = bytearray()
    while chunk := stream.read(_CHUNK_OCTETS):
        head += chunk[: MAX_OCTETS - len(head)]
    return bytes(head)


def _maildir(path: Path) -> Iterator[Mail]:
    """Those not marked as seen, oldest first: names begin with the time of arrival."""
    try:
        files = [file for part in ("cur", "new") for file in (path / part).iterdir()]
    except OSError as error:
        raise _unreadable(path, error) from None
    for file in sorted(files, key=lambda file: file.name):
        seen = "S" in file.name.partition(":2,")[2]
        if not seen and not file.name.startswith(".") and file.is_file():
            yield MaildirMail(file)


def _mbox(path: Path) -> Iterator[Mail]:
    """All mails of the file. Locked while it is read: half a mail would count as another one."""
    try:
        with path.open("rb") as file:
            _lock(path, file)
            for raw in _mails_of(file):
                yield Given(raw)
    except OSError as error:
        raise _unreadable(path, error) from None


def _lock(path: Path, file: BinaryIO) -> None:
    """Both ways in which mail programs lock; shared, since nothing is written."""
    taken = path.with_name(f"{path.name}.lock").exists()
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        taken = True
    if taken:
        raise RefusedError(
            f"{path.name} is locked: a mail program is writing to it; nothing was read",
            hint="run the same command again in a moment",
        )


def _mails_of(file: BinaryIO) -> Iterator[bytes]:
    """What lies between the `From ` lines, each cut at MAX_OCTETS."""
    mail: bytearray | None = None
    after_blank = True
    while line := file.readline(_CHUNK_OCTETS):
        if after_blank and line.startswith(b"From "):
            if mail:
                yield bytes(mail)
            mail = bytearray()
        elif mail is not None:
            mail += line[: MAX_OCTETS - len(mail)]
        after_blank = line in (b"\n", b"\r\n")
    if mail:
        yield bytes(mail)


def _unreadable(path: Path, error: OSError) -> RefusedError:
    return RefusedError(
        f"{path.name} cannot be read: {os.strerror(error.errno or 0)}",
        hint="see that whoever runs this may read it, and move files within a Maildir",
    )
