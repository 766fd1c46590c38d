"""Mail about our mail leads to its reader, and to what the policy says of it; nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from inbound_home import (
    bounce,
    change,
    complaint,
    copied,
    delivery,
    envelope,
    issue,
    reader,
    sent_home,
    take,
)

from newsletter import pipeline, readers
from newsletter.app import App
from newsletter.errors import TransientError
from newsletter.inbound import intake, listing
from newsletter.inbound.sources import Given
from newsletter.store.states import IssueState
from newsletter.tokens import Keyring
from subscribers import consent
from subscribers.address import EmailAddress
from subscribers.models import Subscriber
from subscribers.policy import Verdict

SENT = ("submitted", "")
LISTED = ("active", None)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sent_home(tmp_path_factory.mktemp("sent") / "home")


@pytest.fixture
def app(home: Path, tmp_path: Path) -> App:
    return copied(home, tmp_path / "home")


def test_a_hard_bounce_leads_by_its_token_to_its_reader_and_to_no_other(app: App) -> None:
    taken = take(app, bounce(app, 2))
    assert (taken.traced.issue_id, taken.traced.subscriber_id) == (issue(app).id, 2)
    assert delivery(app, 2) == ("bounced", "5.1.1 550 refused")
    assert reader(app, 2) == ("active", "hard_bounce")
    assert (delivery(app, 1), reader(app, 1)) == (SENT, LISTED)
    assert pipeline.prove(app, "latest").holds


def test_read_twice_it_counts_once(app: App) -> None:
    raw = bounce(app, 2)
    assert [take(app, raw).is_new, take(app, raw.replace(b"\n", b"\r\n")).is_new] == [True, False]
    assert len(listing.listed(app, unclassified=False)) == 1


def test_of_two_processes_with_the_same_mail_one_counts(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = bounce(app, 2)
    take(app, raw)
    looks = iter([False, False, True])
    monkeypatch.setattr(intake, "_is_known", lambda *_: next(looks))
    assert not take(app, raw).is_new
    assert len(listing.listed(app, unclassified=False)) == 1


@pytest.mark.parametrize("recipient", [2, 3], ids=["named", "not named"])
def test_without_a_token_its_message_id_leads_to_its_reader(app: App, recipient: int) -> None:
    message_id = envelope(app, 2).message_id
    taken = take(app, bounce(app, recipient, to="news@example.com", message_id=message_id))
    assert taken.traced.subscriber_id == 2
    assert (delivery(app, 2)[0], delivery(app, 3)) == ("bounced", SENT)


def test_the_returned_way_out_leads_to_its_reader(app: App) -> None:
    token = app.keyring.unsubscribe(issue(app).id, 3)
    raw = bounce(app, 3, to="news@example.com").replace(
        b"Message-ID:",
        f"List-Unsubscribe: <{app.publication.url}/unsubscribe/{token}>\nMessage-ID:".encode(),
    )
    assert take(app, raw).traced.subscriber_id == 3


def _forged(app: App) -> list[bytes]:
    others = Keyring([b"the key of another publication"])
    there = f"bounces+{others.bounce(issue(app).id, 2)}@verdicts.example.com"
    ours = envelope(app, 2).bounce_to
    purpose = app.keyring.unsubscribe(issue(app).id, 2).lower().replace("-", "a").replace("_", "a")
    return [
        bounce(app, 2, to=there),
        bounce(app, 2, to=ours.replace("@", "a@")),
        bounce(app, 2, to=ours.replace("@", "", 1).replace("verdicts", "@verdicts")[:-3] + "org"),
        bounce(app, 2, to=f"bounces+{purpose}@verdicts.example.com"),
        bounce(app, 2, to="news@example.com", message_id="2026-w48.ff@verdicts.example"),
        bounce(app, 2, to="news@example.com", message_id=envelope(app, 2).message_id + ".org"),
        bounce(app, 2, to="news@example.com", message_id="letter@elsewhere.example"),
    ]


def test_what_is_forged_or_another_publications_changes_nothing_and_says_so(app: App) -> None:
    for raw in _forged(app):
        taken = take(app, raw)
        assert taken.report.verdict is Verdict.HARD
        assert taken.traced.subscriber_id is None
        assert taken.traced.why_not
    assert {delivery(app, n) for n in range(1, 5)} == {SENT}
    assert {reader(app, n) for n in range(1, 5)} == {LISTED}


def test_a_fault_of_ours_suppresses_nobody_and_raises_the_alarm(app: App) -> None:
    raw = bounce(app, 1, code="5.7.26", said="550 5.7.26 unauthenticated")
    summary = intake.read_all(app, [Given(raw)])
    assert (summary.alerts, summary.suppressed) == ({"5.7.26": 1}, 0)
    assert (delivery(app, 1)[0], reader(app, 1)) == ("bounced", LISTED)


def _next_issue(app: App, number: int, state: str) -> None:
    change(
        app,
        "INSERT INTO issue (id, kind, week, slot_at, state, reason, wanted, choices, samples,"
        " planned_at, audience) SELECT :id, kind, :week, slot_at, 'done', '', wanted, choices,"
        " samples, planned_at, audience FROM issue WHERE id = 1",
        id=number,
        week=f"2026-W{48 + number}",
    )
    change(
        app,
        "INSERT INTO delivery (issue_id, subscriber_id, state, reason, attempts, changed_at,"
        " receipt) SELECT :id, subscriber_id, :state, '', 1, changed_at, '' FROM delivery"
        " WHERE issue_id = 1 AND subscriber_id = 1",
        id=number,
        state=state,
    )


def _soft(app: App, number: int) -> None:
    to = f"bounces+{app.keyring.bounce(number, 1)}@verdicts.example.com"
    said = f"452 mailbox full, issue {number}"
    take(app, bounce(app, 1, code="4.2.2", said=said, to=to))


def test_three_issues_in_a_row_refused_softly_suppress(app: App) -> None:
    for number in (1, 2, 3):
        if number > 1:
            _next_issue(app, number, "submitted")
        assert reader(app, 1) == LISTED
        _soft(app, number)
        take(app, bounce(app, 1, code="4.2.2", said=f"again, {number}"))
    assert reader(app, 1) == ("active", "soft_bounces")


def test_an_issue_that_arrived_in_between_starts_the_count_anew(app: App) -> None:
    _soft(app, 1)
    for number in (2, 4):
        _next_issue(app, number, "submitted")
        _soft(app, number)
        _next_issue(app, number + 1, "submitted")  # this one arrives
    _next_issue(app, 6, "submitted")
    _soft(app, 6)
    assert reader(app, 1) == LISTED


def test_a_complaint_is_for_good_and_the_reader_leaves(app: App) -> None:
    take(app, complaint(app, 2))
    assert delivery(app, 2)[0] == "complained"
    assert reader(app, 2) == ("unsubscribed", "complaint")
    assert delivery(app, 1) == SENT


def test_only_a_fresh_double_opt_in_lifts_a_complaint(app: App) -> None:
    stale = app.keyring.confirm(2, app.clock())
    take(app, complaint(app, 2))
    outcome = readers.confirm(app, stale, source="form", network="")
    assert outcome is consent.Confirmation.NOT_POSSIBLE
    with app.session() as session:
        who = session.get(Subscriber, 2)
        assert who is not None
        asked = consent.sign_up(
            session,
            EmailAddress.parse(who.address),
            source="form",
            wording="yes",
            network="",
            now=app.clock().replace(hour=12),
        )
        assert asked.mail is consent.SignUpMail.CONFIRM
        consent.confirm(
            session,
            2,
            issued_at=app.clock().replace(hour=12),
            source="form",
            network="",
            now=app.clock().replace(hour=13),
        )
    assert reader(app, 2) == LISTED


def test_whoever_asks_by_mail_to_leave_is_gone_and_is_told(app: App) -> None:
    token = app.keyring.unsubscribe(issue(app).id, 4)
    raw = f"To: leave@verdicts.example.com\nSubject: unsubscribe {token}\n\n".encode()
    assert take(app, raw).followed.left
    assert reader(app, 4) == ("unsubscribed", None)
    with app.session(readonly=True) as session:
        mails = session.connection().exec_driver_sql("SELECT kind FROM system_mail").scalars()
        assert "goodbye" in list(mails)
    assert delivery(app, 4) == SENT


def test_a_forged_wish_to_leave_takes_nobody_off_the_list(app: App) -> None:
    token = app.keyring.preferences(issue(app).id, 4)
    raw = f"To: leave@verdicts.example.com\nSubject: unsubscribe {token}\n\n".encode()
    assert "forged" in take(app, raw).traced.why_not
    assert reader(app, 4) == LISTED


def test_a_bounce_settles_what_was_uncertain_and_the_last_one_ends_the_issue(app: App) -> None:
    change(app, "UPDATE delivery SET state='uncertain' WHERE subscriber_id=3")
    assert issue(app).state is IssueState.SENDING
    take(app, bounce(app, 3))
    assert delivery(app, 3)[0] == "bounced"
    assert issue(app).state is IssueState.DONE


def test_a_bounce_faster_than_our_own_account_waits_for_it(app: App) -> None:
    change(app, "UPDATE delivery SET state='attempting' WHERE subscriber_id=3")
    raw = bounce(app, 3)
    with pytest.raises(TransientError):
        take(app, raw)
    assert intake.read_all(app, [Given(raw), Given(bounce(app, 2))]).waiting == 1
    assert reader(app, 3) == LISTED
    change(app, "UPDATE delivery SET state='submitted' WHERE subscriber_id=3")
    assert take(app, raw).is_new
    assert reader(app, 3) == ("active", "hard_bounce")


def test_who_moved_since_keeps_the_new_address(app: App) -> None:
    change(
        app,
        "INSERT INTO address_change (subscriber_id, address, address_key, asked_at,"
        " old_agreed_at, new_agreed_at, ended_at) SELECT 2, 'new@example.com', 'new@example.com',"
        " changed_at, changed_at, changed_at, changed_at FROM delivery WHERE subscriber_id = 2",
    )
    take(app, bounce(app, 2))
    assert (delivery(app, 2)[0], reader(app, 2)) == ("bounced", LISTED)


def test_a_bounce_of_a_system_mail_suppresses_its_address(app: App) -> None:
    to = f"bounces+{app.keyring.bounce(0, 3)}@verdicts.example.com"
    take(app, bounce(app, 3, to=to))
    assert (reader(app, 3), delivery(app, 3)) == (("active", "hard_bounce"), SENT)


def test_of_a_sent_again_delivery_only_the_address_is_suppressed(app: App) -> None:
    change(app, "UPDATE delivery SET state='planned' WHERE subscriber_id=3")
    take(app, bounce(app, 3))
    assert (delivery(app, 3)[0], reader(app, 3)) == ("planned", ("active", "hard_bounce"))
