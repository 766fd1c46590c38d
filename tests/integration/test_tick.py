"""The tick: what is due is done once, whoever ticks, however late."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep

import pytest
from publication import (
    MONDAY,
    SLOT,
    WEEK,
    at,
    finished,
    open_home,
    outbox,
    planned_and_approved,
    readers,
    store,
)
from sqlmodel import select

from newsletter import pipeline
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.editorial.planning import Changes
from newsletter.errors import NotFoundError
from newsletter.scheduler import Scheduler
from newsletter.store.models import Slot
from newsletter.store.states import IssueState
from newsletter.tick import tick

SUNDAY = MONDAY - timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home", editors="ed@example.com", catch_up_hours=24)


def _issue(app: App) -> issues.IssueDetails:
    with app.session(readonly=True) as session:
        return issues.find(session, WEEK)


def _system_mail(app: App) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in outbox(app, "system"))


def test_an_issue_is_planned_a_day_ahead_and_editors_are_told_once(app: App) -> None:
    store(at(app, SUNDAY), finished("Left vs Right"))
    assert tick(at(app, SLOT - 25 * HOUR)) == []
    done = tick(at(app, SLOT - 24 * HOUR))
    assert done[0].startswith(f"{WEEK}: planned with 1 comparison(s)")
    assert _system_mail(app) == ["approval_due"]
    assert tick(at(app, SLOT - 23 * HOUR)) == []
    assert _system_mail(app) == ["approval_due"]


def test_the_mail_to_editors_says_when_and_where_to_look(app: App) -> None:
    store(at(app, SUNDAY), finished("Left vs Right"))
    tick(app)
    mail = outbox(app, "system")[0].read_bytes().replace(b"=\r\n", b"").decode()
    assert "To: ed@example.com" in mail
    assert "Tuesday 24 November 2026, 09:00 (UTC)" in mail
    assert f"newsletter issue approve {WEEK}" in mail
    assert "/studio/issues/2026-w48" in mail


def test_an_approved_issue_goes_out_at_its_slot_and_not_before(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 2)
    planned_and_approved(app)
    tick(at(app, SLOT - timedelta(seconds=1)))
    assert outbox(app) == []
    assert tick(at(app, SLOT)) == [f"{WEEK}: 2 of 2 submitted, proof complete"]
    assert len(outbox(app)) == 2
    assert tick(at(app, SLOT + HOUR)) == []


def test_a_slot_that_passes_unapproved_is_said_and_caught_up_once_approved(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    tick(app)
    assert "due and not sent: nobody has approved it" in tick(at(app, SLOT))[0]
    assert _system_mail(app) == ["approval_due", "approval_overdue"]
    tick(at(app, SLOT + HOUR))
    assert _system_mail(app) == ["approval_due", "approval_overdue"]
    late = at(app, SLOT + 23 * HOUR)
    pipeline.approve(late, WEEK, by="the editor")
    assert tick(late) == [f"{WEEK}: 1 of 1 submitted, proof complete"]


def test_automatic_approval_sends_when_no_error_stands_open(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home", approval="automatic")
    store(app, finished("Left vs Right"))
    readers(app, 1)
    tick(app)
    assert tick(at(app, SLOT)) == [f"{WEEK}: 1 of 1 submitted, proof complete"]
    assert "automatic" in (_issue(app).approval or pytest.fail("no approval")).by


def test_automatic_approval_stops_at_an_error_finding(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home", approval="automatic", editors="ed@example.com")
    store(app, finished("Left vs Right"))
    readers(app, 1)
    tick(app)
    pipeline.edit(app, WEEK, Changes(subject="zqHname7zq"))
    assert "error finding" in tick(at(app, SLOT))[0]
    assert outbox(app) == []
    assert "approval_overdue" in _system_mail(app)


def test_a_thin_week_makes_no_issue_and_says_so_once(app: App) -> None:
    tick(app)
    tick(app)
    assert _system_mail(app) == ["thin_week"]
    assert tick(at(app, SLOT)) == [f"{WEEK}: no issue: nothing was finished"]
    assert tick(at(app, SLOT + HOUR)) == []
    with pytest.raises(NotFoundError):
        _issue(app)


def test_a_comparison_finished_in_time_saves_a_thin_week(app: App) -> None:
    tick(app)
    store(at(app, SLOT - 2 * HOUR), finished("Left vs Right"))
    tick(at(app, SLOT - HOUR))
    assert _issue(app).items == ("left-vs-right",)


def test_a_missed_slot_within_the_catch_up_window_is_sent(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    assert tick(at(app, SLOT + 24 * HOUR)) == [f"{WEEK}: 1 of 1 submitted, proof complete"]


def test_a_slot_missed_by_more_than_the_window_is_skipped_loudly(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    late = at(app, SLOT + 24 * HOUR + timedelta(seconds=1))
    said = tick(late)
    assert f"{WEEK}: skipped: its slot passed more than 24 hours ago" in said[0]
    assert _issue(app).state is IssueState.SKIPPED
    assert "slot_missed" in _system_mail(app)
    assert outbox(app) == []
    assert tick(late) == []


def test_a_skipped_issue_can_still_be_sent_by_hand(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    late = at(app, SLOT + 30 * HOUR)
    tick(late)
    assert pipeline.send(late, WEEK).proof.complete
    assert _issue(app).state is IssueState.DONE


def test_a_slot_nobody_even_planned_is_planned_late_within_the_window(app: App) -> None:
    store(at(app, SUNDAY), finished("Left vs Right"))
    readers(at(app, SUNDAY), 1)
    late = at(app, SLOT + 2 * HOUR)
    said = tick(late)
    assert any("planned with 1 comparison(s)" in sentence for sentence in said)
    assert any("nobody has approved it" in sentence for sentence in said)


def test_a_slot_nobody_even_planned_beyond_the_window_is_closed_as_missed(app: App) -> None:
    store(at(app, SUNDAY), finished("Left vs Right"))
    said = tick(at(app, SLOT + 30 * HOUR))
    assert said[0] == f"{WEEK}: no issue: nobody was running within 24 hours of it"
    assert _system_mail(app) == ["slot_missed"]


def test_an_issue_sent_by_hand_before_its_slot_is_not_sent_again_at_it(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    readers_since = readers(at(app, SLOT), 2)
    assert len(readers_since) == 2
    assert tick(at(app, SLOT)) == []
    assert len(outbox(app)) == 1


def test_a_restart_in_the_middle_of_sending_goes_on_at_the_next_tick(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 3)
    planned_and_approved(app)
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
    due = at(app, SLOT)
    pipeline.freeze(due, issue)  # the process ends right here
    assert outbox(app) == []
    assert tick(due) == [f"{WEEK}: 3 of 3 submitted, proof complete"]


def test_a_change_of_address_cannot_reach_a_frozen_audience(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
    pipeline.freeze(app, issue)
    readers(app, 3)  # two more join while it is going out
    tick(app)
    assert pipeline.prove(app, WEEK).candidates == 1
    assert len(outbox(app)) == 1


@pytest.mark.slow
def test_two_schedulers_at_the_same_instant_send_one_issue(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 40)
    planned_and_approved(app)
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(2)
    processes = [context.Process(target=_tick_at_slot, args=(app.home, gate)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(outbox(app)) == 40
    account = pipeline.prove(app, WEEK)
    assert (account.holds, account.complete, account.duplicates) == (True, True, 0)
    with app.session(readonly=True) as session:
        assert len(session.exec(select(Slot).where(Slot.week == WEEK)).all()) == 1


def _tick_at_slot(home: Path, gate: multiprocessing.Barrier) -> None:  # type: ignore[valid-type]
    app = at(open_home(home, editors="ed@example.com"), SLOT)
    gate.wait(30)
    tick(app)


@pytest.mark.parametrize(
    ("send_at", "night", "expected"),
    [
        ("sun 02:30", datetime(2026, 3, 28, 22, 0, tzinfo=UTC), "2026-03-29T01:30:00+00:00"),
        ("sun 02:30", datetime(2026, 10, 24, 22, 0, tzinfo=UTC), "2026-10-25T00:30:00+00:00"),
    ],
    ids=["the night that lacks 02:30", "the night that has 02:30 twice"],
)
def test_on_both_nights_that_change_clocks_the_issue_goes_out_exactly_once(
    tmp_path: Path, send_at: str, night: datetime, expected: str
) -> None:
    app = open_home(
        tmp_path / "home", timezone="Europe/Berlin", send_at=send_at, approval="automatic"
    )
    store(at(app, night), replace(finished("Left vs Right"), prices_as_of=night.date()))
    readers(at(app, night), 2)
    sent_at = []
    for minute in range(0, 8 * 60, 10):
        instant = night + timedelta(minutes=minute)
        if any("submitted" in sentence for sentence in tick(at(app, instant))):
            sent_at.append(instant.isoformat())
    assert sent_at == [expected]


def test_the_scheduler_ticks_at_once_when_it_starts(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    scheduler = Scheduler(at(app, SLOT))
    scheduler.start()
    for _ in range(400):
        if _issue(app).state is IssueState.DONE:
            break
        sleep(0.05)
    scheduler.stop()
    assert _issue(app).state is IssueState.DONE


def test_a_tick_that_fails_is_logged_and_the_next_one_tries_again(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(app, engine=_engine_on_a_folder(app.home))
    Scheduler(broken)._tick()
    assert "tick failed" in capsys.readouterr().out


def _engine_on_a_folder(folder: Path):
    from newsletter.store.engine import open_engine

    return open_engine(f"sqlite:///{folder}")
