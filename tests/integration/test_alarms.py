"""Too many complaints: operators are told as soon as the figures show it, once a limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from publication import MONDAY, at, open_home, outbox
from served import make_home

from newsletter import alarms, stats
from newsletter.app import App
from newsletter.letters import drain_system_mail
from newsletter.tracking import snapshots
from newsletter.tracking.figures import Share

pytestmark = pytest.mark.slow

A_MINUTE = timedelta(minutes=1)
HIGH = "2026-W48: complaints 0.1 % or more, queued for 2 people"
TOO_HIGH = "2026-W48: complaints 0.3 % or more, queued for 2 people"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path / "home", sent=True)
    app = open_home(home, operators=("otto@example.com", "olga@example.com"))
    yield at(app, MONDAY + timedelta(hours=1))
    app.engine.dispose()


def complain(app: App, count: int, of: int) -> None:
    """Keeps figures of the issue in which that many complained."""
    found = stats.load(app, "latest", fresh=True)
    share = Share(count, of, "messages")
    figures = replace(
        found,
        rates={**found.rates, "complained": share},
        computed_at=found.computed_at + count * timedelta(milliseconds=1),
    )
    with app.session() as session:
        snapshots.save(session, snapshots.name_of(1), figures, {}, took_ms=1)


def test_each_limit_is_told_once_to_every_operator(app: App) -> None:
    complain(app, 9, 10_000)
    assert list(alarms.tell(app)) == []
    complain(app, 10, 10_000)  # Gmail says: keep below 0.1 %, never reach 0.3 %
    assert list(alarms.tell(app)) == [HIGH]
    complain(app, 29, 10_000)
    assert list(alarms.tell(app)) == []
    complain(app, 30, 10_000)
    assert list(alarms.tell(app)) == [TOO_HIGH]
    assert list(alarms.tell(app)) == []


def test_the_mail_says_how_many_of_how_many(app: App) -> None:
    complain(app, 31, 10_000)
    list(alarms.tell(app))
    assert drain_system_mail(app).submitted == 2
    mails = [path.read_text() for path in outbox(app, "system") if path.name.startswith("alarm")]
    assert all("31 of 10,000" in mail and "above 0.3" in mail for mail in mails)
    assert len(mails) == 2


def test_one_complaint_and_a_small_audience_raise_no_alarm(app: App) -> None:
    for count, of in ((1, 1_000), (3, 999)):
        complain(app, count, of)
        assert list(alarms.tell(app)) == []


def test_of_an_issue_of_long_ago_nobody_is_alarmed(app: App) -> None:
    complain(app, 31, 10_000)
    assert list(alarms.tell(at(app, MONDAY + timedelta(days=15)))) == []


def test_nobody_to_tell_is_no_fault(tmp_path: Path) -> None:
    app = at(open_home(make_home(tmp_path / "home", sent=True)), MONDAY + A_MINUTE)
    complain(app, 31, 10_000)
    assert list(alarms.tell(app)) == []
    app.engine.dispose()
