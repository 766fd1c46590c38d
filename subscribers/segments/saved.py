"""Segments kept by name, and how many readers a rule holds for at this moment."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from sqlmodel import Session, col, select

from subscribers.errors import SegmentError
from subscribers.models import Segment
from subscribers.segments.compiler import Condition, compiled, parted
from subscribers.segments.counting import Counted, counted
from subscribers.segments.parser import parse
from subscribers.segments.tree import Rule

MAX_NAME = 60
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class SavedSegment:
    """A rule under its name, written as the parser writes it."""

    name: str
    rule: str
    saved_at: datetime
    saved_by: str


def save(session: Session, name: str, rule: str, *, by: str, now: datetime) -> SavedSegment:
    """Keeps a rule by name, in the place of an older one of that name.

    The same rule again changes nothing. Raises SegmentError for a rule that cannot be read and for
    a name that is none.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise SegmentError(
            f"a segment's name has small letters, digits and hyphens, at most {MAX_NAME}",
            hint="name it like beta-testers",
        )
    written = str(parse(rule))
    row = _row(session, name) or Segment(name=name, rule="", saved_at=now, saved_by=by)
    if row.rule != written:
        row.rule, row.saved_at, row.saved_by = written, now, by
        session.add(row)
        session.flush()
    return _as_value(row)


def remove(session: Session, name: str) -> None:
    """Raises SegmentError, which names the nearest one, where there is none of that name."""
    find(session, name)
    session.delete(_row(session, name))
    session.flush()


def every(session: Session) -> list[SavedSegment]:
    """All of them, by name."""
    return [_as_value(row) for row in session.exec(select(Segment).order_by(col(Segment.name)))]


def find(session: Session, name: str) -> SavedSegment:
    """The segment of that name. Raises SegmentError, which names the nearest one."""
    row = _row(session, name)
    if row is None:
        known = [segment.name for segment in every(session)]
        near = get_close_matches(name, known, n=1)
        raise SegmentError(
            f"there is no segment {name}",
            hint=f"did you mean {near[0]}?" if near else "see `newsletter segments list`",
        )
    return _as_value(row)


def condition(
    session: Session,
    name: str,
    now: datetime,
    *,
    disposable_domains: Collection[str] = frozenset(),
) -> Condition:
    """What holds of a subscriber `s` in the segment of that name. Raises SegmentError."""
    rule = parse(find(session, name).rule)
    return compiled(rule, now=now, disposable_domains=disposable_domains)


def count(
    session: Session,
    rule: Rule,
    *,
    now: datetime,
    disposable_domains: Collection[str] = frozenset(),
) -> Counted:
    """How many subscribers a rule holds for now."""
    return counted(session, parted(rule, now=now, disposable_domains=disposable_domains))


def _row(session: Session, name: str) -> Segment | None:
    return session.exec(select(Segment).where(Segment.name == name)).first()


def _as_value(row: Segment) -> SavedSegment:
    return SavedSegment(row.name, row.rule, row.saved_at, row.saved_by)
