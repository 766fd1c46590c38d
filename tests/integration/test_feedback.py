"""What a provider tells: whose it is, what follows, and what proves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from inbound_home import bounce, change, copied, reader
from inbound_home import take as take_mail
from publication import MONDAY
from sendgrid_events_fake import told
from structlog.testing import capture_logs
from told_home import TOLD_AT, column, mark, say, take

from newsletter import feedback, mailings
from newsletter.app import App
from newsletter.delivery import feedback as ledger
from newsletter.delivery import proof, system_mail
from newsletter.providers.told import Kind, ProviderEvent
from newsletter.tokens import Keyring
from subscribers import consent, suppression

pytestmark = pytest.mark.slow

LISTED = ("active", None)
AGREED_AT = TOLD_AT + timedelta(seconds=30)


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home")
    yield app
    app.engine.dispose()


def state(app: App, subscriber_id: int, issue_id: int = 1) -> tuple[str, str]:
    query = "SELECT state || '|' || reason FROM delivery WHERE issue_id = :i AND subscriber_id = :s"
    (found,) = column(app, query, i=issue_id, s=subscriber_id)
    name, _, reason = found.partition("|")
    return name, reason


def kept(app: App) -> list[tuple[str, int | None]]:
    rows = column(
        app, "SELECT kind || ' ' || coalesce(subscriber_id, '') FROM provider_event ORDER BY id"
    )
    return [(row.partition(" ")[0], int(row.partition(" ")[2] or 0) or None) for row in rows]


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (["processed"], "submitted"),
        (["processed", "deferred"], "deferred"),
        (["delivered", "deferred", "processed"], "delivered"),
        (["bounce", "delivered", "deferred"], "bounced"),
        (["group_unsubscribe", "bounce"], "delivered"),
        (["spamreport", "group_unsubscribe", "bounce", "delivered"], "complained"),
        (["dropped"], "failed"),
        (["dropped", "delivered"], "delivered"),
        (["open", "click", "group_resubscribe", "reincarnated"], "submitted"),
    ],
)
def test_precedence_decides_and_not_arrival(app: App, words: list[str], ends: str) -> None:
    for word in words:
        take(app, say(app, 1, word))
    assert state(app, 1)[0] == ends
    for word in reversed(words):
        take(app, say(app, 2, word))
    assert state(app, 2) == state(app, 1)


def test_delivered_at_is_the_earliest_instant_that_is_named(app: App) -> None:
    for n, after_s in enumerate((50, 10, 90)):
        take(app, say(app, 1, "delivered", after_s=after_s, event_id=f"e{n}", message=f"m{n}"))
    at = "SELECT delivered_at FROM delivery WHERE issue_id = 1 AND subscriber_id = 1"
    assert column(app, at) == [f"{TOLD_AT + timedelta(seconds=10):%Y-%m-%d %H:%M:%S.%f}"]


def test_who_clicked_is_looked_at_again_once_their_delivery_is_known(app: App) -> None:
    due = "SELECT subscriber_id FROM to_classify WHERE issue_id = 1"
    take(app, say(app, 1, "processed"), say(app, 2, "delivered"), say(app, 3, "delivered"))
    assert column(app, due) == [3]  # 1 clicked, and nothing is new; 2 did nothing
    change(app, "DELETE FROM to_classify")
    take(app, say(app, 3, "delivered", after_s=9, event_id="later"))
    assert column(app, due) == []


@pytest.mark.parametrize(
    "forge",
    [
        lambda real: real[:-1] + "2",
        lambda real: real.replace("w48", "w49"),
        lambda real: real.replace("w48", "w31"),
        lambda real: real.replace("w48", "w48-correction"),
        lambda real: real.upper(),
        lambda real: real + "0",
        lambda real: real + "0" * 40,
        lambda real: real.rpartition(".")[0] + ".0",
        lambda real: real.rpartition(".")[0],
        lambda real: f" {real}",
        lambda _real: "2026-w48." + "0" * 24 + ".1",
        lambda _real: "'; DROP TABLE delivery; --",
        lambda _real: "confirm." + "0" * 24 + ".1",
        lambda _real: "",
    ],
)
def test_a_mark_that_we_did_not_make_proves_nothing(app: App, forge: Any) -> None:
    forged = told("spamreport", forge(mark(app, 1)), MONDAY)
    done = take(app, forged, forged | {"sg_event_id": "no mark", "nl_delivery": None})
    assert done.new >= 1
    assert {who for _kind, who in kept(app)} == {None}
    assert [reader(app, n) for n in (1, 2)] == [LISTED, LISTED]
    assert state(app, 1) == ("submitted", "")


def test_another_publications_mark_is_nobodys(app: App) -> None:
    made = Keyring([b"the key of another publication"]).fingerprint("1:1")
    take(app, told("spamreport", f"2026-w48.{made}.1", MONDAY))
    assert kept(app) == [("complained", None)]


def test_a_reader_who_is_no_more_is_kept_as_nobody(app: App) -> None:
    made = mailings.message_id_maker(app, 1, "2026-w48")(999).partition("@")[0]
    take(app, told("spamreport", f"{made}.999", MONDAY), say(app, 1, "delivered"))
    assert kept(app) == [("complained", None), ("delivered", 1)]


def test_an_event_proves_its_own_uncertain_delivery_and_the_request_all(app: App) -> None:
    assert state(app, 1, 2) == ("uncertain", "no answer")
    change(
        app,
        "INSERT INTO request (id, issue_id, batch_id, made_at, subscriber_ids)"
        " VALUES ('r1', 2, (SELECT min(id) FROM batch), :at, '[1, 2]')",
        at="2026-11-23 10:00:00.000000",
    )
    take(app, say(app, 3, "processed", 2))
    assert [state(app, n, 2)[0] for n in (1, 2, 3, 4)] == [
        "uncertain",
        "uncertain",
        "submitted",
        "uncertain",
    ]
    take(app, say(app, 1, "open", 2, nl_request="r1"))
    assert [state(app, n, 2)[0] for n in (1, 2, 3)] == ["submitted"] * 3
    assert state(app, 1, 2) == state(app, 3, 2)
    submitted = "SELECT count(*) FROM delivery WHERE issue_id = 2 AND submitted_at = changed_at"
    assert column(app, submitted) == [3]


def test_what_is_dated_only_now_is_judged_again_where_there_is_anything_to_judge(app: App) -> None:
    due = "SELECT subscriber_id FROM to_classify WHERE issue_id = 2 ORDER BY 1"
    take(app, say(app, 1, "processed", 2), say(app, 2, "processed", 2))
    assert column(app, due) == [1], "only who clicked"
    take(app, say(app, 3, "bounce", 2))
    assert column(app, due) == [1, 3]


def test_a_request_of_another_issue_or_a_forged_mark_proves_nothing(app: App) -> None:
    change(
        app,
        "INSERT INTO request (id, issue_id, batch_id, made_at, subscriber_ids)"
        " VALUES ('r1', 2, (SELECT min(id) FROM batch), :at, '[1, 2]')",
        at="2026-11-23 10:00:00.000000",
    )
    forged = told("open", "2026-w49." + "0" * 24 + ".1", MONDAY, nl_request="r1")
    take(app, forged, say(app, 1, "open", 1, nl_request="r1"))
    assert state(app, 1, 2)[0] == "uncertain"


def test_the_last_uncertain_delivery_that_is_settled_ends_its_issue(app: App) -> None:
    take(app, *(say(app, n, "processed", 2) for n in (1, 2, 3)))
    assert column(app, "SELECT state FROM issue WHERE id = 2") == ["sending"]
    take(app, say(app, 4, "delivered", 2))
    assert column(app, "SELECT state FROM issue WHERE id = 2") == ["done"]


def test_an_event_of_a_message_still_being_sent_waits(app: App) -> None:
    change(app, "UPDATE delivery SET state = 'attempting' WHERE issue_id = 1")
    take(app, say(app, 1, "delivered"), say(app, 2, "bounce"), say(app, 3, "spamreport"))
    assert {state(app, n)[0] for n in (1, 2, 3)} == {"attempting"}
    assert reader(app, 3) == LISTED
    assert list(feedback.look_again(app)) == []
    change(app, "UPDATE delivery SET state = 'submitted' WHERE issue_id = 1")
    assert list(feedback.look_again(app)) == ["provider events that had waited for a sender: 3"]
    assert [state(app, n)[0] for n in (1, 2, 3)] == ["delivered", "bounced", "complained"]
    assert reader(app, 3) == ("unsubscribed", "complaint")
    assert list(feedback.look_again(app)) == []


def test_however_many_wait_all_are_looked_at(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "AT_ONCE", 2)
    monkeypatch.setattr(ledger.look_again, "__kwdefaults__", {"most": 2})
    change(app, "UPDATE delivery SET state = 'attempting' WHERE issue_id = 1")
    take(app, *(say(app, n, "delivered") for n in (1, 2, 3, 4)), say(app, 1, "open"))
    change(app, "UPDATE delivery SET state = 'submitted' WHERE issue_id = 1")
    assert list(feedback.look_again(app)) == ["provider events that had waited for a sender: 5"]
    assert {state(app, n)[0] for n in (1, 2, 3, 4)} == {"delivered"}


@pytest.mark.parametrize(
    ("reason", "who", "ends"),
    [
        ("Bounced Address", ("active", "hard_bounce"), "failed"),
        ("Invalid", ("active", "hard_bounce"), "failed"),
        ("Unsubscribed Address", ("unsubscribed", None), "failed"),
        ("Spam Reporting Address", ("unsubscribed", "complaint"), "failed"),
        ("Spam Content", LISTED, "failed"),
        ("who knows", LISTED, "failed"),
    ],
)
def test_what_was_dropped_follows_the_policy(
    app: App, reason: str, who: tuple[str, str | None], ends: str
) -> None:
    take(app, say(app, 1, "dropped", reason=reason))
    assert reader(app, 1) == who
    assert state(app, 1)[0] == ends
    assert reason in state(app, 1)[1]


@pytest.mark.parametrize("code", ["5.7.1", "5.7.0"])
@pytest.mark.parametrize("last", [{}, {"bounce_classification": "Invalid Address", "type": ""}])
def test_what_is_our_fault_alerts_and_never_suppresses(
    app: App, code: str, last: dict[str, str]
) -> None:
    refusal = {"type": "blocked", "status": code, "reason": f"550 {code} <a@b.example> policy"}
    with capture_logs() as logs:
        for issue_id, more in ((1, {}), (2, {}), (3, {}), (4, last)):
            take(app, say(app, 1, "bounce", issue_id, **refusal | more))
    assert reader(app, 1) == LISTED
    alerts = [log for log in logs if log["event"] == "refused_for_our_fault"]
    assert [(log["code"], log["events"]) for log in alerts] == [(code, 1)] * 4
    assert "@" not in str(logs)


BLOCKED = {"type": "blocked", "status": "5.3.0", "reason": "550 later"}


def test_three_issues_blocked_in_a_row_suppress_and_one_that_arrived_ends_the_row(
    app: App,
) -> None:
    for issue_id in (1, 2, 3):
        assert reader(app, 1) == LISTED
        take(app, say(app, 1, "bounce", issue_id, **BLOCKED))
    assert reader(app, 1) == ("active", "soft_bounces")
    take(app, say(app, 2, "delivered", 2))
    for issue_id in (4, 3, 1):
        take(app, say(app, 2, "bounce", issue_id, **BLOCKED))
    assert reader(app, 2) == LISTED


def test_mails_and_events_count_in_one_row(app: App) -> None:
    to = f"bounces+{app.keyring.bounce(1, 1)}@verdicts.example.com"
    take_mail(app, bounce(app, 1, code="4.2.2", said="452 full", to=to))
    for issue_id in (2, 3):
        take(app, say(app, 1, "bounce", issue_id, **BLOCKED))
    assert reader(app, 1) == ("active", "soft_bounces")


def test_a_row_is_over_once_a_newer_issue_arrived(app: App) -> None:
    going = "SELECT soft_bounces FROM engagement WHERE subscriber_id = 1"
    take(app, say(app, 1, "bounce", 1, **BLOCKED), say(app, 1, "bounce", 2, **BLOCKED))
    assert column(app, going) == [2]
    take(app, say(app, 1, "delivered", 3))
    assert column(app, going) == [0]


def test_after_an_operators_word_the_row_begins_anew(app: App) -> None:
    for issue_id in (1, 2, 3):
        take(app, say(app, 1, "bounce", issue_id, **BLOCKED))
    with app.session() as session:
        key = "reader1@example.com"
        assert suppression.lift(session, key, because="emptied", now=app.clock())
    change(app, "UPDATE delivery SET submitted_at = '2026-11-30 09:00:00.000000' WHERE issue_id=4")
    take(app, say(app, 1, "bounce", 4, **BLOCKED))
    assert reader(app, 1) == LISTED


def confirmed(app: App, subscriber_id: int, at: Any) -> None:
    with app.session() as session:
        consent.unsubscribe(session, subscriber_id, source="mail", network="", now=MONDAY)
        session.flush()
        change_at = {"id": subscriber_id, "at": at - timedelta(seconds=5)}
    change(
        app,
        "UPDATE subscriber SET confirmation_sent_at = :at, unsubscribed_at = :long WHERE id = :id",
        at=f"{change_at['at']:%Y-%m-%d %H:%M:%S.%f}",
        long=f"{MONDAY:%Y-%m-%d %H:%M:%S.%f}",
        id=subscriber_id,
    )
    with app.session() as session:
        done = consent.confirm(
            session, subscriber_id, issued_at=at, source="mail", network="", now=at
        )
        assert done is consent.Confirmation.CONFIRMED


@pytest.mark.parametrize("word", ["spamreport", "group_unsubscribe", "bounce"])
def test_what_is_older_than_a_fresh_double_opt_in_is_history(app: App, word: str) -> None:
    confirmed(app, 1, AGREED_AT)
    take(app, say(app, 1, word))
    assert reader(app, 1) == LISTED
    take(app, say(app, 1, word, 3, after_s=31))
    assert reader(app, 1) != LISTED


@pytest.mark.parametrize("reason", ["Spam Reporting Address", "Unsubscribed Address"])
def test_the_providers_own_list_does_not_undo_a_fresh_agreement(app: App, reason: str) -> None:
    confirmed(app, 1, AGREED_AT)
    with capture_logs() as logs:
        take(app, say(app, 1, "dropped", 3, after_s=60, reason=reason))
    assert reader(app, 1) == LISTED
    assert state(app, 1, 3)[0] == "failed"
    assert [log["event"] for log in logs] == ["refused_for_our_fault"]


def test_who_leaves_by_the_providers_way_is_told_goodbye_and_counted_once(app: App) -> None:
    take(app, say(app, 1, "group_unsubscribe"), say(app, 1, "unsubscribe"))
    take(app, say(app, 2, "spamreport"))
    mails = "SELECT subscriber_id FROM system_mail WHERE kind = 'goodbye'"
    assert column(app, mails) == [1]
    left = "SELECT subscriber_id FROM event WHERE kind = 'unsubscribe' ORDER BY id"
    assert column(app, left) == [1, 2]


def test_a_bounce_of_a_system_mail_is_its_readers(app: App) -> None:
    with app.session() as session:
        system_mail.queue(session, "welcome", once="welcome:3", subscriber_id=3, now=MONDAY)
    (id_,) = column(app, "SELECT id FROM system_mail WHERE once = 'welcome:3'")
    made = app.keyring.fingerprint("welcome:3")
    forged = told("bounce", f"goodbye.{made}.{id_}", MONDAY, event_id="forged")
    take(app, forged, told("bounce", f"welcome.{made}.{id_}", MONDAY))
    assert kept(app) == [("bounced", None), ("bounced", 3)]
    assert reader(app, 3) == ("active", "hard_bounce")


def test_after_a_sending_again_the_first_refusal_is_history(app: App) -> None:
    take(app, say(app, 1, "bounce", **BLOCKED))
    change(
        app,
        "INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)"
        " VALUES (1, 1, 'resend', :at, '', 'op', '')",
        at=f"{AGREED_AT:%Y-%m-%d %H:%M:%S.%f}",
    )
    change(app, "UPDATE delivery SET state='submitted', reason='' WHERE issue_id=1")
    take(app, say(app, 1, "delivered", after_s=40))
    take(app, say(app, 1, "bounce", **BLOCKED, event_id="again", message="again"))
    assert state(app, 1) == ("delivered", "")
    take(app, say(app, 1, "bounce", after_s=50, event_id="new", message="new"))
    assert state(app, 1)[0] == "bounced"


def test_the_account_still_adds_up(app: App) -> None:
    words = ("spamreport", "bounce", "dropped", "deferred")
    take(app, *(say(app, n, word) for n, word in enumerate(words, 1)))
    take(app, say(app, 1, "bounce", status="", reason=""))
    with app.session(readonly=True) as session:
        account = proof.prove(session, 1)
    assert account.unexplained == 0
    assert (account.states["complained"], account.states["failed"]) == (1, 1)


@pytest.mark.parametrize("at", [None, MONDAY + timedelta(days=2)])
def test_an_event_at_no_instant_or_far_ahead_happened_when_it_came(app: App, at: Any) -> None:
    event = ProviderEvent("e1", "t1", Kind.DELIVERED, "delivered", at, mark=mark(app, 1))
    feedback.take(app, "sendgrid", [event])
    now = f"{app.clock():%Y-%m-%d %H:%M:%S.%f}"
    assert column(app, "SELECT delivered_at FROM delivery WHERE delivered_at > ''") == [now]
