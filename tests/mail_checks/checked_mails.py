"""The mails that independent tools look at: the demo's issue, one comparison alone, system mails.

Everything comes from the product: bundled content, its own views, its renderer, its messages. The
address is one a publication could have, for tools judge example hosts and loopback differently.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the publication and the facts live there

import issue_views as views

from newsletter.bundled import bundled
from newsletter.editorial.content import load_all
from newsletter.editorial.views import comparison_view
from newsletter.rendering.message import compile_message
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import Slot, greeting, neutral
from newsletter.rendering.view import (
    CORRECTION,
    WEEKLY,
    ComparisonView,
    CorrectedView,
    HeardComparisonView,
    HeardToolView,
    HeardView,
    IssueView,
    PageView,
)
from newsletter.tokens import Keyring

FIVE, ONE = "five", "one"  # an issue of one lead and four briefs; one of a comparison alone
KINDS = tuple(
    sorted(
        folder.parent.name
        for folder in (bundled("templates") / "email").glob("*/subject.txt")
        if folder.parent.name not in (WEEKLY, CORRECTION)
    )
)
NAMES = (FIVE, ONE, CORRECTION, *KINDS)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
_KEYRING = Keyring([b"a key of the tests, 32 bytes long"])
_READER_ID = 21
_SLOTS = dict.fromkeys(Slot, _KEYRING.unsubscribe(7, _READER_ID)) | {
    Slot.DELIVERY: _KEYRING.delivery(7, _READER_ID),
    Slot.CONFIRM: _KEYRING.confirm(_READER_ID, NOW),
    Slot.NAME: greeting("Priya"),
}


@dataclass(frozen=True, slots=True)
class CheckedMail:
    """One mail as a reader gets it; `mjml` is what its HTML was made from."""

    name: str
    mjml: str
    html: str
    message: bytes


@cache
def checked(name: str) -> CheckedMail:
    """A mail by its name, rendered once a process."""
    rendered = rendered_now(name)
    html = neutral(rendered.html, _SLOTS)
    return CheckedMail(name, rendered.mjml, html, _message(name, rendered))


def rendered_now(name: str) -> RenderedIssue:
    """A mail by its name, as the product renders it."""
    if name in KINDS:
        return _renderer().system(views.system_view(name))
    comparisons = _comparisons()
    if name == CORRECTION:
        return _renderer().issue(_correction(comparisons))
    if name == FIVE:
        return _renderer().issue(replace(views.issue_view(comparisons), heard=_heard(comparisons)))
    return _renderer().issue(views.issue_view(comparisons[:1]))


def _heard(comparisons: tuple[ComparisonView, ...]) -> HeardView:
    """As readers might have answered the week before: the samples, and the votes in their files."""
    told = []
    for one in comparisons[1:]:
        left, right = (HeardToolView(tool.name, tool.panel, tool.community) for tool in one.tools)
        told.append(HeardComparisonView(one.title, one.url, (left, right)))
    before = NOW.date() - timedelta(days=7)
    return HeardView(6, before, counted_on=NOW.date(), comparisons=tuple(told))


def _correction(comparisons: tuple[ComparisonView, ...]) -> IssueView:
    """Of the issue of five."""
    said = "We wrote that a tool costs $12 a month.\n\nIt costs $21 a month; the verdict stands."
    corrected = CorrectedView(
        subject="Ship Claude Haiku Open Weights",
        day=NOW.date(),
        pages=tuple(PageView(one.title, one.url) for one in comparisons),
    )
    return replace(views.issue_view((), intro=said), corrected=corrected)


@cache
def _renderer() -> Renderer:
    return Renderer()


@cache
def _comparisons() -> tuple[ComparisonView, ...]:
    """The demo's: the seed's leads, four samples follow."""
    loaded = load_all(bundled("content"), samples=True)
    views_of = tuple(comparison_view(each, public_url=views.PUBLICATION.url) for each in loaded)
    assert len(views_of) == 5
    return views_of


def _message(name: str, rendered: RenderedIssue) -> bytes:
    """The mail as the outbox would hold it for one reader."""
    whose = {} if name in KINDS else {"week": "2026-W48", "issue_id": 7}
    kind = name if name in (CORRECTION, *KINDS) else WEEKLY
    compiled = compile_message(rendered, views.PUBLICATION, date=NOW, kind=kind, **whose)
    return compiled.splice(
        address="priya.raman@example.com",
        name="Priya Raman",
        message_id=f"2026-w48.{_KEYRING.fingerprint(name)}@verdicts.example.com",
        slots=_SLOTS,
        unsubscribe_url=f"{views.PUBLICATION.url}/unsubscribe/{_SLOTS[Slot.UNSUBSCRIBE]}",
    )
