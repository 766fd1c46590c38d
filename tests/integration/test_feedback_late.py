"""What comes late, after a move, a sending again, an erasure; and what comes all at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from inbound_home import bounce, change, copied, envelope, reader
from inbound_home import take as take_mail
from publication import MONDAY, WEEK, outbox
from sendgrid_events_fake import told
from told_home import TOLD_AT, column, outcome_of, say, take

from newsletter import feedback, own_data, pipeline
from newsletter.app import App
from newsletter.delivery import resend, system_mail
from newsletter.providers import plain_events
from newsletter.providers.told import Kind, ProviderEvent
from newsletter.tokens import Keyring
from subscribers import moving
from subscribers.address import EmailAddress

pytestmark = pytest.mark.slow

LISTED, BARRED = ("active", None), ("active", "hard_bounce")
FULL: dict[str, Any] = {"status": "4.2.2", "reason": "452 4.2.2 mailbox full"}
WORDS = "550 5.1.1 mailbox jane.doe of Jane Doe is closed"
MOVED_AT = MONDAY + timedelta(minutes=2)


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home")
    yield replace(app, clock=lambda: MONDAY + timedelta(minutes=30))
    app.engine.dispose()


def system_mark(app: App, once: str, sent_at: datetime) -> str:
    """Of a mail to reader 1 that left then; asked for a day before."""
    asked_for = sent_at - timedelta(days=1)
    with app.session() as session:
        system_mail.queue(session, "welcome", once=once, subscriber_id=1, now=asked_for)
    stamp = f"{sent_at:%Y-%m-%d %H:%M:%S.%f}"
    change(app, "UPDATE system_mail SET claimed_at = :at WHERE once = :once", at=stamp, once=once)
    (id_,) = column(app, "SELECT id FROM system_mail WHERE once = :once", once=once)
    return f"welcome.{app.keyring.fingerprint(once)}.{id_}"


def moves(app: App) -> None:
    new = EmailAddress.parse("fresh@example.com")
    hidden = app.keyring.of_address
    with app.session() as session:
        asked = moving.ask(session, 1, new, fingerprint_of=hidden, now=MOVED_AT)
        assert asked is not None
        for end in moving.End:
            moving.agree(
                session,
                asked.change_id,
                end,
                fingerprint_of=hidden,
                source="test",
                network="",
                now=MOVED_AT,
            )


@pytest.mark.parametrize(("after_s", "ends"), [(-60, LISTED), (60, BARRED)])
def test_a_refused_system_mail_bars_the_address_it_went_to(
    app: App, after_s: int, ends: tuple[str, str | None]
) -> None:
    mark = system_mark(app, "a", MOVED_AT + timedelta(seconds=after_s))
    moves(app)
    take(app, told("bounce", mark, MONDAY + timedelta(minutes=5)))
    assert reader(app, 1) == ends


@pytest.mark.parametrize(("named", "ends"), [("before", LISTED), ("after", BARRED), ("", LISTED)])
def test_a_mail_about_a_refused_system_mail_does_too(
    app: App, named: str, ends: tuple[str, str | None]
) -> None:
    """Where it names none, any of the reader's may be meant."""
    marks = {
        "": "nothing.of.ours",
        "before": system_mark(app, "before", MOVED_AT - timedelta(minutes=1)),
        "after": system_mark(app, "after", MOVED_AT + timedelta(minutes=1)),
    }
    moves(app)
    to = f"bounces+{app.keyring.bounce(0, 1)}@verdicts.example.com"
    message_id = f"{marks[named].rpartition('.')[0]}@verdicts.example.com"
    take_mail(app, bounce(app, 1, to=to, message_id=message_id))
    assert reader(app, 1) == ends


def test_a_token_told_of_a_refused_system_mail_does_too(app: App) -> None:
    system_mark(app, "a", MOVED_AT - timedelta(minutes=1))
    moves(app)
    event = ProviderEvent("1", "1", Kind.INVALID, "invalid", None, token=app.keyring.bounce(0, 1))
    feedback.take(app, "webhook", [event])
    assert reader(app, 1) == LISTED


def sent_again(app: App, at: datetime) -> None:
    change(app, "UPDATE delivery SET batch_id = (SELECT id FROM batch LIMIT 1)")
    with app.session() as session:
        resend.plan_again(session, 1, [1], again=True, by="Ann", now=at)
    change(
        app,
        "UPDATE delivery SET state='submitted', attempts=1, submitted_at=changed_at"
        " WHERE issue_id=1 AND subscriber_id=1",
    )


def soft_row(app: App) -> list[Any]:
    return column(app, "SELECT soft_bounces FROM engagement WHERE subscriber_id = 1")


