"""Endpoints that fail, hang, drip, redirect, go: each message at least once, in its time."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from publication import MONDAY
from smtp_server import CERTIFICATE
from sqlalchemy import create_engine, text
from webhook_home import TIMEOUT_S, Home, opened
from webhook_receiver import Act, Receiver

from newsletter.errors import SettingsError
from newsletter.webhooks import endpoints, facts, messages, schedule
from newsletter.webhooks.delivery import IN_A_ROW, deliver, try_now
from newsletter.webhooks.messages import LEASE, MessageState
from subscribers import audit

pytestmark = pytest.mark.slow  # time-outs are waited for


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as home:
        yield home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.unsigned == []
    assert set(receiver.methods) <= {"POST"}


def come(home: Home, count: int) -> None:
    for n in range(count):
        home.comes(f"reader{n}")


def test_what_is_not_taken_is_tried_for_three_days_under_one_id_and_then_given_up(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.usual = Act(500, body=b"words of the endpoint")
    for wait in (*schedule.WAITS, None):
        home.round()
        (one,) = home.log()
        assert (one.status, one.trouble) == (500, "it answered 500")
        if wait is None:
            break
        assert one.due_at == home.clock() + wait
        home.clock.forward(seconds=wait.total_seconds() - 1)
        assert home.round() == []  # not before its time
        home.clock.forward(seconds=1)
    assert (one.state, one.attempts, one.due_at) == ("failed", schedule.ATTEMPTS, None)
    assert timedelta(days=3) < home.clock() - MONDAY < timedelta(days=4)
    assert len({call.id for call in receiver.calls}) == 1
    assert len({call.at for call in receiver.calls}) == schedule.ATTEMPTS
    assert home.count("webhook_attempt") == schedule.ATTEMPTS
    home.clock.forward(days=30)
    assert home.round() == []
    kept = b"".join(file.read_bytes() for file in home.app.home.glob("newsletter.db*"))
    assert b"it answered 500" in kept
    assert b"words of the endpoint" not in kept


def test_a_message_that_is_taken_at_last_is_taken_once(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.script.extend([Act(500), Act(404), Act(closes=True)])
    said = []
    for _ in range(6):
        said += home.round()
        home.clock.forward(hours=3)
    assert len(receiver.calls) == 4
    assert [one.state for one in home.log()] == ["delivered"]
    assert said[-1] == "webhooks delivered: 1"


def test_a_redirect_is_refused_and_where_it_leads_nobody_is_told(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            receiver.script.append(Act(status, (("Location", elsewhere.url),)))
        home.add(receiver)
        come(home, 5)
        home.round()
        assert elsewhere.connections == 0
    assert {one.state for one in home.log()} == {"planned"}
    assert all("redirects" in one.trouble for one in home.log())


def test_an_endpoint_that_is_gone_is_switched_off_and_its_messages_dropped(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    come(home, 3)
    receiver.usual = Act(410)
    assert home.round() == [f"webhook endpoint {number} is switched off: it answered 410 Gone"]
    assert len(receiver.calls) == 1
    assert {one.state for one in home.log()} == {"dropped"}
    home.comes("zoe")
    assert home.round() == []
    with home.app.session(readonly=True) as session:
        assert endpoints.listed(session) == []
        (gone,) = endpoints.listed(session, also_removed=True)
        assert gone.removed_because == "it answered 410 Gone"
        assert audit.entries(session)[0].by == "the endpoint itself"


@pytest.mark.parametrize("act", [Act(hangs=True), Act(drips=True)], ids=["hangs", "drips"])
def test_an_endpoint_that_hangs_holds_up_nobody_else(
    home: Home, receiver: Receiver, act: Act
) -> None:
    with Receiver(usual=act) as slow:
        hung = home.add(slow)
        home.add(receiver)
        come(home, 20)
        started = monotonic()
        said = home.round(timeout_s=TIMEOUT_S)
        took_s = monotonic() - started
        assert len(slow.calls) == 1  # its other messages wait: they would fare alike
    assert len(receiver.calls) == 20
    assert said[0] == "webhooks delivered: 20"
    assert took_s < 20  # without a time-out it would be the receiver's 30 s, or for ever
    (called,) = [one for one in home.log(endpoint_id=hung) if one.attempts]
    assert called.trouble == f"no answer within {TIMEOUT_S:g} s"
    assert called.status is None


def test_a_connection_that_is_closed_or_refused_is_tried_again(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as gone:
        home.add(gone)
    home.add(receiver)
    home.comes("ann")
    receiver.script.append(Act(closes=True))
    home.round()
    assert {one.state for one in home.log()} == {"planned"}
    assert all("Error" in one.trouble for one in home.log())
    home.clock.forward(minutes=1)
    home.round()
    assert [one.state for one in home.log()] == ["delivered", "planned"]


def test_a_certificate_nobody_vouches_for_is_refused(home: Home) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Receiver() as private:
        private.speak_tls(context)
        home.add(private)
        home.comes("ann")
        home.round()
        assert private.calls == []
    (one,) = home.log()
    assert one.state == "planned"
    assert "certificate" in one.trouble.lower()


def test_an_endpoint_says_how_long_to_wait_and_is_not_called_sooner(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    come(home, 3)
    receiver.script.append(Act(429, (("Retry-After", "3600"),)))
    home.round()
    assert len(receiver.calls) == 1  # what is said of one holds for all
    waiting = next(one for one in home.log() if one.attempts)
    assert waiting.due_at == MONDAY + timedelta(hours=1)


def test_a_lane_of_failures_ends_before_it_has_called_for_everything(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    come(home, IN_A_ROW + 3)
    receiver.usual = Act(404)
    home.round()
    assert len(receiver.calls) == IN_A_ROW


def test_behind_an_endpoint_that_never_answers_old_news_is_given_up(home: Home) -> None:
    with Receiver() as gone:
        home.add(gone)
    come(home, 3)
    home.round()
    for day in range(1, 6):
        home.clock.forward(days=1)
        if day == 3:
            home.comes("late")
        said = home.round()
    assert said[-1].startswith("webhooks given up: ")
    assert sorted(one.state for one in home.log()) == ["failed"] * 3 + ["planned"]


def test_after_a_long_silence_of_ours_nothing_is_given_up_untried(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    come(home, 3)
    home.clock.forward(days=60)
    assert home.round() == ["webhooks delivered: 3"]


def test_no_transaction_is_open_during_a_call(home: Home, receiver: Receiver) -> None:
    """Somebody else writes while the endpoint is answering, without waiting at all."""
    other = create_engine(
        f"sqlite:///{home.app.home / 'newsletter.db'}", connect_args={"timeout": 0}
    )
    faults: list[Exception] = []

    def write() -> None:
        try:
            with other.begin() as connection:
                connection.execute(text("UPDATE subscriber SET name = 'written'"))
        except Exception as error:  # noqa: BLE001  (in another thread: told below)
            faults.append(error)

    home.add(receiver)
    home.comes("ann")
    receiver.witness = write
    assert home.round() == ["webhooks delivered: 1"]
    other.dispose()
    assert faults == []


def test_two_rounds_at_once_tell_everything_once(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    come(home, 40)
    said: list[str] = []
    rounds = [threading.Thread(target=lambda: said.extend(home.round())) for _ in range(2)]
    for one in rounds:
        one.start()
    for one in rounds:
        one.join(60)
    assert len(receiver.calls) == len({one.id for one in receiver.calls}) == 40
    assert {one.attempts for one in home.log(most=100)} == {1}
    assert sum(int(sentence.split(": ")[1]) for sentence in said) == 40


def test_a_message_in_hand_is_nobody_elses_until_its_lease_is_over(
    home: Home, receiver: Receiver
) -> None:
    endpoint = home.add(receiver)
    home.comes("ann")
    with home.app.session() as session:
        facts.take_in(session, now=home.clock())
        first = messages.claim(session, endpoint, now=home.clock())
        assert first
        assert messages.claim(session, endpoint, now=home.clock()) is None
    home.clock.now += LEASE
    with home.app.session() as session:
        second = messages.claim(session, endpoint, now=home.clock())
        assert second
        assert (second.id, second.wire_id) == (first.id, first.wire_id)
        now = home.clock()
        delivered = MessageState.DELIVERED
        assert not messages.settle(session, first, delivered, due_at=None, now=now)
        assert messages.settle(session, second, delivered, due_at=None, now=now)
        assert not messages.settle(session, second, MessageState.FAILED, due_at=None, now=now)


KILLED = """
import sys
from newsletter.app import build_app
from newsletter.settings import load_settings
from newsletter.webhooks.delivery import deliver

