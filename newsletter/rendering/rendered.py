"""What rendering hands on: one mail, the same for every reader but for its slots."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from newsletter.rendering.origins import TemplateUse


class Severity(StrEnum):
    ERROR = "error"  # blocks approval
    WARNING = "warning"  # worth a look, blocks nothing


@dataclass(frozen=True, slots=True)
class Link:
    """A tracked link: `/c/{token}/{n}` leads to `url`. `n` counts from 1 within the issue."""

    n: int
    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a quality rule found: the rule, where, and what to do about it."""

    rule: str
    severity: Severity
    what: str
    place: str
    hint: str

    def to_dict(self) -> dict[str, str]:
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "what": self.what,
            "place": self.place,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class RenderedIssue:
    """Subject, HTML and text with placeholders for the slots (`rendering.slots`).

    sha256: over subject, preheader, html, text and links: what an approval is bound to.
    mjml: the source of the HTML, for editors. findings: of `rendering.quality`, errors first.
    templates: the files it was made of.
    """

    subject: str
    preheader: str
    html: str
    text: str
    mjml: str
    links: tuple[Link, ...]
    findings: tuple[Finding, ...] = ()
    templates: tuple[TemplateUse, ...] = ()

    @property
    def html_bytes(self) -> int:
        """Size of the HTML in UTF-8, placeholders included."""
        return len(self.html.encode())

    @property
    def sha256(self) -> str:
        links = [[link.n, link.url, link.label] for link in self.links]
        whole = json.dumps([self.subject, self.preheader, self.html, self.text, links])
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that block approval."""
        return tuple(found for found in self.findings if found.severity is Severity.ERROR)