def test_a_refusal_before_a_sending_again_is_of_no_row(app: App) -> None:
    change(app, "UPDATE delivery SET state='submitted', submitted_at=changed_at")
    take(app, say(app, 1, "bounce", 1, **FULL))
    sent_again(app, TOLD_AT + timedelta(minutes=1))
    take(app, say(app, 1, "delivered", 1, after_s=120))
    for issue_id in (2, 3):
        take(app, say(app, 1, "bounce", issue_id, after_s=300 * issue_id, **FULL))
    assert (soft_row(app), reader(app, 1)) == ([2], LISTED)
    take(app, say(app, 1, "bounce", 1, after_s=1, **FULL))  # of the first sending, told late
    assert (soft_row(app), reader(app, 1)) == ([2], LISTED)
    take(app, say(app, 1, "bounce", 4, after_s=2000, **FULL))
    assert (soft_row(app), reader(app, 1)) == ([3], ("active", "soft_bounces"))


def test_a_report_before_a_sending_again_is_of_no_row(app: App) -> None:
    change(app, "UPDATE delivery SET state='submitted', submitted_at=changed_at")
    take_mail(app, bounce(app, 1, code="4.2.2", said="452 full"))
    sent_again(app, app.clock() + timedelta(minutes=1))
    take(app, say(app, 1, "delivered", 1, after_s=7200))
    for issue_id in (2, 3):
        take(app, say(app, 1, "bounce", issue_id, after_s=300 * issue_id, **FULL))
    assert (soft_row(app), reader(app, 1)) == ([2], LISTED)


def settled_as_not_taken(app: App, subscriber_id: int = 1) -> None:
    change(app, "UPDATE batch SET state = 'planned'")
    change(
        app,
        "UPDATE delivery SET state = 'planned', reason = '', attempts = 1, submitted_at = NULL,"
        " batch_id = (SELECT id FROM batch LIMIT 1), changed_at = :at"
        " WHERE issue_id = 1 AND subscriber_id = :id",
        at=f"{MONDAY + timedelta(minutes=20):%Y-%m-%d %H:%M:%S.%f}",
        id=subscriber_id,
    )


def delivery_of_reader_1(app: App) -> list[Any]:
    return column(
        app,
        "SELECT state || ' ' || coalesce(substr(submitted_at, 12, 8), '') FROM delivery"
        " WHERE issue_id = 1 AND subscriber_id = 1",
    )


@pytest.mark.parametrize(
    ("word", "ends"),
    [
        ("processed", "submitted"),
        ("deferred", "deferred"),
        ("delivered", "delivered"),
        ("open", "submitted"),
        ("bounce", "bounced"),
        ("spamreport", "complained"),
    ],
)
def test_what_was_settled_as_not_taken_and_is_told_of_goes_out_no_more(
    app: App, word: str, ends: str
) -> None:
    for reader_id in (1, 2):
        settled_as_not_taken(app, reader_id)
    take(app, say(app, 1, word))
    assert delivery_of_reader_1(app) == [f"{ends} {TOLD_AT:%H:%M:%S}"]
    result = pipeline.send(app, WEEK)
    assert (len(outbox(app)), result.proof.holds) == (1, True)  # reader 2's


@pytest.mark.parametrize("why", ["attempts = 0", "due_at = changed_at"])
def test_what_was_never_attempted_or_is_put_off_goes_out(app: App, why: str) -> None:
    settled_as_not_taken(app)
    change(app, f"UPDATE delivery SET {why} WHERE issue_id = 1 AND subscriber_id = 1")
    take(app, say(app, 1, "delivered"))
    assert delivery_of_reader_1(app) == ["planned "]


def test_what_is_told_of_an_earlier_copy_settles_no_later_one(app: App) -> None:
    sent_again(app, TOLD_AT + timedelta(minutes=1))
    settled_as_not_taken(app)
    take(app, say(app, 1, "delivered"))
    assert delivery_of_reader_1(app) == ["planned "]
    take(app, say(app, 1, "open", after_s=90))
    assert delivery_of_reader_1(app)[0].startswith("submitted")


def erased(app: App) -> None:
    with app.session() as session:
        own_data.erase(app, session, 1, source="self")


