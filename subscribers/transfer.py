"""Lists in: a file of people with stated consent becomes subscribers, all of it or nothing.

It is read first, without touching the database (`judged`), and written afterwards in one
transaction of the caller's (`take_in`): a list that is refused, or an import that is killed, leaves
nothing behind. Every row is accounted for. Whoever left stays away, whoever is suppressed stays
suppressed, and the rows that were rejected come back as a file that can be mended and imported.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import BinaryIO

from sqlmodel import Session

from subscribers.decoding import size_bytes
from subscribers.dialects import Field, Standing
from subscribers.erasure import FingerprintOf
from subscribers.errors import AddressError
from subscribers.intake import Judge, Stated
from subscribers.mapping import Columns, understand
from subscribers.settling import Account, Settling
from subscribers.spreadsheet import MAX_RAW_CHARS, Row, read_rows, unguard, write_row
from subscribers.staging import ROWS_AT_ONCE, Rejected, Staging

__all__ = ["ImportReport", "Progress", "Rejected", "Stated", "import_csv", "judged", "take_in"]

CHUNK_ROWS = 900  # keys of one question: older SQLite builds allow 999 parameters
_OURS = ("line", "reason")  # columns of the errors file


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: "reading", in bytes, or "writing", in people."""

    stage: str
    done: int
    total: int


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every row; blank lines and the header are not rows.

    added: active (or paused) from now on. already: on the list before, or earlier in the same file.
    kept_unsubscribed: had left, here or by the file. kept_unconfirmed: by the file, not confirmed.
    kept_suppressed: must not be written to; newly_suppressed: of these, by reason, whose
    suppression the file brought. reasons: the rejected rows by reason; examples: the first few.
    """

    dialect: str
    columns: tuple[tuple[str, str], ...]  # each column and the field it was taken for
    rows: int
    added: int
    already: int
    kept_unsubscribed: int
    kept_unconfirmed: int
    kept_suppressed: int
    newly_suppressed: Mapping[str, int]
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Rejected, ...] = ()

    @property
    def accounted(self) -> bool:
        """Whether the parts add up to the whole."""
        kept = self.kept_unsubscribed + self.kept_unconfirmed + self.kept_suppressed
        return self.rows == self.added + self.already + kept + self.rejected


@dataclass(frozen=True, slots=True)
class Judged:
    """A list that was read. `errors()` are the lines of the errors file, its header first."""

    columns: Columns
    stated: Stated
    staging: Staging

    def errors(self) -> Iterator[str]:
        return chain([_Errors(self.columns).header], self.staging.rejected_lines())


def _unwatched(_progress: Progress) -> None:
    return None


@contextmanager
def judged(
    stream: BinaryIO,
    stated: Stated,
    *,
    now: datetime,
    chosen: Mapping[str, str] | None = None,
    watch: Watch = _unwatched,
) -> Iterator[Judged]:
    """Reads a seekable list, row by row, and judges each by itself; the database is not asked.

    chosen: by column name the field it is to be taken for, or `ignore`; the rest is guessed from
    the header. Raises ImportRefusedError for a file that cannot be read as a whole, and where
    consent is stated neither for the list nor in a column.
    """
    total = size_bytes(stream)
    with Staging() as staging, closing(read_rows(stream)) as rows:
        header = next(rows, Row(1, []))
        columns = understand([] if header.fault else header.cells, chosen or {})
        stated = stated.checked(columns, now=now)
        judge, errors = Judge(columns, stated, now=now), _Errors(columns)
        for row in rows:
            staging.rows += 1
            if not staging.rows % ROWS_AT_ONCE:
                watch(Progress("reading", stream.tell(), total))
            try:
                staging.add(judge(row))
            except AddressError as error:
                errors.write(staging, row, error.what)
        watch(Progress("reading", total, total))
        staging.finish()
        yield Judged(columns, stated, staging)


def take_in(
    session: Session,
    read: Judged,
    *,
    now: datetime,
    fingerprint_of: FingerprintOf | None = None,
    dry_run: bool = False,
    watch: Watch = _unwatched,
) -> ImportReport:
    """Writes a list that was read; a dry run reports the same and writes nothing.

    New people become active with a consent record; who waits for a confirmation becomes active too.
    Who bounced or complained by the file becomes a suppression with that reason. fingerprint_of:
    the keyed hash by which erased addresses are known; without it they are not.
    """
    session.flush()
    settling = Settling(
        session, read.stated.source, fingerprint_of=fingerprint_of, now=now, dry_run=dry_run
    )
    total, done = read.staging.people, 0
    with settling:
        for entries in read.staging.chunks(CHUNK_ROWS):
            settling.settle(entries)
            done += len(entries)
            watch(Progress("writing", done, total))
    session.expire_all()  # rows read earlier in this session are out of date now
    return _report(read, settling.account, doubles=_doubles(read, total))


def import_csv(
    session: Session,
    data: bytes,
    *,
    source: str,
    consent: str,
    given_on: str,
    now: datetime,
    fingerprint_of: FingerprintOf | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Both steps for a short list that is in memory."""
    stated = Stated(source, consent, given_on)
    with judged(io.BytesIO(data), stated, now=now) as read:
        return take_in(session, read, now=now, fingerprint_of=fingerprint_of, dry_run=dry_run)


