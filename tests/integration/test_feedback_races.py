"""Two workers told of one delivery at once: what weighs more wins, whoever commits first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from inbound_home import copied, reader
from sendgrid_events_fake import as_body
from sqlalchemy import text
from sqlmodel import Session
from structlog.testing import capture_logs
from told_home import column, say, take

from newsletter import feedback
from newsletter.app import App
from newsletter.delivery import feedback as ledger
from newsletter.delivery import on_record
from newsletter.providers import sendgrid_events

pytestmark = pytest.mark.slow

OURS = text("SELECT id, subscriber_id FROM provider_event WHERE id > :known")
HIDDEN = text("UPDATE provider_event SET subscriber_id = NULL WHERE id > :known")
SHOWN = text("UPDATE provider_event SET subscriber_id = :subscriber_id WHERE id = :id")
FULL: dict[str, Any] = {"status": "5.2.2", "reason": "552 5.2.2 mailbox full"}


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home")
    yield app
    app.engine.dispose()


def after_a_look(monkeypatch: pytest.MonkeyPatch, others: Callable[[Session, int], None]) -> None:
    """What others do, given how many looks there were, once ours at the record is over."""
    looked, look_up = 0, on_record.look_up

    def looking(session: Session, ids: Collection[int]) -> on_record.OnRecord:
        nonlocal looked
        known = look_up(session, ids)
        looked += 1
        others(session, looked)
        return known

    monkeypatch.setattr(on_record, "look_up", looking)


def told_meanwhile(app: App, monkeypatch: pytest.MonkeyPatch, *events: Any) -> None:
    """Another worker takes these in while ours, of which it knows nothing, are decided on."""
    (known,) = column(app, "SELECT coalesce(max(id), 0) FROM provider_event")

    def others(session: Session, looked: int) -> None:
        if looked == 1:
            ours = session.execute(OURS, {"known": known}).mappings().all()
            session.execute(HIDDEN, {"known": known})
            traced = feedback.trace(app, session, sendgrid_events.read_events(as_body(*events)))
            ledger.take_in(session, "sendgrid", traced, app.clock())
            session.execute(SHOWN, [dict(row) for row in ours])

    after_a_look(monkeypatch, others)


def state(app: App) -> list[Any]:
    query = "SELECT state || ': ' || reason FROM delivery WHERE issue_id = 1 AND subscriber_id = 1"
    return column(app, query)


@pytest.mark.parametrize(
    ("ours", "theirs", "ends"),
    [
        ("spamreport", "bounce", "complained: called spam"),
        ("bounce", "spamreport", "complained: called spam"),
        ("bounce", "dropped", "bounced: 550 5.1.1 No such user"),
        ("bounce", "delivered", "bounced: 550 5.1.1 No such user"),
        ("group_unsubscribe", "bounce", "delivered: "),
    ],
)
def test_what_weighs_more_decides_whichever_worker_was_told_of_it(
    app: App, monkeypatch: pytest.MonkeyPatch, ours: str, theirs: str, ends: str
) -> None:
    told_meanwhile(app, monkeypatch, say(app, 1, theirs))
    take(app, say(app, 1, ours))
    assert state(app) == [ends]


@pytest.mark.parametrize(("ours_s", "theirs_s"), [(1, 0), (0, 1)])
def test_of_two_refusals_more_the_earliest_gives_the_reason(
    app: App, monkeypatch: pytest.MonkeyPatch, ours_s: int, theirs_s: int
) -> None:
    """The state is the same before and after, so it alone does not tell that others were there."""
    take(app, say(app, 1, "bounce", after_s=9, event_id="last", message="last"))
    words = {0: "552 5.2.2 full, first", 1: "552 5.2.2 full, then"}
    told_meanwhile(
        app,
        monkeypatch,
        say(app, 1, "bounce", after_s=theirs_s, **FULL | {"reason": words[theirs_s]}),
    )
    take(app, say(app, 1, "bounce", after_s=ours_s, **FULL | {"reason": words[ours_s]}))
    assert state(app) == [f"bounced: {words[0]}"]


def test_a_row_of_refusals_counts_those_others_were_told_of_meanwhile(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(app, say(app, 1, "bounce", 3, **FULL))
    never_tried = say(app, 1, "dropped", reason="Spam Content")
    told_meanwhile(app, monkeypatch, never_tried, say(app, 1, "bounce", 2, **FULL))
    take(app, say(app, 1, "bounce", 1, **FULL))
    assert reader(app, 1) == ("active", "soft_bounces")
    assert column(app, "SELECT soft_bounces FROM engagement WHERE subscriber_id = 1") == [3]


def test_a_delivery_that_never_rests_is_left_to_the_others_and_said(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def others(session: Session, looked: int) -> None:
        session.connection().exec_driver_sql(
            "UPDATE delivery SET reason = ? WHERE issue_id = 1 AND subscriber_id = 1",
            (f"{looked}",),
        )

    after_a_look(monkeypatch, others)
    with capture_logs() as logs:
        take(app, say(app, 1, "bounce"), say(app, 2, "bounce"))
    assert state(app) == [f"submitted: {ledger.MAX_LOOKS}"]
    said = [one for one in logs if one["event"] == "delivery_changed_meanwhile"]
    assert [(one["issue"], one["subscriber"]) for one in said] == [(1, 1)]
    assert [reader(app, n) for n in (1, 2)] == [("active", "hard_bounce")] * 2
