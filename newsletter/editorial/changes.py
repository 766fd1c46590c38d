"""What changed since the issue before: verdicts that flipped and mistakes put right, told once.

An issue tells what became known between the freezing of the issue before it and its own. Freezing
renders again and refuses bytes nobody approved, so what an issue had to tell, it told. Where a
revision came in at the very instant of a freezing (a clock may stand still), the snapshot of that
issue says whether it told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import Session, col, func, select

from newsletter.editorial import issues, library
from newsletter.editorial.views import comparison_view
from newsletter.rendering.verdicts import Ruling, headline
from newsletter.rendering.view import ChangeView, ComparisonView, CorrectionView
from newsletter.store import models

DayOf = Callable[[datetime], date]  # an instant's day on the publication's calendar


@dataclass(frozen=True, slots=True)
class _Before:
    """The issue before: when it was frozen, and the slugs of what issues of that instant told."""

    at: datetime
    told: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Published:
    """A comparison as an earlier issue had it, and its newest revision that counts here."""

    slug: str
    slot_at: datetime
    revision: int
    newest: int


def changes_since(
    session: Session, issue_id: int, *, public_url: str, day_of: DayOf
) -> tuple[ChangeView, ...]:
    """What readers of earlier issues must be told with this one; the newest of those issues first.

    A change counts once its revision came in after the issue before was frozen and, where this
    issue is frozen itself, before that. Invented samples are news in issues of samples only.
    """
    issue = issues.row(session, issue_id)
    before = _issue_before(session, issue)
    if before is None:
        return ()

    def change(one: _Published) -> ChangeView | None:
        known = max(one.revision, _known(session, one, before))
        was, now = (
            comparison_view(library.load_revision(session, one.slug, number), public_url=public_url)
            for number in (known, one.newest)
        )
        return compare(was, now, day=day_of(one.slot_at))

    found = [change(one) for one in _published(session, issue, before.at)]
    return tuple(one for one in found if one is not None)


def compare(before: ComparisonView, after: ComparisonView, *, day: date) -> ChangeView | None:
    """What a reader who knows `before` must be told of `after`; None where nothing is news.

    A verdict is another when its ruling, its winner or a panel's figure is. Respelled names, prices
    and quotes are not news by themselves: an editor tells them as a correction.
    """
    flipped = _ruling(before) != _ruling(after)
    fresh = tuple(one for one in after.corrections if one not in before.corrections)
    if not flipped and not fresh:
        return None
    return ChangeView(
        slug=after.slug,
        title=after.title,
        url=after.url,
        day=day,
        was=headline(before).in_figures if flipped else "",
        now=headline(after).in_figures if flipped else "",
        corrections=tuple(sorted(fresh, key=_by_day)),
    )


def _ruling(view: ComparisonView) -> tuple[Ruling, int, int]:
    """The verdict apart from the names in it; the winner follows from the two figures."""
    left, right = view.tools
    return headline(view).ruling, left.panel, right.panel


def _by_day(correction: CorrectionView) -> date:
    return correction.on


def _issue_before(session: Session, issue: models.Issue) -> _Before | None:
    """None for the first issue."""
    table = models.Issue
    frozen = (
        col(table.kind) == issue.kind,
        col(table.id) != issue.id,
        col(table.state).in_(issues.FROZEN),
        *_earlier(issue),
    )
    at = session.exec(select(func.max(table.frozen_at)).where(*frozen)).one()
    if at is None:
        return None
    views = session.exec(
        select(models.Rendered.inputs)
        .join(table, col(table.rendered_id) == col(models.Rendered.id))
        .where(*frozen, col(table.frozen_at) == at)
    )
    told = (change["slug"] for inputs in views for change in _told(inputs))
    return _Before(at, frozenset(told))


def _told(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The changes in a render's snapshot; a render of before snapshots has none."""
    changes: list[dict[str, Any]] = inputs.get("view", {}).get("changes", [])
    return changes


def _earlier(issue: models.Issue) -> tuple[ColumnElement[bool], ...]:
    """Frozen before `issue`; every frozen issue is, while it is not frozen itself."""
    if issue.frozen_at is None:
        return ()
    at, number = col(models.Issue.frozen_at), col(models.Issue.id)
    return (or_(at < issue.frozen_at, and_(at == issue.frozen_at, number < issue.id)),)


def _published(session: Session, issue: models.Issue, since: datetime) -> list[_Published]:
    """Comparisons of earlier issues with a revision that came in from `since` on."""
    old, item = models.Issue, models.IssueItem
    comparison, revision = models.Comparison, models.ComparisonRevision
    mine = select(item.comparison_id).where(item.issue_id == issue.id)
    query = (
        select(comparison.slug, old.slot_at, item.revision, func.max(revision.number))
        .join(item, col(item.comparison_id) == col(comparison.id))
        .join(old, col(old.id) == col(item.issue_id))
        .join(revision, col(revision.comparison_id) == col(comparison.id))
        .where(old.kind == issue.kind, col(old.frozen_at).is_not(None), *_earlier(issue))
        .where(col(item.comparison_id).not_in(mine))
        .where(col(revision.number) > col(item.revision), col(revision.imported_at) >= since)
        .group_by(comparison.slug, col(old.slot_at), col(item.revision))
        .order_by(col(old.slot_at).desc(), comparison.slug)
    )
    if not issue.samples:
        query = query.where(col(comparison.sample).is_(False))
    if issue.frozen_at is not None:
        query = query.where(col(revision.imported_at) <= issue.frozen_at)
    latest: dict[str, _Published] = {}
    for slug, slot_at, number, newest in session.exec(query):
        latest.setdefault(slug, _Published(slug, slot_at, number, newest))
    return list(latest.values())


def _known(session: Session, one: _Published, before: _Before) -> int:
    """The number of the revision that readers of the issue before know of; 0 for none."""
    comparison, revision = models.Comparison, models.ComparisonRevision
    came = col(revision.imported_at)
    query = (
        select(func.max(revision.number))
        .join(comparison, col(comparison.id) == col(revision.comparison_id))
        .where(comparison.slug == one.slug)
        .where(came <= before.at if one.slug in before.told else came < before.at)
    )
    return session.exec(query).one() or 0
