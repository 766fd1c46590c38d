"""What readers said of the comparisons of the issue before, for the issue that comes now.

Votes go on coming in, and an approval is bound to bytes: so an issue counts once, when it is
planned, and keeps to that in every render of its own. It counts anew where another issue has gone
out between; once it is approved, it tells what its editor has seen, whatever goes out before it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from newsletter.editorial import issues, votes
from newsletter.editorial.views import comparison_view
from newsletter.rendering import snapshot
from newsletter.rendering.verdicts import headline
from newsletter.rendering.view import HeardComparisonView, HeardToolView, HeardView
from newsletter.store import models
from newsletter.store.states import IssueState

DayOf = Callable[[datetime], date]  # an instant's day on the publication's calendar


def before(
    session: Session, issue_id: int, *, public_url: str, day_of: DayOf, now: datetime
) -> HeardView | None:
    """What the issue tells of the one before it; None where there is none before it."""
    issue = issues.row(session, issue_id)
    if issue.state == IssueState.APPROVED or issue.frozen_at is not None:
        return _kept(session, issue)
    last = _issue_before(session, issue)
    if last is None:
        return None
    kept = _kept(session, issue)
    if kept is not None and kept.issue == last.id:
        return kept
    heard = (
        _heard(session, slug, public_url=public_url)
        for slug, _revision in issues.revisions(session, issues.id_of(last))
    )
    return HeardView(
        issue=issues.id_of(last),
        day=day_of(last.slot_at),
        counted_on=day_of(now),
        comparisons=tuple(one for one in heard if one is not None),
    )


def _heard(session: Session, slug: str, *, public_url: str) -> HeardComparisonView | None:
    """None where no reader's vote is believed; what its file brings from elsewhere is none."""
    comparison_id, comparison = votes.open_poll(session, slug)
    tallies = votes.tallies(session, comparison_id)
    if not any(tally.verified for tally in tallies.values()):
        return None
    view = comparison_view(comparison, public_url=public_url, tallies=tallies)
    said = headline(view)
    first, second = (
        HeardToolView(name=tool.name, panel=tool.panel, community=tool.community)
        for tool in (said.first, said.second)
    )
    return HeardComparisonView(title=view.title, url=view.url, tools=(first, second))


def _issue_before(session: Session, issue: models.Issue) -> models.Issue | None:
    """The last of its kind that was frozen; real readers are told of no samples."""
    table = models.Issue
    query = (
        select(table)
        .where(col(table.kind) == issue.kind, col(table.id) != issue.id)
        .where(col(table.state).in_(issues.FROZEN), col(table.frozen_at).is_not(None))
        .order_by(col(table.frozen_at).desc(), col(table.id).desc())
        .limit(1)
    )
    if not issue.samples:
        query = query.where(col(table.samples).is_(False))
    return session.exec(query).first()


def _kept(session: Session, issue: models.Issue) -> HeardView | None:
    """What the render that stands tells; None for one of before this was told."""
    stored = session.get(models.Rendered, issue.rendered_id) if issue.rendered_id else None
    view: dict[str, Any] = stored.inputs.get("view", {}) if stored else {}
    return snapshot.heard_of(view)
