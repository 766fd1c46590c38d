"""What a rule is, and what it is shown of a mail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass

from newsletter.rendering.quality.anatomy import Anatomy
from newsletter.rendering.rendered import RenderedIssue, Severity
from newsletter.rendering.view import IssueView, SystemMailView


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

    def fields(self) -> Iterator[tuple[str, str]]:
        """Every text the view carries, with its place: `comparisons[0].tools[1].name`."""
        return _texts(self.view, "")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as data. `find` yields its faults; `issues_only` spares system mails."""

    id: str
    severity: Severity
    explanation: str
    hint: str
    find: Callable[[Exhibit], Iterable[Fault]]
    issues_only: bool = False


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
