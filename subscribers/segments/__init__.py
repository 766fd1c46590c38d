"""Segments: parts of the list by a rule in a small typed language, kept by name.

    topic = "Developer Tools" and confirmed > 30 days ago and not opened last 4 issues

`parse` reads a rule into a tree, `compiled` makes bound SQL of it, `save` keeps it by name, and
`condition` is what everybody else asks for. What a rule can say stands in `fields.FIELDS`.
"""

from __future__ import annotations

from subscribers.segments.compiler import Condition, compiled
from subscribers.segments.counting import Counted
from subscribers.segments.parser import parse
from subscribers.segments.saved import SavedSegment, condition, count, every, find, remove, save

__all__ = [
    "Condition",
    "Counted",
    "SavedSegment",
    "compiled",
    "condition",
    "count",
    "every",
    "find",
    "parse",
    "remove",
    "save",
]
