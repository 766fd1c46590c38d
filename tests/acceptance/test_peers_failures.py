"""What other newsletter programs do wrong when a send is disturbed; ours is shown not to.

Each was read in the peer's own code; its name stands with the test.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import postroom
import pytest
from postroom import Wire
from publication import MONDAY, SLOT, WEEK, at, finished, open_home, readers, store
from publication import planned_and_approved as plan_and_approve
from pydantic import SecretStr
from smtp_server import SmtpServer, Talk

from newsletter import control, pipeline
from newsletter.app import App
from newsletter.providers.base import AttemptLog, Envelope, Mailing, Receipt
from newsletter.store.states import IssueState
from newsletter.tick import tick
from subscribers import suppression

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

READERS = 30


class MortalWire(Wire):
    """Takes so many messages; its process is killed with the last one's answer not yet said."""

    def __init__(self, path: Path, lives: int) -> None:
        super().__init__(path)
        self._lives = lives

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        for receipt in super().submit(mailing, envelopes, log):
            self._lives -= 1
            if not self._lives:
                os.kill(os.getpid(), signal.SIGKILL)
            yield receipt


@dataclass
class Week:
    """An approved issue for READERS readers, and the wire it goes out on."""

    home: Path
    settings: dict[str, Any]

    @property
    def wire(self) -> Wire:
        return Wire(self.home / "wire")

    def open(self, provider: object | None = None) -> App:
        app = at(open_home(self.home, **self.settings), SLOT)
        return replace(app, provider=provider or self.wire)  # type: ignore[arg-type]

    def send(self) -> pipeline.SendResult:
        return pipeline.send(self.open(), WEEK)

    def in_a_process(self, work: Callable[[], object]) -> int:
        """How it ended: 0, or the signal that killed it."""
        return os.waitpid(postroom.start_process(work), 0)[1]

    def killed_after(self, messages: int) -> None:
        dying = MortalWire(self.home / "wire", messages)
        status = self.in_a_process(lambda: pipeline.send(self.open(dying), WEEK))
        assert os.WTERMSIG(status) == signal.SIGKILL

    def times_taken(self) -> Counter[int]:
        return Counter(self.wire.taken())


@pytest.fixture
def week(tmp_path: Path) -> Week:
    return made(tmp_path)


def made(home: Path, **settings: Any) -> Week:
    app = open_home(home, **settings)
    store(app, finished("Left vs Right"))
    readers(app, READERS)
    plan_and_approve(app)
    app.engine.dispose()
    return Week(home, settings)


def test_listmonk_skips_readers_when_killed_and_still_says_finished(week: Week) -> None:
    week.killed_after(13)
    with week.open().session(readonly=True):
        assert pipeline.prove(week.open(), WEEK).complete is False
    result = week.send()
    assert set(week.times_taken()) == set(range(1, READERS + 1)), "nobody is skipped"
    assert result.issue.state is IssueState.SENDING, "one is in doubt, so it is not finished"
    assert (result.proof.holds, result.proof.states["uncertain"]) == (True, 1)


