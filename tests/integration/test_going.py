"""How an issue goes while it goes out: what is left, how fast, and what holds it back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from postroom import Scripted
from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from typer.testing import CliRunner

from newsletter import control, pipeline
from newsletter.app import App
from newsletter.cli import program
from newsletter.delivery import pace
from newsletter.delivery.backoff import STEPS
from newsletter.editorial import issues
from newsletter.providers.base import Envelope, Outcome, Receipt


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = open_home(tmp_path / "home")
    store(app, finished("Left vs Right"))
    readers(app, 4)
    planned_and_approved(app)
    return app


def going(app: App) -> control.Going | None:
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
    return control.going(app, issue)


def first_deferred(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
    for envelope in envelopes:
        outcome = Outcome.DEFERRED if envelope.key == 1 else Outcome.SUBMITTED
        yield Receipt(envelope.key, outcome, "450 4.2.0 Greylisted" if envelope.key == 1 else "")


def test_an_issue_of_which_nothing_goes_out_has_no_pace(app: App) -> None:
    assert going(app) is None
    pipeline.send(app, WEEK)
    assert going(app) is None


def test_what_was_put_off_is_counted_with_the_time_it_is_due(app: App) -> None:
    pipeline.send(replace(app, provider=Scripted(first_deferred)), WEEK)
    now = going(app)
    assert now is not None
    assert (now.left, now.pace) == (1, None)
    assert now.waiting is not None
    assert (now.waiting.count, now.waiting.due_at) == (1, app.clock() + STEPS[0])


def test_the_senders_of_all_processes_are_added_up_and_the_silent_ones_left_out(app: App) -> None:
    pipeline.send(replace(app, provider=Scripted(first_deferred)), WEEK)
    said = (("here", 0, 10.0), ("there", 30, 2.5), ("dead", 600, 99.0))
    with app.session() as session:
        for owner, ago_s, per_second in said:
            pace.record(
                session,
                issue_id=1,
                owner=owner,
                now=app.clock() - timedelta(seconds=ago_s),
                per_second=per_second,
                limited_by="10 messages a second (NEWSLETTER_RATE_PER_SECOND)",
            )
    now = going(app)
    assert now is not None
    assert now.pace is not None
    assert (now.pace.senders, now.pace.per_second) == (2, 12.5)
    assert now.pace.limited_by == "10 messages a second (NEWSLETTER_RATE_PER_SECOND)"


def test_issue_show_says_the_rate_and_what_limits_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.send(replace(app, provider=Scripted(first_deferred)), WEEK)
    monkeypatch.setenv("NEWSLETTER_HOME", str(app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", app.clock().isoformat())
    idle = CliRunner().invoke(program, ["issue", "show", WEEK])
    assert "nobody is sending" in idle.stdout
    assert "1 put off by the server" in idle.stdout
    with app.session() as session:
        pace.record(
            session, issue_id=1, owner="me", now=app.clock(), per_second=0.5, limited_by="slow down"
        )
    busy = CliRunner().invoke(program, ["issue", "show", WEEK])
    assert "0.5/s, 2 s left" in busy.stdout
    assert "slow down" in busy.stdout
    shown = json.loads(CliRunner().invoke(program, ["issue", "show", WEEK, "--json"]).stdout)
    assert shown["going"]["pace"] == {"senders": 1, "per_second": 0.5, "limited_by": "slow down"}
