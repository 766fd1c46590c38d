"""What readers did with an issue, and how the list fares: kept figures, or fresh ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import monotonic

from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.editorial import issues, library, votes
from newsletter.editorial.tallies import Tally
from newsletter.errors import NewsletterError
from newsletter.store.models import Issue
from newsletter.tracking import snapshots, stats
from newsletter.tracking.figures import (
    CohortFigure,
    EarlierFigure,
    IssueFigures,
    ListFigures,
    MonthFigure,
    VoteFigure,
)
from newsletter.tracking.snapshots import Kept, Signs
from newsletter.tracking.stats import About, Judged
from subscribers import growth

EARLIER = 8  # issues that one is compared with
AT_ONCE_MS = 100  # figures that took no longer are worked out again whenever somebody looks
A_TICK = 3  # issues whose figures one tick works out


def load(app: App, ref: str, *, fresh: bool = False) -> IssueFigures:
    """The figures of an issue (a week, an id, `latest`): the kept ones, else worked out and kept.

    fresh: worked out now. What is sealed stands for good. Raises NotFoundError where there is no
    such issue, LedgerError where the figures do not add up.
    """
    with app.session(readonly=True) as session:
        issue_id = issues.find(session, ref).id
        kept = snapshots.load(session, snapshots.name_of(issue_id))
        if kept is not None and not _wants_fresh(session, kept, issue_id, fresh=fresh):
            return kept.issue_figures()
    return _work_out(app, issue_id)


def load_list(app: App, *, fresh: bool = False) -> ListFigures:
    """The figures of the whole list: the kept ones, else worked out and kept."""
    with app.session(readonly=True) as session:
        kept = snapshots.load(session, snapshots.LIST)
        if (
            kept is not None
            and not fresh
            and not _list_has_news(app, session, kept, in_a_tick=False)
        ):
            return kept.list_figures()
    return _work_out_list(app)


def refresh(app: App) -> Iterator[str]:
    """A part of the tick: works figures out again where something changed; some issues a tick.

    Says of which issue they do not add up, and no other issue waits for that one.
    """
    done = 0
    for issue_id in _due(app):
        try:
            _work_out(app, issue_id)
        except NewsletterError as error:
            yield f"the figures of issue {issue_id} could not be worked out: {error}"
        else:
            done += 1
        if done == A_TICK:
            break
    with app.session(readonly=True) as session:
        kept = snapshots.load(session, snapshots.LIST)
        is_due = kept is None or _list_has_news(app, session, kept, in_a_tick=True)
    if is_due:
        _work_out_list(app)


def seal(app: App, issue_id: int) -> None:
    """Works an issue's figures out for the last time, before the events behind them go."""
    with app.session(readonly=True) as session:
        kept = snapshots.load(session, snapshots.name_of(issue_id))
    if kept is None or not kept.is_sealed:
        _work_out(app, issue_id, seal=True)


def _wants_fresh(session: Session, kept: Kept, issue_id: int, *, fresh: bool) -> bool:
    if kept.is_sealed:
        return False
    is_quick = kept.took_ms <= AT_ONCE_MS
    return fresh or (is_quick and snapshots.has_news(session, kept, issue_id))


def _work_out(app: App, issue_id: int, *, seal: bool = False) -> IssueFigures:
    """Counts in one transaction that locks nobody out, keeps in another."""
    with app.session(readonly=True) as session:
        began = monotonic()
        signs = snapshots.issue_signs(session, issue_id)
        figures = stats.measure(session, _about(session, issue_id), now=app.clock())
        took_ms = _ms_since(began)
    if figures.sent_at is not None:
        _keep(app, snapshots.name_of(issue_id), figures, signs, took_ms, seal=seal)
    return figures


def _keep(
    app: App,
    name: str,
    figures: IssueFigures | ListFigures,
    signs: Signs,
    took_ms: int,
    *,
    seal: bool = False,
) -> None:
    with app.session() as session:
        snapshots.save(session, name, figures, signs, took_ms=took_ms, now=app.clock(), seal=seal)


def _ms_since(began: float) -> int:
    return round((monotonic() - began) * 1_000)


