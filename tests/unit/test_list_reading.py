"""Reading a list a row at a time: addresses, lines without end, cells with several values."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from subscribers import spreadsheet
from subscribers.address import EmailAddress
from subscribers.decoding import MAX_FILE_BYTES
from subscribers.dialects import DIALECTS, Standing, recognise
from subscribers.errors import AddressError, ImportRefusedError
from subscribers.intake import key_of
from subscribers.mapping import understand
from subscribers.spreadsheet import joined, parted, read_rows

_LOCALS = st.text("aZ0.+-_'!#\"@ é\x00ß\u202e", max_size=70)
_DOMAINS = st.sampled_from(
    ["example.com", "EXAMPLE.com", "bücher.de", "x", "a..b", "test", "xn--a.com", "é.test", "[::1]",
     "example.com\ufeff", "exa mple.com", "-a.com", "a" * 64 + ".com", "a.b" * 70 + ".com", ""]
)  # fmt: skip


@given(st.builds(lambda a, b: f"{a}@{b}", _LOCALS, _DOMAINS) | st.text(max_size=40))
@example("a" * 64 + "@example.com")
@example("a" * 65 + "@example.com")
@example("INFO@example.com")
def test_an_address_in_a_list_is_judged_as_any_other(text: str) -> None:
    assert _answer(lambda: key_of(text)) == _answer(lambda: _parsed(text))


def _parsed(text: str) -> tuple[str, str]:
    address = EmailAddress.parse(text)
    return address.given, address.key


def _answer(judge: Callable[[], tuple[str, str]]) -> tuple[str, str] | str:
    try:
        return judge()
    except AddressError as error:
        return error.what


class _Endless(io.RawIOBase):
    """A file of any size that is nowhere: `start`, then one byte again and again."""

    def __init__(self, size: int, start: bytes, filling: bytes) -> None:
        self._size, self._start, self._filling, self._at = size, start, filling, 0
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = (0, self._at, self._size)[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        head = self._start[self._at : self._at + count]
        buffer[:count] = head + self._filling * (count - len(head))
        self._at += count
        self.read_bytes += count
        return count


def test_two_gigabytes_are_refused_before_a_byte_is_read() -> None:
    upload = _Endless(2 * 1024**3, b"email\n", b"a")
    with pytest.raises(ImportRefusedError, match="more than"):
        next(read_rows(io.BufferedReader(upload)))
    assert upload.read_bytes == 0
    assert MAX_FILE_BYTES < 2 * 1024**3


@pytest.mark.parametrize("filling", [b"a", b"\x00", b'"', b","])
def test_a_line_without_end_is_not_held_in_memory(filling: bytes) -> None:
    upload = _Endless(8 * 1024**2, b"email\nann@example.com\n", filling)
    first, second, third = read_rows(io.BufferedReader(upload))
    assert (first.cells, second.cells) == (["email"], ["ann@example.com"])
    assert "more than 1,048,576 characters" in third.fault
    assert len(third.cells[0]) <= spreadsheet.MAX_RAW_CHARS


def test_an_open_quote_that_swallows_everything_is_told_after_a_field_of_it() -> None:
    upload = _Endless(8 * 1024**2, b'email\n"ann@example.com\n', b"\n")
    with pytest.raises(ImportRefusedError, match="line 2"):
        list(read_rows(io.BufferedReader(upload)))
    assert upload.read_bytes < 10 * 1024**2  # once to know the encoding, and little more


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_separator_is_found_by_the_column_names(delimiter: str) -> None:
    rows = read_rows(io.BytesIO(f'"a,b;c"{delimiter}email\nx{delimiter}y\n'.encode()))
    assert [row.cells for row in rows] == [["a,b;c", "email"], ["x", "y"]]


_TAGS = st.text("ab =+-'ß,\"", min_size=1, max_size=8).map(lambda text: " ".join(text.split()))


@given(st.lists(_TAGS.filter(bool)), st.booleans())
def test_tags_survive_their_cell(tags: list[str], quote_all: bool) -> None:
    assert parted(joined(tags, quote_all=quote_all)) == tags


def test_every_shape_is_recognised_by_its_own_header_and_no_other() -> None:
    for name, dialect in DIALECTS.items():
        columns = [column.lower() for column, _ in dialect.writes]
        assert recognise(columns).name == name
        assert dialect.source
        assert set(dialect.says.values()) - {"", "left", "bounced"} <= set(dialect.statuses)
        assert Standing.ACTIVE in dialect.says


@pytest.mark.parametrize(
    "header",
    [
        ["=cmd|'/c calc'!A1", "email"],
        ["\x1b[31m", "EMAIL "],
        ["x" * 100_000, "e-mail"],
        ["", "", "email", ""],
        ["'=email", "email", "\u202eliame"],
    ],
)
def test_a_hostile_header_is_text_like_any_other(header: list[str]) -> None:
    columns = understand(header, {})
    assert [field for _, field in columns.shown if field] == ["email"]


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"Adresse": "email", "Post": "email"}, "cannot both"),
        ({"nothing": "email"}, "no column 'nothing'"),
        ({"Adresse": "phone"}, "cannot be taken for 'phone'"),
        ({"email": "ignore"}, "no column `email`"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(chosen: dict[str, str], says: str) -> None:
    with pytest.raises(ImportRefusedError, match=says) as caught:
        understand(["email", "Adresse", "Post"], chosen)
    assert caught.value.hint


def test_a_chosen_column_takes_the_place_of_a_guessed_one() -> None:
    columns = understand(["email", "Adresse", "name"], {"adresse": "email", "name": "ignore"})
    assert columns.shown == (("email", ""), ("Adresse", "email"), ("name", ""))
