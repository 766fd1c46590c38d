"""Segments for whoever runs the list: kept by name, looked at, counted."""

from __future__ import annotations

from dataclasses import dataclass

from newsletter.app import App
from subscribers import audit, segments
from subscribers.segments import Counted, SavedSegment


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
        return SegmentNow(segment, segments.count(session, rule, now=app.clock()))


def every(app: App) -> list[SavedSegment]:
    with app.session(readonly=True) as session:
        return segments.every(session)


def count(app: App, rule: str) -> Counted:
    """How many readers a rule holds for at this moment. Raises SegmentError."""
    parsed = segments.parse(rule)
    with app.session(readonly=True) as session:
        return segments.count(session, parsed, now=app.clock())
