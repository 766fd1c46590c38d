"""A comparison as a value: what an editor's file becomes, and what the store keeps of it.

Everything here is whole by the time it exists: `content.load_comparison` has checked it against the
limits of `content_schema`. A draft may still have blanks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from newsletter.errors import StoreError
from newsletter.rendering.view import Verdict, percent
from newsletter.slugs import slug_of, tool_slugs
from newsletter.store.states import ComparisonState


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A panel member: `key` in files and rows, `role` and `question` on pages."""

    key: str
    role: str
    question: str


@dataclass(frozen=True, slots=True)
class Votes:
    """The community's votes as stated in the file; at least one."""

    ship: int
    skip: int


@dataclass(frozen=True, slots=True)
class Take:
    """One reviewer on one tool; `excerpt` is edited: at most 160 characters, ends as a sentence."""

    reviewer: Reviewer
    verdict: Verdict
    quote: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Tool:
    """One of the two, with its takes in the order of the reviewers."""

    name: str
    category: str
    tagline: str
    description: str
    entry_price: str
    price_note: str
    community: Votes | None
    takes: tuple[Take, ...]

    @property
    def panel(self) -> int:
        """Panel ship per cent, 0 to 100; 0 while there is no take."""
        return percent(sum(take.verdict is Verdict.SHIP for take in self.takes), len(self.takes))


@dataclass(frozen=True, slots=True)
class Correction:
    """What was wrong and is right now, in one sentence, and the day it was put right."""

    on: date
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tools judged side by side. `prices_as_of` is None only in a draft."""

    title: str
    deck: str
    verdict: str
    status: ComparisonState  # draft or finished: a file never says published
    prices_as_of: date | None
    sample: bool
    tools: tuple[Tool, Tool]
    corrections: tuple[Correction, ...] = ()

    @property
    def slug(self) -> str:
        return slug_of(self.title)

    @property
    def tool_slugs(self) -> tuple[str, str]:
        """How the two tools are called in addresses and in the store of votes."""
        left, right = tool_slugs([tool.name for tool in self.tools])
        return left, right

    @property
    def panel(self) -> tuple[int, int]:
        """Panel ship per cent of both tools, derived from the takes."""
        return self.tools[0].panel, self.tools[1].panel

    @property
    def gap(self) -> int:
        """Panel gap in percentage points, 0 to 100."""
        return abs(self.panel[0] - self.panel[1])

    @property
    def sha256(self) -> str:
        """Of the canonical JSON of the body: sorted keys, no spaces, UTF-8."""
        canonical = json.dumps(
            self.to_body(), sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_body(self) -> dict[str, Any]:
        """JSON-able and self-contained: reviewers' roles and questions are in it."""
        body: dict[str, Any] = {
            "slug": self.slug,
            "title": self.title,
            "deck": self.deck,
            "verdict": self.verdict,
            "status": str(self.status),
            "prices_as_of": None if self.prices_as_of is None else self.prices_as_of.isoformat(),
            "sample": self.sample,
            "tools": [_tool_body(tool) for tool in self.tools],
        }
        if self.corrections:
            body["corrections"] = [
                {"on": one.on.isoformat(), "text": one.text} for one in self.corrections
            ]
        return body

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Comparison:
        """What `to_body` wrote. Raises StoreError where the body is not one."""
        try:
            return _comparison_from(body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"a stored comparison cannot be read: {error!r}",
                hint="run `newsletter db check`, or import its file again",
            ) from error


def _tool_body(tool: Tool) -> dict[str, Any]:
    votes = tool.community
    return {
        "name": tool.name,
        "category": tool.category,
        "tagline": tool.tagline,
        "description": tool.description,
        "entry_price": tool.entry_price,
        "price_note": tool.price_note,
        "community": None if votes is None else {"ship": votes.ship, "skip": votes.skip},
        "takes": [
            {
                "reviewer": take.reviewer.key,
                "role": take.reviewer.role,
                "question": take.reviewer.question,
                "verdict": str(take.verdict),
                "quote": take.quote,
                "excerpt": take.excerpt,
            }
            for take in tool.takes
        ],
    }


def _comparison_from(body: dict[str, Any]) -> Comparison:
    left, right = (_tool_from(tool) for tool in body["tools"])
    as_of = body["prices_as_of"]
    return Comparison(
        title=body["title"],
        deck=body["deck"],
        verdict=body["verdict"],
        status=ComparisonState(body["status"]),
        prices_as_of=None if as_of is None else date.fromisoformat(as_of),
        sample=body["sample"],
        tools=(left, right),
        corrections=tuple(
            Correction(on=date.fromisoformat(one["on"]), text=one["text"])
            for one in body.get("corrections", ())
        ),
    )


def _tool_from(body: dict[str, Any]) -> Tool:
    votes = body["community"]
    return Tool(
        name=body["name"],
        category=body["category"],
        tagline=body["tagline"],
        description=body["description"],
        entry_price=body["entry_price"],
        price_note=body["price_note"],
        community=None if votes is None else Votes(ship=votes["ship"], skip=votes["skip"]),
        takes=tuple(_take_from(take) for take in body["takes"]),
    )


def _take_from(body: dict[str, Any]) -> Take:
    return Take(
        reviewer=Reviewer(key=body["reviewer"], role=body["role"], question=body["question"]),
        verdict=Verdict(body["verdict"]),
        quote=body["quote"],
        excerpt=body["excerpt"],
    )
