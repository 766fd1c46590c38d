"""What the gate understands of words: names, claims, subjects; and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import issue_views as views
import pytest
from quality_cases import (
    GOOD,
    RENDERER,
    VIEW,
    Case,
    content,
    excerpt,
    html,
    left,
    linked,
    preheader,
    rendered,
    ruled,
    subject,
    text,
)

from newsletter.rendering.quality import check
from newsletter.rendering.rendered import Finding


def found(rule: str, case: Case) -> list[Finding]:
    return [one for one in check(*case) if one.rule == rule]


def written(intro: str) -> Case:
    return rendered(views.issue_view(intro=intro))


@pytest.mark.parametrize(
    ("intro", "said"),
    [
        ("I tried Mistral 8b instruct v3, twice.", "Mistral 8b instruct v3"),
        ("Mistral 8B Instructt v3 runs.", "Mistral 8B Instructt v3"),
        ("Querybird shows its work.", "Querybird"),
        ("We like Query Bird.", "Query Bird"),
        ("The Vox Forge Studio voices.", "Vox Forge Studio"),
        ("Draftline-Pro writes.", "Draftline-Pro"),
        ("Draftlien Pro writes.", "Draftlien Pro"),
        ("Draftline pro's export.", "Draftline pro"),
        ("Mistral 8B Instruct v2 is older.", "Mistral 8B Instruct v2"),
    ],
)
def test_a_name_spelled_another_way_is_told_with_its_right_spelling(intro: str, said: str) -> None:
    (one,) = found("tool-name-spelling", written(intro))
    assert one.what.startswith(f"“{said}” is spelled “")
    assert one.place == "intro"


@pytest.mark.parametrize(
    "intro",
    [
        "Mistral 8B Instruct v3's licence, and QueryBird.",
        "Mistral and Haiku at one price; Draftline does the job.",
        "Murmur sounds better.",
        "Papermill & Co. needs another quarter.",
        "A draft line, professionally drawn.",
    ],
)
def test_a_name_to_the_letter_or_cut_short_is_left_alone(intro: str) -> None:
    assert found("tool-name-spelling", written(intro)) == []


def test_a_tool_whose_name_is_a_word_is_told_only_in_capitals() -> None:
    pair = views.comparison(
        "notion-vs-cursor",
        "The notion that a cursor moves itself is old.",
        (
            views.tool("Notion", "Free", views.takes("++++", "A.", "B.", "C.", "D.")),
            views.tool("Cursor", "Free", views.takes("----", "A.", "B.", "C.", "D.")),
        ),
    )
    assert found("tool-name-spelling", rendered(views.issue_view((pair,)))) == []
    capital = views.issue_view((pair,), intro="We liked Motion, no: Notoin.")
    assert [one.what for one in found("tool-name-spelling", rendered(capital))] == [
        "“Notoin” is spelled “Notion” elsewhere"
    ]


@pytest.mark.parametrize(
    "line",
    ["Ship Mistral 8B Instruct v3", "GPT, API or CI?", "Reviewed: two models", "Free! At last."],
)
def test_a_plain_subject_is_left_alone(line: str) -> None:
    rules = {one.rule for one in check(*subject(line))}
    assert not rules & {"subject-reply", "subject-shouting", "subject-loud"}


def test_a_tool_may_carry_marks_in_its_name() -> None:
    loud = replace(views.SEED.tools[1], name="Yes!! AI")
    view = views.issue_view((replace(views.SEED, tools=(views.SEED.tools[0], loud)),))
    assert RENDERER.issue(view).findings == ()


def test_a_tool_may_be_called_todo() -> None:
    named = replace(views.SEED.tools[1], name="TODO 3")
    view = views.issue_view((replace(views.SEED, tools=(views.SEED.tools[0], named)),))
    assert RENDERER.issue(view).findings == ()


def test_a_note_to_oneself_is_told_with_its_field() -> None:
    case = rendered(views.issue_view((replace(views.SEED, verdict="Cheap, price TBD."),)))
    assert [one.place for one in found("words-unfinished", case)] == ["comparisons[0].verdict"]


@pytest.mark.parametrize(
    ("said", "because"),
    [
        ("A downloadable weight file you can run", "does not end as a sentence"),
        ("A downloadable weight file...", "is cut short by dots"),
        ("A downloadable weight file.", "is the quote's beginning, cut within a sentence"),
        ("  ", "has no excerpt"),
    ],
)
def test_an_unedited_excerpt_is_told_with_the_reason(said: str, because: str) -> None:
    (one,) = found("excerpt-unedited", excerpt(said))
    assert because in one.what
    assert one.place == "comparisons[0].tools[0].takes[0].excerpt"


@pytest.mark.parametrize(
    "said",
    [
        "A downloadable weight file you can run locally without an API.",
        "Weights you can run locally: for research, “a genuine unlock.”",
    ],
)
def test_whole_sentences_of_a_quote_are_an_excerpt(said: str) -> None:
    assert found("excerpt-unedited", excerpt(said)) == []


@pytest.mark.parametrize(
    "verdict",
    [
        "Alpha Bravo over Charlie, and by far.",
        "Ship Alpha Bravo.",
        "Skip Charlie.",
        "Alpha Bravo wins.",
        "Charlie costs less than Alpha Bravo.",
        "Nobody would ship both.",
    ],
)
def test_a_claim_that_follows_from_the_panel_is_left_alone(verdict: str) -> None:
    case = ruled(verdict)
    assert found("winner-unfounded", case) == []


@pytest.mark.parametrize(
    ("verdict", "one", "other"),
    [
        ("Charlie beats Alpha Bravo.", "++++", "+---"),
        ("Alpha Bravo beats Charlie.", "++--", "--++"),
        ("Skip Alpha Bravo.", "++++", "+---"),
        ("Ship Charlie.", "++++", "++--"),
        ("Charlie  WINS.", "++++", "+---"),
    ],
)
def test_a_claim_against_the_panel_is_told_with_the_figures(
    verdict: str, one: str, other: str
) -> None:
    (told,) = found("winner-unfounded", ruled(verdict, one, other))
    assert "the panel says" in told.what
    assert told.place == "comparisons[0].verdict"


def test_a_missing_judge_is_named() -> None:
    takes = views.SEED.tools[0].takes
    (one,) = found("panel-incomplete", left(takes=takes[:3]))
    assert "The Founder did not judge Claude Haiku Open Weights" in one.what


def test_an_invented_tools_prices_have_no_age() -> None:
    assert found("price-old", content(prices_as_of=date(2020, 1, 1), sample=True)) == []
    assert found("price-future", content(prices_as_of=date(2030, 1, 1), sample=True)) == []
    assert found("price-old", content(prices_as_of=date(2026, 9, 25))) == []
    assert "61 days old" in found("price-old", content(prices_as_of=date(2026, 9, 24)))[0].what


def test_the_figure_that_is_missing_is_named() -> None:
    words = [
        one.what for one in found("parts-figures", text(lambda part: part.replace("100%", "")))
    ]
    assert words == ["100% stands only in the other part"]


def test_a_link_of_one_part_is_named_by_its_target() -> None:
    told = found("parts-links", text(lambda part: part.replace("/c/", "/d/")))
    assert any(views.SEED.url in one.what for one in told)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/x",
        "http://localhost:8000/x",
        "http://[::1]/x",
        "https://bit.example/",
    ],
)
def test_loopback_and_plain_hosts_are_left_alone(url: str) -> None:
    rules = {one.rule for one in check(*linked(url))}
    assert not rules & {"link-insecure", "link-shortener", "link-lookalike", "link-credentials"}


def test_a_password_in_an_address_is_not_repeated() -> None:
    (one,) = found("link-credentials", linked("https://user:hunter2@example.com/a"))
    assert "hunter2" not in one.what + one.place
    assert "example.com" in one.what


def test_a_punycode_host_is_told_as_it_would_be_shown() -> None:
    (one,) = found("link-lookalike", linked("https://xn--pple-43d.com/"))
    assert "аpple.com" in one.what


def test_an_anchor_with_something_to_lead_to_is_left_alone() -> None:
    both = html('<a href="#end">To the end</a><p id="end">End</p>')
    assert found("link-anchor", both) == []
    assert found("link-unregistered", both) == []


def test_a_subject_and_a_preheader_that_say_two_things_are_left_alone() -> None:
    assert found("preheader-repeats", preheader("Only one licence allows it.")) == []
    assert found("preheader-repeats", (GOOD, VIEW)) == []


def test_a_name_that_begins_with_the_others_is_not_taken_for_it() -> None:
    said = ("One.", "Two.", "Three.", "Four.")
    pair = views.comparison(
        "murmur-vs-murmur-2",
        "Ship Murmur 2.",
        (
            views.tool("Murmur", "Free", views.takes("----", *said)),
            views.tool("Murmur 2", "Free", views.takes("++++", *said)),
        ),
    )
    assert RENDERER.issue(views.issue_view((pair,))).findings == ()


def test_a_name_of_one_letter_is_not_an_article() -> None:
    said = ("One.", "Two.", "Three.", "Four.")
    pair = views.comparison(
        "a-vs-b",
        "Ship a tool that works, and skip a toy.",
        (
            views.tool("A", "Free", views.takes("----", *said)),
            views.tool("B", "Free", views.takes("++++", *said)),
        ),
    )
    assert RENDERER.issue(views.issue_view((pair,))).findings == ()


def test_nought_per_cent_is_not_found_in_a_hundred() -> None:
    said = ("One.", "Two.", "Three.", "Four.")
    pair = views.comparison(
        "c-vs-d",
        "Reason.",
        (
            views.tool("Cee", "Free", views.takes("----", *said)),
            views.tool("Dee", "Free", views.takes("++++", *said)),
        ),
    )
    view = views.issue_view((pair,))
    mail = RENDERER.issue(view)
    silent = replace(mail, html=mail.html.replace(">0%<", ">—<"))
    assert mail.findings == ()
    assert any("which is 0%" in one.what for one in found("panel-figure", (silent, view)))
