"""The quality rules: each has a test that shows it can fail."""

from __future__ import annotations

from dataclasses import replace

import issue_views as views
import pytest

from newsletter.rendering.quality import RULES, Severity, check
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import Link, RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot

VIEW = views.issue_view((views.SEED,))
GOOD = Renderer().issue(VIEW)
TOKEN = HTML_PLACEHOLDERS[Slot.DELIVERY]
WAY_OUT = f"{VIEW.publication.url}/unsubscribe/"


def with_html(extra: str) -> RenderedIssue:
    return replace(GOOD, html=GOOD.html.replace("</body>", f"{extra}</body>"))


BROKEN: dict[str, list[RenderedIssue]] = {
    "size-clipped": [with_html("x" * 60_000 + "é" * 20_000), with_html("=" * 30_000)],
    "size-near-clip": [with_html("x" * (90_500 - GOOD.html_bytes))],
    "size-styles": [with_html(f"<style>.a{{color:#{'0' * 17_000}}}</style>")],
    "link-unregistered": [
        with_html('<a href="https://elsewhere.example/">x</a>'),
        with_html('<a href="#top">x</a>'),
        with_html('<a href="javascript:alert(1)">x</a>'),
        with_html('<a href="">x</a>'),
        with_html('<a href="mailto:">x</a>'),
        with_html('<a href="mailto:x@example.com?bcc=y@example.com">x</a>'),
        with_html(f'<a href="{VIEW.publication.url}/c/{TOKEN}/99">x</a>'),
        replace(GOOD, text=f"{GOOD.text}\nhttps://elsewhere.example/\n"),
    ],
    "link-target": [
        replace(GOOD, links=(*GOOD.links, Link(2, url, "x")))
        for url in ("/comparisons/x", "javascript:alert(1)", "mailto:a@example.com", "https://", "")
    ],
    "link-unsubscribe": [
        with_html(f'<a href="{WAY_OUT}{HTML_PLACEHOLDERS[Slot.UNSUBSCRIBE]}">x</a>'),
        replace(GOOD, text=GOOD.text.replace("/unsubscribe/", "/nothing/")),
        replace(GOOD, html=GOOD.html.replace("/unsubscribe/", "/nothing/")),
    ],
    "image-alt": [with_html('<img src="https://verdicts.example.com/a.png">')],
    "left-over-template": [
        with_html("<p>{{ name }}</p>"),
        replace(GOOD, subject="Hello {{ name }}"),
        replace(GOOD, preheader="{% if %}"),
        replace(GOOD, text=f"{GOOD.text}{{{{ name }}}}"),
    ],
    "slot-unfilled": [
        with_html(TEXT_PLACEHOLDERS[Slot.NAME]),
        replace(GOOD, text=GOOD.text + HTML_PLACEHOLDERS[Slot.NAME]),
        replace(GOOD, subject=f"Hello{TEXT_PLACEHOLDERS[Slot.NAME]}"),
    ],
    "mjml-escape": [
        with_html('<p title="a\\nb">x</p>'),
        with_html('<p title="\\u{a0}">x</p>'),
        with_html("<mj-text>x</mj-text>"),
    ],
    "subject-missing": [replace(GOOD, subject=" ")],
    "subject-long": [replace(GOOD, subject="x" * 51)],
    "preheader-length": [replace(GOOD, preheader=""), replace(GOOD, preheader="x" * 91)],
    "header-encoded-word": [replace(GOOD, subject="=?utf-8?q?x?=")],
}


def test_the_seeds_issue_has_no_finding() -> None:
    assert GOOD.findings == ()
    assert check(GOOD, VIEW) == ()


@pytest.mark.parametrize(
    ("rule", "rendered"),
    [(rule, rendered) for rule, cases in BROKEN.items() for rendered in cases],
)
def test_a_rule_finds_what_it_is_for(rule: str, rendered: RenderedIssue) -> None:
    assert rule in {found.rule for found in check(rendered, VIEW)}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("control-characters", {"intro": "a\x1bb"}),
        ("control-characters", {"preheader": "a\u202eb"}),
        ("placeholder-in-content", {"intro": f"see {TOKEN}"}),
    ],
)
def test_a_rule_finds_what_the_content_must_not_hold(rule: str, change: dict[str, str]) -> None:
    rendered = Renderer().issue(views.issue_view((views.SEED,), **change))
    (field,) = change
    assert (rule, field) in {(found.rule, found.place) for found in rendered.errors}


def test_a_fault_deep_in_a_comparison_is_named_with_its_place() -> None:
    tool = replace(views.SEED.tools[0], name="Bad\x07name")
    spoiled = replace(views.SEED, tools=(tool, views.SEED.tools[1]))
    rendered = Renderer().issue(views.issue_view((spoiled,)))
    assert "comparisons[0].tools[0].name" in {found.place for found in rendered.errors}


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule.id for rule in RULES} == {*BROKEN, "control-characters", "placeholder-in-content"}
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in RULES:
        assert rule.explanation.endswith(".")
        assert rule.hint


def test_errors_come_first_and_a_finding_is_plain_data() -> None:
    found = check(replace(GOOD, subject="x" * 60 + "=?"), VIEW)
    assert [one.severity for one in found] == [Severity.ERROR, Severity.WARNING]
    assert found[0].to_dict() == {
        "rule": "header-encoded-word",
        "severity": "error",
        "what": "'=?' stands in the subject",
        "place": "subject",
        "hint": "write the words without '=?'",
    }


def test_a_system_mail_needs_no_way_out() -> None:
    view = views.system_view("confirm")
    mail = Renderer().system(view)
    assert check(mail, view) == ()
    strayed = replace(mail, html=mail.html.replace("/confirm/", "/elsewhere/"))
    assert {found.rule for found in check(strayed, view)} == {"link-unregistered"}
