"""CSV as spreadsheets really write it: read with care, written so that nothing in it can run.

Reading knows commas, semicolons, tabs and bars, and Excel's `sep=` line; it holds one row at a
time. A fault that lies within one line spoils that row; a quote left open spoils the file, because
nobody can say which rows it swallowed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator
from typing import IO, BinaryIO, NamedTuple

from subscribers.decoding import open_text
from subscribers.errors import ImportRefusedError

MAX_RAW_CHARS = 1000  # kept of a line that cannot be read
MAX_LINE_CHARS = 1024 * 1024  # the csv module lets one field have 131,072

_DELIMITERS = ",;\t|"
_SEP_LINE = re.compile(r'"?sep=([,;\t|])"?[\r\n]*', re.IGNORECASE)
# A spreadsheet runs a cell that begins so, full-width forms included. Leading apostrophes belong to
# the pattern, so that guarding and undoing it are exact inverses.
_RUNS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_FIRST = frozenset("'=+-@\t\r\n＝＋－＠")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


class Row(NamedTuple):
    """One row. line: where it begins, 1 is the first. fault: why it cannot be read, else ''.

    Of a row that cannot be read, `cells` holds its raw line.
    """

    line: int
    cells: list[str]
    fault: str = ""


def read_rows(stream: BinaryIO) -> Generator[Row, None, None]:
    """The rows of a seekable CSV file that are not blank, the header first.

    Raises ImportRefusedError for an empty or oversized file, an unreadable encoding and, while
    reading, for a quote that is never closed.
    """
    text = open_text(stream)
    try:
        yield from _rows(_Lines(text))
    finally:
        text.detach()  # the stream is the caller's to close


def _rows(lines: _Lines) -> Iterator[Row]:
    first = next((line for line in lines if not line.isspace()), "")
    if not first:
        raise ImportRefusedError("the list is empty", hint="its first line names the columns")
    sep = _SEP_LINE.fullmatch(first)
    if not sep:
        lines.push_back(first)
    rows = records(lines, sep[1] if sep else _delimiter_of(first))
    yield from (row for row in rows if row.fault or any(map(str.strip, row.cells)))


class _Kept:
    """What a csv.writer writes is what `write` returns: nothing is held."""

    def write(self, line: str) -> str:
        return line


class _Lined:
    """Takes the lines that a csv.writer writes."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.write = self.written.append


_LINES = csv.writer(_Kept())


def write_row(cells: Iterable[str]) -> str:
    """One line of CSV, CRLF at its end, with every cell guarded."""
    return str(_LINES.writerow([guard(cell) for cell in cells]))


def write_rows(rows: Iterable[Iterable[str]]) -> list[str]:
    """Several lines of CSV; the cells are the caller's to `guard`."""
    lines = _Lined()
    csv.writer(lines).writerows(rows)
    return lines.written


def guard(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell and cell[0] in _FIRST and _RUNS.match(cell) else cell


def unguard(cell: str) -> str:
    """What `guard` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _delimiter_of(first: str) -> str:
    """Whichever stands most often between the column names; a comma where there is one column."""
    header = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=header.count)


class _TooLongError(csv.Error):
    """A line is longer than any list has; what is left of it was skipped."""


class _Lines:
    """Hands lines to the csv module, none of them without end, and knows the row it is reading."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._pushed = ""
        self.total = 0
        self.start_row()

    def start_row(self) -> None:
        self.count = 0
        self.first = ""

    def push_back(self, line: str) -> None:
        self._pushed = line
        self.total -= 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line, self._pushed = self._pushed or self._text.readline(MAX_LINE_CHARS), ""
        if not line:
            raise StopIteration
        self.total += 1
        self.count += 1
        if self.count == 1:
            self.first = line
        if len(line) == MAX_LINE_CHARS and line[-1] not in "\r\n":
            self._skip_the_rest()
            raise _TooLongError(f"it has more than {MAX_LINE_CHARS:,} characters")
        return line

    def _skip_the_rest(self) -> None:
        while (more := self._text.readline(MAX_LINE_CHARS)) and more[-1] not in "\r\n":
            pass


def records(lines: _Lines, delimiter: str, *, exact: bool = False) -> Iterator[Row]:
    """Every row as it stands, blank ones too. exact: a blank after a delimiter belongs to the cell.

    Raises ImportRefusedError for a quote that is never closed.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=not exact)
    while True:
        lines.start_row()
        start = lines.total + 1
        try:
            yield Row(start, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            if lines.count > 1 or "end of data" in str(error):
                raise _open_quote(start) from None
            raw = lines.first[:MAX_RAW_CHARS].rstrip("\r\n")
            yield Row(start, [raw], f"the line cannot be read: {error}")


def read_exactly(stream: IO[bytes]) -> Generator[Row, None, None]:
    """The rows of a CSV file that we wrote: UTF-8, commas, nothing taken off a cell."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield from records(_Lines(text), ",", exact=True)
    except UnicodeDecodeError:
        raise ImportRefusedError(
            "a file of the list is not UTF-8", hint="take the file as it was exported"
        ) from None


def _open_quote(line: int) -> ImportRefusedError:
    return ImportRefusedError(
        f"a quotation mark opened in line {line} is never closed, or closed in the wrong place",
        hint="mend that line; nothing was imported",
    )


def joined(values: Iterable[str], *, quote_all: bool = False) -> str:
    """Several values in one cell, as `a, b` or `"a","b"`; a value with a comma is quoted."""
    line = io.StringIO()
    writer = csv.writer(
        line, lineterminator="", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(list(values))
    return line.getvalue()


def parted(cell: str) -> list[str]:
    """The values that `joined` put into a cell, each on one line; blank ones are left out.

    Raises csv.Error where a quote is not closed.
    """
    if '"' not in cell:
        found = cell.split(",")
    else:
        lines = csv.reader([cell], skipinitialspace=True, strict=True)
        found = next(lines, [])
    return [value for part in found if (value := " ".join(part.split()))]
