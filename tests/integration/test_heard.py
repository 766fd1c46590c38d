"""What readers said of the issue before, in the issue that comes now: counted once, and kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from publication import MONDAY, SLOT, at, finished, open_home, planned_and_approved, readers, store

from newsletter import pipeline, renders
from newsletter.app import App
from newsletter.editorial import issues, votes
from newsletter.editorial.planning import Changes
from newsletter.errors import ApprovalError
from newsletter.rendering.view import HeardView, Verdict, VoteView
from newsletter.slugs import slug_of
from newsletter.weeks import IssueWeek

pytestmark = pytest.mark.slow

TITLE = "Left vs Right"
NEXT = MONDAY + timedelta(days=7)
SECOND = IssueWeek.parse("2026-W49")
HAIKU, MISTRAL = "claude-haiku-open-weights", "mistral-8b-instruct-v3"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """An issue that went out to three readers; a comparison for the next one is ready."""
    app = open_home(tmp_path / "home")
    store(app, finished(TITLE))
    readers(app, 3)
    planned_and_approved(app)
    pipeline.send(app, "latest")
    store(at(app, SLOT + timedelta(days=1)), finished("Next vs Other"))
    yield app
    app.engine.dispose()


def say(app: App, reader: int, verdict: Verdict = Verdict.SHIP, *, hurried: bool = False) -> None:
    with app.session() as session:
        question = votes.ask(session, issue_id=1, slug=slug_of(TITLE), tool=MISTRAL)
        moment = SLOT + timedelta(hours=reader)
        votes.cast(
            session,
            question,
            verdict,
            subscriber_id=reader,
            issue_id=1,
            at=moment,
            is_hurried=hurried,
        )


def heard(app: App) -> HeardView | None:
    with app.session(readonly=True) as session:
        return renders.issue_view(app, session, issues.find(session, "latest").id).heard


def next_week(app: App) -> App:
    return at(app, NEXT)


def test_the_first_issue_hears_of_nobody(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home")
    store(app, finished(TITLE))
    pipeline.plan(app)
    assert heard(app) is None
    app.engine.dispose()


def test_the_next_issue_tells_readers_beside_the_panel(app: App) -> None:
    for reader, verdict in ((1, Verdict.SHIP), (2, Verdict.SKIP), (3, Verdict.SHIP)):
        say(app, reader, verdict)
    pipeline.plan(next_week(app))
    told = heard(next_week(app))
    assert told is not None
    assert (told.day, told.counted_on) == (date(2026, 11, 24), date(2026, 11, 30))
    (one,) = told.comparisons
    assert (one.title, one.url) == (TITLE, f"{app.publication.url}/comparisons/left-vs-right")
    assert [(tool.name, tool.panel, tool.community) for tool in one.tools] == [
        ("Mistral 8B Instruct v3", 100, VoteView(2, 1)),
        ("Claude Haiku Open Weights", 50, None),
    ]
    with app.session(readonly=True) as session:
        stored = issues.rendered(session, 2)
    assert "What readers said" in stored.text
    assert "67% of 3" in stored.text


def test_suspects_alone_are_nothing_to_tell(app: App) -> None:
    say(app, 1, hurried=True)
    pipeline.plan(next_week(app))
    told = heard(next_week(app))
    assert told is not None
    assert told.comparisons == ()


def test_votes_that_come_later_move_neither_bytes_nor_approval(app: App) -> None:
    say(app, 1)
    later = next_week(app)
    planned_and_approved(later)
    with app.session(readonly=True) as session:
        before = issues.find(session, "latest").sha256
    say(app, 2, Verdict.SKIP)
    pipeline.render(later, "latest")
    pipeline.send(later, "latest")
    with app.session(readonly=True) as session:
        sent = issues.find(session, "latest")
    assert sent.sha256 == before
    assert sent.state == "done"


def test_an_issue_is_rebuilt_byte_for_byte_whatever_is_voted_since(app: App) -> None:
    say(app, 1)
    later = next_week(app)
    planned_and_approved(later)
    pipeline.send(later, "latest")
    say(app, 2, Verdict.SKIP)
    rebuilt = renders.rebuild(at(later, NEXT + timedelta(days=9)), "latest")
    assert rebuilt.holds
    assert rebuilt.differences == ()
    assert rebuilt.moved_on == ()


def test_an_issue_planned_early_counts_anew_once_the_one_before_went_out(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home")
    store(app, finished(TITLE))
    readers(app, 3)
    planned_and_approved(app)
    store(app, finished("Next vs Other"))
    pipeline.plan(at(app, NEXT))
    assert heard(app) is None
    pipeline.send(app, pipeline_first(app))
    say(app, 1)
    pipeline.render(at(app, NEXT), "latest")
    told = heard(at(app, NEXT))
    assert told is not None
    assert len(told.comparisons) == 1
    app.engine.dispose()


def two_approved_ahead(home: Path) -> App:
    """Two weeks' issues, both approved before the first went out; then that, and a vote on it."""
    app = open_home(home)
    store(app, finished(TITLE))
    readers(app, 3)
    planned_and_approved(app)
    store(app, finished("Next vs Other"))
    pipeline.plan(app, SECOND)
    pipeline.approve(app, str(SECOND), by="the editor")
    pipeline.send(app, "2026-W48")
    say(app, 1)
    return next_week(app)


def test_an_issue_approved_ahead_goes_out_as_approved_whatever_is_voted_on_the_first(
    tmp_path: Path,
) -> None:
    app = two_approved_ahead(tmp_path / "home")
    with app.session(readonly=True) as session:
        approved = issues.find(session, str(SECOND)).sha256
    pipeline.render(app, str(SECOND))
    sent = pipeline.send(app, str(SECOND)).issue
    assert (sent.state, sent.sha256) == ("done", approved)
    rebuilt = renders.rebuild(at(app, NEXT + timedelta(days=9)), str(SECOND))
    assert rebuilt.holds
    assert rebuilt.moved_on == ()
    app.engine.dispose()


def test_an_issue_whose_approval_falls_tells_of_the_first_at_once(tmp_path: Path) -> None:
    app = two_approved_ahead(tmp_path / "home")
    edited = pipeline.edit(app, str(SECOND), Changes(intro="Other words."))
    assert edited.standing_approval is None
    with app.session(readonly=True) as session:
        stored = issues.rendered(session, edited.id)
    assert "What readers said" in stored.text
    assert pipeline.approve(app, str(SECOND), by="the editor").state == "approved"
    app.engine.dispose()


def test_what_differs_from_the_approved_is_named(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home")
    store(app, finished(TITLE))
    readers(app, 1)
    planned_and_approved(app)
    app.engine.dispose()
    moved = open_home(tmp_path / "home", public_url="https://elsewhere.example")
    with pytest.raises(ApprovalError, match=r"renders differently .*publication\.url is different"):
        pipeline.send(moved, "latest")
    moved.engine.dispose()


def pipeline_first(app: App) -> str:
    with app.session(readonly=True) as session:
        return issues.find(session, "1").week


def test_real_readers_hear_nothing_of_a_demo(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home")
    store(app, finished(TITLE, sample=True))
    readers(app, 1)
    pipeline.plan(app, samples=True)
    pipeline.approve(app, "latest", by="the editor")
    pipeline.send(app, "latest")
    say(app, 1)
    store(at(app, SLOT + timedelta(days=1)), replace(finished("Next vs Other")))
    pipeline.plan(next_week(app))
    assert heard(next_week(app)) is None
    app.engine.dispose()
