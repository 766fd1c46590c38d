"""What was read of a list, kept on disk until it is written: memory stays flat, nobody waits.

It is an SQLite file without a name: the operating system takes it away with the process, however
that ends. The database of the newsletter is not touched meanwhile, so sign-ups go on.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from subscribers.intake import Entry

ROWS_AT_ONCE = 2000
CACHE_KIB = 24_576  # so much of a million keys is sorted in memory
MAX_EXAMPLES = 10
MAX_REASONS = 100  # a reason may quote a cell

_TABLES = (
    (
        "CREATE TABLE entry (id INTEGER PRIMARY KEY, key TEXT NOT NULL, given TEXT NOT NULL,"
        " name TEXT NOT NULL, standing INTEGER NOT NULL, tags TEXT NOT NULL, topics TEXT NOT NULL,"
        " wording TEXT NOT NULL, given_on TEXT NOT NULL)"
    ),
    "CREATE TABLE rejected (id INTEGER PRIMARY KEY, line TEXT NOT NULL)",
)
_ADD = (
    "INSERT INTO entry (key, given, name, standing, tags, topics, wording, given_on)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
# Of two rows with one address the first is kept; where they differ on the standing, what says no.
# Looked for when all are there: an index that is sorted once takes half as long as one that grows.
_KEEP_THE_FIRST = (
    "CREATE INDEX entry_by_key ON entry (key, standing)",
    "CREATE TABLE double (first INTEGER PRIMARY KEY, key TEXT, standing INTEGER)",
    (
        "INSERT INTO double SELECT min(id), key, max(standing) FROM entry"
        " GROUP BY key HAVING count(*) > 1"
    ),
    (
        "DELETE FROM entry WHERE id IN (SELECT e.id FROM double d JOIN entry e ON e.key = d.key"
        " WHERE e.id <> d.first)"
    ),
    (
        "UPDATE entry SET standing = (SELECT d.standing FROM double d WHERE d.first = entry.id)"
        " WHERE id IN (SELECT first FROM double)"
    ),
)
_READ = "SELECT key, given, name, standing, tags, topics, wording, given_on FROM entry ORDER BY id"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that could not be imported. line: where it begins in the file, the header being 1."""

    line: int
    email: str
    name: str
    reason: str


class Staging:
    """The rows of one list; open it with `with`."""

    def __init__(self) -> None:
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self.examples: list[Rejected] = []
        self._batch: list[Entry] = []
        self._turned_down: list[tuple[str]] = []
        self._connection = sqlite3.connect("", isolation_level=None)
        for statement in (
            f"PRAGMA cache_size = -{CACHE_KIB}", "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF", *_TABLES, "BEGIN",
        ):  # fmt: skip
            self._connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def add(self, entry: Entry) -> None:
        self._batch.append(entry)
        if len(self._batch) >= ROWS_AT_ONCE:
            self._flush()

    def reject(self, rejected: Rejected, line: str) -> None:
        """line: the row as it goes into the errors file."""
        has_room = rejected.reason in self.reasons or len(self.reasons) < MAX_REASONS
        self.reasons[rejected.reason if has_room else "other reasons"] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(rejected)
        self._turned_down.append((line,))
        if len(self._turned_down) >= ROWS_AT_ONCE:
            self._flush()

    def finish(self) -> None:
        """No more rows come; the memory that finding doubles took is given back."""
        self._flush()
        for statement in (*_KEEP_THE_FIRST, "COMMIT"):
            self._connection.execute(statement)
        for pragma in ("PRAGMA cache_size = -2000", "PRAGMA shrink_memory"):
            self._connection.execute(pragma)

    def chunks(self, size: int) -> Iterator[list[Entry]]:
        """The entries in the order of the file, `size` at a time."""
        rows = self._connection.execute(_READ)
        while some := rows.fetchmany(size):
            yield list(map(Entry._make, some))

    def rejected_lines(self) -> Iterator[str]:
        for (line,) in self._connection.execute("SELECT line FROM rejected ORDER BY id"):
            yield line

    @property
    def people(self) -> int:
        """How many different addresses there are."""
        return int(self._connection.execute("SELECT count(*) FROM entry").fetchone()[0])

    def _flush(self) -> None:
        self._connection.executemany(_ADD, self._batch)
        self._connection.executemany("INSERT INTO rejected (line) VALUES (?)", self._turned_down)
        self._batch.clear()
        self._turned_down.clear()
