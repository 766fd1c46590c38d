"""Ship or skip in the mail, the link that only machines find, and what readers said last week."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import issue_views as views
import pytest
from quality_cases import RENDERER
from test_quality import shipped

from newsletter.editorial.livecheck import live_findings
from newsletter.rendering import links, snapshot
from newsletter.rendering.quality import check
from newsletter.rendering.quality.anatomy import dissect
from newsletter.rendering.rendered import Link, RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.view import (
    ComparisonView,
    CorrectedView,
    HeardComparisonView,
    HeardToolView,
    HeardView,
    IssueView,
    PageView,
)
from newsletter.tracking import links as tracked_links

pytestmark = pytest.mark.slow

BASE = views.PUBLICATION.url
ISSUE = RENDERER.issue(views.issue_view())


def heard(*comparisons: ComparisonView) -> HeardView:
    return HeardView(
        issue=6,
        day=date(2026, 11, 17),
        counted_on=date(2026, 11, 23),
        comparisons=tuple(_heard(one) for one in comparisons),
    )


def _heard(one: ComparisonView) -> HeardComparisonView:
    left, right = (HeardToolView(tool.name, tool.panel, tool.community) for tool in one.tools)
    return HeardComparisonView(one.title, one.url, (left, right))


def correction() -> RenderedIssue:
    corrected = CorrectedView("Ship it", date(2026, 11, 17), (PageView("A page", f"{BASE}/x"),))
    view = replace(views.issue_view((), intro="It was wrong."), corrected=corrected)
    return RENDERER.issue(view)


@pytest.mark.parametrize("comparison", views.COMPARISONS)
def test_every_tool_has_a_ship_and_a_skip_in_both_parts(comparison: ComparisonView) -> None:
    for tool in comparison.tool_slugs:
        for verdict in ("ship", "skip"):
            way = f"/{comparison.slug}/{tool}/{verdict}"
            assert ISSUE.html.count(f'"{BASE}/vote/{HTML_PLACEHOLDERS[Slot.VOTE]}{way}"') == 1
            assert f"\n{BASE}/vote/{TEXT_PLACEHOLDERS[Slot.VOTE]}{way}\n" in ISSUE.text


def test_a_vote_is_a_word_to_press_forty_four_pixels_high() -> None:
    found = [one for one in dissect(ISSUE.html).shown if "/vote/" in one.attributes.get("href", "")]
    assert {one.words for one in found} == {"Ship", "Skip"}
    assert len(found) == 4 * len(views.COMPARISONS)
    assert all("padding:12px" in one.style for one in found)
    assert "tap-size" not in {finding.rule for finding in ISSUE.findings}


def test_tools_whose_names_look_alike_have_addresses_of_their_own() -> None:
    left, right = views.DRAFTS.tools
    alike = replace(views.DRAFTS, tools=(replace(left, name="C"), replace(right, name="C++")))
    assert alike.tool_slugs == ("c", "c-2")
    assert replace(alike, tools=(replace(left, name="כותב"), right)).tool_slugs[0] == "tool-1"
    rendered = RENDERER.issue(views.issue_view((alike,)))
    assert len(set(re.findall(r"/vote/[^\"]+", rendered.html))) == 4


def test_votes_are_no_tracked_links() -> None:
    assert not [link for link in ISSUE.links if "/vote/" in link.url]


def test_a_vote_on_what_is_not_in_the_issue_is_found() -> None:
    wrong = ISSUE.html.replace(f"/{views.DRAFTS.slug}/draftline-pro/", "/elsewhere/draftline-pro/")
    spoiled = replace(ISSUE, html=wrong)
    found = check(spoiled, views.issue_view())
    assert "link-unregistered" in {finding.rule for finding in found}


def test_the_shipped_issue_stays_under_ninety_thousand_bytes_with_last_weeks_votes() -> None:
    view = replace(views.issue_view(shipped()), heard=heard(*shipped()))
    rendered = RENDERER.issue(view)
    assert rendered.findings == ()
    assert rendered.html_bytes < 90_000


def test_both_floors_know_the_canary_by_one_name() -> None:
    assert links.CANARY == tracked_links.CANARY


@pytest.mark.parametrize("rendered", [ISSUE, correction()], ids=["weekly", "correction"])
def test_the_canary_is_one_element_that_nobody_comes_to(rendered: RenderedIssue) -> None:
    (link,) = [one for one in rendered.links if one.label == links.CANARY]
    assert link.url == f"{BASE}/issues/2026-w48"
    way = f"/c/{HTML_PLACEHOLDERS[Slot.DELIVERY]}/{link.n}"
    (found,) = [
        one
        for one in dissect(rendered.html).elements
        if one.attributes.get("href", "").endswith(way)
    ]
    assert found.hidden
    assert found.attributes["aria-hidden"] == "true"
    assert found.attributes["tabindex"] == "-1"
    assert found.words == ""
    assert f"/c/{TEXT_PLACEHOLDERS[Slot.DELIVERY]}/{link.n}\n" not in rendered.text
    assert not [one for one in rendered.findings if one.severity == "error"]


def test_a_page_called_canary_is_a_page() -> None:
    renamed = replace(views.SEED, title=links.CANARY)
    rendered = RENDERER.issue(views.issue_view((renamed,)))
    assert [one.label for one in rendered.links] == ["canary (page)", "canary"]


def test_nobody_asks_the_web_whether_the_canary_is_alive() -> None:
    assert live_findings([Link(1, "http://127.0.0.1:9/none", links.CANARY)]) == ()


def test_what_readers_said_stands_beside_the_panel_in_both_parts() -> None:
    rendered = RENDERER.issue(replace(views.issue_view(), heard=heard(views.DRAFTS)))
    shown = " ".join(dissect(rendered.html).words.split())
    assert "What readers said" in shown
    assert "Draftline Pro 75% 62% of 412" in shown
    assert re.search(r"Draftline Pro +panel +75% +readers +62% of 412", rendered.text)
    assert "17 November 2026" in shown
    assert not [one for one in rendered.findings if one.severity == "error"]


def test_a_tool_without_a_vote_has_none_and_not_nought_per_cent() -> None:
    left, right = views.DRAFTS.tools
    half = replace(views.DRAFTS, tools=(left, replace(right, community=None)))
    rendered = RENDERER.issue(replace(views.issue_view((views.SEED,)), heard=heard(half)))
    assert "Papermill &amp; Co.</th>" in rendered.html
    row = rendered.html.partition("Papermill &amp; Co.</th>")[2].partition("</tr>")[0]
    assert "No votes yet" in row
    assert "0%" not in row.replace("50%", "")


@pytest.mark.parametrize("told", [None, heard()])
def test_where_nobody_voted_nothing_is_said(told: HeardView | None) -> None:
    rendered = RENDERER.issue(replace(views.issue_view(), heard=told))
    assert "What readers said" not in rendered.html + rendered.text
    assert rendered.sha256 == ISSUE.sha256


def test_what_was_heard_outlives_a_snapshot() -> None:
    view: IssueView = replace(views.issue_view(), heard=heard(*views.COMPARISONS))
    stored = snapshot.to_json(view)
    assert snapshot.view_of(stored) == view
    assert snapshot.heard_of(stored) == view.heard
    del stored["heard"]  # of a version before votes
    assert snapshot.heard_of(stored) is None
    assert snapshot.view_of(stored).heard is None


def test_votes_and_answers_are_mirrored_from_right_to_left() -> None:
    arabic = replace(views.PUBLICATION, language="ar")
    view = replace(views.issue_view(publication=arabic), heard=heard(views.DRAFTS))
    rendered = RENDERER.issue(view)
    assert "padding:12px 0 12px 18px" in rendered.html
    assert "padding:12px 18px 12px 0" not in rendered.html
    assert not [one for one in rendered.findings if one.severity == "error"]
