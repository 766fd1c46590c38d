"""Sending again by a person's word: who may get it, who never, and what is kept of it."""

from __future__ import annotations

from typing import Any

import postroom
import pytest
from postroom import NOW, prove, rows, states
from sqlalchemy import Engine, text

from newsletter.delivery import proof, resend
from newsletter.delivery.resend import Resent
from newsletter.store.engine import session_on

STATES = (
    *("planned", "attempting", "submitted", "delivered", "deferred"),
    *("bounced", "complained", "failed", "uncertain", "excluded"),
)
BY_STATE = {state: number for number, state in enumerate(STATES, start=1)}


def change(engine: Engine, statement: str, **values: Any) -> None:
    with session_on(engine) as session:
        session.execute(text(statement), values)


@pytest.fixture
def issue(database: Engine) -> int:
    """A reader in each state, in one batch that is done."""
    made = postroom.frozen_issue(database, len(STATES))
    for state, reader in BY_STATE.items():
        change(
            database,
            "UPDATE delivery SET state=:state, reason=:reason, receipt=:receipt, attempts=2,"
            " due_at='2026-11-24 10:00:00.000000' WHERE subscriber_id=:reader",
            state=state,
            reader=reader,
            reason="" if state in ("submitted", "delivered") else f"why {state}",
            receipt=f"r{reader}" if state in ("submitted", "delivered") else "",
        )
    change(database, "UPDATE batch SET state='done', due_at='2026-11-24 10:00:00.000000'")
    return made


def again(engine: Engine, issue: int, *ids: int, twice: bool = False) -> Resent:
    with session_on(engine) as session:
        return resend.plan_again(session, issue, ids, again=twice, by=" Ann ", now=NOW)


def events(engine: Engine) -> list[tuple[int, str]]:
    with session_on(engine, readonly=True) as session:
        found = session.execute(text("SELECT subscriber_id, agent FROM event WHERE kind='resend'"))
        return [(row[0], row[1]) for row in found]


def test_failed_bounced_and_uncertain_ones_go_out_again(database: Engine, issue: int) -> None:
    wanted = [BY_STATE[state] for state in ("failed", "bounced", "uncertain")]
    assert again(database, issue, *wanted) == Resent(planned=3)
    assert {states(database, issue)[reader] for reader in wanted} == {"planned"}
    claim = postroom.claimed(database, issue)
    assert set(wanted) <= set(claim.fresh)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("submitted", "has it already"),
        ("delivered", "has it already"),
        ("planned", "is planned already"),
        ("attempting", "has it in hand"),
        ("deferred", "still trying"),
        ("complained", "called it spam"),
        ("excluded", "was never to get it: why excluded"),
    ],
)
def test_whoever_is_not_sent_to_again_is_told_apart_by_the_reason(
    database: Engine, issue: int, state: str, why: str
) -> None:
    before = rows(database, issue)
    refused = again(database, issue, BY_STATE[state])
    assert (refused.planned, refused.refused_count) == (0, 1)
    assert why in refused.refused[0].reason
    assert refused.refused[0].address == f"reader{BY_STATE[state]}@example.com"
    assert rows(database, issue) == before
    assert events(database) == []


def test_only_a_second_word_sends_twice_and_it_never_reaches_the_excluded(
    database: Engine, issue: int
) -> None:
    done = again(database, issue, *BY_STATE.values(), twice=True)
    assert (done.planned, done.twice, done.refused_count) == (5, 2, 5)
    after = states(database, issue)
    kept = ("attempting", "deferred", "complained", "excluded")
    assert {state: after[BY_STATE[state]] for state in kept} == {state: state for state in kept}


def test_when_the_first_copy_arrived_says_nothing_of_the_second(
    database: Engine, issue: int
) -> None:
    change(database, "UPDATE delivery SET submitted_at=changed_at, delivered_at=changed_at")
    again(database, issue, BY_STATE["delivered"], twice=True)
    with session_on(database, readonly=True) as session:
        columns = "SELECT subscriber_id, submitted_at IS NULL, delivered_at IS NULL FROM delivery"
        found = {row[0]: row[1:] for row in session.execute(text(columns))}
    assert found[BY_STATE["delivered"]] == (0, 1), "until it leaves, the first copy's is the last"
    assert found[BY_STATE["submitted"]] == (0, 0), "who is not sent to again"


