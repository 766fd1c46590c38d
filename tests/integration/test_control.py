"""An operator's hand: pause, resume, cancel, settle; and providers that lack settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from publication import (
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
from pydantic import SecretStr
from sqlalchemy import text

from newsletter import control, pipeline
from newsletter.app import App
from newsletter.errors import NotFoundError, RefusedError, SettingsError
from newsletter.store.states import IssueState
from newsletter.tick import tick


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home")


def _sending(app: App, count: int = 3) -> None:
    """An issue that is frozen, with nothing sent yet."""
    store(app, finished("Left vs Right"))
    readers(app, count)
    planned_and_approved(app)
    with app.session(readonly=True) as session:
        issue = pipeline.issues.find(session, WEEK)
    pipeline.freeze(app, issue)


def _uncertain(app: App, count: int) -> list[str]:
    """As after a crash whose messages no provider can account for."""
    _sending(app, count)
    with app.session() as session:
        session.execute(
            text("UPDATE delivery SET state='uncertain', reason='no answer', attempts=1")
        )
        session.execute(text("UPDATE batch SET state='done'"))
    return [one.address for one in control.held(app, WEEK)]


def test_a_paused_issue_waits_until_it_is_resumed(app: App) -> None:
    _sending(app)
    assert control.pause(app, WEEK, by="Ops").reason == "paused by Ops"
    with pytest.raises(RefusedError, match="is paused: paused by Ops"):
        pipeline.send(app, WEEK)
    assert tick(at(app, SLOT)) == []
    assert outbox(app) == []
    control.resume(app, WEEK)
    assert tick(at(app, SLOT)) == [f"{WEEK}: 3 of 3 submitted, proof complete"]


def test_pausing_what_is_not_going_out_is_refused(app: App) -> None:
    store(app, finished("Left vs Right"))
    planned_and_approved(app)
    with pytest.raises(RefusedError, match="approved cannot become paused"):
        control.pause(app, WEEK, by="Ops")


def test_cancelling_a_send_accounts_for_everyone_who_gets_nothing(app: App) -> None:
    _sending(app)
    control.cancel(app, WEEK, by="Ops")
    account = pipeline.prove(app, WEEK)
    assert account.excluded == {"issue cancelled": 3}
    assert (account.holds, account.complete) == (True, True)
    assert tick(at(app, SLOT)) == []
    assert outbox(app) == []


def test_an_uncertain_delivery_is_never_sent_again_by_itself(app: App) -> None:
    _uncertain(app, 2)
    assert not pipeline.send(app, WEEK).proof.complete
    assert outbox(app) == []


def test_an_operators_word_settles_what_is_uncertain(app: App) -> None:
    first, second = _uncertain(app, 2)
    assert control.settle(app, WEEK, taken=True, addresses=[first.upper()]).submitted == 1
    assert [one.address for one in control.held(app, WEEK)] == [second]
    assert control.settle(app, WEEK, taken=False, dry_run=True).planned == 1
    assert len(control.held(app, WEEK)) == 1
    assert control.settle(app, WEEK, taken=False).planned == 1
    result = pipeline.send(app, WEEK)
    assert len(outbox(app)) == 1
    assert result.issue.state is IssueState.DONE
    assert result.proof.states["submitted"] == 2


def test_settling_a_reader_who_has_nothing_uncertain_changes_nothing(app: App) -> None:
    _uncertain(app, 2)
    with pytest.raises(NotFoundError, match="nothing is uncertain for stranger"):
        control.settle(app, WEEK, taken=True, addresses=["stranger@example.com"])
    assert len(control.held(app, WEEK)) == 2


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"provider": "smtp"}, "NEWSLETTER_SMTP_URL"),
        (
            {
                "provider": "sendgrid",
                "sendgrid_api_key": SecretStr("a-key"),
                "from_": "News <news@example.com>",
                "list_id": "verdicts.example.com",
            },
            "NEWSLETTER_POSTAL_ADDRESS",
        ),
    ],
)
def test_a_real_provider_refuses_to_send_without_its_settings(
    tmp_path: Path, settings: dict[str, object], missing: str
) -> None:
    app = open_home(tmp_path / "home", **settings)
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    with pytest.raises(SettingsError, match=missing) as refused:
        pipeline.send(app, WEEK)
    assert "a-key" not in str(refused.value)
    with app.session(readonly=True) as session:
        assert pipeline.issues.find(session, WEEK).state is IssueState.APPROVED
