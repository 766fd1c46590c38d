"""Sending after, beside or instead of another sender: what it left is settled, never doubled."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import postroom
import pytest
from postroom import (
    LEASE,
    NOW,
    STRANGER,
    Scripted,
    Wire,
    deliver,
    failing,
    prove,
    rows,
    states,
    taken,
)
from sqlalchemy import Engine, event, text

from newsletter.errors import ProviderError, StoreError, TransientError
from newsletter.providers.base import Envelope, Evidence, Receipt, Unlogged
from newsletter.store.engine import open_engine

EVIDENT = {
    Evidence.TAKEN: ("submitted", []),
    Evidence.NOT_TAKEN: ("submitted", [[1]]),
    Evidence.UNKNOWN: ("uncertain", []),
}


@pytest.fixture
def small_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    postroom.two_at_a_time(monkeypatch)


@pytest.mark.parametrize("evidence", Evidence)
def test_what_a_dead_sender_left_is_settled_by_the_providers_evidence(
    database: Engine, evidence: Evidence
) -> None:
    issue = postroom.frozen_issue(database, 1)
    postroom.claimed(database, issue, owner=STRANGER)
    provider = Scripted(lambda _, e: taken(e), {1: evidence})
    deliver(database, issue, provider, clock=lambda: NOW + LEASE)
    assert (states(database, issue)[1], provider.calls) == EVIDENT[evidence]
    assert prove(database, issue).holds


def test_a_reader_who_left_before_a_takeover_is_not_sent_to(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    postroom.claimed(database, issue, owner=STRANGER)
    postroom.suppress(database, 1)
    provider = Scripted(lambda _, e: taken(e), dict.fromkeys((1, 2), Evidence.NOT_TAKEN))
    deliver(database, issue, provider, clock=lambda: NOW + LEASE)
    assert provider.calls == [[2]]
    assert rows(database, issue)[1][:2] == ("excluded", "suppressed: complaint")


def test_many_batches_to_settle_are_no_reason_to_give_up(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 5, batch_size=1)
    for _ in range(5):
        postroom.claimed(database, issue, owner=STRANGER)
    provider = Scripted(lambda _, e: taken(e), dict.fromkeys(range(6), Evidence.NOT_TAKEN))
    assert deliver(database, issue, provider, clock=lambda: NOW + LEASE).submitted == 5


def test_a_provider_that_cannot_be_asked_leaves_the_unanswered_uncertain(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    postroom.claimed(database, issue, owner=STRANGER)
    provider = Scripted(lambda _, e: taken(e), TransientError("no route"))
    deliver(database, issue, provider, clock=lambda: NOW + LEASE)
    assert set(states(database, issue).values()) == {"uncertain"}
    assert provider.calls == []


def test_an_unforeseen_error_in_evidence_leaves_them_uncertain_too(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    postroom.claimed(database, issue, owner=STRANGER)
    provider = Scripted(lambda _, e: taken(e), ZeroDivisionError("boom"))
    with pytest.raises(ProviderError, match="broke off"):
        deliver(database, issue, provider, clock=lambda: NOW + LEASE)
    assert set(states(database, issue).values()) == {"uncertain"}


def test_a_batch_in_a_live_senders_hands_is_left_alone_and_named(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 4, batch_size=2)
    postroom.claimed(database, issue, owner=STRANGER)
    done = deliver(database, issue, Scripted(lambda _, e: taken(e)))
    assert (done.submitted, done.remaining) == (2, 2)
    assert done.stopped == "another sender has the rest in hand"


def test_a_slow_sender_keeps_its_batch_by_renewing_its_lease(
    database: Engine, small_wire: None
) -> None:
    now = NOW

    def slow(call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        nonlocal now
        now += 0.4 * LEASE
        assert postroom.claim(database, issue, owner=STRANGER, now=now) is None
        return taken(envelopes)

    issue = postroom.frozen_issue(database, 12)
    done = deliver(database, issue, Scripted(slow), clock=lambda: now)
    assert (done.submitted, done.taken_over) == (12, 0)


def test_a_sender_that_slept_past_its_lease_sends_no_more_and_records_nothing(
    database: Engine, small_wire: None
) -> None:
    now = NOW

    def asleep(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        nonlocal now
        now += 2 * LEASE
        postroom.claimed(database, issue, owner=STRANGER, now=now)
        return taken(envelopes)

    issue = postroom.frozen_issue(database, 6)
    provider = Scripted(asleep)
    done = deliver(database, issue, provider, clock=lambda: now)
    assert provider.calls == [[1, 2]]
    assert (done.submitted, done.taken_over, done.remaining) == (0, 1, 6)
    assert set(states(database, issue).values()) == {"attempting"}


def test_interrupted_in_a_hand_over_nothing_is_given_back_that_may_be_on_the_wire(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 2)
    with pytest.raises(KeyboardInterrupt):
        deliver(database, issue, Scripted(failing(KeyboardInterrupt(), after=1)))  # type: ignore[arg-type]  # not an Exception, on purpose
    assert set(states(database, issue).values()) == {"attempting"}
    provider = Scripted(lambda _, e: taken(e), {1: Evidence.TAKEN, 2: Evidence.UNKNOWN})
    deliver(database, issue, provider, clock=lambda: NOW + LEASE)
    assert states(database, issue) == {1: "submitted", 2: "uncertain"}
    assert provider.calls == []


def test_a_database_that_locks_before_the_receipts_doubles_nobody(
    database: Engine, database_file: Path, tmp_path: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    hasty = open_engine(f"sqlite:///{database_file}")
    event.listen(hasty, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 20"))
    holder = database.connect()
    wire = Wire(tmp_path / "wire")

    def locking(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        yield from wire.submit(postroom.mailing(), envelopes, Unlogged())
        holder.execute(text("UPDATE issue SET reason = 'held open'"))

    with pytest.raises(StoreError, match="locked"):
        deliver(hasty, issue, Scripted(locking))
    holder.rollback()
    holder.close()
    deliver(hasty, issue, wire)  # at once: a run that has ended holds nothing
    hasty.dispose()
    assert wire.taken() == [1, 2, 3]
    assert set(states(database, issue).values()) == {"submitted"}  # its journal knows


def test_two_senders_at_once_share_the_batches_and_double_nobody(
    database: Engine, database_file: Path, tmp_path: Path
) -> None:
    issue = postroom.frozen_issue(database, 60, batch_size=3)
    database.dispose()
    wire = Wire(tmp_path / "wire")

    def send() -> None:
        engine = open_engine(f"sqlite:///{database_file}")
        assert deliver(engine, issue, wire).taken_over == 0

    children = [postroom.start_process(send) for _ in range(2)]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    assert sorted(wire.taken()) == list(range(1, 61))
    assert prove(database, issue).complete
    assert prove(database, issue).holds