def test_what_is_told_of_somebody_erased_names_nobody_again(app: App) -> None:
    erased(app)
    before = column(app, "SELECT reason FROM suppression")
    later = [
        say(app, 1, "bounce", 1, reason=WORDS),
        say(app, 1, "spamreport", 2, feedback_id="Jane Doe"),
        say(app, 1, "group_unsubscribe", 4),
        say(app, 1, "Jane Doe", 4),
        say(app, 1, "delivered", 3),
        *(say(app, 1, "bounce", n, after_s=9, **FULL) for n in (1, 2, 3, 4)),
    ]
    take(app, *later, say(app, 2, "bounce", 1, reason=WORDS))
    assert column(app, "SELECT subscriber_id FROM provider_event WHERE subscriber_id = 1") == []
    assert column(app, "SELECT count(*) FROM provider_event WHERE detail LIKE '%Jane%'") == [1]
    assert column(app, "SELECT reason FROM delivery WHERE subscriber_id = 1 AND issue_id = 1") == [
        "5.1.1"
    ]
    assert column(app, "SELECT state FROM delivery WHERE subscriber_id = 1 ORDER BY issue_id") == [
        "bounced",
        "complained",
        "bounced",
        "delivered",
    ]
    for table in ("event", "engagement", "to_classify"):
        found = column(app, f"SELECT count(*) FROM {table} WHERE subscriber_id = 1")
        assert found == [0], table
    assert column(app, "SELECT reason FROM suppression WHERE address_key LIKE 'erased%'") == before
    assert reader(app, 2) == BARRED


def test_a_mail_about_somebody_erased_names_nobody_again(app: App) -> None:
    mail = bounce(app, 1, said=WORDS)
    erased(app)
    take_mail(app, mail)
    assert column(app, "SELECT reason || coalesce(subscriber_id, '') FROM inbound_report") == [""]
    assert column(app, "SELECT reason FROM delivery WHERE subscriber_id = 1 AND issue_id = 1") == [
        "5.1.1"
    ]


def test_two_refusals_of_one_message_in_a_second_both_count_in_any_order(app: App) -> None:
    full = say(app, 1, "bounce", **FULL)
    gone = full | {"sg_event_id": "another", "status": "5.1.1", "reason": "550 no such user"}
    first = outcome_of(app, [[full], [gone]])
    assert first == outcome_of(app, [[gone], [full]]) == outcome_of(app, [[full, gone]])
    take(app, full, gone)
    assert reader(app, 1) == BARRED


def test_refusals_without_an_instant_both_count(app: App) -> None:
    for number, code in enumerate(("4.2.2", "5.1.1")):
        said = f'{{"id": "evt_{number}", "type": "bounced", "code": "{code}", "message_id": "'
        body = f'{said}{envelope(app, 1).message_id}"}}'.encode()
        feedback.take(app, "webhook", plain_events.read_events(body))
    assert reader(app, 1) == BARRED


def test_others_write_between_the_many_events_of_a_call(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it is on record once the call ends, told twice or not."""
    heard = []

    def another_writer(_seconds: float) -> None:
        with sqlite3.connect(app.home / "newsletter.db", timeout=0) as file:
            heard.extend(file.execute("SELECT count(*) FROM provider_event").fetchone())
            file.execute("UPDATE batch SET epoch = epoch")
        file.close()

    monkeypatch.setattr(feedback, "sleep", another_writer)
    kinds = [Kind.INVALID] * 700 + [Kind.PROCESSED] * 2_000
    events = [ProviderEvent(f"{n}", f"{n}", kind, kind, None) for n, kind in enumerate(kinds)]
    done = feedback.take(app, "webhook", events)
    assert heard == [500, 1_500, 2_500]
    assert (done.told, done.new) == (2_700, 2_700)
    assert feedback.take(app, "webhook", events).new == 0


def told_by_message_id(app: App, number: int, message_id: str) -> int:
    said = f'{{"id": "{number}", "type": "invalid", "message_id": "{message_id}"}}'
    return feedback.take(app, "webhook", plain_events.read_events(said.encode())).suppressed


def test_an_issues_message_ids_are_made_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again where its deliveries differ; else each call would walk them all."""
    assert told_by_message_id(app, 1, envelope(app, 1).message_id) == 1
    made: list[str] = []
    fingerprint = Keyring.fingerprint

    def counting(ring: Keyring, subject: str) -> str:
        made.append(subject)
        return fingerprint(ring, subject)

    second, third = envelope(app, 2).message_id, envelope(app, 3).message_id
    monkeypatch.setattr(Keyring, "fingerprint", counting)
    assert told_by_message_id(app, 2, second) == 1
    assert made == ["1:0", "1:2"]
    change(app, "DELETE FROM delivery WHERE issue_id = 1 AND subscriber_id = 4")
    assert told_by_message_id(app, 3, third) == 1
    assert made[2:] == ["1:0", "1:1", "1:2", "1:3", "1:3"]
