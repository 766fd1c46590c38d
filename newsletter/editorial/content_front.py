"""From front matter as values to checked front matter, every fault told with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from newsletter.editorial.content_schema import (
    FINISHED_KEYS,
    FINISHED_TOOL_KEYS,
    CorrectionEntry,
    FrontMatter,
    ToolEntry,
    VoteCounts,
)
from newsletter.editorial.content_text import shown
from newsletter.editorial.content_yaml import Document, Place, field_name
from newsletter.errors import Problem


def check_front(document: Document, *, file: Path) -> tuple[FrontMatter | None, list[Problem]]:
    """The front matter, or None and why; all faults at once."""
    problems = list(document.problems)
    front = None
    try:
        front = FrontMatter.model_validate(document.data)
    except ValidationError as error:
        problems += [_problem(detail, document, file) for detail in error.errors(include_url=False)]
    told = {problem.field for problem in problems}
    problems += [p for p in _blanks(document, file) if p.field not in told]
    return front, problems


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` probably means."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def _blanks(document: Document, file: Path) -> list[Problem]:
    """What a finished comparison still lacks."""
    data = document.data
    if not isinstance(data, dict) or data.get("status") != "finished":
        return []
    places: list[Place] = [(key,) for key in FINISHED_KEYS if _is_blank(data.get(key))]
    tools = data.get("tools")
    for n, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, dict):
            places += [("tools", n, key) for key in FINISHED_TOOL_KEYS if _is_blank(tool.get(key))]
    return [
        Problem(
            file,
            document.line(place),
            field_name(place),
            "is missing, and the comparison says it is finished",
            f"{_example(place)}, or set `status: draft`",
        )
        for place in places
    ]


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _problem(detail: ErrorDetails, document: Document, file: Path) -> Problem:
    place: Place = detail["loc"]
    what, hint = _words(detail, place)
    return Problem(file, document.line(place), field_name(place), what, hint)


def _words(detail: ErrorDetails, place: Place) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    example = _example(place)
    match kind:
        case "editor":
            return str(context["what"]), str(context["hint"])
        case "missing":
            return "is missing", example
        case "extra_forbidden":
            return "is not a key of this file", _known_key(place)
        case "string_type":
            return f"is {_kind(given)}, not text", f'put it in quotes: {place[-1]}: "..."'
        case "string_unicode":
            return "holds half a character, a lone surrogate", "type the text again by hand"
        case "string_too_long":
            most = context["max_length"]
            return f"has {len(given.strip())} characters", f"shorten it to {most} at most"
        case "string_too_short":
            return "is empty", example
        case "literal_error":
            return f"is {shown(repr(given))}", f"write one of: {context['expected']}"
        case "too_short" | "too_long":
            return f"has {context['actual_length']} entries", _how_many(place, context)
        case "greater_than_equal" | "less_than_equal":
            return f"is {shown(repr(given))}", f"write a whole number {_bound(kind, context)}"
        case "int_type":
            return f"is {_kind(given)}", "write a whole number, without quotes or a sign"
        case "bool_type":
            return f"is {_kind(given)}", "write true or false, without quotes"
        case "date_type" | "date_from_datetime_inexact":
            return f"is not a day: {shown(given)}", "write it as 2026-11-20, without quotes"
        case "model_type" | "model_attributes_type":
            return f"is {_kind(given)}, not `key: value` lines", example
        case "list_type":
            return f"is {_kind(given)}, not a list", example
        case _:
            return detail["msg"].lower(), example


def _how_many(place: Place, context: dict[str, Any]) -> str:
    if place == ("corrections",):
        return f"keep {context['max_length']} at most, the newest"
    return f"there are exactly two: {_example(place)}"


def _bound(kind: str, context: dict[str, Any]) -> str:
    return (
        f"of at least {context['ge']}" if kind.startswith("greater") else f"up to {context['le']}"
    )


def _known_key(place: Place) -> str:
    known = list(_model(place[:-1]).model_fields)
    if near := nearest(str(place[-1]), known):
        return f"did you mean `{near}`?"
    return f"delete it; the keys are {', '.join(known)}"


def _example(place: Place) -> str:
    """``write for example `entry_price: Free` ``."""
    if not place or isinstance(place[-1], int):
        return "write " + ", ".join(f"`{name}:`" for name in _model(place).model_fields)
    key = str(place[-1])
    if key == "tools":
        return "write two entries under `tools:`, each beginning with `- name:`"
    if key == "corrections":
        return "write each entry as `- on: 2026-11-21`, and below it `text:`"
    declared = _model(place[:-1]).model_fields.get(key)
    examples = declared.examples if declared is not None else None
    if not examples:
        return "see the files under samples/"
    shown = str(examples[0]).lower() if isinstance(examples[0], bool) else examples[0]
    return f"write for example `{key}: {shown}`"


def _model(place: Place) -> type[BaseModel]:
    if place[:1] == ("corrections",) and len(place) > 1:
        return CorrectionEntry
    if place[:1] == ("tools",) and len(place) > 1:
        return VoteCounts if place[-1] == "community" else ToolEntry
    return FrontMatter


def _kind(value: Any) -> str:
    """`value` in an editor's words."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a group of keys"
        case _:
            return "a date"
