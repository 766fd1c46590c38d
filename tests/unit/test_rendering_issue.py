"""The week's issue, rendered: what it says, where it links, and that it is the same each time."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import issue_views as views
import pytest

from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.verdicts import Ruling, clash, headline, opening, splits
from newsletter.rendering.view import ComparisonView

RENDERER = Renderer()


@pytest.fixture(scope="module")
def issue() -> RenderedIssue:
    return RENDERER.issue(views.issue_view())


def shown(rendered: RenderedIssue) -> str:
    """The HTML's visible words."""
    body = rendered.html[rendered.html.index("<body") :]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def tied(ships: str, other: str) -> ComparisonView:
    said = ("One.", "Two.", "Three.", "Four.")
    return views.comparison(
        "a-vs-b",
        "Reason.",
        (
            views.tool("Alpha", "Free", views.takes(ships, *said)),
            views.tool("Beta", "Free", views.takes(other, *said)),
        ),
    )


def test_one_lead_and_four_briefs_have_nothing_to_complain_about(issue: RenderedIssue) -> None:
    assert issue.findings == ()
    assert issue.html_bytes < 90_000


def test_the_seed_comparison_shows_its_names_its_panel_and_that_nobody_voted() -> None:
    alone = RENDERER.issue(views.issue_view((views.SEED,)))
    for part in (shown(alone), alone.text):
        for words in ("Claude Haiku Open Weights", "Mistral 8B Instruct v3"):
            assert words in part
        for words in ("50%", "100%", "No votes yet", "4 of 4", "2 of 4", "Free"):
            assert words in part
    assert alone.subject == "Ship Mistral 8B Instruct v3"
    assert alone.findings == ()


def test_every_name_survives_to_the_letter_in_both_parts(issue: RenderedIssue) -> None:
    words, text = shown(issue), " ".join(issue.text.split())
    for comparison in views.COMPARISONS:
        for tool in comparison.tools:
            assert tool.name in words
            assert tool.name in text


def test_all_eight_excerpts_of_the_lead_are_there_and_two_of_each_brief(
    issue: RenderedIssue,
) -> None:
    words, text = shown(issue), " ".join(issue.text.split())
    for place, comparison in enumerate(views.COMPARISONS):
        said = [take.excerpt for tool in comparison.tools for take in tool.takes]
        for part in (words, text):
            assert sum(excerpt in part for excerpt in said) == (8 if place == 0 else 2)


def test_the_same_view_gives_the_same_bytes(issue: RenderedIssue) -> None:
    again = Renderer().issue(views.issue_view())
    assert again == issue
    assert again.sha256 == issue.sha256


@pytest.mark.parametrize(
    "change", [{"subject": "Other"}, {"preheader": "Other."}, {"intro": "Other."}]
)
def test_whatever_an_editor_changes_changes_the_hash(
    issue: RenderedIssue, change: dict[str, str]
) -> None:
    assert RENDERER.issue(views.issue_view(**change)).sha256 != issue.sha256


def test_a_link_that_leads_elsewhere_changes_the_hash(issue: RenderedIssue) -> None:
    moved = replace(views.SEED, url="https://verdicts.example.com/comparisons/other")
    other = RENDERER.issue(views.issue_view((moved, *views.COMPARISONS[1:])))
    assert other.html == issue.html
    assert other.sha256 != issue.sha256


def test_html_and_text_share_one_link_table(issue: RenderedIssue) -> None:
    *seen, canary = issue.links
    assert [link.n for link in issue.links] == [1, 2, 3, 4, 5, 6]
    assert [link.url for link in seen] == [one.url for one in views.COMPARISONS]
    assert canary.label == "canary"
    for link in seen:
        base = f"{views.PUBLICATION.url}/c/"
        assert f'href="{base}{HTML_PLACEHOLDERS[Slot.DELIVERY]}/{link.n}"' in issue.html
        assert f"\n{base}{TEXT_PLACEHOLDERS[Slot.DELIVERY]}/{link.n}\n" in issue.text


def test_pixel_archive_and_way_out_are_in_the_mail(issue: RenderedIssue) -> None:
    base = views.PUBLICATION.url
    assert f'src="{base}/o/{HTML_PLACEHOLDERS[Slot.DELIVERY]}.gif"' in issue.html
    assert f'href="{base}/issues/2026-w48"' in issue.html
    assert f"\n{base}/issues/2026-w48\n" in issue.text
    assert f'href="{base}/unsubscribe/{HTML_PLACEHOLDERS[Slot.UNSUBSCRIBE]}"' in issue.html
    assert f"\n{base}/unsubscribe/{TEXT_PLACEHOLDERS[Slot.UNSUBSCRIBE]}\n" in issue.text
    assert views.PUBLICATION.postal_address in shown(issue)


def test_the_text_part_keeps_to_72_columns_but_for_addresses(issue: RenderedIssue) -> None:
    for line in issue.text.splitlines():
        assert len(line) <= 72 or line.startswith("https://")
        assert line == line.rstrip()
        assert "https://" not in line or line.startswith("https://")


def test_the_verdicts_come_before_the_first_card(issue: RenderedIssue) -> None:
    words = shown(issue)
    assert words.index("The verdicts") < words.index("QueryBird") < words.index("The lead")


