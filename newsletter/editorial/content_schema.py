"""The front matter of a comparison's file: its keys, their limits, and the JSON Schema of both.

The same models check files and complete them in an editor's window. Lengths count characters.
A draft may leave most of it blank; `FINISHED_KEYS` and `FINISHED_TOOL_KEYS` name what a finished
comparison must not.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from newsletter.editorial.content_text import EXCERPT_CHARS, forbidden_character, sentence_fault

CORRECTION_CHARS = 200
MOST_CORRECTIONS = 20

FINISHED_KEYS = ("deck", "verdict", "prices_as_of", "panel")
FINISHED_TOOL_KEYS = ("category", "tagline", "description", "entry_price", "community")

SCHEMA_FILE = "comparison.schema.json"


def fault(what: str, hint: str) -> PydanticCustomError:
    """A fault in our own words; the reader of the front matter finds both in its context."""
    return PydanticCustomError("editor", "{what}", {"what": what, "hint": hint})


def _blank_is_empty(value: Any) -> Any:
    return "" if value is None else value


def _one_line(value: str) -> str:
    if "\n" in value:
        raise fault("has more than one line", "write one paragraph; start it with `>-` to wrap it")
    if found := forbidden_character(value):
        raise fault(f"holds {found}", "delete it, or type the text again by hand")
    return value


def _header_safe(value: str) -> str:
    if "=?" in value:
        raise fault("holds `=?`, which mail programs read as encoding", "write it without `=?`")
    return value


def _sentence(value: str) -> str:
    if value and (what := sentence_fault(value)):
        raise fault(what, "end it with a full stop, a question mark or an exclamation mark")
    return value


def _votes(value: Any) -> Any:
    if value == "none":
        return None
    if not isinstance(value, dict):
        raise fault("is neither `none` nor counts", "write `none`, or {ship: 12, skip: 3}")
    if value.get("ship") == 0 == value.get("skip"):
        raise fault("counts no vote at all", "write `none`: no votes is not 0 %")
    return value


class _Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )


Line = Annotated[str, BeforeValidator(_blank_is_empty), AfterValidator(_one_line)]
Name = Annotated[Line, AfterValidator(_header_safe)]
Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class VoteCounts(_Entry):
    """Readers' votes for one tool."""

    ship: Count = Field(description="How many readers would ship it.", examples=[412])
    skip: Count = Field(description="How many would skip it.", examples=[97])


_VOTES_SCHEMA = {
    "anyOf": [{"const": "none"}, VoteCounts.model_json_schema()],
    "description": "The community vote: `none`, or counts of ship and skip.",
    "examples": ["none", {"ship": 412, "skip": 97}],
}


class ToolEntry(_Entry):
    """One of the two tools."""

    name: Name = Field(
        min_length=1,
        max_length=80,
        description="As its makers write it; the headings of its takes repeat it.",
        examples=["Mistral 8B Instruct v3"],
    )
    category: Line = Field(
        default="", max_length=60, description="As on the page.", examples=["Developer Tools"]
    )
    tagline: Line = Field(
        default="", max_length=200, description="One line under the name.", examples=["Apache 2.0."]
    )
    description: Line = Field(
        default="",
        max_length=2_000,
        description="One paragraph: what it is, for whom, under which terms.",
        examples=["An 8B model under Apache 2.0."],
    )
    entry_price: Line = Field(
        default="",
        max_length=60,
        description="The least one pays to start, in the makers' own currency.",
        examples=["Free", "$12/mo", "€9.50 a seat"],
    )
    price_note: Line = Field(
        default="",
        max_length=80,
        description="What to know about that price; may be left out.",
        examples=["research licence only"],
    )
    community: Annotated[
        VoteCounts | None, BeforeValidator(_votes), WithJsonSchema(_VOTES_SCHEMA)
    ] = Field(default=None, examples=["none"])


class CorrectionEntry(_Entry):
    """A mistake put right; readers of the issue that had it are told once, with the next one."""

    on: date = Field(description="The day it was put right.", examples=["2026-11-21"])
    text: Annotated[Line, AfterValidator(_sentence)] = Field(
        min_length=1,
        max_length=CORRECTION_CHARS,
        description="What was wrong and what is right, in one sentence.",
        examples=["The entry price is $12 a month, not $9."],
    )


class FrontMatter(_Entry):
    """The front matter of one comparison."""

    title: Name = Field(
        min_length=1,
        max_length=200,
        description="Both names. The file is called after it, in lower-case ASCII with hyphens.",
        examples=["Draftline vs Foolscap"],
    )
    deck: Line = Field(
        default="",
        max_length=300,
        description="What the page promises, under the title.",
        examples=["Which one should you ship with?"],
    )
    verdict: Annotated[Line, AfterValidator(_sentence)] = Field(
        default="",
        max_length=EXCERPT_CHARS,
        description="Our reason in one sentence: why this one, or why neither.",
        examples=["Same price, but only one may go into production."],
    )
    status: Literal["draft", "finished"] = Field(
        description="finished: it may go into an issue. draft: it may still have blanks.",
        examples=["draft"],
    )
    prices_as_of: date | None = Field(
        default=None, description="The day both prices were looked up.", examples=["2026-11-20"]
    )
    sample: bool = Field(
        default=False,
        description="true: invented, for the demo. Exactly the files under samples/ say so.",
        examples=[True],
    )
    panel: Annotated[list[Percent], Field(min_length=2, max_length=2)] | None = Field(
        default=None,
        description="Panel ship per cent of both tools; must agree with the takes below.",
        examples=[[50, 100]],
    )
    tools: Annotated[list[ToolEntry], Field(min_length=2, max_length=2)] = Field(
        description="The two tools, left and right."
    )
    corrections: list[CorrectionEntry] = Field(
        default_factory=list,
        max_length=MOST_CORRECTIONS,
        description="What was put right since it was published, oldest first; may be left out.",
        examples=[[{"on": "2026-11-21", "text": "The entry price is $12 a month, not $9."}]],
    )


def comparison_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the front matter, for completion while writing."""
    schema = FrontMatter.model_json_schema()
    tool = schema["$defs"]["ToolEntry"]
    tool["properties"]["community"].pop("default")  # a blank is not `none`: nobody has looked yet
    finished_tool = {"items": {"required": list(FINISHED_TOOL_KEYS)}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Comparison",
        "if": {"properties": {"status": {"const": "finished"}}},
        "then": {"required": list(FINISHED_KEYS), "properties": {"tools": finished_tool}},
    }
