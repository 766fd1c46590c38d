"""When a provider took each message: written with its answer, or with what proves it later."""

from __future__ import annotations

from datetime import timedelta

import postroom
import pytest
from postroom import NOW
from sqlalchemy import Engine, text

from newsletter.delivery import evidence, ledger
from newsletter.delivery.ledger import Answer
from newsletter.providers.base import Evidence
from newsletter.store.engine import session_on
from newsletter.store.feedback import Event
from newsletter.store.states import DeliveryState

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(hours=3)


def submitted_at(engine: Engine) -> dict[int, str | None]:
    with session_on(engine, readonly=True) as session:
        found = session.execute(text("SELECT subscriber_id, submitted_at FROM delivery"))
        return {row[0]: row[1] and row[1][:19] for row in found}


def answered(engine: Engine, *states: DeliveryState) -> int:
    """An issue whose readers, from the first on, were answered for with these states at NOW."""
    issue_id = postroom.frozen_issue(engine, len(states))
    claim = postroom.claimed(engine, issue_id)
    answers = [Answer(n, state, "said so") for n, state in enumerate(states, 1)]
    with session_on(engine) as session:
        ledger.finish(session, claim, answers, NOW)
    return issue_id


def test_only_what_was_taken_has_an_instant(database: Engine) -> None:
    states = (
        DeliveryState.SUBMITTED,
        DeliveryState.FAILED,
        DeliveryState.BOUNCED,
        DeliveryState.UNCERTAIN,
        DeliveryState.PLANNED,
    )
    answered(database, *states)
    assert submitted_at(database) == {1: f"{NOW:%Y-%m-%d %H:%M:%S}", 2: None, 3: None} | {
        4: None,
        5: None,
    }


@pytest.mark.parametrize("decided", [Evidence.TAKEN, Evidence.NOT_TAKEN])
def test_an_operators_word_dates_it_to_when_its_answer_was_given_up(
    database: Engine, decided: Evidence
) -> None:
    issue_id = answered(database, DeliveryState.UNCERTAIN)
    with session_on(database) as session:
        ledger.settle(session, issue_id, {1: decided}, LATER)
    expected = f"{NOW:%Y-%m-%d %H:%M:%S}" if decided is Evidence.TAKEN else None
    assert submitted_at(database) == {1: expected}


def test_a_readers_click_dates_it_the_same(database: Engine) -> None:
    issue_id = answered(database, DeliveryState.UNCERTAIN)
    with session_on(database) as session:
        session.add(Event(issue_id=issue_id, subscriber_id=1, kind="click", at=LATER))
        session.flush()
        assert evidence.settle_by_events(session, issue_id, LATER) == 1
    assert submitted_at(database) == {1: f"{NOW:%Y-%m-%d %H:%M:%S}"}
