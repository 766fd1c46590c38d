"""Who gives no sign of life is asked, then paused; off until switched on, and nobody is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from inbound_home import change, reader
from publication import MONDAY, at, open_home, readers
from sqlalchemy import text

from newsletter import sunset
from newsletter.app import App
from newsletter.letters import drain_system_mail
from subscribers import choices, engagement, hygiene
from subscribers.hygiene import WAIT, Silence, Step

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = MONDAY + WAIT


@pytest.mark.parametrize(
    ("silence", "step"),
    [
        (Silence(1, 11), Step.NOTHING),
        (Silence(1, 12), Step.ASK),
        (Silence(1, 12, last_human_at=NOW - 300 * DAY), Step.ASK),
        (Silence(1, 12, asked_at=NOW - WAIT + DAY), Step.NOTHING),
        (Silence(1, 12, asked_at=NOW - WAIT), Step.PAUSE),
        (Silence(1, 12, asked_at=NOW - WAIT, chose_at=NOW - DAY), Step.NOTHING),
        (Silence(1, 12, asked_at=NOW - WAIT, chose_at=NOW - 99 * DAY), Step.PAUSE),
        (Silence(1, 12, asked_at=NOW - 400 * DAY, last_human_at=NOW - 300 * DAY), Step.ASK),
    ],
)
def test_silence_is_asked_about_then_paused(silence: Silence, step: Step) -> None:
    assert hygiene.next_step(silence, after_issues=12, now=NOW) is step
    assert hygiene.next_step(silence, after_issues=0, now=NOW) is Step.NOTHING


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Two readers: the first silent for twelve issues, the second for eleven."""
    app = open_home(tmp_path / "home", sunset_after_issues=12)
    readers(app, 2)
    for id_, issues in ((1, 12), (2, 11)):
        change(
            app,
            "INSERT INTO engagement (subscriber_id, issues_without, soft_bounces)"
            " VALUES (:id, :issues, 0)",
            id=id_,
            issues=issues,
        )
    return app


def asked(app: App) -> list[int]:
    with app.session(readonly=True) as session:
        query = "SELECT subscriber_id FROM system_mail WHERE kind='still_there' ORDER BY id"
        return list(session.execute(text(query)).scalars())


def apply(app: App, now: datetime = MONDAY) -> list[str]:
    said = list(sunset.apply(at(app, now)))
    drain_system_mail(at(app, now))
    return said


def test_it_is_off_until_switched_on(tmp_path: Path, app: App) -> None:
    assert list(sunset.apply(open_home(app.home))) == []
    assert asked(app) == []


def test_a_silent_reader_is_asked_once_and_paused_after_the_wait(app: App) -> None:
    assert apply(app) == ["silent readers asked: 1"]
    assert apply(app) == []
    assert apply(app, LATER - DAY) == []
    assert reader(app, 1) == ("active", None)
    assert apply(app, LATER) == ["silent readers paused: 1"]
    assert (reader(app, 1)[0], reader(app, 2)[0]) == ("paused", "active")
    assert apply(app, LATER + DAY) == []
    assert asked(app) == [1]
    mail = next((app.home / "outbox" / "system").glob("*.eml")).read_text()
    assert "reader1@example.com" in mail


def test_a_sign_of_life_after_the_question_is_an_answer(app: App) -> None:
    apply(app)
    with app.session() as session:
        engagement.sign_of_life(session, 1, MONDAY + DAY)
    assert apply(app, LATER) == []
    assert reader(app, 1)[0] == "active"


def test_who_came_back_from_the_pause_is_not_paused_again(app: App) -> None:
    apply(app)
    apply(app, LATER)
    with app.session() as session:
        choices.resume(session, 1, source="page", network="", now=LATER + DAY)
    assert apply(app, LATER + 2 * DAY) == []
    assert reader(app, 1)[0] == "active"


def test_nobody_is_paused_whom_the_question_never_reached(app: App) -> None:
    list(sunset.apply(app))
    change(app, "UPDATE system_mail SET state='failed'")
    assert apply(app, LATER) == ["silent readers asked: 1"]
    assert reader(app, 1)[0] == "active"
    assert apply(app, LATER + WAIT) == ["silent readers paused: 1"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE subscriber SET is_tracked = false",
        "UPDATE subscriber SET status = 'unsubscribed'",
        "UPDATE subscriber SET status = 'paused'",
        (
            "INSERT INTO suppression (address_key, reason, at, detail, lifted_because)"
            " SELECT address_key, 'manual', created_at, '', '' FROM subscriber"
        ),
    ],
)
def test_who_can_give_no_sign_or_gets_no_mail_is_left_alone(app: App, statement: str) -> None:
    change(app, statement)
    assert apply(app) == []


def test_many_silent_readers_are_asked_in_parts(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sunset, "AT_ONCE", 1)
    change(app, "UPDATE engagement SET issues_without = 12")
    assert apply(app) == ["silent readers asked: 2"]
    assert asked(app) == [1, 2]
