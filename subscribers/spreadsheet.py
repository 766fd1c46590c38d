"""CSV as spreadsheets really write it: read with care, written so that nothing in it can run.

Reading knows byte-order marks, UTF-8, UTF-16 and Windows-1252; commas, semicolons and tabs; Excel's
`sep=` line. A fault that lies within one line spoils that row; a quote left open spoils the file,
because nobody can say which rows it swallowed.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from subscribers.errors import ImportRefusedError

MAX_FILE_BYTES = 64 * 1024 * 1024  # about a million rows; a larger list is imported in parts
MAX_RAW_CHARS = 1000  # kept of a line that cannot be read

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ",;\t"
_SEP_LINE = re.compile(r'"?sep=([,;\t])"?[\r\n]*', re.IGNORECASE)
_FIRST_LINE = re.compile(r"\s*[^\r\n]*")  # the first that is not blank
_AS_UTF8 = "save the list as CSV in UTF-8 and import that"
# A spreadsheet runs a cell that begins so, full-width forms included. Leading apostrophes belong to
# the pattern, so that guarding and undoing it are exact inverses.
_RUNS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


@dataclass(frozen=True, slots=True)
class Row:
    """One row. line: where it begins, 1 is the first. fault: why it cannot be read, else ''.

    Of a row that cannot be read, `cells` holds its raw line.
    """

    line: int
    cells: list[str]
    fault: str = ""


def read_rows(data: bytes) -> Iterator[Row]:
    """The rows of a CSV file that are not blank, the header first.

    Raises ImportRefusedError for an empty or oversized file, an unreadable encoding and, while
    reading, for a quote that is never closed.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ImportRefusedError(
            f"the list has {len(data):,} bytes, more than {MAX_FILE_BYTES:,}",
            hint="split it and import the parts; what is already on the list is left as it is",
        )
    content = _decoded(data)
    if not content or content.isspace():
        raise ImportRefusedError("the list is empty", hint="its first line names the columns")
    sep = _SEP_LINE.match(content)
    delimiter = sep[1] if sep else _delimiter_of(content)
    rows = _records(content, delimiter)
    if sep:
        next(rows)
    return (row for row in rows if row.fault or any(cell.strip() for cell in row.cells))


def write_row(cells: Iterable[str]) -> str:
    """One line of CSV, CRLF at its end, with every cell guarded."""
    line = io.StringIO()
    csv.writer(line).writerow([guard(cell) for cell in cells])
    return line.getvalue()


def guard(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def unguard(cell: str) -> str:
    """What `guard` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _decoded(data: bytes) -> str:
    encoding = _encoding_of(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise ImportRefusedError(
                f"the list begins like {encoding} but is damaged", hint=_AS_UTF8
            ) from None
    try:
        return data.decode("cp1252")  # what Excel on Windows calls CSV
    except UnicodeDecodeError:
        raise ImportRefusedError(
            "the list is neither UTF-8, UTF-16 nor Windows-1252", hint=_AS_UTF8
        ) from None


def _encoding_of(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    # UTF-16 without a mark: every second byte of the column names is NUL.
    start = data[:16]
    if len(start) >= 4 and not any(start[1::2]) and all(start[::2]):
        return "utf-16-le"
    if len(start) >= 4 and not any(start[::2]) and all(start[1::2]):
        return "utf-16-be"
    return "utf-8"


def _delimiter_of(content: str) -> str:
    """Whichever stands most often between the column names; a comma where there is one column."""
    first = _FIRST_LINE.match(content)
    header = re.sub(r'"[^"]*"', "", first[0]) if first else ""
    return max(_DELIMITERS, key=header.count)


class _Lines:
    """Hands lines to the csv module and remembers those of the row it is reading."""

    def __init__(self, content: str) -> None:
        self._lines = io.StringIO(content, newline="")
        self.count = 0
        self.first = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        if self.count == 1:
            self.first = line[:MAX_RAW_CHARS].rstrip("\r\n")
        return line


def _records(content: str, delimiter: str) -> Iterator[Row]:
    lines = _Lines(content)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        lines.count = 0
        start = reader.line_num + 1
        try:
            yield Row(start, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            if lines.count > 1 or "end of data" in str(error):
                raise _open_quote(start) from None
            yield Row(start, [lines.first], f"the line cannot be read: {error}")


def _open_quote(line: int) -> ImportRefusedError:
    return ImportRefusedError(
        f"a quotation mark opened in line {line} is never closed, or closed in the wrong place",
        hint="mend that line; nothing was imported",
    )


def column_numbers(header: Sequence[str]) -> dict[str, int]:
    """Where each column is, by its name in lower case. Raises ImportRefusedError for a double."""
    names = [unguard(cell.strip()).lower() for cell in header]
    for name in names:
        if name and names.count(name) > 1 and "@" not in name:
            raise ImportRefusedError(
                f"the list has two columns called {name!r}", hint="keep one, or rename the other"
            )
    return {name: number for number, name in enumerate(names)}
