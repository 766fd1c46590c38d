"""What templates see of a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.editorial.content import Comparison, load_all
from newsletter.editorial.views import comparison_view
from newsletter.errors import RefusedError
from newsletter.store.states import ComparisonState

CONTENT = Path(__file__).parents[2] / "content"
PUBLIC_URL = "https://verdicts.example"


def comparisons() -> dict[str, Comparison]:
    return {comparison.slug: comparison for comparison in load_all(CONTENT, samples=True)}


def test_the_view_says_what_the_comparison_says() -> None:
    for comparison in comparisons().values():
        view = comparison_view(comparison, public_url=PUBLIC_URL)
        assert view.url == f"{PUBLIC_URL}/comparisons/{comparison.slug}"
        assert tuple(tool.panel for tool in view.tools) == comparison.panel
        assert view.gap == comparison.gap
        assert view.sample is comparison.sample
        assert view.prices_as_of == comparison.prices_as_of
        for seen, tool in zip(view.tools, comparison.tools, strict=True):
            assert (seen.name, seen.entry_price, seen.price_note) == (
                tool.name,
                tool.entry_price,
                tool.price_note,
            )
            assert [take.quote for take in seen.takes] == [take.quote for take in tool.takes]
            assert [take.question for take in seen.takes] == [
                take.reviewer.question for take in tool.takes
            ]


def test_no_votes_stay_none_and_votes_are_counted() -> None:
    all_views = [comparison_view(c, public_url=PUBLIC_URL) for c in comparisons().values()]
    by_name = {tool.name: tool.community for view in all_views for tool in view.tools}
    assert by_name["Claude Haiku Open Weights"] is None
    votes = by_name["ShipCheck “CI” & Co."]
    assert votes is not None
    assert (votes.ship, votes.skip, votes.percent) == (2318, 402, 85)


def test_a_slash_at_the_end_of_the_public_url_is_not_doubled() -> None:
    comparison = next(iter(comparisons().values()))
    assert "example/comparisons/" in comparison_view(comparison, public_url=PUBLIC_URL + "/").url


def test_a_draft_has_no_view() -> None:
    comparison = next(iter(comparisons().values()))
    for draft in (
        replace(comparison, status=ComparisonState.DRAFT),
        replace(comparison, prices_as_of=None),
    ):
        with pytest.raises(RefusedError, match="still a draft"):
            comparison_view(draft, public_url=PUBLIC_URL)
