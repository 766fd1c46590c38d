"""When a provider took each message: written with its answer, or with what proves it later.

What is told apart by seconds after it left (`tracking.rules`) rests on this instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import postroom
import pytest
from postroom import NOW, STRANGER, Scripted, deliver, journals
from sqlalchemy import Engine, text

from newsletter.delivery import evidence, ledger, resend
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Answer
from newsletter.delivery.owner import on_duty
from newsletter.errors import UncertainError
from newsletter.providers.base import AttemptLog, Envelope, Evidence, Mailing, Outcome, Receipt
from newsletter.store.engine import session_on
from newsletter.store.feedback import Event
from newsletter.store.states import DeliveryState

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(hours=3)


def submitted_at(engine: Engine) -> dict[int, str | None]:
    with session_on(engine, readonly=True) as session:
        found = session.execute(text("SELECT subscriber_id, submitted_at FROM delivery"))
        return {row[0]: row[1] and row[1][:19] for row in found}


def seconds(engine: Engine) -> dict[int, float | None]:
    """The same in seconds since NOW."""
    found = submitted_at(engine)
    return {
        id_: (datetime.fromisoformat(f"{at}+00:00") - NOW).total_seconds() if at else None
        for id_, at in found.items()
    }


def waiting(engine: Engine) -> list[int]:
    """Whose events are to be judged again."""
    with session_on(engine, readonly=True) as session:
        return list(session.execute(text("SELECT subscriber_id FROM to_classify")).scalars())


def click(engine: Engine, issue_id: int, subscriber_id: int) -> None:
    with session_on(engine) as session:
        one = Event(issue_id=issue_id, subscriber_id=subscriber_id, kind="click", at=NOW)
        one.label, one.rule, one.rules = "human", "clicked", 1
        session.add(one)


class Clock:
    """Stands still until somebody takes their time."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def goes_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class SlowRelay(Scripted):
    """Takes one message after the other, a minute each; `told_from` on it says no more."""

    def __init__(self, clock: Clock, told_from: int = 0) -> None:
        super().__init__(lambda _, envelopes: iter(()))
        self.clock, self.told_from = clock, told_from

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        for envelope in envelopes:
            log.attempting([envelope.key])
            self.clock.goes_on(60)
            if envelope.key == self.told_from:
                self.clock.goes_on(600)
                raise UncertainError("it hung up")
            yield Receipt(envelope.key, Outcome.SUBMITTED, f"r{envelope.key}")


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
def test_an_operators_word_dates_it_to_when_it_was_attempted(
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


def test_each_message_of_a_batch_has_the_instant_of_its_own_answer(database: Engine) -> None:
    """Else a scanner that follows a link in the first of them seems to come minutes before it."""
    issue_id, clock = postroom.frozen_issue(database, 4), Clock()
    deliver(database, issue_id, SlowRelay(clock), clock=clock)
    assert seconds(database) == {1: 60, 2: 120, 3: 180, 4: 240}


def test_what_is_heard_within_a_second_shares_its_first_instant(database: Engine) -> None:
    issue_id, clock = postroom.frozen_issue(database, 3), Clock()
    clock.goes_on(0.5)

    def answer(_: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        for envelope, wait_s in zip(envelopes, (0.4, 0.4, 1.0), strict=True):
            clock.goes_on(wait_s)
            yield Receipt(envelope.key, Outcome.SUBMITTED, f"r{envelope.key}")

    deliver(database, issue_id, Scripted(answer), clock=clock)
    assert seconds(database) == {1: 0, 2: 0, 3: 2}


def test_one_never_answered_is_dated_to_its_attempt_not_to_when_we_gave_up(
    database: Engine,
) -> None:
    issue_id, clock = postroom.frozen_issue(database, 2), Clock()
    deliver(database, issue_id, SlowRelay(clock, told_from=2), clock=clock)
    assert seconds(database) == {1: 60, 2: None}
    with session_on(database) as session:
        ledger.settle(session, issue_id, {2: Evidence.TAKEN}, LATER)
    assert seconds(database)[2] == 60


def test_a_dead_senders_journal_says_when_each_was_taken(database: Engine) -> None:
    issue_id, clock = postroom.frozen_issue(database, 3), Clock()
    with on_duty() as dead:
        claim = postroom.claimed(database, issue_id, owner=dead)
    book = Journal.begin(journals(database), claim)
    book.attempting([1], NOW)
    book.answered(Answer(1, DeliveryState.SUBMITTED, at=NOW + timedelta(seconds=20)))
    book.attempting([2], NOW + timedelta(seconds=40))
    book.close()
    clock.goes_on(3_600)
    relay = SlowRelay(clock)
    relay._evidence = {2: Evidence.TAKEN}
    deliver(database, issue_id, relay, clock=clock)
    assert seconds(database) == {1: 20, 2: 40, 3: 3_660}


def test_without_a_journal_it_is_dated_to_the_claim_of_who_had_it(database: Engine) -> None:
    issue_id = postroom.frozen_issue(database, 1)
    postroom.claimed(database, issue_id, owner=STRANGER)
    provider = Scripted(lambda _, envelopes: iter(()), {1: Evidence.TAKEN})
    deliver(database, issue_id, provider, clock=lambda: LATER)
    assert seconds(database) == {1: 0}


def test_a_second_copy_that_is_settled_late_has_an_instant_of_its_own(database: Engine) -> None:
    issue_id = answered(database, DeliveryState.SUBMITTED)
    with session_on(database) as session:
        resend.plan_again(session, issue_id, [1], again=True, by="Ann", now=LATER)
    claim = postroom.claimed(database, issue_id, now=LATER)
    attempted = Answer(1, DeliveryState.UNCERTAIN, "no answer", at=LATER + timedelta(seconds=5))
    with session_on(database) as session:
        ledger.finish(session, claim, [attempted], LATER + timedelta(minutes=9))
        ledger.settle(session, issue_id, {1: Evidence.TAKEN}, LATER + timedelta(days=1))
    assert seconds(database) == {1: 3 * 3_600 + 5}


def test_labels_given_before_the_instant_was_written_down_are_looked_at_again(
    database: Engine,
) -> None:
    """A batch may take minutes, and what its readers do is labelled after half a one."""
    issue_id, clock = postroom.frozen_issue(database, 3), Clock()
    click(database, issue_id, 2)
    deliver(database, issue_id, SlowRelay(clock), clock=clock)
    assert waiting(database) == [2]


def test_a_batch_sent_at_once_has_nothing_to_look_at_again(database: Engine) -> None:
    issue_id, clock = postroom.frozen_issue(database, 3), Clock()
    click(database, issue_id, 2)
    deliver(database, issue_id, Scripted(lambda _, e: postroom.taken(e)), clock=clock)
    assert waiting(database) == []


@pytest.mark.parametrize("by", ["an operator", "an event"])
def test_labels_given_before_it_was_settled_are_looked_at_again(database: Engine, by: str) -> None:
    issue_id = answered(database, DeliveryState.UNCERTAIN, DeliveryState.UNCERTAIN)
    click(database, issue_id, 1)
    with session_on(database) as session:
        if by == "an operator":
            ledger.settle(session, issue_id, {1: Evidence.TAKEN, 2: Evidence.TAKEN}, LATER)
        else:
            evidence.settle_by_events(session, issue_id, LATER)
    assert waiting(database) == [1]