def _due(app: App) -> list[int]:
    """Issues whose figures are due: those without any, of an age nobody knows, the oldest."""
    now = app.clock()
    with app.session(readonly=True) as session:
        sent = session.execute(
            select(Issue.id, Issue.frozen_at)
            .where(col(Issue.frozen_at).is_not(None))
            .order_by(col(Issue.frozen_at))
        ).all()
        kept = snapshots.load_all(session, [snapshots.name_of(issue_id) for issue_id, _ in sent])
        without, again = [], []
        for issue_id, sent_at in sent:
            one = kept.get(snapshots.name_of(issue_id))
            if one is None:
                without.append(issue_id)
            elif snapshots.is_due(session, one, issue_id, sent_at=sent_at, now=now):
                again.append((not snapshots.is_ahead(one, now), one.computed_at, issue_id))
    return [*without, *(issue_id for _, _, issue_id in sorted(again))]


def _about(session: Session, issue_id: int) -> About:
    issue, row = issues.details(session, issue_id), issues.row(session, issue_id)
    return About(
        id=issue_id,
        ref=issue.ref,
        week=issue.week,
        kind=issue.kind,
        subject=issue.subject,
        sent_at=issue.frozen_at,
        frozen=row.candidates,
        is_tracked=row.is_tracked,
        comparisons=[
            _judged(session, comparison.id or 0, comparison.slug)
            for _item, comparison in issues.items_with_comparisons(session, issue_id)
        ],
        earlier=_earlier(session, row),
    )


def _judged(session: Session, comparison_id: int, slug: str) -> Judged:
    """The panel as it stands now, against everybody's votes."""
    comparison, tallies = (
        library.load_revision(session, slug),
        votes.tallies(session, comparison_id),
    )
    return Judged(
        slug=slug,
        title=comparison.title,
        votes=tuple(
            _vote_figure(tool.name, tool.panel, tallies.get(tool_slug, Tally()))
            for tool, tool_slug in zip(comparison.tools, comparison.tool_slugs, strict=True)
        ),
    )


def _vote_figure(tool: str, panel: int, tally: Tally) -> VoteFigure:
    return VoteFigure(
        tool=tool,
        panel_percent=panel,
        ship=tally.ship,
        skip=tally.skip,
        suspect=tally.suspect_ship + tally.suspect_skip,
        visitors_ship=tally.visitors_ship,
        visitors_skip=tally.visitors_skip,
    )


def _earlier(session: Session, issue: Issue) -> tuple[EarlierFigure, ...]:
    """As they are kept; one that was never worked out is left out."""
    if issue.frozen_at is None:
        return ()
    ids = session.exec(
        select(Issue.id)
        .where(Issue.kind == issue.kind, col(Issue.frozen_at) < issue.frozen_at)
        .order_by(col(Issue.frozen_at).desc())
        .limit(EARLIER)
    ).all()
    names = [snapshots.name_of(issue_id or 0) for issue_id in ids]
    kept = snapshots.load_all(session, names)
    found = (stats.as_earlier(kept[name].issue_figures()) for name in names if name in kept)
    return tuple(one for one in found if one is not None)


def _work_out_list(app: App) -> ListFigures:
    now = app.clock()
    with app.session(readonly=True) as session:
        began = monotonic()
        signs = snapshots.list_signs(session)
        months, cohorts = growth.months(session, now=now), growth.cohorts(session, now=now)
        figures = ListFigures(
            computed_at=now,
            statuses=growth.statuses(session),
            months=tuple(_month(one) for one in months),
            cohorts=tuple(_cohort(one) for one in cohorts),
        )
        took_ms = _ms_since(began)
    _keep(app, snapshots.LIST, figures, signs, took_ms)
    return figures


def _list_has_news(app: App, session: Session, kept: Kept, *, in_a_tick: bool) -> bool:
    """In a tick also once a day, and never sooner than figures have rested."""
    is_news = dict(kept.signs) != dict(snapshots.list_signs(session))
    if not in_a_tick:
        return is_news and kept.took_ms <= AT_ONCE_MS
    now = app.clock()
    is_old = now - kept.computed_at >= timedelta(days=1)
    if snapshots.is_ahead(kept, now):
        return True
    return (is_news or is_old) and snapshots.is_rested(kept, now)


def _month(one: growth.Month) -> MonthFigure:
    return MonthFigure(
        month=one.month,
        confirmed=one.confirmed,
        returned=one.returned,
        unsubscribed=one.unsubscribed,
        suppressed=one.suppressed,
        erased=one.erased,
        active_at_end=one.active_at_end,
    )


def _cohort(one: growth.Cohort) -> CohortFigure:
    return CohortFigure(one.month, one.confirmed, one.active, one.seen)
