"""The report as a mail: every figure of it in both parts, whatever a label holds."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import figure_samples as samples
import issue_views as views
import pytest

from newsletter import report, wording
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.view import SystemMailView
from newsletter.tracking.figures import (
    ComparisonFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    VoteFigure,
)

pytestmark = pytest.mark.slow

RENDERER = Renderer()
PAGE = f"{views.PUBLICATION.url}/desk/issues/2026-w48/stats"
WARNED_BYTES = 90_000  # Gmail clips at 102,400: the check warns from here


def mail_of(figures: IssueFigures) -> RenderedIssue:
    facts = report.facts_of(figures, "7 days", page_url=PAGE)
    return RENDERER.system(SystemMailView(report.KIND, views.PUBLICATION, facts))


def seen(mail: RenderedIssue) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", mail.html)).split())


@pytest.mark.parametrize("figures", [samples.FULL, samples.EMPTY, samples.UNTRACKED])
def test_a_report_passes_every_check_and_its_text_is_72_columns_wide(figures: IssueFigures) -> None:
    mail = mail_of(figures)
    assert mail.findings == ()
    assert mail.links == ()
    assert max(len(line) for line in mail.text.splitlines() if "://" not in line) <= 72
    assert f"\n{PAGE}\n" in mail.text
    assert f'href="{PAGE}"' in mail.html


def test_every_figure_stands_in_both_parts() -> None:
    mail = mail_of(samples.FULL)
    in_html, in_text = seen(mail), " ".join(mail.text.split())
    wanted = [wording.summary(samples.FULL)]
    wanted += [one.words for one in wording.notices(samples.FULL)]
    wanted += [wording.number(step.count) for step in wording.waterfall(samples.FULL)]
    wanted += [cell for row in wording.rates(samples.FULL) for cell in row[:3]]
    wanted += [wording.number(one.readers.human) for one in samples.FULL.links]
    wanted += [wording.percent(one.clicks.rate) for one in samples.FULL.earlier]
    for one in wanted:
        assert one in in_html
        assert one in in_text


def test_every_bar_stands_in_a_row_that_says_its_number_and_readers_aloud_pass_it_over() -> None:
    mail = mail_of(samples.FULL)
    drawn = re.findall(r'<table([^>]*)><tr><td class="f"', mail.html)
    bars = re.findall(r'<b>([^<]+)</b>\s*<table([^>]*)><tr><td class="f"', mail.html)
    assert len(bars) > 20
    assert len(drawn) - len(bars) == 1  # the wordmark's
    assert all('aria-hidden="true"' in table for _number, table in bars)


def test_an_issue_without_tracking_has_dashes_and_no_table_of_clicks() -> None:
    mail = mail_of(samples.UNTRACKED)
    assert mail.subject == "2026-W48 after 7 days: 288 votes"
    assert re.search(r"Image loads: tracking was off for this issue +—\n", mail.text)
    assert "0%" not in re.sub(r"\b\d+0%|0%$", "", mail.text.partition("Votes to ship")[0])
    assert "Links" not in mail.text


def test_the_largest_report_stays_under_what_gmail_clips() -> None:
    name = "W" * 60
    links = tuple(
        LinkFigure(
            n,
            "Read all eight takes in full on a page of its own",
            PAGE,
            "",
            Labelled(9_999_999, 9_999_999, n),
        )
        for n in range(60)
    )
    votes = (VoteFigure(name, 100, 999_999, 1, 1, 1, 1),) * 2
    comparison = ComparisonFigure("slug", f"{name} vs {name}", Labelled(9, 9, 9), votes)
    domain = replace(samples.FULL.domains[0], domain=f"{'d' * 60}.example")
    reasons = {f"left out because of reason {n} that is rather long": 7 for n in range(12)}
    large = replace(
        samples.FULL,
        links=links,
        comparisons=(comparison,) * 5,
        domains=(domain,) * 40,
        earlier=samples.FULL.earlier * 10,
        waterfall=replace(samples.FULL.waterfall, excluded=reasons),
    )
    mail = mail_of(large)
    assert mail.html_bytes < WARNED_BYTES
    assert mail.findings == ()


@pytest.mark.parametrize(
    "label", ["</mj-text><b>x</b>", "a\tb\nc", "{{ 7*7 }}", "=1+1", "\u202eevil"]
)
def test_a_hostile_label_stays_text_in_its_own_cell(label: str) -> None:
    link = LinkFigure(1, label, PAGE, "", Labelled(4_321, 0, 0))
    mail = mail_of(replace(samples.FULL, links=(link,), subject=label))
    shown = " ".join(label.split())
    assert f"{shown} 0 unknown, 0 machine 4,321 human" in seen(mail)
    assert re.search(rf"^{re.escape(shown)} +4,321 / 0 / 0$", mail.text, re.MULTILINE)