def test_nobody_who_may_not_be_written_to_is_sent_to_again(database: Engine, issue: int) -> None:
    postroom.suppress(database, BY_STATE["bounced"], "hard_bounce")
    change(
        database,
        "UPDATE subscriber SET status='unsubscribed' WHERE id=:id",
        id=BY_STATE["submitted"],
    )
    done = again(database, issue, BY_STATE["bounced"], BY_STATE["submitted"], twice=True)
    assert done.planned == 0
    assert [one.reason for one in done.refused] == [
        "may not be written to: unsubscribed",
        "may not be written to: suppressed: hard_bounce",
    ]
    assert states(database, issue)[BY_STATE["bounced"]] == "bounced"


def test_whoever_is_suppressed_before_the_claim_still_gets_nothing(
    database: Engine, issue: int
) -> None:
    failed = BY_STATE["failed"]
    again(database, issue, failed)
    postroom.suppress(database, failed)
    assert failed in postroom.claimed(database, issue).excluded
    assert rows(database, issue)[failed][:2] == ("excluded", "suppressed: complaint")


def test_what_it_was_before_stays_where_a_person_finds_it(database: Engine, issue: int) -> None:
    bounced = BY_STATE["bounced"]
    again(database, issue, bounced)
    said = "Ann: was bounced after 2 attempts: why bounced"
    assert events(database) == [(bounced, said)]
    assert explained(database, issue)[bounced] == f"not sent yet: sent again by {said}"
    change(
        database,
        "UPDATE delivery SET state='submitted', reason='', attempts=1 WHERE subscriber_id=:id",
        id=bounced,
    )
    assert explained(database, issue)[bounced] == f"sent again by {said}"


def explained(engine: Engine, issue: int) -> dict[int, str]:
    with session_on(engine, readonly=True) as session:
        return {one.subscriber_id: one.reason for one in proof.explain(session, issue)}


def test_a_receipt_of_the_first_time_is_kept_with_the_word(database: Engine, issue: int) -> None:
    again(database, issue, BY_STATE["submitted"], twice=True)
    assert events(database) == [(3, "Ann: was submitted after 2 attempts: r3")]


def test_attempts_begin_anew_and_nothing_waits_for_an_old_time(
    database: Engine, issue: int
) -> None:
    again(database, issue, BY_STATE["failed"])
    assert rows(database, issue)[BY_STATE["failed"]][2] == 0
    assert BY_STATE["failed"] in postroom.claimed(database, issue).fresh


def test_everybody_who_failed_is_planned_again_page_by_page(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend.audience, "MAX_IDS", 2)
    made = postroom.frozen_issue(database, 7)
    change(
        database,
        "UPDATE delivery SET attempts=1, reason='why',"
        " state = CASE WHEN subscriber_id % 2 = 0 THEN 'submitted' ELSE 'failed' END",
    )
    change(database, "UPDATE batch SET state='done'")
    postroom.suppress(database, 5)
    with session_on(database) as session:
        done = resend.plan_failed_again(session, made, by="Ann", now=NOW)
    assert (done.planned, done.refused_count) == (3, 1)
    assert [id_ for id_, state in states(database, made).items() if state == "planned"] == [1, 3, 7]
    assert prove(database, made).holds


def test_planning_again_twice_changes_nothing_the_second_time(database: Engine, issue: int) -> None:
    again(database, issue, BY_STATE["failed"])
    before = rows(database, issue)
    assert again(database, issue, BY_STATE["failed"]).planned == 0
    assert rows(database, issue) == before
    assert len(events(database)) == 1


def test_a_reader_without_a_delivery_is_left_out(database: Engine, issue: int) -> None:
    assert again(database, issue, 999) == Resent()
