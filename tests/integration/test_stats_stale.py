"""Figures that are kept never stand on what is no more, nor behind what went wrong elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import facts
import pytest
import told_home
from facts import Did
from inbound_home import SETTINGS, change
from publication import at, open_home
from served import READER, Served, copied, id_of, make_home, press, served
from sqlalchemy import text

from newsletter import control, feedback, own_page, stats
from newsletter.app import App
from newsletter.store.models import Issue
from newsletter.tracking import snapshots
from newsletter.tracking.figures import Labelled

pytestmark = pytest.mark.slow

AN_HOUR = timedelta(hours=1)
WEEK = "2026-W48"


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    """An issue sent to two readers, of whom one clicked; its figures took long, and are kept."""
    with served(copied(sent_home, tmp_path)) as one:
        number = id_of(one)
        with one.app.session() as session:
            facts.did(session, 1, Did(number, kind="click", link=1))
        stats.load(one.app, WEEK, fresh=True)
        took_long(one.app)
        yield one


def took_long(app: App) -> None:
    """So that nobody who looks has the figures worked out again: that is the tick's part."""
    with app.session() as session:
        session.execute(text("UPDATE snapshot SET took_ms = :ms"), {"ms": stats.AT_ONCE_MS + 1})


def shown_after_a_tick(site: Served) -> Labelled:
    later = at(site.app, site.clock() + AN_HOUR)
    assert list(stats.refresh(later)) == []
    return stats.load(later, WEEK).waterfall.clicks


def test_nothing_changed_nothing_is_counted_again(site: Served) -> None:
    before = stats.load(site.app, WEEK)
    shown_after_a_tick(site)
    assert stats.load(site.app, WEEK) == before
    assert before.waterfall.clicks == Labelled(human=1)


def test_who_is_erased_leaves_the_kept_figures(site: Served) -> None:
    own_page.erase_by_operator(site.app, READER, by="Ops")
    assert shown_after_a_tick(site) == Labelled()


def test_who_is_erased_while_figures_are_counted_leaves_them_the_next_time(site: Served) -> None:
    with site.app.session(readonly=True) as session:
        signs = snapshots.issue_signs(session, 1)
    figures = stats.load(site.app, WEEK)
    own_page.erase_by_operator(site.app, READER, by="Ops")
    with site.app.session() as session:
        assert snapshots.save(session, snapshots.name_of(1), figures, signs, took_ms=500)
    assert shown_after_a_tick(site) == Labelled()
    assert not has_news(site.app)


def test_who_turns_tracking_off_leaves_the_kept_figures(site: Served) -> None:
    press(site, "save", path=no_mail(site), boxes="yes", tracked="yes")
    assert not has_news(site.app)
    press(site, "save", path=no_mail(site), boxes="yes")
    assert shown_after_a_tick(site) == Labelled()


def no_mail(site: Served) -> str:
    """The preferences page as one finds it by oneself, through no issue."""
    return f"/preferences/{site.app.keyring.preferences(0, id_of(site))}"


def has_news(app: App) -> bool:
    with app.session(readonly=True) as session:
        kept = snapshots.load(session, snapshots.name_of(1))
        assert kept is not None
        return snapshots.has_news(session, kept, 1)


def test_what_is_settled_is_counted(site: Served) -> None:
    unsettled(site.app, 1, 2)
    stats.load(site.app, WEEK, fresh=True)
    took_long(site.app)
    assert not has_news(site.app)
    assert control.settle(site.app, WEEK, taken=True).submitted == 2
    assert shown_after_a_tick(site) == Labelled(human=1)


def unsettled(app: App, *subscriber_ids: int) -> None:
    with app.session() as session:
        session.execute(text("UPDATE issue SET state = 'cancelled'"))
        for number in subscriber_ids:
            session.execute(
                text("UPDATE delivery SET state = 'uncertain' WHERE subscriber_id = :number"),
                {"number": number},
            )


def test_what_was_told_while_a_message_was_still_being_sent_is_counted(tmp_path: Path) -> None:
    app = open_home(told_home.home_of_issues(tmp_path / "home"), **SETTINGS)
    change(app, "UPDATE delivery SET state = 'attempting' WHERE issue_id = 1")
    told_home.take(app, told_home.say(app, 1, "bounce"))
    change(app, "UPDATE delivery SET state = 'submitted' WHERE issue_id = 1")
    change(app, "UPDATE issue SET state = 'done' WHERE id = 1")
    stats.load(app, WEEK, fresh=True)
    assert not has_news(app)
    assert list(feedback.look_again(app)) == ["provider events that had waited for a sender: 1"]
    assert has_news(app)
    app.engine.dispose()


def test_one_issue_that_does_not_add_up_stops_no_other(site: Served) -> None:
    with site.app.session() as session:
        for week in range(30, 34):
            id_ = facts.issue(session, ("submitted",), week=f"2026-W{week}")
            session.get_one(Issue, id_).candidates = 7
        right = facts.issue(session, ("submitted",), week="2026-W34")
    said = list(stats.refresh(site.app))
    assert len(said) == 4
    assert said[0].startswith("the figures of issue 2 could not be worked out: the figures of")
    assert worked_out(site.app, right)


def worked_out(app: App, issue_id: int) -> bool:
    with app.session(readonly=True) as session:
        return snapshots.load(session, snapshots.name_of(issue_id)) is not None


def test_a_clock_that_was_ahead_freezes_no_figures(site: Served) -> None:
    ahead = at(site.app, site.clock() + timedelta(days=30))
    stats.load(ahead, WEEK, fresh=True)
    stats.load_list(ahead, fresh=True)
    took_long(site.app)
    with site.app.session() as session:
        facts.did(session, 1, Did(id_of(site) + 1, kind="click", link=1))
    assert shown_after_a_tick(site) == Labelled(human=2)
    later = at(site.app, site.clock() + AN_HOUR)
    assert stats.load(later, WEEK).computed_at == later.clock()
    assert stats.load_list(later).computed_at == later.clock()


def test_what_a_clock_ahead_sealed_stands_all_the_same(site: Served) -> None:
    stats.seal(at(site.app, site.clock() + timedelta(days=30)), 1)
    with site.app.session() as session:
        facts.did(session, 1, Did(id_of(site) + 1, kind="click", link=1))
    assert shown_after_a_tick(site) == Labelled(human=1)
    assert stats.load(site.app, WEEK, fresh=True).is_sealed


def test_an_issue_of_which_nothing_left_is_compared_with_none(site: Served) -> None:
    with site.app.session() as session:
        for week, state in (("2026-W40", "excluded"), ("2026-W41", "bounced")):
            id_ = facts.issue(session, (state,), week=week)
            session.get_one(Issue, id_).frozen_at = site.clock() - timedelta(days=30)
    list(stats.refresh(site.app))
    earlier = stats.load(site.app, WEEK, fresh=True).earlier
    assert [one.ref for one in earlier] == ["2026-W41"]
