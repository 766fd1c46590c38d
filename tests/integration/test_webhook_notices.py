"""An endpoint that is switched off, or takes nothing for days: operators hear of it, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from publication import outbox
from webhook_home import Home, home_in
from webhook_receiver import Act, Receiver

from newsletter.letters import drain_system_mail
from newsletter.webhooks import endpoints, messages, schedule
from newsletter.webhooks.delivery import try_now

pytestmark = pytest.mark.slow

OPERATORS = ("Otto <otto@example.com>", "olga@example.com")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = run_by(home_in(tmp_path / "home"), operators=OPERATORS, editors=("ed@example.com",))
    yield home
    home.app.engine.dispose()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def run_by(home: Home, **people: Any) -> Home:
    settings = home.app.settings.model_copy(update=people)
    return Home(replace(home.app, settings=settings), home.clock)


def mails(home: Home, kind: str) -> list[str]:
    """All of a kind that were ever sent, as they left."""
    drain_system_mail(home.app)
    return [path.read_text() for path in outbox(home.app, "system") if path.name.startswith(kind)]


def days_of_failing(home: Home, days: int) -> None:
    for _ in range(days):
        home.round()
        home.clock.forward(days=1)


def test_an_endpoint_that_is_gone_is_told_of_once_to_every_operator(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    for name in ("ann", "bob", "cem"):
        home.comes(name)
    receiver.usual = Act(410)
    home.round()
    found = mails(home, "webhook_gone")
    assert sorted(line for mail in found for line in mail.splitlines() if line[:3] == "To:") == [
        "To: olga@example.com",
        "To: otto@example.com",
    ]
    for mail in found:
        assert "Subject: Webhook endpoint 1 is switched off" in mail
        assert "Dropped with it: 3 messages" in mail
        assert "410 Gone" in mail
    home.round()
    assert len(mails(home, "webhook_gone")) == 2


@pytest.mark.parametrize(("status", "kind"), [(410, "webhook_gone"), (503, "webhook_given_up")])
def test_a_mail_names_the_host_and_neither_the_address_nor_the_secret(
    home: Home, receiver: Receiver, status: int, kind: str
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(status, body=b"words of the endpoint")
    days_of_failing(home, 6)
    found = mails(home, kind)
    assert len(found) == 2
    for mail in found:
        assert "127.0.0.1" in mail
        for secret in ("key=3Dabc", "key=abc", "/hook", "whsec", "words of the endpoint"):
            assert secret not in mail
        assert receiver.secret.removeprefix("whsec_") not in mail


def test_of_an_endpoint_that_takes_nothing_one_mail_says_so_however_long_it_lasts(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver, "subscriber.confirmed")
    receiver.usual = Act(503)
    for number in range(9):
        home.comes(f"reader{number}")
        days_of_failing(home, 1)
    assert len([one for one in home.log() if one.state == "failed"]) > 2
    found = mails(home, "webhook_given_up")
    assert len(found) == 2
    assert all("it answered 503" in mail for mail in found)
    assert all("retry --failed-of 1" in mail for mail in found)
    assert all("Monday 23 November 2026" in mail for mail in found)


def test_failing_again_after_a_persons_retry_is_news(home: Home, receiver: Receiver) -> None:
    number = home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(503)
    days_of_failing(home, 6)
    with home.app.session() as session:
        assert messages.failed_again(session, number, now=home.clock())
    days_of_failing(home, 6)
    assert len(mails(home, "webhook_given_up")) == 4


def test_a_message_that_alone_is_refused_for_days_is_told_of(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(404)
    for _ in range(schedule.ATTEMPTS - 1):
        days_of_failing(home, 1)
    assert mails(home, "webhook_given_up") == []
    days_of_failing(home, 1)
    found = mails(home, "webhook_given_up")
    assert len(found) == 2
    assert all("Given up in all: 1 message\n" in mail for mail in found)


def test_of_an_endpoint_that_takes_others_the_mail_says_since_when_the_message_is_tried(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    for number in range(schedule.ATTEMPTS):
        home.comes(f"reader{number}")
        receiver.script.append(Act(422))  # for the one that waits longest: always the first
        days_of_failing(home, 1)
    assert [one.state for one in home.log()].count("delivered") == schedule.ATTEMPTS
    found = mails(home, "webhook_given_up")
    assert len(found) == 2
    for mail in found:
        assert "One message tried in vain since: Monday 23 November 2026, 10:00" in mail
        assert "Calls fail" not in mail


def test_what_an_endpoint_says_instead_of_http_is_quoted_nowhere(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(raw=b"Your account ... ?t=SECRET " + b"x" * 65_536 + b"\r\n\r\n")
    days_of_failing(home, 6)
    found = mails(home, "webhook_given_up")
    assert len(found) == 2
    assert all("The last call: RemoteProtocolError\n" in mail for mail in found)
    assert {one.trouble for one in home.log()} == {"RemoteProtocolError"}


def test_a_trial_that_fails_is_told_to_nobody_but_who_tries(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    receiver.usual = Act(500)
    try_now(home.app, 1)
    assert mails(home, "webhook") == []
    receiver.usual = Act(410)
    try_now(home.app, 1)
    assert all("Dropped with it: none" in mail for mail in mails(home, "webhook_gone"))
    assert len(mails(home, "webhook_gone")) == 2


def test_what_a_person_removes_is_no_news(home: Home, receiver: Receiver) -> None:
    number = home.add(receiver)
    home.comes("ann")
    with home.app.session() as session:
        endpoints.remove(session, number, because="moved", by="ann", now=home.clock())
    home.round()
    assert mails(home, "webhook") == []


def test_without_operators_editors_are_told_and_without_either_nobody(
    home: Home, receiver: Receiver
) -> None:
    receiver.usual = Act(410)
    alone = run_by(home, operators=())
    alone.add(receiver)
    alone.comes("ann")
    alone.round()
    (mail,) = mails(alone, "webhook_gone")
    assert "To: ed@example.com" in mail
    nobody = run_by(home, operators=(), editors=())
    nobody.add(receiver)
    nobody.comes("bob")
    assert nobody.round() == ["webhook endpoint 2 is switched off: it answered 410 Gone"]
    assert len(mails(nobody, "webhook_gone")) == 1


def test_an_endpoint_that_failed_for_less_than_its_days_is_told_to_nobody(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(503)
    days_of_failing(home, 4)
    receiver.usual = Act()
    home.clock.forward(days=1)
    assert home.round() == ["webhooks delivered: 1"]
    assert mails(home, "webhook") == []
