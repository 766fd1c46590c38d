"""An issue or a system mail from its view: templates, MJML, inlined CSS, text part, findings.

A pure function of the view and the templates: the same view gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

from markupsafe import Markup

from newsletter.rendering import quality, verdicts
from newsletter.rendering.inline import inline_css
from newsletter.rendering.links import Addresses, LinkTable
from newsletter.rendering.mjml import Templates, squeeze, to_html
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.text import tidy
from newsletter.rendering.view import IssueView, Publication, SystemMailView

WEEKLY = "weekly"
_RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"})


class Renderer:
    """Renders mails; built once, for it holds the compiled templates.

    templates_dir: the publication's own templates, looked into before the packaged ones.
    """

    def __init__(self, templates_dir: Path | None = None) -> None:
        self._templates = Templates(templates_dir, _FUNCTIONS)

    def issue(self, view: IssueView) -> RenderedIssue:
        """The week's issue. Raises TemplateError where a template is missing or does not render."""
        table = LinkTable(view.publication.url)
        words: dict[str, object] = {
            "issue": view,
            "intro": view.intro or verdicts.opening(view),
            "minutes": verdicts.reading_minutes(view),
        }
        words["subject"] = subject = view.subject or self._line(f"{WEEKLY}/subject.txt", words)
        preheader = view.preheader or self._line(f"{WEEKLY}/preheader.txt", words)
        words["preheader"] = preheader
        return self._mail(WEEKLY, view, subject, preheader, words, table)

    def system(self, view: SystemMailView) -> RenderedIssue:
        """A system mail; its links lead straight to their page and count nothing."""
        words: dict[str, object] = {"facts": view.facts, "publication": view.publication}
        words["subject"] = subject = self._line(f"{view.kind}/subject.txt", words)
        words["preheader"] = ""
        return self._mail(view.kind, view, subject, "", words, LinkTable(view.publication.url))

    def _mail(
        self,
        kind: str,
        view: IssueView | SystemMailView,
        subject: str,
        preheader: str,
        words: Mapping[str, object],
        table: LinkTable,
    ) -> RenderedIssue:
        def part(placeholders: Mapping[Slot, str]) -> dict[str, object]:
            return _context(view.publication, words, Addresses(table, placeholders), placeholders)

        source = squeeze(self._templates.render(f"{kind}/body.mjml", part(HTML_PLACEHOLDERS)))
        text = self._templates.render(f"{kind}/body.txt", part(TEXT_PLACEHOLDERS))
        name = f"{kind}/body.mjml"
        css = self._templates.render("parts/inline.css", {})
        rendered = RenderedIssue(
            subject=subject,
            preheader=preheader,
            html=inline_css(to_html(source, name=name), css, name=name),
            text=tidy(text),
            mjml=source,
            links=table.links(),
        )
        return replace(rendered, findings=quality.check(rendered, view))

    def _line(self, template: str, words: Mapping[str, object]) -> str:
        """A template of one line: a subject or a preheader."""
        return " ".join(self._templates.render(template, words).split())


def _context(
    publication: Publication,
    words: Mapping[str, object],
    addresses: Addresses,
    placeholders: Mapping[Slot, str],
) -> dict[str, object]:
    rtl = publication.language.split("-")[0].lower() in _RIGHT_TO_LEFT
    return {
        **words,
        "publication": publication,
        "addresses": addresses,
        "name": Markup(placeholders[Slot.NAME]),  # noqa: S704 - our own alphanumeric token
        "direction": "rtl" if rtl else "ltr",
        "start": "right" if rtl else "left",
    }


def _day_in_words(day: date, *, weekday: bool = False) -> str:
    """`24 November 2026`, or `Tuesday 24 November 2026`."""
    words = f"{day.day} {day:%B} {day.year}"
    return f"{day:%A} {words}" if weekday else words


def _paragraphs(text: str) -> list[str]:
    """Paragraphs of plain text, parted by blank lines."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


_FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "headline": verdicts.headline,
    "scorecard": verdicts.scorecard,
    "splits": verdicts.splits,
    "clash": verdicts.clash,
    "quarrels": verdicts.quarrels,
    "count": verdicts.count,
    "listed": verdicts.listed,
    "reviewers": verdicts.reviewers,
    "mark_row": verdicts.mark_row,
    "day_in_words": _day_in_words,
    "paragraphs": _paragraphs,
}
