"""Facts that settle an uncertain delivery: an event, a request that is known, a bounce."""

from __future__ import annotations

from typing import Any

import postroom
import pytest
from postroom import NOW, prove, states
from sqlalchemy import Engine, text

from newsletter.delivery import evidence, ledger
from newsletter.providers.base import Evidence
from newsletter.store.engine import session_on
from newsletter.store.feedback import Event
from newsletter.store.models import Request


def change(engine: Engine, statement: str, **values: Any) -> None:
    with session_on(engine) as session:
        session.execute(text(statement), values)


def held_issue(engine: Engine, readers: int = 4, week: str = postroom.FOLDER) -> int:
    """An issue all of whose deliveries were attempted and never answered for."""
    issue = postroom.frozen_issue(engine, readers) if week == postroom.FOLDER else 0
    if not issue:
        issue = postroom.add_issue(engine, week=week)
        postroom.freeze(engine, issue)
    change(
        engine,
        "UPDATE delivery SET state='uncertain', reason='no answer', attempts=1 WHERE issue_id=:id",
        id=issue,
    )
    change(engine, "UPDATE batch SET state='done' WHERE issue_id=:id", id=issue)
    return issue


def see(engine: Engine, issue: int, subscriber_id: int, kind: str) -> None:
    with session_on(engine) as session:
        session.add(Event(issue_id=issue, subscriber_id=subscriber_id, kind=kind, at=NOW))


def settle(engine: Engine, issue: int) -> int:
    with session_on(engine) as session:
        return evidence.settle_by_events(session, issue, NOW)


@pytest.mark.parametrize("kind", ["image_load", "click", "unsubscribe", "vote", "delivered"])
def test_any_event_of_a_reader_proves_that_the_message_was_taken(
    database: Engine, kind: str
) -> None:
    issue = held_issue(database, 2)
    see(database, issue, 2, kind)
    assert settle(database, issue) == 1
    assert states(database, issue) == {1: "uncertain", 2: "submitted"}
    assert kind.replace("_", " ") in postroom.rows(database, issue)[2][1]
    assert prove(database, issue).holds


def test_settling_by_events_twice_changes_nothing_the_second_time(database: Engine) -> None:
    issue = held_issue(database, 2)
    see(database, issue, 1, "click")
    see(database, issue, 1, "image_load")
    assert (settle(database, issue), settle(database, issue)) == (1, 0)
    assert postroom.rows(database, issue)[1] == ("submitted", "proven by a click", 1)


def test_an_event_of_another_issue_proves_nothing(database: Engine) -> None:
    issue = held_issue(database, 2)
    other = held_issue(database, week="2026-W49")
    see(database, other, 1, "click")
    assert settle(database, issue) == 0
    assert set(states(database, issue).values()) == {"uncertain"}


def test_an_operators_word_is_no_evidence(database: Engine) -> None:
    issue = held_issue(database, 1)
    see(database, issue, 1, "resend")
    assert settle(database, issue) == 0


def test_asking_for_the_headers_alone_is_no_evidence(database: Engine) -> None:
    issue = held_issue(database, 1)
    see(database, issue, 1, "click")
    change(database, "UPDATE event SET method = 'HEAD'")
    assert settle(database, issue) == 0


def test_events_touch_nothing_that_is_not_uncertain(database: Engine) -> None:
    issue = held_issue(database, 3)
    change(database, "UPDATE delivery SET state='bounced', reason='5.1.1' WHERE subscriber_id=1")
    change(database, "UPDATE delivery SET state='attempting' WHERE subscriber_id=2")
    for reader in (1, 2):
        see(database, issue, reader, "image_load")
    assert settle(database, issue) == 0
    assert states(database, issue) == {1: "bounced", 2: "attempting", 3: "uncertain"}


def known(engine: Engine, request_id: str) -> int:
    with session_on(engine) as session:
        return evidence.request_known(session, request_id, NOW)


def test_a_request_that_is_known_proves_all_its_readers_and_no_others(database: Engine) -> None:
    issue = held_issue(database, 4)
    change(database, "UPDATE delivery SET state='bounced', reason='5.1.1' WHERE subscriber_id=3")
    with session_on(database) as session:
        batch = session.execute(text("SELECT id FROM batch")).scalar_one()
        session.add(
            Request(id="r1", issue_id=issue, batch_id=batch, made_at=NOW, subscriber_ids=[1, 2, 3])
        )
    assert (known(database, "r1"), known(database, "r1")) == (2, 0)
    assert states(database, issue) == {
        1: "submitted",
        2: "submitted",
        3: "bounced",
        4: "uncertain",
    }


def test_a_request_that_is_not_on_record_proves_nothing(database: Engine) -> None:
    issue = held_issue(database, 1)
    assert known(database, "'; DROP TABLE delivery; --") == 0
    assert states(database, issue) == {1: "uncertain"}


@pytest.mark.parametrize("likely", [(), (1,), (2,)], ids=["no guess", "a wrong one", "the right"])
def test_a_message_id_leads_to_its_reader_whatever_their_delivery_is(
    database: Engine, likely: tuple[int, ...]
) -> None:
    issue = held_issue(database, 3)
    change(database, "UPDATE delivery SET state='submitted' WHERE subscriber_id=2")
    with session_on(database) as session:
        named = f"<{postroom.message_id(2)}>"
        made = postroom.message_id
        assert evidence.reader_of(session, issue, named, made, likely=likely) == 2
        assert evidence.reader_of(session, issue, "<a@b>", made, likely=likely) is None


def test_no_more_message_ids_are_made_again_than_the_bound(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MAX_MADE_AGAIN", 2)
    issue = held_issue(database, 4)
    made: list[int] = []

    def message_id(subscriber_id: int) -> str:
        made.append(subscriber_id)
        return f"{subscriber_id}@example.com"

    with session_on(database) as session:
        assert evidence.reader_of(session, issue, "4@example.com", message_id) is None
    assert made == [0, 1, 2]  # nobody's tells which issue it is


def test_whoever_settles_second_changes_nothing(database: Engine) -> None:
    """The operator said no between the look at the events and their settling."""
    issue = held_issue(database, 1)
    see(database, issue, 1, "click")
    with session_on(database) as session:
        proven = evidence.by_events(session, issue)
        assert proven == {1: "click"}
        ledger.settle(session, issue, {1: Evidence.NOT_TAKEN}, NOW)
        assert evidence.settle_by_events(session, issue, NOW) == 0
    assert states(database, issue) == {1: "planned"}
