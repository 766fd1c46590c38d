"""What the weekly mail says changed: which differences are news, and how they read."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import date

import issue_views as views
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editorial.changes import compare
from newsletter.rendering.render import Renderer
from newsletter.rendering.slots import HTML_PLACEHOLDERS, Slot, neutral
from newsletter.rendering.verdicts import headline, isolated
from newsletter.rendering.view import (
    ChangeView,
    ComparisonView,
    CorrectionView,
    IssueView,
    ToolView,
    Verdict,
)

RENDERER = Renderer()
DAY = date(2026, 11, 17)
WRONG_PRICE = CorrectionView(date(2026, 11, 21), "The entry price is $12 a month, not $9.")
NO_LOG = CorrectionView(date(2026, 11, 20), "It keeps a log; the take said it does not.")
FLIPPED = ChangeView(
    slug="draftline-vs-foolscap",
    title="Draftline vs Foolscap & <Daughters>",
    url="https://verdicts.example.com/comparisons/draftline-vs-foolscap",
    day=DAY,
    was="Ship Draftline over Foolscap, 75% to 50%.",
    now="Ship Foolscap over Draftline, 75% to 50%.",
    corrections=(WRONG_PRICE,),
)


def said(tool: ToolView, verdicts: str) -> ToolView:
    """The tool with its takes' verdicts as `+--+`."""
    takes = tuple(
        replace(take, verdict=Verdict.SHIP if mark == "+" else Verdict.SKIP)
        for take, mark in zip(tool.takes, verdicts, strict=True)
    )
    return replace(tool, takes=takes)


def panel(left: str, right: str) -> ComparisonView:
    one, other = views.DRAFTS.tools
    return replace(views.DRAFTS, tools=(said(one, left), said(other, right)))


def words(markup: str) -> list[str]:
    """The words a reader sees: the hidden preheader and the head left out."""
    body = markup.partition("<body")[2]
    body = re.sub(r'<div style="display:none.*?</div>', " ", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", " ", body, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", f"<body{body}")).split()


def with_changes(*changes: ChangeView) -> IssueView:
    return replace(views.issue_view(), changes=changes)


def test_a_flipped_verdict_says_what_it_was_and_what_it_is_now() -> None:
    change = compare(panel("+++-", "+---"), panel("+---", "+++-"), day=DAY)
    assert change is not None
    assert change.was == "Ship Draftline Pro over Papermill & Co., 75% to 25%."
    assert change.now == "Ship Papermill & Co. over Draftline Pro, 75% to 25%."
    assert (change.day, change.slug, change.url) == (DAY, views.DRAFTS.slug, views.DRAFTS.url)


def test_other_figures_under_the_same_winner_are_news() -> None:
    change = compare(panel("+++-", "+---"), panel("++++", "+---"), day=DAY)
    assert change is not None
    assert (change.was.rpartition(", ")[2], change.now.rpartition(", ")[2]) == (
        "75% to 25%.",
        "100% to 25%.",
    )


@pytest.mark.parametrize(
    "after",
    [
        replace(panel("+++-", "+---"), verdict="Another reason for the same verdict."),
        replace(panel("+++-", "+---"), prices_as_of=date(2026, 11, 22)),
        panel("++-+", "---+"),
        replace(
            panel("+++-", "+---"),
            tools=(
                replace(panel("+++-", "+---").tools[0], name="Draftline PRO", entry_price="$13"),
                panel("+++-", "+---").tools[1],
            ),
        ),
    ],
)
def test_what_leaves_the_verdict_standing_is_no_news(after: ComparisonView) -> None:
    assert compare(panel("+++-", "+---"), after, day=DAY) is None


def test_only_corrections_a_reader_has_not_seen_are_told_by_their_day() -> None:
    before = replace(panel("+++-", "+---"), corrections=(WRONG_PRICE,))
    later = CorrectionView(date(2026, 11, 30), "The licence is MIT.")
    after = replace(before, corrections=(WRONG_PRICE, later, NO_LOG))
    change = compare(before, after, day=DAY)
    assert change is not None
    assert (change.was, change.now) == ("", "")
    assert change.corrections == (NO_LOG, later)
    assert compare(after, after, day=DAY) is None


def test_a_withdrawn_correction_is_no_news() -> None:
    before = replace(panel("+++-", "+---"), corrections=(WRONG_PRICE,))
    assert compare(before, panel("+++-", "+---"), day=DAY) is None


