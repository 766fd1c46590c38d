"""What changed since: from an editor's new revision to the next issue, told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from publication import at, finished, open_home, readers, store

from newsletter import pipeline, renders
from newsletter.app import App
from newsletter.editorial import changes, issues, library
from newsletter.editorial.content_model import Comparison, Correction, Take, Tool
from newsletter.errors import ApprovalError
from newsletter.rendering.view import ChangeView, Verdict
from newsletter.weeks import IssueWeek

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

WEEKS = tuple(IssueWeek.parse(f"2026-W{number}") for number in (48, 49, 50))
WRONG = Correction(date(2026, 11, 26), "Left is under MIT, not Apache 2.0.")


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = open_home(tmp_path / "home")
    readers(app, 2)
    return app


def later(app: App, **by: float) -> App:
    return at(app, app.clock() + timedelta(**by))


def turned(comparison: Comparison) -> Comparison:
    """The same comparison with every take's verdict turned round."""

    def other(take: Take) -> Take:
        return replace(take, verdict=Verdict.SKIP if take.verdict is Verdict.SHIP else Verdict.SHIP)

    def tool(one: Tool) -> Tool:
        return replace(one, takes=tuple(other(take) for take in one.takes))

    left, right = comparison.tools
    return replace(comparison, tools=(tool(left), tool(right)))


def corrected(comparison: Comparison, *corrections: Correction) -> Comparison:
    return replace(comparison, corrections=(*comparison.corrections, *corrections))


def send(app: App, week: IssueWeek) -> None:
    pipeline.approve(app, str(week), by="the editor")
    pipeline.send(app, str(week))


def planned(app: App, week: IssueWeek, title: str) -> None:
    """An issue of a fresh comparison of its own."""
    store(app, finished(title))
    pipeline.plan(app, week)


def told(app: App, week: IssueWeek) -> tuple[ChangeView, ...]:
    with app.session(readonly=True) as session:
        return renders.issue_view(app, session, issues.find(session, str(week)).id).changes


def text_of(app: App, week: IssueWeek) -> str:
    with app.session(readonly=True) as session:
        found = issues.rendered(session, issues.find(session, str(week)).id)
        return " ".join(found.text.split())


FIRST = finished("Left vs Right")


@pytest.fixture
def a_week_later(app: App) -> App:
    """The issue of W48 with `FIRST` went out; it is a week after, and W49 is planned."""
    store(app, FIRST)
    pipeline.plan(app, WEEKS[0])
    send(app, WEEKS[0])
    app = later(app, days=7)
    planned(app, WEEKS[1], "Up vs Down")
    return app


def test_the_first_issue_has_nothing_to_tell(app: App) -> None:
    store(app, FIRST)
    pipeline.plan(app, WEEKS[0])
    pipeline.take_into_store(later(app, hours=1), [turned(FIRST)])
    assert told(app, WEEKS[0]) == ()


def test_a_verdict_that_flipped_is_told_with_the_next_issue_and_never_again(
    a_week_later: App,
) -> None:
    app = later(a_week_later, hours=1)
    pipeline.take_into_store(app, [turned(FIRST)])
    (change,) = told(app, WEEKS[1])
    assert (change.title, change.day) == ("Left vs Right", date(2026, 11, 24))
    assert change.was.startswith("Ship Mistral 8B Instruct v3 over Claude Haiku Open Weights, 100%")
    assert change.now.startswith("Ship Claude Haiku Open Weights over Mistral 8B Instruct v3, 50%")
    assert change.url.endswith("/comparisons/left-vs-right")
    assert change.now in text_of(app, WEEKS[1])
    send(app, WEEKS[1])
    app = later(app, days=7)
    planned(app, WEEKS[2], "In vs Out")
    assert told(app, WEEKS[2]) == ()
    assert [one.now for one in told(app, WEEKS[1])] == [change.now]


def test_a_correction_is_told_once_and_a_second_one_alone(a_week_later: App) -> None:
    app = later(a_week_later, hours=1)
    once = corrected(FIRST, WRONG)
    pipeline.take_into_store(app, [once])
    (change,) = told(app, WEEKS[1])
    assert (change.was, change.now) == ("", "")
    assert [one.text for one in change.corrections] == [WRONG.text]
    send(app, WEEKS[1])
    app = later(app, days=7)
    planned(app, WEEKS[2], "In vs Out")
    second = Correction(date(2026, 12, 2), "Right costs $9.")
    pipeline.take_into_store(app, [corrected(once, second)])
    (change,) = told(app, WEEKS[2])
    assert [one.text for one in change.corrections] == [second.text]


