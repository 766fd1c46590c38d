"""The gate's cost beside one render of the same issue.

Absolute figures drift fourfold on a shared machine: they are printed, and only a ratio asserted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the views by hand live there

import issue_views as views

from newsletter.rendering import quality
from newsletter.rendering.quality.anatomy import dissect
from newsletter.rendering.render import Renderer

pytestmark = pytest.mark.slow


def best_seconds(act: Callable[[], object], runs: int = 10) -> float:
    best = float("inf")
    for _ in range(runs):
        start = perf_counter()
        act()
        best = min(best, perf_counter() - start)
    return best


def test_all_the_rules_cost_no_more_than_the_render_they_judge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    renderer, view = Renderer(), views.issue_view()
    rendered = renderer.issue(view)
    checked = best_seconds(lambda: quality.check(rendered, view))
    parsed = best_seconds(lambda: dissect(rendered.html))
    whole = best_seconds(lambda: renderer.issue(view))  # a render includes its check
    alone = whole - checked
    with capsys.disabled():
        print(
            f"\n  gate: {checked * 1e3:.1f} ms for {len(quality.RULES)} rules on "
            f"{rendered.html_bytes:,} bytes (goal 150), {parsed * 1e3:.1f} ms of it reading"
            f"\n  beside a render without it, {alone * 1e3:.1f} ms: ratio {checked / alone:.2f}"
        )
    assert checked < 2 * alone
