"""The operators' report: a day and a week after an issue was sent, once each, or not at all."""

from __future__ import annotations

import email
import email.policy
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import facts
import pytest
from publication import MONDAY, at, open_home, outbox
from served import make_home
from sqlalchemy import text

from newsletter import notices, report, stats
from newsletter.app import App
from newsletter.letters import drain_system_mail
from newsletter.store.models import Issue

pytestmark = pytest.mark.slow

OPERATORS = ("Otto <otto@example.com>", "olga@example.com")
DAY, WEEK = timedelta(hours=24), timedelta(days=7)
A_MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def home(sent_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sent_home, tmp_path / "home"))


@pytest.fixture
def app(home: Path) -> Iterator[App]:
    app = open_home(home, operators=OPERATORS)
    yield app
    app.engine.dispose()


def told(app: App, instant: datetime) -> list[str]:
    return list(report.tell(at(app, instant)))


def queued(app: App) -> list[tuple[str, str]]:
    with app.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT address, once FROM system_mail ORDER BY id")
        return [(address, once.split(":")[2]) for address, once in rows if "report" in once]


def test_each_report_goes_to_every_operator_once_a_day_and_once_a_week_after(app: App) -> None:
    assert told(app, MONDAY + DAY - A_MINUTE) == []
    assert told(app, MONDAY + DAY) == ["2026-W48: report after 24 hours queued for 2 people"]
    for later in (DAY, 2 * DAY, WEEK - A_MINUTE):
        assert told(app, MONDAY + later) == []
    assert told(app, MONDAY + WEEK) == ["2026-W48: report after 7 days queued for 2 people"]
    assert told(app, MONDAY + WEEK) == []
    assert queued(app) == [
        (address, when)
        for when in ("24 hours", "7 days")
        for address in ("otto@example.com", "olga@example.com")
    ]


def test_a_report_nobody_could_make_in_time_is_not_made_late(app: App) -> None:
    assert told(app, MONDAY + WEEK) == ["2026-W48: report after 7 days queued for 2 people"]
    assert told(app, MONDAY + 2 * WEEK) == []


def test_without_operators_the_editors_get_it_and_without_either_nobody(home: Path) -> None:
    for settings, people in (
        ({"editors": ("edith@example.com",)}, ["edith@example.com"]),
        ({}, []),
    ):
        app = open_home(home, **settings)
        assert notices.operators(app) == people
        told(app, MONDAY + DAY)
        assert [address for address, _when in queued(app)] == ["edith@example.com"]
        app.engine.dispose()


def test_who_became_an_operator_since_gets_it_and_nobody_twice(home: Path) -> None:
    for operators in (OPERATORS[:1], OPERATORS):
        app = open_home(home, operators=operators)
        told(app, MONDAY + DAY)
        app.engine.dispose()
    assert [address for address, _when in queued(app)] == ["otto@example.com", "olga@example.com"]


def test_a_queued_report_goes_out_with_both_parts_and_says_what_was_known_then(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(app, MONDAY + DAY)
    monkeypatch.setattr(stats, "load", _nothing_is_worked_out_now)
    assert drain_system_mail(at(app, MONDAY + 2 * DAY)).submitted == 2
    files = [path for path in outbox(app, "system") if path.name.startswith("report.")]
    mail = email.message_from_bytes(files[0].read_bytes(), policy=email.policy.default)
    assert mail["Subject"] == "2026-W48 after 24 hours: 0 votes, 0 clicks"
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert "as of 24 November 2026, 10:00 UTC" in " ".join(plain.get_content().split())
    assert "It reached 2 of 2 candidates." in html.get_content()


def _nothing_is_worked_out_now(*_args: Any, **_options: Any) -> None:
    raise AssertionError


def written(app: App, statement: str) -> None:
    with app.session() as session:
        session.execute(text(statement))


def test_of_an_issue_cancelled_before_anything_left_there_is_no_word(app: App) -> None:
    written(app, "UPDATE delivery SET state = 'excluded', reason = 'cancelled'")
    assert told(app, MONDAY + DAY) == []
    assert told(app, MONDAY + WEEK) == []
    written(app, "UPDATE delivery SET state = 'bounced' WHERE subscriber_id = 1")
    assert told(app, MONDAY + WEEK) == ["2026-W48: report after 7 days queued for 2 people"]


def test_no_other_report_waits_for_figures_that_do_not_add_up(app: App) -> None:
    with app.session() as session:
        sent_before = facts.issue(session, ("submitted",), week="2026-W47")
        session.get_one(Issue, sent_before).frozen_at = MONDAY - A_MINUTE
        session.get_one(Issue, sent_before).candidates = 7
    wrong, right = sorted(told(app, MONDAY + DAY))
    assert wrong.startswith("2026-W47: no report after 24 hours: the figures of 2026-W47 do not")
    assert right == "2026-W48: report after 24 hours queued for 2 people"


def test_an_issue_that_was_not_sent_has_no_report(tmp_path: Path) -> None:
    make_home(tmp_path / "home")
    app = open_home(tmp_path / "home", operators=OPERATORS)
    for later in (DAY, WEEK):
        assert told(app, MONDAY + later) == []
    app.engine.dispose()
