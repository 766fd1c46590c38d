"""The checks of a rendered mail: rules as data, each with what it found, where, and what to do.

An error blocks approval; a warning does not.
"""

from __future__ import annotations

from newsletter.rendering.quality import (
    agreement,
    claims,
    clients,
    contrast,
    links,
    markup,
    panel,
    size,
    spelling,
    structure,
    subject,
    taps,
    words,
)
from newsletter.rendering.quality.anatomy import dissect
from newsletter.rendering.quality.clients import provenance
from newsletter.rendering.quality.rule import Exhibit, Rule
from newsletter.rendering.rendered import Finding, RenderedIssue, Severity
from newsletter.rendering.view import IssueView, SystemMailView

RULES: tuple[Rule, ...] = tuple(
    rule
    for family in (
        size, links, markup, structure, contrast, taps, subject, words, spelling, panel, claims,
        agreement, clients,
    )
    for rule in family.RULES
)  # fmt: skip

__all__ = ["RULES", "Finding", "Rule", "Severity", "check", "provenance"]


def check(rendered: RenderedIssue, view: IssueView | SystemMailView) -> tuple[Finding, ...]:
    """Every rule's findings, errors first; the rendered mail's own `findings` are not looked at."""
    exhibit = Exhibit(rendered, view, dissect(rendered.html))
    found = [
        Finding(rule.id, rule.severity, fault.what, fault.place, rule.hint)
        for rule in RULES
        if exhibit.is_issue or not rule.issues_only
        for fault in rule.find(exhibit)
    ]
    return tuple(sorted(found, key=lambda one: one.severity is not Severity.ERROR))