def test_a_change_that_came_between_planning_and_freezing_is_not_lost(app: App) -> None:
    store(app, FIRST)
    pipeline.plan(app, WEEKS[0])
    send(app, WEEKS[0])
    app = later(app, hours=2)
    pipeline.take_into_store(app, [turned(FIRST)])
    app = later(app, days=7)
    planned(app, WEEKS[1], "Up vs Down")
    assert len(told(app, WEEKS[1])) == 1


def test_a_verdict_that_flipped_and_flipped_back_is_no_news(a_week_later: App) -> None:
    app = later(a_week_later, hours=1)
    pipeline.take_into_store(app, [turned(FIRST)])
    assert len(told(app, WEEKS[1])) == 1
    pipeline.take_into_store(later(app, hours=1), [FIRST])
    assert told(app, WEEKS[1]) == ()
    assert "What changed" not in text_of(app, WEEKS[1])


def test_words_alone_are_no_news(a_week_later: App) -> None:
    app = later(a_week_later, hours=1)
    pipeline.take_into_store(app, [replace(FIRST, verdict="Another reason, same verdict.")])
    assert told(app, WEEKS[1]) == ()


def test_news_of_a_published_comparison_voids_an_approval_at_once(a_week_later: App) -> None:
    app = a_week_later
    pipeline.approve(app, str(WEEKS[1]), by="the editor")
    app = later(app, hours=1)
    pipeline.take_into_store(app, [turned(FIRST)])
    with app.session(readonly=True) as session:
        issue = issues.find(session, str(WEEKS[1]))
    assert issue.state == "planned"
    assert issue.approval is not None
    assert issue.approval.void_reason == "new revision of left-vs-right"
    with pytest.raises(ApprovalError, match="void"):
        pipeline.send(app, str(WEEKS[1]))


def test_what_an_issue_not_yet_out_holds_is_no_change(app: App) -> None:
    store(app, FIRST)
    pipeline.plan(app, WEEKS[0])
    send(app, WEEKS[0])
    app = later(app, days=7)
    planned(app, WEEKS[1], "Up vs Down")
    pipeline.take_into_store(later(app, hours=1), [turned(finished("Up vs Down"))])
    assert told(app, WEEKS[1]) == ()


def test_invented_samples_are_no_news_in_a_real_issue(app: App) -> None:
    sample = finished("Left vs Right", sample=True)
    store(app, sample)
    pipeline.plan(app, WEEKS[0], samples=True)
    send(app, WEEKS[0])
    app = later(app, days=7)
    planned(app, WEEKS[1], "Up vs Down")
    pipeline.take_into_store(later(app, hours=1), [turned(sample)])
    assert told(app, WEEKS[1]) == ()


def test_the_same_store_tells_the_same_in_the_same_order(a_week_later: App) -> None:
    app = a_week_later
    send(app, WEEKS[1])
    app = later(app, days=7)
    planned(app, WEEKS[2], "In vs Out")
    app = later(app, hours=1)
    pipeline.take_into_store(app, [turned(finished("Up vs Down")), turned(FIRST)])
    first = told(app, WEEKS[2])
    assert [one.slug for one in first] == ["up-vs-down", "left-vs-right"]
    with app.session(readonly=True) as session:
        issue_id = issues.find(session, str(WEEKS[2])).id
        again = changes.changes_since(
            session,
            issue_id,
            public_url=app.publication.url,
            day_of=lambda instant: instant.astimezone(app.slot.zone).date(),
        )
    assert again == first


def test_a_body_with_corrections_survives_the_store(app: App) -> None:
    comparison = corrected(FIRST, WRONG, Correction(date(2026, 12, 1), "Straße, not Strasse."))
    store(app, comparison)
    with app.session(readonly=True) as session:
        assert library.load_revision(session, "left-vs-right") == comparison
    assert Comparison.from_body(comparison.to_body()) == comparison
    assert "corrections" not in FIRST.to_body()


def test_where_the_clock_stands_still_a_change_is_told_once_all_the_same(app: App) -> None:
    store(app, FIRST)
    pipeline.plan(app, WEEKS[0])
    send(app, WEEKS[0])
    pipeline.take_into_store(app, [turned(FIRST)])
    planned(app, WEEKS[1], "Up vs Down")
    assert len(told(app, WEEKS[1])) == 1
    send(app, WEEKS[1])
    planned(app, WEEKS[2], "In vs Out")
    assert told(app, WEEKS[2]) == ()
    assert len(told(app, WEEKS[1])) == 1