def _doubles(read: Judged, people: int) -> int:
    return read.staging.rows - people - read.staging.reasons.total()


def _report(read: Judged, account: Account, *, doubles: int) -> ImportReport:
    staging = read.staging
    return ImportReport(
        dialect=read.columns.dialect.name,
        columns=read.columns.shown,
        rows=staging.rows,
        added=account.added,
        already=account.already + doubles,
        kept_unsubscribed=account.kept[Standing.LEFT],
        kept_unconfirmed=account.kept[Standing.PENDING],
        kept_suppressed=account.kept[Standing.BLOCKED],
        newly_suppressed=dict(account.newly_suppressed),
        rejected=staging.reasons.total(),
        reasons=dict(staging.reasons.most_common()),
        examples=tuple(staging.examples),
    )


class _Errors:
    """The errors file: the columns of the list as they were, and where and why."""

    def __init__(self, columns: Columns) -> None:
        taken = {number for some in columns.numbers.values() for number in some}
        self._email = columns.numbers[Field.EMAIL][0]
        self._name = columns.numbers.get(Field.NAME, (-1,))[0]
        # What an earlier errors file had added is replaced.
        self._kept = [
            number
            for number, name in enumerate(columns.header)
            if number in taken or name.lower() not in _OURS
        ]
        self._width = len(columns.header)
        kept = [columns.header[number] for number in self._kept]
        ours = [name if name not in kept else f"import {name}" for name in _OURS]
        self.header = write_row([*kept, *ours])

    def write(self, staging: Staging, row: Row, reason: str) -> None:
        cells = self._cells(row)
        line = [_readable(cells[number]) for number in self._kept]
        name = cells[self._name] if self._name >= 0 else ""
        email, name = (_readable(cell)[:MAX_RAW_CHARS] for cell in (cells[self._email], name))
        rejected = Rejected(row.line, email, name, reason)
        staging.reject(rejected, write_row([*line, str(row.line), reason]))

    def _cells(self, row: Row) -> list[str]:
        """A cell for each column. A row that does not fit comes back whole, as its address."""
        cells = row.cells
        if row.fault or any(cell.strip() for cell in cells[self._width :]):
            whole = cells[0] if row.fault else ",".join(cells)
            return [whole if n == self._email else "" for n in range(self._width)]
        cells = [unguard(cell.strip()) for cell in cells]
        return [*cells, *[""] * (self._width - len(cells))][: self._width]


def _readable(cell: str) -> str:
    """NUL would make the errors file unreadable for editors."""
    return cell.replace("\x00", "\ufffd")
