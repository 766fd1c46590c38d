"""An issue's proof as CSV: a row a candidate, a page in memory, whole or not at all in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.cli.screen import clean, say
from newsletter.errors import RefusedError
from newsletter.plurals import counted

if TYPE_CHECKING:
    from sqlmodel import Session

    from newsletter.app import App
    from newsletter.delivery.proof import Explanation

COLUMNS = ("subscriber_id", "address", "state", "reason", "attempts", "changed_at", "receipt")
STDOUT = Path("-")
_DOES_NOT_HOLD = "the account does not hold"


def write_proof(app: App, ref: str, file: Path | None) -> bool:
    """Writes the proof to `file`, or to standard output; whether it holds.

    All of it is of one instant. Raises RefusedError where the file cannot be written.
    """
    from newsletter.delivery import proof
    from newsletter.editorial import issues

    with app.session(readonly=True) as session:
        issue_id = issues.find(session, ref).id
        holds = proof.prove(session, issue_id).holds
        lines = _lines(session, issue_id)
        if file is None or file == STDOUT:
            sys.stdout.writelines(lines)
            sys.stdout.flush()
        else:
            say(f"{file}: {counted(_write(file, lines) - 1, 'candidate')}")
    if not holds:
        print(
            f"error: {_DOES_NOT_HOLD}\n  next: see `newsletter issue proof {ref}`", file=sys.stderr
        )
    return holds


def _lines(session: Session, issue_id: int) -> Iterator[str]:
    from newsletter.delivery import proof
    from subscribers.spreadsheet import write_row

    yield write_row(COLUMNS)
    for one in proof.explain(session, issue_id):
        yield write_row(_cells(one))


def _cells(one: Explanation) -> tuple[str, ...]:
    return (
        str(one.subscriber_id),
        one.address,
        one.state,
        _one_line(one.reason),
        str(one.attempts),
        one.changed_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        _one_line(one.receipt),
    )


def _one_line(words: str) -> str:
    """What a mail server said, which may hold anything: no breaks, nothing a terminal obeys."""
    if words.isascii() and words.isprintable():  # nearly all of a million
        return words
    return " ".join(clean(words).split())


def _write(file: Path, lines: Iterator[str]) -> int:
    """How many lines; the file is there when the last of them is."""
    try:
        if file.exists() and not file.is_file():  # a pipe or a device: nothing to put in its place
            return _copy(lines, file)
        part = file.with_name(f".{file.name}.part")
        try:
            count = _copy(lines, part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be written: {error.strerror}", hint="name another file"
        ) from None
    return count


def _copy(lines: Iterator[str], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        for line in lines:
            out.write(line)
            count += 1
    return count
