"""The gate's cost beside one render of the same issue.

Absolute figures drift fourfold on a shared machine: they are printed, and only a ratio asserted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from timing import in_turns, seconds

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the views by hand live there

import issue_views as views

from newsletter.rendering import quality
from newsletter.rendering.quality.anatomy import dissect
from newsletter.rendering.render import Renderer

pytestmark = pytest.mark.slow


ROUNDS, MOST = 12, 2.0  # times a render without it; usually less than one


def test_all_the_rules_cost_no_more_than_the_render_they_judge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    renderer, view = Renderer(), views.issue_view()
    rendered = renderer.issue(view)
    results = in_turns(
        ROUNDS,
        lambda: seconds(lambda: quality.check(rendered, view)),
        lambda: seconds(lambda: dissect(rendered.html)),
        lambda: seconds(lambda: renderer.issue(view, checked=False)),
    )
    checked, parsed, alone = map(min, results)
    with capsys.disabled():
        print(
            f"\n  gate: {checked * 1e3:.1f} ms for {len(quality.RULES)} rules on "
            f"{rendered.html_bytes:,} bytes (goal 150), {parsed * 1e3:.1f} ms of it reading"
            f"\n  beside a render without it, {alone * 1e3:.1f} ms: ratio {checked / alone:.2f}"
        )
    assert checked < MOST * alone
