"""How long an endpoint is waited for, and by whose word anew; whose ids a restored backup gives."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from publication import MONDAY
from webhook_home import Home, opened
from webhook_receiver import Act, Receiver

from newsletter import cli
from newsletter.webhooks import messages, patience
from newsletter.webhooks.calls import Answer
from newsletter.webhooks.delivery import IN_A_ROW, try_now

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

DOWN = Act(503)
BUSY = Act(429, (("Retry-After", "3600"),))
HOUR = timedelta(hours=1)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as home:
        yield home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.unsigned == []


def come(home: Home, *names: str) -> None:
    for name in names:
        home.comes(name)


def states(home: Home) -> list[str]:
    return sorted(one.state for one in home.log())


def given_up(home: Home, receiver: Receiver) -> int:
    """An endpoint that was down for five days, behind which five messages were given up."""
    number = home.add(receiver, "subscriber.confirmed")
    come(home, "ann", "bob", "cem", "dan", "eve")
    receiver.usual = DOWN
    for _ in range(6):
        home.round()
        home.clock.forward(days=1)
    assert states(home) == ["failed"] * 5
    return number


def test_what_a_person_retries_outlives_a_call_without_an_answer(
    home: Home, receiver: Receiver
) -> None:
    number = given_up(home, receiver)
    with home.app.session() as session:
        assert messages.failed_again(session, number, now=home.clock()) == 5
    for _ in range(4):
        home.round()
        home.clock.forward(days=1)
        assert states(home) == ["planned"] * 5
    receiver.usual = Act()
    assert home.round() == ["webhooks delivered: 5"]


def test_one_message_that_a_person_retries_has_its_days_again_and_then_no_more(
    home: Home, receiver: Receiver
) -> None:
    given_up(home, receiver)
    with home.app.session() as session:
        messages.again(session, 3, now=home.clock())
    home.round()
    assert states(home) == ["failed"] * 4 + ["planned"]
    for _ in range(6):
        home.clock.forward(days=1)
        home.round()
    assert states(home) == ["failed"] * 5


def test_days_in_which_we_were_silent_are_not_the_endpoints(home: Home, receiver: Receiver) -> None:
    home.add(receiver, "subscriber.confirmed")
    come(home, "ann", "bob", "cem")
    receiver.usual = DOWN
    home.round()
    home.clock.forward(days=5)  # our own machine is off
    home.round()
    assert states(home) == ["planned"] * 3
    home.clock.forward(days=1)
    home.round()
    assert states(home) == ["planned"] * 3
    receiver.usual = Act()
    home.clock.forward(days=1)
    assert home.round() == ["webhooks delivered: 3"]


def test_an_endpoint_that_took_something_has_all_its_days_before_it(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver, "subscriber.confirmed")
    come(home, "ann", "bob")
    receiver.usual = DOWN
    for day in range(6):
        if day == 3:
            receiver.script.append(Act())
            receiver.script.append(DOWN)
        home.round()
        home.clock.forward(days=1)
    assert states(home) == ["delivered", "planned"]


def test_a_wait_that_an_endpoint_asks_for_holds_for_all_it_is_to_be_told(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver, "subscriber.confirmed")
    come(home, *(f"reader{n}" for n in range(10)))
    receiver.script.append(BUSY)
    for minute in range(60):
        if minute == 30:
            home.comes("late")  # news waits as well
        home.round()
        assert len(receiver.calls) == 1
        with home.app.session(readonly=True) as session:
            assert messages.due_endpoints(session, now=home.clock()) == []
        home.clock.forward(minutes=1)
    assert home.round() == ["webhooks delivered: 11"]
    assert len(receiver.calls) == 12


def test_a_wait_that_another_process_was_asked_for_ends_a_round_of_calls(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver, "subscriber.confirmed")
    come(home, "ann", "bob", "cem")

    def asked() -> None:
        with home.app.session() as session:
            busy = Answer(429, "it answered 429", took_ms=1, asked=HOUR)
            patience.note(session, number, busy, now=home.clock())

    receiver.witness = asked
    assert home.round() == ["webhooks delivered: 1"]


def test_a_wait_holds_for_that_endpoint_alone_and_for_a_day_at_most(
    home: Home, receiver: Receiver
) -> None:
    with Receiver(usual=Act(503, (("Retry-After", "9999999"),))) as busy:
        home.add(busy, "subscriber.confirmed")
        home.add(receiver, "subscriber.confirmed")
        come(home, "ann", "bob")
        assert home.round()[0] == "webhooks delivered: 2"
        home.clock.forward(hours=23)
        home.round()
        assert len(busy.calls) == 1
        home.clock.forward(hours=1)
        home.round()
        assert len(busy.calls) == 2


def test_a_wait_that_is_asked_for_one_message_holds_up_no_other(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver, "subscriber.confirmed")
    come(home, *(f"reader{n}" for n in range(IN_A_ROW + 1)))
    receiver.script.append(Act(500, (("Retry-After", "3600"),)))
    assert home.round()[0] == f"webhooks delivered: {IN_A_ROW}"
    (waiting,) = [one for one in home.log() if one.state == "planned"]
    assert waiting.due_at == MONDAY + HOUR


def test_a_trial_that_is_told_to_wait_holds_the_queue_and_a_persons_retry_lets_it_go(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver, "subscriber.confirmed")
    home.comes("ann")
    receiver.script.append(BUSY)
    try_now(home.app, number)
    assert home.round() == []
    with home.app.session() as session:
        messages.again(session, 2, now=home.clock())
    assert home.round() == ["webhooks delivered: 1"]


def test_the_list_says_since_when_an_endpoint_takes_nothing_and_how_long_it_asked_to_wait(
    home: Home,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def said(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["newsletter", "webhooks", "list", *words])
        with pytest.raises(SystemExit):
            cli.main()
        return capsys.readouterr().out

    monkeypatch.setenv("NEWSLETTER_HOME", str(home.app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", home.clock().isoformat())
    home.add(receiver)
    home.comes("ann")
    assert "takes nothing" not in said()
    receiver.script.append(BUSY)
    home.round()
    assert "takes nothing since 2026-11-23 10:00" in said()
    assert "asked to wait until 2026-11-23 11:00" in said()
    (listed,) = json.loads(said("--json"))
    assert listed["held_until"].startswith("2026-11-23T11:00")
    home.clock.forward(hours=1)
    home.round()
    assert "takes nothing" not in said()


def test_after_a_restored_backup_new_facts_have_ids_of_their_own_and_old_ones_theirs(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    """Rows' numbers are given anew; what a receiver had already it must still know again."""
    home.add(receiver, "subscriber.confirmed")
    home.comes("known")
    database, backup = home.app.home / "newsletter.db", tmp_path / "backup.db"
    copy(database, backup)
    home.round()
    home.comes("lost")
    home.clock.forward(minutes=1)
    home.round()
    copy(backup, database)
    home.clock.forward(hours=1)
    home.comes("new")
    home.round()
    known, lost, again, new = sorted(receiver.calls, key=lambda one: one.at)
    assert (known.id, known.body) == (again.id, again.body)
    assert lost.body["data"] == new.body["data"]  # under the same number, another reader
    assert len({known.id, lost.id, new.id}) == 3


def copy(one: Path, other: Path) -> None:
    with closing(sqlite3.connect(one)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)


def test_no_log_holds_an_endpoints_address(
    home: Home, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Some endpoints carry a key in theirs."""
    caplog.set_level("INFO")
    home.add(receiver)
    home.comes("anna")
    home.round()
    assert receiver.calls
    assert receiver.url not in caplog.text
