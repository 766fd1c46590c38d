"""An imported list before the database is asked: every row judged by itself, every row counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from subscribers.address import EmailAddress, clean_name
from subscribers.errors import AddressError, ImportRefusedError
from subscribers.models import SubscriberStatus
from subscribers.spreadsheet import MAX_RAW_CHARS, Row, column_numbers, read_rows, unguard


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be imported. line: where it begins in the file, the header being 1."""

    line: int
    email: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every row; blank lines and the header are not rows.

    added: active from now on. already: on the list before, or earlier in the same file.
    kept_unsubscribed: had left, here or by the file's own `status`. kept_suppressed: must not be
    written to. All three of the latter were left as they were.
    """

    rows: int
    added: int
    already: int
    kept_unsubscribed: int
    kept_suppressed: int
    rejected: tuple[Rejected, ...]

    @property
    def accounted(self) -> bool:
        """Whether the parts add up to the whole."""
        kept = self.kept_unsubscribed + self.kept_suppressed
        return self.rows == self.added + self.already + kept + len(self.rejected)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A person the list asks for."""

    address: EmailAddress
    name: str


@dataclass(slots=True)
class Plan:
    """The account being drawn up, and what is to be written."""

    rows: int = 0
    already: int = 0
    kept_unsubscribed: int = 0
    kept_suppressed: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    wanted: dict[str, Wanted] = field(default_factory=dict)  # by address key
    new: list[Wanted] = field(default_factory=list)
    pending: list[tuple[int, str]] = field(default_factory=list)  # subscriber id, name

    def report(self) -> ImportReport:
        return ImportReport(
            rows=self.rows,
            added=len(self.new) + len(self.pending),
            already=self.already,
            kept_unsubscribed=self.kept_unsubscribed,
            kept_suppressed=self.kept_suppressed,
            rejected=tuple(self.rejected),
        )


def read_list(data: bytes) -> Plan:
    """Judges every row of a CSV. Raises ImportRefusedError for a file that is bad as a whole."""
    rows = read_rows(data)
    header = next(rows, Row(1, []))
    columns = _columns(header)
    plan = Plan()
    for row in rows:
        plan.rows += 1
        _judge(plan, row, columns, width=len(header.cells))
    return plan


def _columns(header: Row) -> dict[str, int]:
    columns = column_numbers(header.cells)
    if header.fault or "email" not in columns:
        raise ImportRefusedError(
            "the first line names no column `email`",
            hint="let the first line be `email,name`, or rename the column that has the addresses",
        )
    return columns


# What our own export says of people who must not become active by an import elsewhere.
_NOT_ACTIVE = frozenset(SubscriberStatus) - {SubscriberStatus.ACTIVE}


def _judge(plan: Plan, row: Row, columns: dict[str, int], *, width: int) -> None:
    email, name, status, suppressed = (
        _cell(row, columns.get(column)) for column in ("email", "name", "status", "suppressed")
    )
    if row.fault:
        plan.rejected.append(_rejected(row, row.cells[0], "", row.fault))
        return
    try:
        wanted = _wanted(row, email, name, width=width)
    except AddressError as error:
        plan.rejected.append(_rejected(row, email, name, error.what))
        return
    if suppressed:
        plan.kept_suppressed += 1
    elif status.lower() in _NOT_ACTIVE:
        plan.kept_unsubscribed += 1
    elif wanted.address.key in plan.wanted:
        plan.already += 1
    else:
        plan.wanted[wanted.address.key] = wanted


def _wanted(row: Row, email: str, name: str, *, width: int) -> Wanted:
    if any(cell.strip() for cell in row.cells[width:]):
        raise AddressError("more fields than columns: a field with a comma in it needs quotes")
    if "\x00" in email or "\x00" in name:
        raise AddressError("the row contains a NUL character")
    if "@" in name and ("\n" in name or "\r" in name):
        # The likeliest reading: a quote left open here swallowed the rows that follow.
        raise AddressError(
            "the name runs over several lines and holds an address: check its quotes"
        )
    return Wanted(EmailAddress.parse(email), clean_name(name))


def _cell(row: Row, number: int | None) -> str:
    if number is None or number >= len(row.cells):
        return ""
    return unguard(row.cells[number].strip())


def _rejected(row: Row, email: str, name: str, reason: str) -> Rejected:
    return Rejected(row.line, _readable(email), _readable(name), reason)


def _readable(cell: str) -> str:
    """What is shown of a rejected cell: NUL would make the errors file unreadable for editors."""
    return cell[:MAX_RAW_CHARS].replace("\x00", "\ufffd")
