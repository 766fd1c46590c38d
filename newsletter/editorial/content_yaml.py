"""YAML with a line number for every value, and without its traps.

Anchors, aliases, tags and deep nesting are refused (an alias bomb is 300 bytes long), duplicate
keys are faults instead of silent overwriting, and what YAML 1.1 cannot make sense of stays text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from newsletter.editorial.content_text import forbidden_character, shown
from newsletter.errors import ContentError, Problem

MAX_DEPTH = 8

# A place in a document: ("tools", 0, "name").
Place = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """Values, the line of each, and the faults that did not stop the reading."""

    data: Any
    lines: dict[Place, int]
    problems: list[Problem] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest thing around it that is there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_yaml(text: str, *, file: Path, first_line: int = 1) -> Document:
    """`text` as values. Raises ContentError where it is not YAML, or not of the plain kind."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ContentError([_syntax_problem(error, file, first_line)]) from error
    document = Document(data=None, lines={(): first_line})
    if node is not None:
        document.data = _Reader(loader, document, file, first_line).value(node, ())
    return document


def field_name(place: Place) -> str:
    """`tools[0].entry_price` for ("tools", 0, "entry_price")."""
    name = ""
    for step in place:
        name += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if name else shown(step)
    return name or "front matter"


class _NotPlainError(yaml.YAMLError):
    """YAML that a content file has no need of."""

    def __init__(self, problem: str, event: yaml.Event) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = event.start_mark


class _Loader(yaml.SafeLoader):
    """Composes nodes, but refuses what a content file has no need of."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in its stubs
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _NotPlainError("anchors and aliases (& and *) are not used here", event)
        if getattr(event, "tag", None):
            raise _NotPlainError("tags (!) are not used here", event)
        if self.depth >= MAX_DEPTH:
            raise _NotPlainError(f"nested more than {MAX_DEPTH} deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass(slots=True)
class _Reader:
    loader: _Loader
    document: Document
    file: Path
    first_line: int

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.document.lines.setdefault(place, self._line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, n)) for n, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _word(key_node)
            spot = (*place, key)
            if not key or key in found:
                self._complain(key_node, spot if key else place, key)
                continue
            self.document.lines[spot] = self._line(key_node)
            found[key] = self.value(value_node, spot)
        return found

    def _complain(self, node: yaml.Node, place: Place, key: str) -> None:
        what, hint = "has a key that is no plain word", "write one word before the colon"
        if key:
            what = "is written twice"
            hint = f"keep one `{shown(key)}` (the other: line {self.document.line(place)})"
        problem = Problem(self.file, self._line(node), field_name(place), what, hint)
        self.document.problems.append(problem)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):
            return node.value  # such as 2026-13-45: shaped like a date, and none

    def _line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + self.first_line


def _word(node: yaml.Node) -> str:
    """A key; empty where it is none that a message could show."""
    key = node.value if isinstance(node, yaml.ScalarNode) else ""
    return key if isinstance(key, str) and not forbidden_character(key) else ""


def _syntax_problem(error: yaml.YAMLError, file: Path, first_line: int) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = (mark.line if mark else 0) + first_line
    what = f"cannot be read as YAML: {getattr(error, 'problem', None) or 'an odd character'}"
    hint = "put a text with a colon, #, quotes or a leading sign between double quotes"
    return Problem(file, line, "front matter", what, hint)
