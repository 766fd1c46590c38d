"""The gate: each rule has mails that break it, and none is heard on the shipped mails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import issue_views as views
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quality_cases import BROKEN, GOOD, RENDERER, VIEW, Case, html, subject

from newsletter.editorial import content
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.views import comparison_view
from newsletter.rendering.mjml import packaged_templates
from newsletter.rendering.quality import RULES, Severity, check
from newsletter.rendering.quality.size import CLIP_BYTES
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import Finding
from newsletter.rendering.view import ComparisonView

CONTENT = Path(__file__).parents[2] / "content"


def shipped() -> tuple[ComparisonView, ...]:
    """The seed's comparison and the four samples, as they lie in the content folder."""
    found: list[Comparison] = content.load_all(CONTENT, samples=True)
    return tuple(comparison_view(one, public_url="https://verdicts.example.com") for one in found)


def rules_of(findings: tuple[Finding, ...]) -> set[str]:
    return {found.rule for found in findings}


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule.id for rule in RULES} == set(BROKEN)
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("rule", "case"), [(rule, case) for rule, cases in BROKEN.items() for case in cases]
)
def test_a_rule_finds_what_it_is_for(rule: str, case: Case) -> None:
    assert rule in rules_of(check(*case))


def test_the_seeds_issue_has_no_finding() -> None:
    assert GOOD.findings == ()
    assert check(GOOD, VIEW) == ()


def test_no_rule_is_heard_on_what_is_shipped() -> None:
    comparisons = shipped()
    assert len(comparisons) == 5
    assert RENDERER.issue(views.issue_view(comparisons)).findings == ()
    for lead in range(1, 5):
        turned = comparisons[lead:] + comparisons[:lead]
        view = views.issue_view(turned, preheader="Five match-ups, and one that was close.")
        assert RENDERER.issue(view).findings == ()


@pytest.mark.parametrize("kind", sorted(views.SYSTEM_FACTS))
def test_no_rule_is_heard_on_a_system_mail(kind: str) -> None:
    assert RENDERER.system(views.system_view(kind)).findings == ()


def test_a_fault_deep_in_a_comparison_is_named_with_its_place() -> None:
    tool = replace(views.SEED.tools[0], name="Bad\x07name")
    spoiled = replace(views.SEED, tools=(tool, views.SEED.tools[1]))
    rendered = RENDERER.issue(views.issue_view((spoiled,)))
    assert "comparisons[0].tools[0].name" in {found.place for found in rendered.errors}


@pytest.mark.parametrize("field", ["intro", "preheader"])
def test_a_fault_in_an_editors_words_is_named_with_its_field(field: str) -> None:
    rendered = RENDERER.issue(views.issue_view((views.SEED,), **{field: "a\x1bb"}))
    assert ("control-characters", field) in {(found.rule, found.place) for found in rendered.errors}


def test_every_rule_says_why_and_what_to_do() -> None:
    for rule in RULES:
        assert rule.explanation.endswith("."), rule.id
        assert rule.hint, rule.id
        assert not rule.hint.endswith("."), rule.id


def test_errors_come_first_and_a_finding_is_plain_data() -> None:
    found = check(*subject("x" * 60 + "=?"))
    assert [one.severity for one in found] == [Severity.ERROR, Severity.WARNING]
    assert found[0].to_dict() == {
        "rule": "header-encoded-word",
        "severity": "error",
        "what": "'=?' stands in the subject",
        "place": "subject",
        "hint": "write the words without '=?'",
    }


def test_a_system_mail_that_leads_elsewhere_is_found() -> None:
    view = views.system_view("confirm")
    mail = RENDERER.system(view)
    strayed = replace(mail, html=mail.html.replace("/confirm/", "/elsewhere/"))
    assert rules_of(check(strayed, view)) == {"link-unregistered", "parts-links"}


def test_five_full_scorecards_are_refused_with_the_size_of_each(tmp_path: Path) -> None:
    """Every comparison as a lead, its eight takes to the letter: what the pages are for."""
    _own(tmp_path, "weekly/body.mjml", "brief(comparison", "lead(comparison")
    _own(tmp_path, "parts/comparison.mjml", "quote.take.excerpt", "quote.take.quote")
    comparisons = shipped()
    refused = Renderer(tmp_path).issue(views.issue_view(comparisons))
    clipped = [found for found in refused.errors if found.rule == "size-clipped"]
    assert clipped
    for found in clipped:
        assert f"over the {CLIP_BYTES:,}" in found.what
        for comparison in comparisons:
            assert f"{comparison.slug} " in found.what


def _own(folder: Path, name: str, old: str, new: str) -> None:
    """A publication's own template: the packaged one with something else in it."""
    packaged = (packaged_templates() / "email" / name).read_text()
    assert old in packaged
    own = folder / "email" / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(packaged.replace(old, new))


def test_the_sizes_of_the_cards_are_those_in_the_mail() -> None:
    view = views.issue_view()
    full = RENDERER.issue(view)
    padded = full.html.replace("</body>", "x" * (CLIP_BYTES - full.html_bytes) + "</body>")
    (found,) = [
        one
        for one in check(replace(full, html=padded), view)
        if one.rule == "size-clipped" and one.place == "HTML"
    ]
    sizes = [int(part.split(" ")[-1].replace(",", "")) for part in _told(found.what)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 5
    assert 0.6 * full.html_bytes < sum(sizes) < full.html_bytes


def _told(what: str) -> list[str]:
    return what.partition("; of these ")[2].split(", ")


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["<style>", "<p style='", '<a href="', "<table", ""]))
def test_the_gate_never_falls_over_what_it_is_shown(extra: str, before: str) -> None:
    check(*html(before + extra))
    check(*subject(extra))


def test_the_gate_copes_with_a_thousand_nested_tags() -> None:
    case = html("<div>" * 1_000 + "deep" + "</div>" * 1_000)
    assert "size-clipped" not in rules_of(check(*case))
