"""What was not taken: later each time, given up in the end, stopped when it is everybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import postroom
import pytest
from postroom import NOW, Scripted, deliver, prove, rows, states, taken
from sqlalchemy import Engine, text

from newsletter.delivery import account
from newsletter.delivery.backoff import MAX_ATTEMPTS, STEPS, due_after
from newsletter.delivery.rate import Limits, Throttle
from newsletter.delivery.watch import Progress
from newsletter.providers.base import Envelope, Outcome, Receipt
from newsletter.store.engine import session_on

GREYLISTED = "450 4.2.0 Greylisted"


def refusing(outcome: Outcome, detail: str, *keys: int) -> Scripted:
    """A provider that refuses these readers, or everybody, and takes the others."""

    def answer(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        for envelope in envelopes:
            if not keys or envelope.key in keys:
                yield Receipt(envelope.key, outcome, detail)
            else:
                yield Receipt(envelope.key, Outcome.SUBMITTED, f"r{envelope.key}")

    return Scripted(answer)


def suppressions(database: Engine) -> list[tuple[str, str, str]]:
    query = text("SELECT address_key, reason, detail FROM suppression WHERE lifted_at IS NULL")
    with session_on(database, readonly=True) as session:
        return [tuple(row) for row in session.execute(query)]  # type: ignore[misc]


def test_a_deferred_message_waits_for_its_time_and_then_goes_out(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    done = deliver(database, issue, refusing(Outcome.DEFERRED, GREYLISTED, 2))
    assert (done.submitted, done.deferred, done.goes_on_at) == (2, 1, NOW + STEPS[0])
    willing = Scripted(lambda _, e: taken(e))
    early = deliver(database, issue, willing, clock=lambda: NOW + STEPS[0] - timedelta(seconds=1))
    assert (early.batches, willing.calls) == (0, [])
    deliver(database, issue, willing, clock=lambda: NOW + STEPS[0])
    assert willing.calls == [[2]]
    assert rows(database, issue)[2] == ("submitted", "", 2)
    assert prove(database, issue).complete


def test_each_attempt_is_later_than_the_one_before_and_the_last_one_gives_up(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 1)
    now, waits = NOW, []
    while (done := _at(database, issue, now)).goes_on_at is not None:
        waits.append(done.goes_on_at - now)
        now = done.goes_on_at
    assert waits == sorted(waits)
    assert len(waits) == MAX_ATTEMPTS - 1
    state, reason, attempts = rows(database, issue)[1]
    assert (state, attempts) == ("failed", MAX_ATTEMPTS)
    assert reason == f"given up after {MAX_ATTEMPTS} attempts: {GREYLISTED}"
    assert prove(database, issue).complete


def _at(database: Engine, issue: int, now: datetime) -> Progress:
    refuses = refusing(Outcome.DEFERRED, GREYLISTED)
    return deliver(database, issue, refuses, clock=lambda: now)


def test_backoff_lasts_about_two_days() -> None:
    instants = [NOW]
    for attempt in range(1, MAX_ATTEMPTS):
        due = due_after(attempt, instants[-1])
        assert due is not None
        instants.append(due)
    assert due_after(MAX_ATTEMPTS, instants[-1]) is None
    assert timedelta(days=1) < instants[-1] - NOW < timedelta(days=2)


def test_a_recipient_refused_for_good_is_a_bounce_with_its_code_and_only_hard_ones_suppress(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 3)
    said = {1: "550 5.1.1 No such user", 2: "550 5.7.1 Relay access denied", 3: "552 5.2.2 Full"}

    def bouncing(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        return (Receipt(e.key, Outcome.BOUNCED, said[e.key]) for e in envelopes)

    assert deliver(database, issue, Scripted(bouncing)).bounced == 3
    assert {id_: row[:2] for id_, row in rows(database, issue).items()} == {
        id_: ("bounced", words) for id_, words in said.items()
    }
    assert suppressions(database) == [
        ("reader1@example.com", "hard_bounce", "550 5.1.1 No such user")
    ]
    assert prove(database, issue).complete


def test_refusals_in_a_row_stop_the_send_and_the_rest_stays_planned(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 9, batch_size=3)
    relay_denied = "550 5.7.1 Relay access denied"
    provider = refusing(Outcome.BOUNCED, relay_denied)
    done = deliver(database, issue, provider, stop_after=4)
    assert done.is_refused
    assert done.stopped.endswith(f"messages in a row were not taken; the last: {relay_denied}")
    assert sum(map(len, provider.calls)) == 6, "heard after the hand-over in which it happened"
    assert list(states(database, issue).values()).count("planned") == 3


def test_one_message_taken_in_between_breaks_the_row(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 9, batch_size=3)
    provider = refusing(Outcome.FAILED, "554 no", *(set(range(1, 10)) - {3, 6, 9}))
    done = deliver(database, issue, provider, stop_after=4)
    assert (done.is_refused, done.submitted, done.failed) == (False, 3, 6)


def test_what_an_earlier_sender_left_unanswered_is_no_refusal(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 9)
    postroom.claimed(database, issue, owner=postroom.STRANGER)
    later = NOW + postroom.LEASE
    done = deliver(
        database, issue, Scripted(lambda _, e: taken(e)), stop_after=2, clock=lambda: later
    )
    assert (done.is_refused, done.uncertain) == (False, 9)


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_paused_or_cancelled_in_the_middle_of_a_batch_hands_over_nothing_more(
    database: Engine, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    postroom.two_at_a_time(monkeypatch)
    monkeypatch.setattr(account, "HEARD_WITHIN_S", 0)
    issue = postroom.frozen_issue(database, 8)

    def then_stopped(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        with session_on(database) as session:
            session.execute(text("UPDATE issue SET state = :s"), {"s": state})
        yield from taken(envelopes)

    provider = Scripted(then_stopped)
    done = deliver(database, issue, provider)
    assert provider.calls == [[1, 2]]
    # Of a cancelled issue the rest is withdrawn as the batch is put down.
    assert (done.submitted, done.remaining) == (2, 6 if state == "paused" else 0)
    assert state in done.stopped


def test_a_limit_hands_over_what_it_allows_and_says_what_holds_the_rest_back(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 9)
    clock = [NOW]
    throttle = Throttle(database, Limits(per_hour=5), lambda: clock[0])
    provider = Scripted(lambda _, e: taken(e))
    done = deliver(database, issue, provider, throttle=throttle, clock=lambda: clock[0])
    assert (done.submitted, done.remaining) == (5, 4)
    assert "5 messages an hour" in done.stopped
    assert done.goes_on_at is not None
    clock[0] = done.goes_on_at + timedelta(seconds=61)
    done = deliver(database, issue, provider, throttle=throttle, clock=lambda: clock[0])
    assert (done.submitted, done.remaining) == (4, 0)
