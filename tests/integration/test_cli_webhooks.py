"""`newsletter webhooks`: the secret is shown once, everything else as often as it is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from webhook_home import Home, home_in
from webhook_receiver import Act, Receiver

from newsletter import cli

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes


class Said(Protocol):
    """What a command prints, and what it says on stderr, where it ends with `code`."""

    def __call__(self, *words: str, code: int = 0) -> str: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = home_in(tmp_path / "home")
    monkeypatch.setenv("NEWSLETTER_HOME", str(home.app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", home.clock().isoformat())
    return home


@pytest.fixture
def said(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["newsletter", "webhooks", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (left.value.code or 0) == code
        printed = capsys.readouterr()
        return printed.out + (printed.err if code else "")

    return run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.unsigned == []


def added(said: Said, receiver: Receiver, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said("add", receiver.url, *options, "--json"))
    receiver.secret = found["secret"]
    return found


def test_an_endpoint_is_added_tried_listed_and_removed(said: Said, receiver: Receiver) -> None:
    endpoint = added(said, receiver, "--kind", "issue.sent", "--kind", "subscriber.confirmed")
    assert endpoint["kinds"] == ["issue.sent", "subscriber.confirmed"]
    number = str(endpoint["id"])
    tried = json.loads(said("test", number, "--json"))
    assert (tried["taken"], tried["status"], tried["trouble"]) == (True, 204, "")
    assert receiver.kinds == ["webhook.test"]
    (listed,) = json.loads(said("list", "--json"))
    assert (listed["url"], listed["waiting"], listed["failed"]) == (receiver.url, 0, 0)
    assert json.loads(said("remove", number, "--because", "moved", "--json"))["removed_at"]
    assert json.loads(said("list", "--json")) == []
    (gone,) = json.loads(said("list", "--all", "--json"))
    assert gone["removed_because"] == "moved"
    assert "was removed" in said("test", number, code=1)


def test_the_secret_is_shown_once_and_never_again(
    said: Said, home: Home, receiver: Receiver
) -> None:
    shown = said("add", receiver.url, "--with-addresses")
    assert shown.count("whsec_") == 1
    receiver.secret = next(word for word in shown.split() if word.startswith("whsec_"))
    home.comes("ann")
    home.round()
    for words in (("list",), ("log",), ("test", "1"), ("retry", "1"), ("remove", "1")):
        for form in ((), ("--json",)) if words[0] != "remove" else ((),):
            assert receiver.secret.removeprefix("whsec_") not in said(*words, *form)


def test_what_was_given_up_is_named_and_goes_out_again_by_a_persons_word(
    said: Said, home: Home, receiver: Receiver
) -> None:
    added(said, receiver)
    for name in ("ann", "bob"):
        home.comes(name)
    receiver.usual = Act(404)
    for _ in range(12):
        home.round()
        home.clock.forward(days=1)
    failed = json.loads(said("log", "--failed", "--json"))
    assert [(one["status"], one["attempts"]) for one in failed] == [(404, 10)] * 2
    assert "it answered 404" in said("log", "--failed")
    assert "2" in said("list").split("\t")
    told = json.loads(said("retry", "--failed-of", "1", "--dry-run", "--json"))
    assert told == {"planned": 2, "dry_run": True}
    assert len(json.loads(said("log", "--failed", "--json"))) == 2
    receiver.usual = Act()
    assert "1 message goes out again" in said("retry", str(failed[0]["id"]))
    assert home.round() == ["webhooks delivered: 1"]
    said("retry", "--failed-of", "1")
    assert home.round() == ["webhooks delivered: 1"]
    assert len({one.id for one in receiver.calls}) == 2  # the ids of the first time
    assert json.loads(said("log", "--failed", "--json")) == []


def test_a_delivered_message_can_be_told_again(said: Said, home: Home, receiver: Receiver) -> None:
    added(said, receiver)
    home.comes("ann")
    home.round()
    said("retry", "1")
    home.round()
    assert len(receiver.calls) == 2
    assert len({one.id for one in receiver.calls}) == 1


def test_a_trial_that_is_not_taken_says_why_and_exits_with_one(
    said: Said, receiver: Receiver
) -> None:
    added(said, receiver)
    receiver.usual = Act(302, (("Location", "http://127.0.0.1:1/"),))
    assert "redirects" in said("test", "1", code=1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "http://hooks.example.com/secret"), "--insecure"),
        (("add", "https://hooks.example.com", "--kind", "issue.opened"), "issue.opened"),
        (("remove", "7"), "no endpoint 7"),
        (("test", "7"), "no endpoint 7"),
        (("retry", "7"), "no message 7"),
        (("retry", "--failed-of", "7"), "no endpoint 7"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_next_step(
    said: Said, words: tuple[str, ...], told: str
) -> None:
    shown = said(*words, code=1)
    assert told in shown
    assert "next: " in shown
    assert "/secret" not in shown


def test_a_message_of_a_removed_endpoint_stays_where_it_is(
    said: Said, home: Home, receiver: Receiver
) -> None:
    added(said, receiver)
    home.comes("ann")
    home.round()
    said("remove", "1")
    assert "was removed" in said("retry", "1", code=1)


def test_nothing_to_retry_is_a_wrong_use(said: Said) -> None:
    assert "give the numbers of messages" in " ".join(said("retry", code=2).split())
    assert "--failed-of" in said("retry", "1", "--failed-of", "1", code=2)