@pytest.mark.parametrize(
    ("left", "right", "ruling", "first"),
    [
        ("+-+-", "++++", Ruling.SHIP, "Beta"),
        ("++--", "+---", Ruling.SHIP, "Alpha"),
        ("+-+-", "-+-+", Ruling.SPLIT, "Alpha"),
        ("+++-", "-+++", Ruling.SPLIT, "Alpha"),
        ("++++", "++++", Ruling.SHIP_BOTH, "Alpha"),
        ("----", "----", Ruling.SKIP_BOTH, "Alpha"),
        ("----", "+---", Ruling.SKIP_BOTH, "Beta"),
    ],
)
def test_a_verdict_says_what_the_panel_came_to(
    left: str, right: str, ruling: Ruling, first: str
) -> None:
    said = headline(tied(left, right))
    assert (said.ruling, said.first.name) == (ruling, first)
    assert RENDERER.issue(views.issue_view((tied(left, right),))).findings == ()


def test_the_quotes_of_a_brief_are_of_the_reviewer_who_split_the_tools() -> None:
    fought = clash(views.DRAFTS)
    assert fought.reviewer == "The Skeptic"
    assert [quote.take.verdict for quote in fought.quotes] == ["ship", "skip"]


def test_without_such_a_reviewer_a_ship_and_a_skip_are_quoted() -> None:
    fought = clash(tied("+-+-", "+-+-"))
    assert fought.reviewer == ""
    assert {quote.take.verdict for quote in fought.quotes} == {"ship", "skip"}
    assert clash(tied("++++", "++++")).reviewer == "The Builder"


def test_who_split_the_tools_is_named() -> None:
    assert splits(views.SEED) == (
        "The Skeptic and The Founder would ship only Mistral 8B Instruct v3.",
    )
    assert splits(tied("++++", "++++")) == ()
    assert splits(tied("++++", "----")) == ()
    assert splits(tied("+--+", "-++-")) == (
        "The Builder and The Founder would ship only Alpha.",
        "The Skeptic and The Futurist would ship only Beta.",
    )


def test_a_name_that_ends_in_a_full_stop_gets_no_second_one() -> None:
    first, second = tied("+--+", "-++-").tools
    abbreviated = replace(tied("+--+", "-++-"), tools=(replace(first, name="Alpha & Co."), second))
    assert splits(abbreviated)[0] == "The Builder and The Founder would ship only Alpha & Co."


def test_readers_far_from_the_panel_are_a_disagreement(issue: RenderedIssue) -> None:
    assert "Readers disagree on Papermill & Co.: 82% would ship it" in shown(issue)


def test_an_issue_without_an_intro_counts_how_its_match_ups_ended() -> None:
    assert opening(views.issue_view()) == (
        "Five match-ups: three winners, one split panel and one double skip."
    )
    assert opening(views.issue_view((views.SEED,))) == "One match-up: one winner."


def test_an_editors_words_stand_as_they_are() -> None:
    edited = RENDERER.issue(
        views.issue_view(
            subject="Two <free> models & one licence",
            preheader="Only one can go to production.",
            intro="A quiet week.\n\nThen Tabula dropped an index.",
        )
    )
    assert edited.subject == "Two <free> models & one licence"
    assert edited.preheader == "Only one can go to production."
    words = shown(edited)
    for sentence in (
        edited.subject,
        edited.preheader,
        "A quiet week.",
        "Then Tabula dropped an index.",
    ):
        assert sentence in words
    assert edited.subject in edited.text


def test_a_subject_drops_the_loser_before_it_grows_too_long() -> None:
    drafts = RENDERER.issue(views.issue_view((views.DRAFTS,)))
    assert drafts.subject == "Ship Draftline Pro over Papermill & Co."
    assert RENDERER.issue(views.issue_view((views.VOICES,))).subject == (
        "Split: Murmur 2 level with VoxForge Studio"
    )
    assert RENDERER.issue(views.issue_view((views.AGENTS,))).subject == "The panel would skip both"


def test_a_mail_in_another_script_says_so_and_keeps_its_letters() -> None:
    hebrew = replace(views.PUBLICATION, language="he", name="פסקי דין שבועיים")
    rendered = RENDERER.issue(views.issue_view((views.SEED,), publication=hebrew))
    assert '<html lang="he" dir="rtl"' in rendered.html
    assert "פסקי דין שבועיים" in rendered.html
    assert rendered.findings == ()


@pytest.mark.parametrize("kind", sorted(views.SYSTEM_FACTS))
def test_a_system_mail_has_its_facts_in_both_parts_and_no_tracking(kind: str) -> None:
    view = views.system_view(kind)
    mail = RENDERER.system(view)
    assert mail.findings == ()
    assert mail.links == ()
    assert "/o/" not in mail.html
    assert HTML_PLACEHOLDERS[Slot.DELIVERY] not in mail.html
    for line in "\n".join(view.facts.values()).splitlines():
        assert line in html.unescape(mail.html) or line in mail.subject
        assert line in " ".join(mail.text.split())


def test_a_confirmation_leads_to_its_readers_own_page() -> None:
    mail = RENDERER.system(views.system_view("confirm"))
    base = f"{views.PUBLICATION.url}/confirm/"
    assert f'href="{base}{HTML_PLACEHOLDERS[Slot.CONFIRM]}"' in mail.html
    assert f"\n{base}{TEXT_PLACEHOLDERS[Slot.CONFIRM]}\n" in mail.text
