"""An imported list before the database is asked: every row judged by itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from subscribers.address import MAX_ADDRESS_CHARS, EmailAddress, clean_name
from subscribers.dialects import Field, Standing
from subscribers.errors import AddressError, AudienceError, ImportRefusedError
from subscribers.evidence import MAX_SOURCE_CHARS, stated_consent
from subscribers.mapping import Columns
from subscribers.spreadsheet import Row, parted, unguard
from subscribers.tags import clean_tag

MAX_WORDING_CHARS = 10_000
SEPARATOR = "\x1f"  # between the tags of an entry: no tag holds a control character

# The commonest form of the part before the @; the rest is asked of EmailAddress.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*")
_MAX_LOCAL_CHARS = 64
_ACTIVE, _PAUSED = Standing.ACTIVE, Standing.PAUSED
_TRUE, _FALSE = frozenset(("true", "yes", "1", "t", "y")), frozenset(("false", "no", "0", "f", "n"))
_SUPPRESSED = {
    "complaint": Standing.COMPLAINED,
    "hard_bounce": Standing.BOUNCED,
    "soft_bounces": Standing.WORN_OUT,
    "manual": Standing.BLOCKED,
}
_BY_REASON: Mapping[int, str] = {standing: reason for reason, standing in _SUPPRESSED.items()}


@dataclass(frozen=True, slots=True)
class Stated:
    """What the operator says of the whole list. source: where it comes from, "import:list.csv".

    consent: what these people agreed to and how; given_on: the day, as 2026-05-31. Where a row
    carries its own, the row's count.
    """

    source: str
    consent: str = ""
    given_on: str = ""

    def checked(self, columns: Columns, *, now: datetime) -> Stated:
        """The same, cleaned. Raises ImportRefusedError where neither it nor a column says it."""
        words, day = self.consent.strip(), self.given_on.strip()
        # What a column carries need not be stated; what is stated is judged all the same.
        is_carried = Field.CONSENT in columns.numbers
        is_dated = Field.CONSENT_DATE in columns.numbers
        try:
            stated_consent(
                words or ("in a column" if is_carried else ""),
                day or (now.date().isoformat() if is_dated else ""),
                now=now,
            )
        except AudienceError as error:
            raise ImportRefusedError(error.what, hint=error.hint) from None
        return Stated(self.source[:MAX_SOURCE_CHARS], words, day)


class Entry(NamedTuple):
    """A row that could be read. tags, topics: joined by SEPARATOR."""

    key: str
    given: str
    name: str
    standing: int
    tags: str
    topics: str
    wording: str
    given_on: str


class Judge:
    """Reads the rows of one list."""

    def __init__(self, columns: Columns, stated: Stated, *, now: datetime) -> None:
        self._width = len(columns.header)
        # Looked up once: a member of an enumeration takes long to hash, and a row asks seven times.
        at = {field: columns.numbers.get(field, ()) for field in Field}
        self._email = at[Field.EMAIL][0]
        self._name_at, self._tags_at, self._topics_at = (
            at[field] for field in (Field.NAME, Field.TAGS, Field.TOPICS)
        )
        self._parts_at = at[Field.FIRST_NAME], at[Field.LAST_NAME]
        self._consent_at, self._date_at = at[Field.CONSENT], at[Field.CONSENT_DATE]
        self._statuses = columns.dialect.statuses
        self._stated = stated
        self._speaking = [(at[field], read) for field, read in self._SPEAKING if at[field]]
        self._last_day = (now + timedelta(days=1)).date()
        self._day_of = lru_cache(maxsize=4096)(self._read_day)

    def __call__(self, row: Row) -> Entry:
        """Raises AddressError, with the reason, for a row that cannot be imported."""
        if row.fault:
            raise AddressError(row.fault)
        cells = row.cells
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._width :]):
            raise AddressError("more fields than columns: a field with a comma in it needs quotes")
        given, key = key_of(self._cell(cells, self._email))
        standing = self._standing(cells)
        name = clean_name(self._name(cells))
        tags = self._labels(cells, self._tags_at, "tags") if self._tags_at else ""
        topics = self._labels(cells, self._topics_at, "topics") if self._topics_at else ""
        wording, day = ("", "") if standing > _PAUSED else self._consent(cells)
        return Entry(key, given, name, standing, tags, topics, wording, day)

    def _cell(self, cells: Sequence[str], number: int) -> str:
        if number >= len(cells):
            return ""
        cell = cells[number].strip()
        if "\x00" in cell:
            raise AddressError("the row contains a NUL character")
        return unguard(cell) if cell[:1] == "'" else cell

    def _first(self, cells: Sequence[str], numbers: Sequence[int]) -> str:
        for number in numbers:
            if cell := self._cell(cells, number):
                return cell
        return ""

    def _name(self, cells: Sequence[str]) -> str:
        name = self._first(cells, self._name_at)
        if not name and any(self._parts_at):
            name = " ".join(filter(None, [self._first(cells, part) for part in self._parts_at]))
        if "@" in name and ("\n" in name or "\r" in name):
            # The likeliest reading: a quote left open here swallowed the rows that follow.
            raise AddressError(
                "the name runs over several lines and holds an address: check its quotes"
            )
        return name

    def _standing(self, cells: Sequence[str]) -> Standing:
        found = _ACTIVE
        for numbers, read in self._speaking:
            if cell := self._first(cells, numbers):
                found = max(found, read(self, cell))
        return found

    def _status(self, cell: str) -> Standing:
        try:
            return self._statuses[cell.lower()]
        except KeyError:
            raise AddressError(f"the status {cell[:40]!r} is not a known one") from None

    def _suppressed(self, cell: str) -> Standing:
        try:
            return _SUPPRESSED[cell.lower()]
        except KeyError:
            raise AddressError(f"{cell[:40]!r} is no reason of a suppression") from None

    def _gone(self, _cell: str) -> Standing:
        return Standing.LEFT

    def _bounced(self, _cell: str) -> Standing:
        return Standing.BOUNCED

    def _wants(self, cell: str) -> Standing:
        return Standing.ACTIVE if _truth(cell) else Standing.LEFT

    def _is_off(self, cell: str) -> Standing:
        return Standing.LEFT if _truth(cell) else Standing.ACTIVE

    _SPEAKING: Sequence[tuple[Field, Callable[[Judge, str], Standing]]] = (
        (Field.STATUS, _status),
        (Field.SUPPRESSED, _suppressed),
        (Field.LEFT_AT, _gone),
        (Field.BOUNCED_AT, _bounced),
        (Field.WANTS_MAIL, _wants),
        (Field.MAIL_OFF, _is_off),
    )

    def _labels(self, cells: Sequence[str], numbers: Sequence[int], field: str) -> str:
        try:
            cell = self._first(cells, numbers)
            found = list(dict.fromkeys(parted(cell))) if cell else []
        except csv.Error:
            raise AddressError(f"the {field} cannot be read: check their quotes") from None
        for label in found:
            try:
                clean_tag(label)
            except AudienceError as error:
                raise AddressError(f"in the {field}: {error.what}") from None
        return SEPARATOR.join(found)

    def _consent(self, cells: Sequence[str]) -> tuple[str, str]:
        wording = self._first(cells, self._consent_at) or self._stated.consent
        if not wording:
            raise AddressError("no consent is stated, neither in the row nor for the list")
        if len(wording) > MAX_WORDING_CHARS:
            raise AddressError(f"the consent has over {MAX_WORDING_CHARS:,} characters")
        cell = self._first(cells, self._date_at)
        day = self._day_of(cell[:10]) if cell else self._stated.given_on
        if not day:
            raise AddressError("the consent's date is stated neither in the row nor for the list")
        return wording, day

    def _read_day(self, start: str) -> str:
        try:
            day = date.fromisoformat(start)
        except ValueError:
            raise AddressError("the consent's date is no date: write it as 2026-05-31") from None
        if day > self._last_day:
            raise AddressError(f"the consent would have been given in the future, on {day}")
        return day.isoformat()


def _truth(cell: str) -> bool:
    word = cell.lower()
    if word not in _TRUE | _FALSE:
        raise AddressError(f"{cell[:40]!r} is neither true nor false")
    return word in _TRUE


def reason_of(standing: int) -> str:
    """The reason of the suppression that somebody in this standing becomes; "" for none."""
    return _BY_REASON.get(standing, "")


def key_of(text: str) -> tuple[str, str]:
    """The address as given and its key, as `EmailAddress.parse` says, which raises AddressError.

    Judging an address costs 30 microseconds, most of them for its domain; a list has a million
    addresses and few domains. So a plain local part is judged here, and a domain once.
    """
    local, at, domain = text.rpartition("@")
    if at and len(local) <= _MAX_LOCAL_CHARS and _PLAIN_LOCAL.fullmatch(local):
        ascii_domain = _domain(domain)
        if ascii_domain and len(local) + 1 + len(ascii_domain) <= MAX_ADDRESS_CHARS >= len(text):
            return text, f"{local.lower()}@{ascii_domain}"
    address = EmailAddress.parse(text)
    return address.given, address.key


@lru_cache(maxsize=16_384)
def _domain(domain: str) -> str:
    """The domain in ASCII and lower case; "" where an address in it is refused."""
    try:
        address = EmailAddress.parse(f"a@{domain}")
    except AddressError:
        return ""
    return address.ascii_domain if address.given == f"a@{domain}" else ""
