"""What a rule is, and what it is shown of a mail."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass

from newsletter.rendering.quality.anatomy import Anatomy
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.rendered import RenderedIssue, Severity
from newsletter.rendering.view import ComparisonView, IssueView, SystemMailView


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing a rule does not like, and where."""

    what: str
    place: str


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A rendered mail, taken apart once for all rules."""

    rendered: RenderedIssue
    view: IssueView | SystemMailView
    anatomy: Anatomy

    @property
    def is_issue(self) -> bool:
        return isinstance(self.view, IssueView)

    @property
    def comparisons(self) -> tuple[ComparisonView, ...]:
        """The issue's, the lead first; a system mail has none."""
        return self.view.comparisons if isinstance(self.view, IssueView) else ()

    @property
    def text_words(self) -> str:
        """The text part on one line."""
        return " ".join(self.rendered.text.split())

    def fields(self) -> Iterator[tuple[str, str]]:
        """Every text the view carries, with its place: `comparisons[0].tools[1].name`."""
        return _texts(self.view, "")

    def place(self, element: Element) -> str:
        """Where an element stands: in the MJML, if that can be told, in the HTML, and its words."""
        tag = f"<{element.tag}{_class(element)}>"
        words = element.words
        shown = f" “{words[:40]}{'…' if len(words) > 40 else ''}”" if words else ""
        line = self._mjml_line(words)
        source = f"MJML line {line}, " if line else ""
        return f"{source}HTML line {element.line}, column {element.column}, {tag}{shown}"

    def _mjml_line(self, words: str) -> int:
        """The line of the MJML that has the first of these words; 0 where there is none."""
        needle = html.escape(words[:40], quote=False)
        found = self.rendered.mjml.find(needle) if needle else -1
        return 0 if found < 0 else self.rendered.mjml.count("\n", 0, found) + 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as data. `find` yields its faults; `issues_only` spares system mails."""

    id: str
    severity: Severity
    explanation: str
    hint: str
    find: Callable[[Exhibit], Iterable[Fault]]
    issues_only: bool = False

    def to_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "severity": self.severity.value,
            "explanation": self.explanation,
            "hint": self.hint,
            "issues_only": self.issues_only,
        }


def _class(element: Element) -> str:
    classes = element.attributes.get("class", "")
    return f' class="{classes}"' if classes else ""


def _texts(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}")
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name), f"{place}.{field.name}".lstrip("."))