app = build_app(load_settings(home=sys.argv[1], now="2026-11-23T10:00:00Z"))
print(*deliver(app))
"""


def test_killed_between_the_call_and_its_answer_it_is_told_again_under_its_id(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    home.comes("ann")
    receiver.witness = lambda: os.kill(child.pid, signal.SIGKILL)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home.app.home)], stdout=subprocess.PIPE
    )
    with child:
        assert child.wait(60) == -signal.SIGKILL
    receiver.witness = lambda: None
    assert home.round() == []  # it may still be on its way
    home.clock.now += LEASE
    assert home.round() == ["webhooks delivered: 1"]
    assert len(receiver.calls) == 2
    assert len({one.id for one in receiver.calls}) == 1


def test_a_long_answer_to_a_call_is_taken_and_not_read_to_its_end(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    receiver.usual = Act(200, body=b"x" * 3_000_000)
    come(home, 2)
    assert home.round() == ["webhooks delivered: 2"]


def test_messages_of_a_round_share_a_connection_and_cookies_are_not_kept(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    receiver.usual = Act(200, (("Set-Cookie", "who=you"),), b"ok")
    come(home, 5)
    home.round()
    assert (len(receiver.calls), receiver.connections) == (5, 1)
    assert receiver.cookies == []


def test_an_endpoint_on_this_machine_is_called_past_any_proxy(
    home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        home.add(receiver)
        home.comes("ann")
        assert home.round() == ["webhooks delivered: 1"]
        assert proxy.connections == 0


def test_who_is_told_to_stop_begins_no_further_call(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    come(home, 5)
    said = list(deliver(home.app, should_stop=lambda: len(receiver.calls) >= 2))
    assert said == ["webhooks delivered: 2"]


def test_a_broken_secret_is_an_error_and_holds_up_nobody_else(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as other:
        number = home.add(other)
        home.add(receiver)
        home.comes("ann")
        with home.app.session() as session:
            endpoints.standing(session, number).secret = "whsec_broken"
        said: list[str] = []
        with pytest.raises(SettingsError, match="secret"):
            said.extend(deliver(home.app))
        assert other.calls == []
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (Act(), "delivered"),
        (Act(500), "failed"),
        (Act(hangs=True), "failed"),
        (Act(410), "dropped"),
    ],
)
def test_a_trial_is_one_call_whose_answer_is_known_at_once(
    home: Home, receiver: Receiver, act: Act, state: str
) -> None:
    endpoint = home.add(receiver)
    receiver.usual = act
    answer = try_now(home.app, endpoint, timeout_s=TIMEOUT_S)
    assert answer.is_taken is (state == "delivered")
    (one,) = home.log()
    assert (one.kind, one.state) == ("webhook.test", state)
    home.clock.forward(days=1)
    assert home.round() == []
    assert receiver.kinds == ["webhook.test"]
