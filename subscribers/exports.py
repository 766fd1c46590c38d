"""Lists out: the whole list as lines of CSV, in our shape or that of another service.

Cells that a spreadsheet would run as formulas have an apostrophe in front, which an import takes
off. What a shape has no column or no word for stays behind; nobody becomes active by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

from sqlalchemy import TextClause
from sqlmodel import Session

from subscribers.dialects import PLAIN, Dialect
from subscribers.export_pages import LABELS, Page, pages
from subscribers.spreadsheet import guard, joined, write_row, write_rows

_SEVERAL = lru_cache(maxsize=4096)(joined)  # many readers have the same tags


@dataclass(frozen=True, slots=True)
class _Source:
    """What stands in a column. needs: the columns of a page that `said` makes one cell of.

    is_ours: all it says was written by this program, so there is nothing to guard.
    """

    needs: tuple[str, ...]
    said: Callable[..., str] | None = None  # the value as it is
    is_ours: bool = False

    def cells(self, page: Page) -> Iterable[str]:
        values = [page[name] for name in self.needs]
        cells = values[0] if self.said is None else map(self.said, *values)
        return cells if self.is_ours else map(guard, cells)


@dataclass(frozen=True, slots=True)
class _Always:
    """The same cell for everybody."""

    cell: str
    needs: tuple[str, ...] = ()

    def cells(self, page: Page) -> Iterable[str]:
        return repeat(self.cell, len(page["word"]))


def export_lines(
    session: Session, dialect: Dialect = PLAIN, *, only: TextClause | None = None
) -> Iterator[str]:
    """The header, and a line for each subscriber by id; the erased are not on it.

    Who is in a standing that the shape has no word for is left out. only: a condition on the
    subscriber `s`, such as a segment's, with its values bound. A page is read at a time.
    """
    yield write_row(column for column, _ in dialect.writes)
    sources = [_SOURCES[source] for _, source in dialect.writes]
    needed = frozenset(name for source in sources for name in source.needs)
    for page in pages(session, needed, dialect.says, only):
        # A column at a time, and only those of the shape: a list has a million lines.
        yield from write_rows(zip(*(source.cells(page) for source in sources), strict=True))


def _first(name: str) -> str:
    """First and last name, which joined by a blank are the name again."""
    first, _, last = name.rpartition(" ")
    return first or last


def _last(name: str) -> str:
    first, _, last = name.rpartition(" ")
    return last if first else ""


def _labels(labels: Sequence[str]) -> str:
    return _SEVERAL(tuple(labels)) if labels else ""


def _quoted_labels(labels: Sequence[str]) -> str:
    return _SEVERAL(tuple(labels), quote_all=True) if labels else ""


def _gone_at(*words: str) -> _Source:
    """When they went, whose standing is said so; of who never said, since when we know them."""

    def said(word: str, left_at: str, known_at: str) -> str:
        return (left_at or known_at) if word in words else ""

    return _Source(("word", "unsubscribed_at", "created_at"), said, is_ours=True)


# What can stand in a column: of the person, and of the dialect's word for their standing.
_SOURCES: Mapping[str, _Source | _Always] = {
    "": _Always(""),
    "never": _Always("false"),
    "free": _Always("free"),
    "no_attributes": _Always("{}"),
    "email": _Source(("address",)),
    "name": _Source(("name",)),
    "first_name": _Source(("name",), _first),
    "last_name": _Source(("name",), _last),
    "own_status": _Source(("status",), is_ours=True),
    "suppressed": _Source(("suppressed",), is_ours=True),
    "created_at": _Source(("created_at",), is_ours=True),
    "confirmed_at": _Source(("confirmed_at",), is_ours=True),
    "unsubscribed_at": _Source(("unsubscribed_at",), is_ours=True),
    "consent": _Source(("consent_action",), is_ours=True),
    "consent_at": _Source(("consent_at",), is_ours=True),
    "consent_source": _Source(("consent_source",)),
    "consent_wording": _Source(("consent_wording",)),
    "consent_given_on": _Source(("consent_given_on",)),
    "tags": _Source((LABELS[0],), _labels),
    "quoted_tags": _Source((LABELS[0],), _quoted_labels),
    "topics": _Source((LABELS[1],), _labels),
    "word": _Source(("word",), is_ours=True),
    "left_at": _gone_at("left", "inactive"),
    "bounced_at": _gone_at("bounced"),
    "is_on": _Source(("word",), lambda word: "false" if word else "true", is_ours=True),
    "is_off": _Source(("word",), lambda word: "true" if word else "false", is_ours=True),
}