def test_listmonk_has_sent_again_what_was_out_when_a_paused_campaign_was_resumed(
    week: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.delivery.account.HEARD_WITHIN_S", 0)
    monkeypatch.setattr(Wire, "at_once", 4)
    app = week.open()

    def pause_once(progress: object) -> None:
        if not week.paused:  # type: ignore[attr-defined]
            week.paused = True  # type: ignore[attr-defined]
            control.pause(app, WEEK, by="an operator")

    week.paused = False  # type: ignore[attr-defined]
    first = pipeline.send(app, WEEK, on_progress=pause_once)
    assert first.issue.state is IssueState.PAUSED
    assert 0 < first.proof.states["submitted"] < READERS
    control.resume(app, WEEK)
    assert week.send().issue.state is IssueState.DONE
    assert set(week.times_taken().values()) == {1}
    assert len(week.times_taken()) == READERS


def test_listmonk_grants_its_rate_to_each_worker_anew(tmp_path: Path) -> None:
    week = made(tmp_path, rate_per_hour=10)
    children = [postroom.start_process(lambda: pipeline.send(week.open(), WEEK)) for _ in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert sum(week.times_taken().values()) == 10


def test_listmonk_takes_a_5xx_of_smtp_for_no_bounce(tmp_path: Path) -> None:
    def no_such_user(_talk: Talk, verb: str, line: str) -> str | None:
        gone = verb == "RCPT" and "<reader7@" in line
        return "550 5.1.1 No such user" if gone else None

    with SmtpServer(no_such_user) as server:
        result = pipeline.send(at_smtp(tmp_path, server), WEEK)
        app = at_smtp(tmp_path, server)
        assert (result.proof.states["bounced"], result.proof.complete) == (1, True)
        with app.session(readonly=True) as session:
            assert suppression.is_suppressed(session, "reader7@example.com") == "hard_bounce"
            assert suppression.is_suppressed(session, "reader8@example.com") is None


def test_listmonk_puts_readers_whose_mail_was_blocked_on_its_blocklist(tmp_path: Path) -> None:
    def blocks_us(_talk: Talk, verb: str, line: str) -> str | None:
        blocked = verb == "RCPT" and "<reader7@" in line
        return "550 5.7.1 Blocked by policy of the recipient's system" if blocked else None

    with SmtpServer(blocks_us) as server:
        result = pipeline.send(at_smtp(tmp_path, server), WEEK)
        app = at_smtp(tmp_path, server)
    assert result.proof.states["bounced"] == 1
    with app.session(readonly=True) as session:
        assert suppression.is_suppressed(session, "reader7@example.com") is None


def at_smtp(home: Path, server: SmtpServer) -> App:
    settings: dict[str, Any] = {
        "provider": "smtp",
        "smtp_url": SecretStr(server.url),
        "from_": "news@example.com",
        "postal_address": "1 Example Street",
        "list_id": "verdicts.example.com",
    }
    if not (home / "newsletter.db").exists():
        made(home, **settings)
    return at(open_home(home, **settings), SLOT)


def test_ghost_leaves_a_whole_batch_in_doubt_to_a_person(week: Week) -> None:
    week.killed_after(13)
    result = week.send()
    assert result.proof.states["uncertain"] == 1, "of a batch of thirty, the one on the wire"
    (held,) = control.held(week.open(), WEEK)
    assert held.subscriber_id == 13
    assert held.reason


def test_keila_and_notifuse_send_again_what_was_in_flight(week: Week) -> None:
    for messages in (5, 9, 3):
        week.killed_after(messages)
    week.send()
    week.send()
    assert set(week.times_taken().values()) == {1}
    assert pipeline.prove(week.open(), WEEK).states["uncertain"] == 3


def test_mailtrain_and_phplist_lose_a_message_with_each_worker(week: Week) -> None:
    with week.open().session(readonly=True):
        week.killed_after(5)
    week.killed_after(8)
    proof = week.send().proof
    assert proof.holds
    assert sum(proof.states.values()) == READERS
    assert proof.states["uncertain"] == 2, "named, with a reason, and to be settled"
    assert proof.states["submitted"] == READERS - 2


def test_sendportal_and_django_newsletter_stay_stuck_after_a_crash(week: Week) -> None:
    week.killed_after(13)
    said = tick(week.open())
    assert len(week.times_taken()) == READERS, "the next tick goes on, without anybody's help"
    assert any(WEEK in sentence for sentence in said)


def test_before_its_slot_nothing_has_gone_out(week: Week) -> None:
    """The others of this file would notice: MONDAY lies before the slot."""
    tick(replace(at(open_home(week.home), MONDAY), provider=week.wire))
    assert week.times_taken() == Counter()
