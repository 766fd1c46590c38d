"""A rule as a tree of values; `str` writes it back so that reading it again gives the same tree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from subscribers.segments.fields import FIELDS


@dataclass(frozen=True, slots=True)
class Compared:
    """A text beside one value: `=`, `!=` or `contains`."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {_value(self.field, self.value)}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A text that is one of several values, or none of them."""

    field: str
    values: tuple[str, ...]
    inside: bool = True

    def __str__(self) -> str:
        values = ", ".join(_value(self.field, value) for value in self.values)
        return f"{self.field} {'in' if self.inside else 'not in'} ({values})"


@dataclass(frozen=True, slots=True)
class Ago:
    """An instant more (`>`) or less (`<`) than a stretch of days before now."""

    field: str
    operator: str
    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {_stretch(self.count, self.unit)} ago"


@dataclass(frozen=True, slots=True)
class Within:
    """An instant no longer ago than a stretch of days, and not to come."""

    field: str
    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.field} within {_stretch(self.count, self.unit)}"


@dataclass(frozen=True, slots=True)
class Dated:
    """An instant `before`, `on` or `after` a day of UTC."""

    field: str
    operator: str
    day: date

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.day.isoformat()}"


@dataclass(frozen=True, slots=True)
class Ever:
    """An instant that there is."""

    field: str

    def __str__(self) -> str:
        return f"{self.field} ever"


@dataclass(frozen=True, slots=True)
class Numbered:
    """A number beside another."""

    field: str
    operator: str
    number: int

    def __str__(self) -> str:
        return f"{self.field} {self.operator} {self.number}"


@dataclass(frozen=True, slots=True)
class Silent:
    """No human sign of life in so many issues in a row; `opened` is its opposite.

    Who got fewer issues than that has not been silent for so long. `opened` is the word people look
    for; an image that loads is no sign of life, a click is.
    """

    issues: int
    opened: bool = False

    def __str__(self) -> str:
        noun = "issue" if self.issues == 1 else "issues"
        return f"{'opened last' if self.opened else 'silent for'} {self.issues} {noun}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A fact that holds or does not."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Not:
    """Everybody else."""

    rule: Rule

    def __str__(self) -> str:
        return f"not {_inside(self.rule)}"


@dataclass(frozen=True, slots=True)
class And:
    """Those of whom all of two or more rules hold."""

    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return " and ".join(map(_inside, self.rules))


@dataclass(frozen=True, slots=True)
class Or:
    """Those of whom one of two or more rules holds."""

    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return " or ".join(map(_inside, self.rules))


Term: TypeAlias = Compared | Listed | Ago | Within | Dated | Ever | Numbered | Silent | Flag
Rule: TypeAlias = Term | Not | And | Or


def _inside(rule: Rule) -> str:
    return f"({rule})" if isinstance(rule, And | Or) else str(rule)


def _value(field: str, value: str) -> str:
    if value in FIELDS[field].choices:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _stretch(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
