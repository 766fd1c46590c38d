"""Who got an issue, who did not, and why: everything adds up, and what does not is seen."""

from __future__ import annotations

import json
from pathlib import Path

import postroom
import pytest
from postroom import Wire, prove
from sqlalchemy import Engine, text

from newsletter.delivery import proof
from newsletter.errors import NotFoundError, RefusedError
from newsletter.providers.outbox import Outbox
from newsletter.store.engine import session_on
from subscribers.models import SubscriberStatus


@pytest.fixture
def sent_issue(database: Engine, tmp_path: Path) -> int:
    """Four readers got it, in batches of two; one had left, one complained after the freeze."""
    postroom.add_readers(database, 1, status="unsubscribed")
    issue = postroom.frozen_issue(database, 5, batch_size=2)
    postroom.suppress(database, 6)
    postroom.deliver(database, issue, Outbox(tmp_path / "outbox"))
    return issue


def tamper(engine: Engine, statement: str) -> None:
    with session_on(engine) as session:
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        session.execute(text(statement))


def test_the_proof_of_a_sent_issue_holds_and_is_complete(database: Engine, sent_issue: int) -> None:
    shown = json.loads(json.dumps(prove(database, sent_issue).to_dict()))
    states = shown.pop("states")
    assert shown == {
        "issue": "2026-W48",
        "candidates": 6,
        "excluded": {"suppressed: complaint": 1, "unsubscribed": 1},
        "duplicates": 0,
        "unexplained": 0,
        "holds": True,
        "complete": True,
    }
    assert {state: n for state, n in states.items() if n} == {"submitted": 4, "excluded": 2}
    assert set(states) == {
        *("planned", "attempting", "submitted", "delivered", "deferred", "bounced"),
        *("complained", "failed", "uncertain", "excluded"),
    }


def test_a_proof_before_anything_went_out_holds_but_is_not_complete(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    found = prove(database, issue)
    assert found.holds
    assert not found.complete
    postroom.claimed(database, issue)
    found = prove(database, issue)
    assert found.holds
    assert not found.complete


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE delivery SET state = 'sent' WHERE subscriber_id = 2",
        "UPDATE delivery SET reason = '' WHERE subscriber_id = 1",
        "UPDATE delivery SET state = 'failed' WHERE subscriber_id = 2",
        "UPDATE delivery SET state = 'bounced' WHERE subscriber_id = 2",
        "UPDATE delivery SET state = 'uncertain' WHERE subscriber_id = 2",
        "UPDATE delivery SET batch_id = NULL WHERE subscriber_id = 2",
        "UPDATE delivery SET state = 'planned' WHERE subscriber_id = 2",
        "UPDATE delivery SET state = 'attempting' WHERE subscriber_id = 2",
        "UPDATE delivery SET attempts = 0 WHERE subscriber_id = 2",
        "DELETE FROM delivery WHERE subscriber_id IN (2, 3)",
    ],
)
def test_what_cannot_be_explained_breaks_the_proof(
    database: Engine, sent_issue: int, fault: str
) -> None:
    tamper(database, fault)
    found = prove(database, sent_issue)
    assert found.unexplained == 1
    assert not found.holds


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE delivery SET receipt = 'the same' WHERE subscriber_id IN (2, 3)",
        "UPDATE subscriber SET address = upper('reader2@example.com') WHERE id = 3",
    ],
)
def test_one_receipt_or_mailbox_twice_is_a_duplicate(
    database: Engine, sent_issue: int, fault: str
) -> None:
    tamper(database, fault)
    found = prove(database, sent_issue)
    assert found.duplicates == 1
    assert not found.holds


def test_an_excluded_readers_mailbox_is_no_duplicate(database: Engine, sent_issue: int) -> None:
    tamper(database, "UPDATE subscriber SET address = 'reader2@example.com' WHERE id = 1")
    assert prove(database, sent_issue).duplicates == 0


def test_a_proof_speaks_of_its_own_issue_only(
    database: Engine, sent_issue: int, tmp_path: Path
) -> None:
    other = postroom.add_issue(database, week="2026-W49")
    postroom.freeze(database, other)
    # The same receipts again, as of a provider that counts from one each week.
    postroom.deliver(database, other, Wire(tmp_path / "wire"))
    assert prove(database, sent_issue).candidates == 6
    assert prove(database, other).issue == "2026-W49"
    assert prove(database, other).holds


def test_an_empty_audience_proves_itself(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 0)
    found = prove(database, issue)
    assert (found.candidates, found.holds, found.complete) == (0, True, True)


def test_there_is_nothing_to_prove_before_the_freeze(database: Engine) -> None:
    issue = postroom.add_issue(database)
    with pytest.raises(RefusedError, match="2026-W48 has no frozen audience"):
        prove(database, issue)
    with pytest.raises(NotFoundError, match="no issue 77"):
        prove(database, 77)


def test_every_candidate_is_explained(
    database: Engine, sent_issue: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "_PAGE", 2)
    shown = [(e.subscriber_id, e.state, e.reason) for e in explained(database, sent_issue)]
    assert shown == [
        (1, "excluded", "unsubscribed: left the list before it went out"),
        *((id_, "submitted", "") for id_ in (2, 3, 4, 5)),
        (6, "excluded", "suppressed: complaint"),
    ]


def explained(engine: Engine, issue: int) -> list[proof.Explanation]:
    with session_on(engine, readonly=True) as session:
        return list(proof.explain(session, issue))


def test_an_explanation_has_the_address_the_attempts_and_the_receipt(
    database: Engine, sent_issue: int
) -> None:
    tamper(database, "UPDATE subscriber SET status = 'erased' WHERE id = 3")
    second, third = explained(database, sent_issue)[1:3]
    assert (second.address, second.attempts) == ("reader2@example.com", 1)
    assert second.changed_at == postroom.NOW
    assert third.address == ""
    assert third.state == "submitted"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("state = 'planned', receipt = ''", "not sent yet"),
        (
            "state = 'planned', reason = '450 greylisted', due_at = '2026-11-24 09:15:00.000000'",
            "not sent yet, goes out after 2026-11-24 09:15 UTC: 450 greylisted",
        ),
        ("state = 'attempting'", "a sender has it in hand"),
        ("state = 'failed', reason = '554 no'", "554 no"),
        ("state = 'excluded', reason = 'paused'", "paused: takes a break from every issue"),
    ],
)
def test_whoever_got_nothing_has_a_reason_in_words(
    database: Engine, sent_issue: int, fault: str, reason: str
) -> None:
    tamper(database, f"UPDATE delivery SET {fault} WHERE subscriber_id = 2")
    assert explained(database, sent_issue)[1].reason == reason


def test_every_excluding_reason_the_audience_knows_has_words(database: Engine) -> None:
    """A status that is not active is a bare word until it is put into a sentence."""
    for status in SubscriberStatus:
        postroom.add_readers(database, 1, status=status)
    issue = postroom.add_issue(database)
    postroom.freeze(database, issue)
    said = {one.reason for one in explained(database, issue) if one.state == "excluded"}
    assert said
    assert all(": " in reason for reason in said), said