@given(st.text("+-", min_size=4, max_size=4), st.text("+-", min_size=4, max_size=4))
def test_was_and_now_are_the_headlines_of_both(left: str, right: str) -> None:
    before, after = panel("+++-", "+---"), panel(left, right)
    change = compare(before, after, day=DAY)
    same = (left.count("+"), right.count("+")) == (3, 1)
    assert (change is None) is same
    if change is not None:
        assert change.now == headline(after).in_figures != change.was


def test_a_change_stands_in_both_parts_with_a_tracked_link_to_its_page() -> None:
    rendered = RENDERER.issue(with_changes(FLIPPED))
    shown, text = " ".join(words(rendered.html)), " ".join(rendered.text.split())
    for part in (shown, text):
        for told in ("What changed", FLIPPED.title, FLIPPED.was, FLIPPED.now, WRONG_PRICE.text):
            assert told in part
        assert "17 November 2026" in part
        assert "21 November 2026" in part
    (link,) = [link for link in rendered.links if link.url == FLIPPED.url]
    assert f"/c/{HTML_PLACEHOLDERS[Slot.DELIVERY]}/{link.n}" in rendered.html
    assert not [found for found in rendered.findings if found.severity == "error"]


def test_a_correction_alone_claims_no_other_verdict() -> None:
    told = replace(FLIPPED, was="", now="")
    rendered = RENDERER.issue(with_changes(told))
    assert "Was:" not in rendered.text
    assert "Now:" not in rendered.text
    assert ">Was<" not in rendered.html
    assert WRONG_PRICE.text in " ".join(rendered.text.split())


def test_without_a_change_nothing_is_said_of_changes() -> None:
    rendered = RENDERER.issue(views.issue_view())
    assert "What changed" not in rendered.html
    assert "What changed" not in rendered.text


def test_changes_come_after_this_weeks_verdicts_and_before_its_lead() -> None:
    rendered = RENDERER.issue(with_changes(FLIPPED))
    marks = ("The verdicts", "What changed", "Same price, different")
    for part in (rendered.html, rendered.text):
        places = [part.index(mark) for mark in marks]
        assert places == sorted(places)


@pytest.mark.parametrize("intro", [None, "A word from the editor. " * 40])
@pytest.mark.parametrize("comparisons", [views.COMPARISONS, (views.SEED,)])
def test_the_first_fifty_words_hold_the_leads_verdict_and_figures(
    intro: str | None, comparisons: tuple[ComparisonView, ...]
) -> None:
    rendered = RENDERER.issue(views.issue_view(comparisons, intro=intro))
    first = headline(comparisons[0])
    shown = neutral(rendered.html, {Slot.NAME: " Priya"})
    for part in (words(shown), rendered.text.split()):
        opening = " ".join(part[:50])
        for fact in (first.first.name, first.second.name, f"{first.first.panel}%"):
            assert fact in opening
        assert f"{first.second.panel}%" in opening


def test_an_editors_intro_is_kept_whole_below_the_verdicts() -> None:
    rendered = RENDERER.issue(views.issue_view(intro="First thing.\n\nSecond thing."))
    for part in (rendered.html, rendered.text):
        assert part.index("The verdicts") < part.index("First thing.") < part.index("Second thing.")


def test_a_name_from_right_to_left_takes_no_figure_along() -> None:
    tool = replace(views.DRAFTS.tools[0], name="כותב")
    hebrew = replace(views.DRAFTS, tools=(tool, views.DRAFTS.tools[1]))
    assert headline(hebrew).in_figures.startswith("Ship \u2068כותב\u2069 over Papermill & Co., ")
    assert isolated("Draftline Pro") == "Draftline Pro"


def test_a_mail_from_right_to_left_is_mirrored_but_its_prices_keep_their_way() -> None:
    hebrew = replace(views.PUBLICATION, language="he")
    rendered = RENDERER.issue(replace(views.issue_view(publication=hebrew), changes=(FLIPPED,)))
    assert "direction:ltr" not in rendered.html
    assert "border-left:4px" not in rendered.html
    assert "border-right:4px" in rendered.html
    assert re.search(r'<td[^>]*align="left"[^>]*>100%', rendered.html)
    assert re.search(r'<b\b[^>]*dir="auto"[^>]*>\$12/mo', rendered.html)
    left_to_right = RENDERER.issue(with_changes(FLIPPED)).html
    assert 'dir="auto"' not in left_to_right
    assert "direction:rtl" not in left_to_right
