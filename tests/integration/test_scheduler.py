"""The scheduler's two jobs: who signs up does not wait for an issue that takes hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from publication import SLOT, at, finished, open_home, outbox, planned_and_approved, readers, store

from newsletter import readers as pages
from newsletter import scheduler as under_test
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.providers.base import AttemptLog, Envelope, Evidence, Mailing, Receipt
from newsletter.providers.outbox import Outbox
from newsletter.scheduler import Scheduler
from newsletter.store.states import IssueState


class Slow:
    """An outbox that takes no message before it is told to go on."""

    name = "slow"
    at_once = 1

    def __init__(self, root: Path) -> None:
        self._outbox = Outbox(root)
        self.is_at_work, self.may_go_on = Event(), Event()

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        self.is_at_work.set()
        assert self.may_go_on.wait(30)
        yield from self._outbox.submit(mailing, envelopes, log)

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> Mapping[int, Evidence]:
        return self._outbox.evidence(mailing, envelopes)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home")


@pytest.fixture(autouse=True)
def mail_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "MAIL_EVERY_SECONDS", 0.05)


def soon(happened: Callable[[], object]) -> bool:
    """Whether it comes true within twenty seconds."""
    end = monotonic() + 20
    while monotonic() < end:
        if happened():
            return True
        sleep(0.02)
    return False


def state(app: App) -> IssueState:
    with app.session(readonly=True) as session:
        return issues.find(session, "latest").state


def sending(app: App, provider: Slow) -> Scheduler:
    """A scheduler at work on an issue the provider is slow to take."""
    store(app, finished("Left vs Right"))
    readers(app, 2)
    planned_and_approved(app)
    scheduler = Scheduler(replace(at(app, SLOT), provider=provider))
    scheduler.start()
    assert provider.is_at_work.wait(20)
    return scheduler


@pytest.mark.slow
def test_a_confirmation_goes_out_while_an_issue_is_being_sent(app: App) -> None:
    provider = Slow(app.home / "outbox")
    scheduler = sending(app, provider)
    try:
        pages.sign_up(app, "new@example.com", source="test", network="")
        assert soon(lambda: outbox(app, "system"))
        assert b"new@example.com" in outbox(app, "system")[0].read_bytes()
        assert state(app) is IssueState.SENDING
        assert outbox(app) == []
    finally:
        provider.may_go_on.set()
        assert soon(lambda: state(app) is IssueState.DONE)
        scheduler.stop()
    assert len(outbox(app)) == 2
    assert len(outbox(app, "system")) == 1


@pytest.mark.slow
def test_stopping_ends_both_jobs_once_the_wire_is_clear(app: App) -> None:
    provider = Slow(app.home / "outbox")
    scheduler = sending(app, provider)
    stopping = Thread(target=scheduler.stop)
    stopping.start()
    stopping.join(0.2)
    assert stopping.is_alive()  # a message is on the wire
    provider.may_go_on.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert len(outbox(app)) == 1  # the one on the wire; the other one waits for the next start
    pages.sign_up(app, "late@example.com", source="test", network="")
    sleep(0.2)
    assert outbox(app, "system") == []


def test_a_fault_of_system_mail_is_said_once_not_every_few_seconds(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    unset = replace(app, settings=app.settings.model_copy(update={"provider": "smtp"}))
    scheduler = Scheduler(unset)
    for _ in range(3):
        scheduler._beside("system mail", scheduler._send_mail)
    said = capsys.readouterr().out
    assert said.count("system mail failed") == 1
    assert "NEWSLETTER_SMTP_URL" in said
