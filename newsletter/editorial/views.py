"""From comparisons to what the templates see."""

from __future__ import annotations

from newsletter.editorial.content_model import Comparison, Take, Tool
from newsletter.errors import RefusedError
from newsletter.rendering.view import (
    ComparisonView,
    CorrectionView,
    TakeView,
    ToolView,
    VoteView,
)
from newsletter.store.states import ComparisonState


def comparison_view(comparison: Comparison, *, public_url: str) -> ComparisonView:
    """The view of a finished comparison, its page under `public_url` (no trailing slash needed).

    Raises RefusedError for a draft: it may have blanks.
    """
    if comparison.status is ComparisonState.DRAFT or comparison.prices_as_of is None:
        raise RefusedError(
            f"{comparison.slug} is still a draft",
            hint="fill in its file, write `status: finished`, and import it again",
        )
    left, right = comparison.tools
    return ComparisonView(
        slug=comparison.slug,
        title=comparison.title,
        deck=comparison.deck,
        verdict=comparison.verdict,
        url=f"{public_url.rstrip('/')}/comparisons/{comparison.slug}",
        prices_as_of=comparison.prices_as_of,
        sample=comparison.sample,
        tools=(_tool_view(left), _tool_view(right)),
        corrections=tuple(CorrectionView(one.on, one.text) for one in comparison.corrections),
    )


def _tool_view(tool: Tool) -> ToolView:
    votes = tool.community
    return ToolView(
        name=tool.name,
        category=tool.category,
        tagline=tool.tagline,
        description=tool.description,
        entry_price=tool.entry_price,
        price_note=tool.price_note,
        community=None if votes is None else VoteView(ship=votes.ship, skip=votes.skip),
        takes=tuple(_take_view(take) for take in tool.takes),
    )


def _take_view(take: Take) -> TakeView:
    return TakeView(
        reviewer=take.reviewer.role,
        question=take.reviewer.question,
        verdict=take.verdict,
        quote=take.quote,
        excerpt=take.excerpt,
    )
