"""Figures that are kept: read as they were, worked out again where something changed, sealed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import facts
import pytest
from facts import NOW, SENT, Did
from hypothesis import given, settings
from hypothesis import strategies as st
from publication import at, finished, open_home, planned_and_approved, readers, store
from sqlalchemy import Engine, text

from newsletter import pipeline, stats
from newsletter.app import App
from newsletter.errors import NotFoundError
from newsletter.store.engine import session_on
from newsletter.store.feedback import ToClassify
from newsletter.store.models import Comparison, InboundReport, Issue, IssueItem
from newsletter.tracking import snapshots
from newsletter.tracking.figures import (
    ClientFigure,
    CohortFigure,
    ComparisonFigure,
    DomainFigure,
    EarlierFigure,
    HourFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    ListFigures,
    MonthFigure,
    Share,
    VoteFigure,
)
from newsletter.tracking.figures_json import from_plain, to_plain

pytestmark = pytest.mark.slow

AWARE = st.datetimes(timezones=st.just(UTC))
COUNTS = st.integers(0, 2**40)
SHARES = st.builds(lambda a, b, what: Share(min(a, b), max(a, b), what), COUNTS, COUNTS, st.text())
LABELLED = st.builds(Labelled, COUNTS, COUNTS, COUNTS)
VOTES = st.lists(st.from_type(VoteFigure), max_size=1).map(tuple)


def some(kind: type, **given: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    """None of these figures, or one or two, their shares and labels as they can be."""
    known = {"readers": LABELLED, "loads": LABELLED, "clicks": LABELLED}
    fields = {field.name for field in dataclasses.fields(kind)}
    chosen = {name: of for name, of in (known | given).items() if name in fields}
    return st.lists(st.builds(kind, **chosen), max_size=2).map(tuple)


EARLIER = some(
    EarlierFigure,
    sent_at=AWARE,
    **dict.fromkeys(("loads", "clicks", "voters", "unsubscribed", "complained"), SHARES),
)
ISSUES = st.builds(
    IssueFigures,
    sent_at=AWARE | st.none(),
    computed_at=AWARE,
    is_sealed=st.just(value=False),
    rates=st.dictionaries(st.text(), SHARES, max_size=2),
    links=some(LinkFigure),
    comparisons=some(ComparisonFigure, votes=VOTES),
    hours=some(HourFigure),
    clients=some(ClientFigure, readers=COUNTS),
    domains=some(DomainFigure, complained=SHARES),
    earlier=EARLIER,
)
LISTS = st.builds(
    ListFigures,
    computed_at=AWARE,
    months=st.lists(st.from_type(MonthFigure), max_size=2).map(tuple),
    cohorts=st.lists(st.from_type(CohortFigure), max_size=2).map(tuple),
)


@settings(max_examples=30)
@given(figures=ISSUES)
def test_an_issue_s_figures_come_back_from_json_as_they_were(figures: IssueFigures) -> None:
    assert from_plain(IssueFigures, json.loads(json.dumps(to_plain(figures)))) == figures


@settings(max_examples=30)
@given(figures=LISTS)
def test_the_list_s_figures_come_back_from_json_as_they_were(figures: ListFigures) -> None:
    assert from_plain(ListFigures, json.loads(json.dumps(to_plain(figures)))) == figures


def test_figures_kept_by_an_earlier_version_lack_only_what_was_added(database: Engine) -> None:
    figures = kept_figures(database)
    plain = to_plain(figures)
    del plain["strays"]
    assert from_plain(IssueFigures, plain) == replace(figures, strays=0)


def kept_figures(database: Engine) -> IssueFigures:
    """Of an issue of two readers, whose number is 1; kept under its name."""
    with session_on(database) as session:
        issue_id = facts.issue(session, ("delivered", "submitted"))
        signs = snapshots.issue_signs(session, issue_id)
        figures = facts.figures(session, issue_id)
        assert snapshots.save(session, snapshots.name_of(issue_id), figures, signs, took_ms=500)
        return figures


def test_a_snapshot_gives_back_what_was_kept(database: Engine) -> None:
    figures = kept_figures(database)
    with session_on(database, readonly=True) as session:
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert kept.issue_figures() == figures
        assert (kept.took_ms, kept.is_sealed, kept.computed_at) == (500, False, NOW)
        assert snapshots.load(session, "issue:2") is None


def test_newer_figures_take_the_place_and_older_ones_do_not(database: Engine) -> None:
    figures = kept_figures(database)
    newer = replace(figures, computed_at=NOW + timedelta(minutes=5), probes=9)
    with session_on(database) as session:
        assert snapshots.save(session, "issue:1", newer, {}, took_ms=1)
        assert not snapshots.save(session, "issue:1", figures, {}, took_ms=1)
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert kept.issue_figures().probes == 9


def test_sealed_figures_stand_for_good(database: Engine) -> None:
    figures = kept_figures(database)
    later = replace(figures, computed_at=NOW + timedelta(days=1), probes=9)
    with session_on(database) as session:
        assert snapshots.save(session, "issue:1", figures, {}, took_ms=1, seal=True)
        assert not snapshots.save(session, "issue:1", later, {}, took_ms=1)
        assert not snapshots.save(session, "issue:1", later, {}, took_ms=1, seal=True)
        snapshots.outdate(session, 1)
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert kept.issue_figures() == replace(figures, is_sealed=True)
        assert not snapshots.is_due(session, kept, 1, sent_at=SENT, now=NOW + timedelta(days=9))


NEWS = {
    "an event": lambda session: facts.did(session, 1, Did(1)),
    "a resend": lambda session: facts.did(session, 1, Did(1, kind="resend")),
    "a provider's event": lambda session: facts.told(session, 1, 1, "deferred"),
    "a bounce by mail": lambda session: session.add(
        InboundReport(digest="d", received_at=NOW, kind="status", verdict="x", issue_id=1)
    ),
    "an issue that goes on": lambda session: session.execute(
        text("UPDATE issue SET state = 'sending' WHERE id = 1")
    ),
    "labels written again": lambda session: snapshots.outdate(session, 1),
    "events that wait for a label": lambda session: session.add(
        ToClassify(issue_id=1, subscriber_id=1, due_at=NOW)
    ),
}


@pytest.mark.parametrize("what", NEWS)
def test_what_changes_an_issue_s_figures_is_news(database: Engine, what: str) -> None:
    kept_figures(database)
    with session_on(database) as session:
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert not snapshots.has_news(session, kept, 1)
        NEWS[what](session)
        session.flush()
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert snapshots.has_news(session, kept, 1)


def test_a_vote_on_one_of_its_comparisons_is_news(database: Engine) -> None:
    kept_figures(database)
    with session_on(database) as session:
        session.add(Comparison(id=1, slug="c1", state="published"))
        session.flush()
        session.add(IssueItem(issue_id=1, position=0, comparison_id=1, revision=1))
        session.flush()
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert not snapshots.has_news(session, kept, 1)
        facts.vote(session, 1, 1)
        assert snapshots.has_news(session, kept, 1)


def test_what_happens_to_other_issues_is_no_news(database: Engine) -> None:
    kept_figures(database)
    with session_on(database) as session:
        other = facts.issue(session, ("delivered", "submitted"), week="2026-W49")
        facts.did(session, other, Did(1))
        facts.told(session, other, 2, "deferred")
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        assert not snapshots.has_news(session, kept, 1)


def test_counting_takes_a_twentieth_of_the_time_at_most(database: Engine) -> None:
    kept_figures(database)  # half a second
    with session_on(database) as session:
        facts.did(session, 1, Did(1))
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        dues = [
            snapshots.is_due(session, kept, 1, sent_at=SENT, now=NOW + timedelta(seconds=after))
            for after in (0, 9.9, 10)
        ]
        assert dues == [False, False, True]


@pytest.mark.parametrize(
    ("age_days", "hours_since", "has_news", "is_due"),
    [
        (59, 1, True, True),
        (59, 1, False, False),
        (59, 24, False, True),  # whatever no sign tells: an erasure, a reader without tracking
        (61, 23, True, False),
        (61, 24, True, True),
        (61, 24, False, False),
    ],
)
def test_an_old_issue_is_looked_at_once_a_day_and_only_at_news(
    database: Engine, age_days: int, hours_since: int, *, has_news: bool, is_due: bool
) -> None:
    kept_figures(database)
    now = NOW + timedelta(hours=hours_since)
    with session_on(database) as session:
        if has_news:
            facts.did(session, 1, Did(1))
        kept = snapshots.load(session, "issue:1")
        assert kept is not None
        sent_at = now - timedelta(days=age_days)
        assert snapshots.is_due(session, kept, 1, sent_at=sent_at, now=now) is is_due


@pytest.fixture
def app(database_file: Path, tmp_path: Path) -> App:
    """An issue sent to three readers, its clock an hour later."""
    app = open_home(tmp_path)
    store(app, finished("Alpha vs Beta"))
    readers(app, 3)
    planned_and_approved(app)
    pipeline.send(app, "latest")
    return at(app, app.clock() + timedelta(hours=1))


def an_event(app: App, **what: object) -> None:
    with app.session() as session:
        facts.did(session, 1, replace(Did(1, after=timedelta()), **what))  # type: ignore[arg-type]


def kept_took(app: App, took_ms: int) -> None:
    with app.session() as session:
        session.execute(text("UPDATE snapshot SET took_ms = :took_ms"), {"took_ms": took_ms})


def test_an_issue_that_went_out_has_its_figures(app: App) -> None:
    figures = stats.load(app, "latest")
    assert (figures.ref, figures.kind, figures.computed_at) == ("2026-W48", "weekly", app.clock())
    assert figures.waterfall.states == {"submitted": 3}
    assert figures.waterfall.delivered is None
    (comparison,) = figures.comparisons
    assert comparison.title == "Alpha vs Beta"
    assert [vote.panel_percent for vote in comparison.votes] == [50, 100]
    assert any(link.comparison == comparison.slug for link in figures.links)
    with pytest.raises(NotFoundError):
        stats.load(app, "2026-W40")


def test_figures_that_took_long_are_shown_as_they_are_kept(app: App) -> None:
    before = stats.load(app, "latest")
    an_event(app)
    kept_took(app, stats.AT_ONCE_MS + 1)
    later = at(app, app.clock() + timedelta(hours=1))
    assert stats.load(later, "latest") == before
    fresh = stats.load(later, "latest", fresh=True)
    assert fresh.waterfall.loads == Labelled(human=1)
    assert fresh.computed_at == later.clock()


def test_figures_that_took_a_moment_are_worked_out_again_at_news(app: App) -> None:
    before = stats.load(app, "latest")
    kept_took(app, 1)
    later = at(app, app.clock() + timedelta(hours=1))
    assert stats.load(later, "latest").computed_at == before.computed_at
    an_event(later)
    assert stats.load(later, "latest").waterfall.loads == Labelled(human=1)


def test_the_tick_works_out_what_is_due(app: App) -> None:
    with app.session() as session:
        for week in range(30, 35):
            facts.issue(session, ("submitted",), week=f"2026-W{week}")
    assert names(app) == []
    assert list(stats.refresh(app)) == []
    assert len(names(app)) == stats.A_TICK + 1  # and the list
    list(stats.refresh(app))
    assert names(app) == ["list", *(f"issue:{number}" for number in range(1, 7))]
    kept_took(app, 1)
    later = at(app, app.clock() + timedelta(minutes=1))
    an_event(later)
    list(stats.refresh(later))
    assert worked_out_at(later) == {"issue:1"}


def test_an_issue_not_sent_is_counted_and_not_kept(app: App) -> None:
    with app.session() as session:
        session.add(Issue(week="2026-W51", slot_at=NOW, state="planned", planned_at=NOW))
    list(stats.refresh(app))
    assert stats.load(app, "2026-W51").sent_at is None
    assert names(app) == ["list", "issue:1"]


def test_sealed_figures_outlive_the_events_behind_them(app: App) -> None:
    an_event(app)
    stats.seal(app, 1)
    with app.session() as session:
        session.execute(text("DELETE FROM event"))
    later = at(app, app.clock() + timedelta(days=400))
    list(stats.refresh(later))
    figures = stats.load(later, "latest", fresh=True)
    assert figures.is_sealed
    assert figures.waterfall.loads == Labelled(human=1)
    stats.seal(later, 1)
    assert stats.load(later, "latest") == figures


def test_an_issue_is_compared_with_earlier_ones_of_its_kind(app: App) -> None:
    with app.session() as session:
        for week, days in (("2026-W46", 14), ("2026-W47", 7)):
            facts.issue(session, ("submitted",) * 2, week=week)
            session.execute(
                text("UPDATE issue SET frozen_at = :at WHERE week = :week"),
                {"at": f"{app.clock() - timedelta(days=days):%Y-%m-%d %H:%M:%S.%f}", "week": week},
            )
    assert stats.load(app, "2026-W48", fresh=True).earlier == ()  # nobody has counted them yet
    list(stats.refresh(app))
    earlier = stats.load(app, "2026-W48", fresh=True).earlier
    assert [(one.ref, one.reached) for one in earlier] == [("2026-W47", 2), ("2026-W46", 2)]


def test_the_list_s_figures_are_kept_and_worked_out_at_news(app: App) -> None:
    before = stats.load_list(app)
    assert before.statuses == {"active": 3}
    assert [(one.confirmed, one.active_at_end) for one in before.months] == [(3, 3)]
    kept_took(app, 1)
    later = at(app, app.clock() + timedelta(hours=1))
    assert stats.load_list(later) == before
    assert stats.load_list(later, fresh=True).computed_at == later.clock()
    with later.session() as session:
        session.execute(text("UPDATE subscriber SET status = 'unsubscribed' WHERE id = 1"))
        session.execute(
            text(
                "INSERT INTO consent_record (subscriber_id, action, at, source, wording, network,"
                " given_on) VALUES (1, 'unsubscribed', :at, 'test', '', '', '')"
            ),
            {"at": f"{later.clock():%Y-%m-%d %H:%M:%S.%f}"},
        )
    assert stats.load_list(later).months[-1].unsubscribed == 1


def names(app: App) -> list[str]:
    with app.session(readonly=True) as session:
        found = session.execute(text("SELECT name FROM snapshot")).scalars().all()
    return sorted(found, key=lambda name: (name != "list", name))


def worked_out_at(app: App) -> set[str]:
    """Names of what was worked out at the application's now."""
    at_now = f"{app.clock():%Y-%m-%d %H:%M:%S.%f}"
    statement = text("SELECT name FROM snapshot WHERE computed_at = :now")
    with app.session(readonly=True) as session:
        return set(session.execute(statement, {"now": at_now}).scalars())
