"""From comparisons to what the templates see."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from newsletter.editorial.content_model import Comparison, Take, Tool
from newsletter.editorial.tallies import Tally
from newsletter.errors import RefusedError
from newsletter.rendering.view import (
    ComparisonView,
    CorrectionView,
    TakeView,
    ToolView,
    VoteView,
)
from newsletter.store.states import ComparisonState

NO_TALLIES: Mapping[str, Tally] = MappingProxyType({})


def comparison_view(
    comparison: Comparison, *, public_url: str, tallies: Mapping[str, Tally] = NO_TALLIES
) -> ComparisonView:
    """The view of a finished comparison, its page under `public_url` (no trailing slash needed).

    tallies: of the readers' votes, by the tools' slugs; what the file brings from elsewhere is
    added to those that are believed. Raises RefusedError for a draft: it may have blanks.
    """
    if comparison.status is ComparisonState.DRAFT or comparison.prices_as_of is None:
        raise RefusedError(
            f"{comparison.slug} is still a draft",
            hint="fill in its file, write `status: finished`, and import it again",
        )
    left, right = (
        _tool_view(tool, tallies.get(slug))
        for tool, slug in zip(comparison.tools, comparison.tool_slugs, strict=True)
    )
    return ComparisonView(
        slug=comparison.slug,
        title=comparison.title,
        deck=comparison.deck,
        verdict=comparison.verdict,
        url=f"{public_url.rstrip('/')}/comparisons/{comparison.slug}",
        prices_as_of=comparison.prices_as_of,
        sample=comparison.sample,
        tools=(left, right),
        corrections=tuple(CorrectionView(one.on, one.text) for one in comparison.corrections),
    )


def _tool_view(tool: Tool, tally: Tally | None) -> ToolView:
    return ToolView(
        name=tool.name,
        category=tool.category,
        tagline=tool.tagline,
        description=tool.description,
        entry_price=tool.entry_price,
        price_note=tool.price_note,
        community=_community(tool, tally),
        takes=tuple(_take_view(take) for take in tool.takes),
    )


def _community(tool: Tool, tally: Tally | None) -> VoteView | None:
    """None until there is a vote that counts."""
    elsewhere = tool.community
    ship, skip = (tally.ship, tally.skip) if tally else (0, 0)
    if elsewhere is not None:
        ship, skip = ship + elsewhere.ship, skip + elsewhere.skip
    return VoteView(ship, skip) if ship + skip else None


def _take_view(take: Take) -> TakeView:
    return TakeView(
        reviewer=take.reviewer.role,
        question=take.reviewer.question,
        verdict=take.verdict,
        quote=take.quote,
        excerpt=take.excerpt,
    )
