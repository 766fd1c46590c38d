"""The panel: `reviewers.yaml`, in the order in which its takes are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from newsletter.editorial.content_files import read_text
from newsletter.editorial.content_model import Reviewer
from newsletter.editorial.content_schema import Line
from newsletter.editorial.content_yaml import Document, field_name, read_yaml
from newsletter.errors import ContentError, Problem


class _ReviewerEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    role: Annotated[Line, Field(min_length=1, max_length=40)]
    question: Annotated[Line, Field(min_length=1, max_length=80)]


class _Panel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reviewers: Annotated[list[_ReviewerEntry], Field(min_length=1, max_length=12)]


def load_reviewers(path: Path) -> tuple[Reviewer, ...]:
    """The panel in its order. Raises ContentError with every fault in the file."""
    document = read_yaml(read_text(path), file=path)
    problems = list(document.problems)
    panel: list[Reviewer] = []
    try:
        entries = _Panel.model_validate(document.data).reviewers
        panel = [Reviewer(entry.key, entry.role, entry.question) for entry in entries]
    except ValidationError as error:
        problems += [_problem(detail, document, path) for detail in error.errors()]
    problems += _doubled(panel, document, path)
    if problems:
        raise ContentError(problems)
    return tuple(panel)


def _problem(detail: Any, document: Document, path: Path) -> Problem:
    context = detail.get("ctx", {})
    what = context.get("what") or str(detail["msg"]).lower()
    hint = (
        context.get("hint") or "write under `reviewers:` entries of `- key:`, `role:`, `question:`"
    )
    place = detail["loc"]
    return Problem(path, document.line(place), field_name(place), what, hint)


def _doubled(panel: list[Reviewer], document: Document, path: Path) -> list[Problem]:
    problems = []
    for name in ("key", "role"):
        values = [getattr(reviewer, name) for reviewer in panel]
        for n, value in enumerate(values):
            if value in values[:n]:
                place = ("reviewers", n, name)
                what = f"{value!r} is another reviewer's {name}, too"
                line = document.line(place)
                problems.append(Problem(path, line, field_name(place), what, "give each their own"))
    return problems
