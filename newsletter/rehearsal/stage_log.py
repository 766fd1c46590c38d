"""What a stage did, a line each in an append-only file: the truth a rehearsal is judged by.

A line is written with one write(2) before the reply leaves, so whoever got a reply finds its line
there, and a reader who got a message is in it although no reply ever came.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsletter.rehearsal.faults import Fault

ACCEPTED: Final = "accepted"
_SEPARATOR = "\t"


@dataclass(frozen=True, slots=True)
class Line:
    """What happened to one message at an instant, in seconds since 1970.

    what: `accepted`, or the fault. request: a number for those that came in one; 0 over SMTP.
    message_id: without angle brackets, or "" where it had not been read yet.
    """

    at: float
    what: str
    request: int
    message_id: str
    reader: str

    def __str__(self) -> str:
        fields = (f"{self.at:.6f}", self.what, str(self.request), self.message_id, self.reader)
        return _SEPARATOR.join(fields)


class LogWriter:
    """Appends lines; opened in the stage's own process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, what: str, messages: Iterable[tuple[str, str]], *, request: int = 0) -> None:
        """A line for each (message id, reader), all of them in one write."""
        now = time.time()
        lines = (f"{Line(now, what, request, id_, reader)}\n" for id_, reader in messages)
        data = "".join(lines).encode()
        if os.write(self._file, data) != len(data):
            raise OSError("the stage's log could not be written whole")


@dataclass(frozen=True, slots=True)
class StageLog:
    """All lines, oldest first."""

    lines: Sequence[Line]

    @classmethod
    def read(cls, path: Path) -> StageLog:
        """What was written so far; nothing where there is no file yet."""
        if not path.exists():
            return cls(())
        whole, _, _torn = path.read_text(encoding="utf-8").rpartition("\n")
        return cls([_line(line) for line in whole.splitlines()])

    @property
    def accepted(self) -> list[Line]:
        return [line for line in self.lines if line.what == ACCEPTED]

    @property
    def faults(self) -> Counter[Fault]:
        """How many messages met which fault."""
        return Counter(Fault(line.what) for line in self.lines if line.what != ACCEPTED)

    @property
    def doubled(self) -> list[Line]:
        """Accepted again: to a reader who has one, or under a Message-ID that is there already."""
        readers: set[str] = set()
        ids: set[str] = set()
        again = []
        for line in self.accepted:
            if line.reader in readers or line.message_id in ids:
                again.append(line)
            readers.add(line.reader)
            ids.add(line.message_id)
        return again


def _line(line: str) -> Line:
    at, what, request, message_id, reader = line.split(_SEPARATOR)
    return Line(float(at), what, int(request), message_id, reader)
