"""Segments for whoever runs the list: kept by name, looked at, counted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import TextClause
from sqlmodel import Session

from newsletter.app import App
from newsletter.delivery.freezing import SEGMENT
from newsletter.editorial import issues
from newsletter.errors import RefusedError
from subscribers import audit, segments
from subscribers.segments import Counted, SavedSegment
from subscribers.segments.tree import Rule


@dataclass(frozen=True, slots=True)
class SegmentNow:
    """A segment, and how many readers it holds at this moment."""

    segment: SavedSegment
    counted: Counted


def save(app: App, name: str, rule: str, *, by: str) -> SegmentNow:
    """Keeps a rule by name. An approval of an issue for another rule of that name is void."""
    with app.session() as session:
        now = app.clock()
        segments.save(session, name, rule, by=by, now=now)
        detail = {"name": name, "rule": rule}
        audit.record(session, by=by, action="segment saved", detail=detail, readers=0, now=now)
    return show(app, name)


def show(app: App, name: str) -> SegmentNow:
    """Raises SegmentError where there is none of that name."""
    with app.session(readonly=True) as session:
        segment = segments.find(session, name)
        rule = segments.parse(segment.rule)
        return SegmentNow(segment, _count(app, session, rule))


def remove(app: App, name: str, *, by: str) -> None:
    """Removes a segment; what has been frozen for it stays as it is.

    Raises SegmentError where there is none, RefusedError while an issue that is not frozen yet is
    for it.
    """
    with app.session() as session:
        waiting = issues.in_states(session, issues.OPEN, kind=None)
        needing = [one.ref for one in waiting if one.audience == f"{SEGMENT}{name}"]
        if needing:
            raise RefusedError(
                f"the segment {name} is the audience of issue {', '.join(needing)},"
                " which is not frozen yet",
                hint=f"choose another first: `newsletter issue edit {needing[0]} --audience all`",
            )
        segments.remove(session, name)
        detail = {"name": name}
        audit.record(
            session, by=by, action="segment removed", detail=detail, readers=0, now=app.clock()
        )


def every(app: App) -> list[SavedSegment]:
    with app.session(readonly=True) as session:
        return segments.every(session)


def count(app: App, rule: str) -> Counted:
    """How many readers a rule holds for at this moment. Raises SegmentError."""
    parsed = segments.parse(rule)
    with app.session(readonly=True) as session:
        return _count(app, session, parsed)


def condition(app: App, session: Session, name: str) -> TextClause:
    """What holds of a subscriber `s` in the segment of that name. Raises SegmentError."""
    domains = app.disposable_domains()
    found = segments.condition(session, name, app.clock(), disposable_domains=domains)
    return found.statement("")


def _count(app: App, session: Session, rule: Rule) -> Counted:
    domains = app.disposable_domains()
    return segments.count(session, rule, now=app.clock(), disposable_domains=domains)
