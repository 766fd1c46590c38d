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
from newsletter.rendering.direction import is_right_to_left
from newsletter.rendering.inline import inline_css
from newsletter.rendering.links import Addresses, LinkTable
from newsletter.rendering.mjml import Templates, squeeze, to_html
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.text import tidy
from newsletter.rendering.view import IssueView, Publication, SystemMailView
from newsletter.theme import Theme

FILES = ("subject.txt", "preheader.txt", "body.mjml", "body.txt")
INLINE_CSS = "parts/inline.css"
MAX_THEMES = 4


class Renderer:
    """Renders mails; built once, for it holds the compiled templates.

    templates_dir: the publication's own templates, looked into before the packaged ones.
    without: names for which it is not looked into.
    """

    def __init__(
        self, templates_dir: Path | None = None, *, without: frozenset[str] = frozenset()
    ) -> None:
        self.templates_dir = templates_dir
        self._without = without
        self._in_theme: dict[Theme, Templates] = {}

    def issue(self, view: IssueView, *, checked: bool = True) -> RenderedIssue:
        """A weekly issue or a correction.

        Raises TemplateError where a template is missing or does not render.

        checked: with its findings; who is after the bytes alone does without.
        """
        table = LinkTable(view.publication.url)
        templates = self._templates(view.publication.theme)
        words: dict[str, object] = {
            "issue": view,
            "intro": view.intro or verdicts.opening(view),
            "minutes": verdicts.reading_minutes(view),
        }
        words["subject"] = subject = view.subject or _line(
            templates, f"{view.kind}/subject.txt", words
        )
        preheader = view.preheader or _line(templates, f"{view.kind}/preheader.txt", words)
        words["preheader"] = preheader
        rendered = self._mail(view.kind, view, subject, preheader, words, table)
        return _checked(rendered, view) if checked else rendered

    def system(self, view: SystemMailView) -> RenderedIssue:
        """A system mail; its links lead straight to their page and count nothing."""
        templates = self._templates(view.publication.theme)
        words: dict[str, object] = {"facts": view.facts, "publication": view.publication}
        words["subject"] = subject = _line(templates, f"{view.kind}/subject.txt", words)
        words["preheader"] = ""
        table = LinkTable(view.publication.url)
        return _checked(self._mail(view.kind, view, subject, "", words, table), view)

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

        templates = self._templates(view.publication.theme)
        source = squeeze(templates.render(f"{kind}/body.mjml", part(HTML_PLACEHOLDERS)))
        text = templates.render(f"{kind}/body.txt", part(TEXT_PLACEHOLDERS))
        name = templates.label(f"{kind}/body.mjml")
        css = templates.render(INLINE_CSS, {})
        return RenderedIssue(
            subject=subject,
            preheader=preheader,
            html=inline_css(to_html(source, name=name), css, name=name),
            text=tidy(text),
            mjml=source,
            links=table.links(),
            templates=templates.uses(*(f"{kind}/{file}" for file in FILES), INLINE_CSS),
        )

    def _templates(self, theme: Theme) -> Templates:
        """A publication has one theme at a time; a rebuilt issue may come with another."""
        if theme not in self._in_theme:
            while len(self._in_theme) >= MAX_THEMES:
                self._in_theme.pop(next(iter(self._in_theme)))
            self._in_theme[theme] = Templates(
                self.templates_dir, _FUNCTIONS, theme=theme, without=self._without
            )
        return self._in_theme[theme]


def _checked(rendered: RenderedIssue, view: IssueView | SystemMailView) -> RenderedIssue:
    return replace(rendered, findings=quality.check(rendered, view))


def _line(templates: Templates, name: str, words: Mapping[str, object]) -> str:
    """A template of one line: a subject or a preheader."""
    return " ".join(templates.render(name, words).split())


def _context(
    publication: Publication,
    words: Mapping[str, object],
    addresses: Addresses,
    placeholders: Mapping[Slot, str],
) -> dict[str, object]:
    rtl = is_right_to_left(publication.language)
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
    "opening": verdicts.opening,
    "mark_row": verdicts.mark_row,
    "day_in_words": _day_in_words,
    "paragraphs": _paragraphs,
}
