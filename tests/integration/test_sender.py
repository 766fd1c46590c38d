"""Sending: whatever a provider does, everyone is accounted for and nobody gets it twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path

import postroom
import pytest
from postroom import NOW, Scripted, Wire, deliver, failing, prove, rows, states, taken
from sqlalchemy import Engine, event, text

from newsletter.delivery.sender import ROUNDS_WITHOUT_PROGRESS
from newsletter.delivery.watch import Progress
from newsletter.errors import (
    LedgerError,
    PermanentError,
    ProviderError,
    RefusedError,
    TransientError,
    UncertainError,
)
from newsletter.providers.base import Envelope, Outcome, Receipt
from newsletter.providers.outbox import Outbox
from newsletter.store.engine import open_engine, session_on
from subscribers.audience import Reader


@pytest.fixture
def outbox_root(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def small_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    postroom.two_at_a_time(monkeypatch)


def files(root: Path) -> list[str]:
    return sorted(path.stem for path in root.rglob("*.eml"))


def test_an_issue_goes_to_every_planned_reader_once(database: Engine, outbox_root: Path) -> None:
    issue = postroom.frozen_issue(database, 7, batch_size=3)
    seen: list[Progress] = []
    done = deliver(database, issue, Outbox(outbox_root), on_progress=seen.append)
    assert done == Progress(remaining=0, submitted=7, batches=3)
    after_each_batch = [progress.remaining for progress in seen if not progress.in_hand]
    assert after_each_batch == [4, 1, 0]
    assert files(outbox_root) == [postroom.message_id(n) for n in range(1, 8)]
    assert prove(database, issue).holds
    assert prove(database, issue).complete


def test_sending_twice_adds_nothing(database: Engine, tmp_path: Path) -> None:
    issue = postroom.frozen_issue(database, 5, batch_size=2)
    wire = Wire(tmp_path / "wire")
    deliver(database, issue, wire)
    before = rows(database, issue)
    assert deliver(database, issue, wire) == Progress(remaining=0)
    assert sorted(wire.taken()) == [1, 2, 3, 4, 5]
    assert rows(database, issue) == before


def test_no_transaction_is_open_while_a_provider_works(
    database: Engine, database_file: Path
) -> None:
    issue = postroom.frozen_issue(database, 2)
    other = open_engine(f"sqlite:///{database_file}")
    event.listen(other, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 0"))

    def writing_meanwhile(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        with session_on(other) as session:
            session.execute(text("UPDATE issue SET reason = 'somebody else wrote'"))
        return taken(envelopes)

    assert deliver(database, issue, Scripted(writing_meanwhile)).submitted == 2
    other.dispose()


def test_a_reader_suppressed_after_the_freeze_gets_nothing(
    database: Engine, outbox_root: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    postroom.suppress(database, 2)
    done = deliver(database, issue, Outbox(outbox_root))
    assert (done.submitted, done.excluded) == (2, 1)
    assert postroom.message_id(2) not in files(outbox_root)
    assert prove(database, issue).excluded == {"suppressed: complaint": 1}


def test_a_provider_that_is_down_ends_the_run_after_three_rounds_with_its_reason(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 5, batch_size=1)
    down = Scripted(failing(TransientError("429 slow down", hint="wait an hour")))
    done = deliver(database, issue, down)
    assert done.stopped == "429 slow down\n  next: wait an hour"
    assert (done.remaining, len(down.calls)) == (5, ROUNDS_WITHOUT_PROGRESS)
    assert set(states(database, issue).values()) == {"planned"}
    assert prove(database, issue).holds
    assert deliver(database, issue, Scripted(lambda _, e: taken(e))).submitted == 5


def test_an_outbox_that_cannot_be_written_stops_the_run_and_later_goes_on(
    database: Engine, outbox_root: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    outbox_root.write_text("a file stands where the folder should be")
    done = deliver(database, issue, Outbox(outbox_root))
    assert done.remaining == 3
    assert "the outbox cannot write" in done.stopped
    assert "next: make the outbox folder" in done.stopped
    outbox_root.unlink()
    assert deliver(database, issue, Outbox(outbox_root)).submitted == 3
    assert prove(database, issue).complete


def test_a_provider_that_recovers_loses_nobody(database: Engine) -> None:
    def down_twice(call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        if call <= 2:
            raise TransientError("421 closing")
        return taken(envelopes)

    issue = postroom.frozen_issue(database, 4, batch_size=2)
    assert deliver(database, issue, Scripted(down_twice)).submitted == 4
    # What nobody was handed is no attempt.
    assert {attempts for _, _, attempts in rows(database, issue).values()} == {1}


def test_one_reader_deferred_for_ever_holds_up_nobody_else(database: Engine) -> None:
    def never_for_one(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        for envelope in envelopes:
            greylisted = envelope.key == 1
            outcome = Outcome.DEFERRED if greylisted else Outcome.SUBMITTED
            yield Receipt(envelope.key, outcome, "450 greylisted" if greylisted else "")

    issue = postroom.frozen_issue(database, 8, batch_size=2)
    done = deliver(database, issue, Scripted(never_for_one))
    assert (done.submitted, done.remaining) == (7, 1)
    assert done.stopped == "1 deferred, to be tried again later; 450 greylisted"
    assert done.goes_on_at == NOW + timedelta(minutes=5)
    assert rows(database, issue)[1] == ("planned", "450 greylisted", 1)


def test_a_refusal_for_good_is_kept_with_its_reason(database: Engine) -> None:
    def refusing_one(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        yield Receipt(envelopes[0].key, Outcome.FAILED, "550 no such mailbox")
        yield from taken(envelopes[1:])

    issue = postroom.frozen_issue(database, 2)
    done = deliver(database, issue, Scripted(refusing_one))
    assert (done.submitted, done.failed) == (1, 1)
    assert rows(database, issue)[1] == ("failed", "550 no such mailbox", 1)
    assert prove(database, issue).complete


def test_a_call_refused_for_good_fails_those_in_it_but_not_everybody(
    database: Engine, small_wire: None
) -> None:
    issue = postroom.frozen_issue(database, 12, batch_size=2)
    done = deliver(database, issue, Scripted(failing(PermanentError("401 who are you?"))))
    assert (done.failed, done.remaining) == (2 * ROUNDS_WITHOUT_PROGRESS, 6)
    assert done.stopped == "401 who are you?"
    assert rows(database, issue)[1] == ("failed", "401 who are you?", 1)


def test_what_has_no_answer_is_uncertain_and_never_sent_again(
    database: Engine, small_wire: None
) -> None:
    issue = postroom.frozen_issue(database, 4)
    lost = Scripted(failing(UncertainError("timed out"), after=1))
    assert deliver(database, issue, lost).uncertain == 2
    assert lost.calls == [[1, 2], [3, 4]]
    assert rows(database, issue)[2] == ("uncertain", "timed out", 1)
    again = Scripted(lambda _, e: taken(e))
    deliver(database, issue, again)
    assert again.calls == []
    found = prove(database, issue)
    assert (found.holds, found.complete, found.states["uncertain"]) == (True, False, 2)


def test_a_provider_that_always_times_out_is_given_up_before_it_has_everybody(
    database: Engine, small_wire: None
) -> None:
    issue = postroom.frozen_issue(database, 20, batch_size=4)
    done = deliver(database, issue, Scripted(failing(UncertainError("timed out"))))
    assert (done.uncertain, done.stopped) == (2 * ROUNDS_WITHOUT_PROGRESS, "timed out")
    assert states(database, issue)[3] == "planned"


def test_a_missing_receipt_is_an_uncertain_delivery(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    deliver(database, issue, Scripted(lambda _, envelopes: taken(envelopes[:-1])))
    assert rows(database, issue)[3] == ("uncertain", "the provider gave no receipt", 1)


@pytest.mark.parametrize(
    "receipt", [Receipt(99, Outcome.SUBMITTED), Receipt(1, Outcome.SUBMITTED)], ids=str
)
def test_a_receipt_for_nobody_or_twice_breaks_off_with_everyone_accounted_for(
    database: Engine, receipt: Receipt
) -> None:
    def confused(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        yield from taken(envelopes[:1])
        yield receipt

    issue = postroom.frozen_issue(database, 3)
    with pytest.raises(ProviderError, match="scripted broke off"):
        deliver(database, issue, Scripted(confused))
    assert states(database, issue) == {1: "submitted", 2: "uncertain", 3: "uncertain"}


def test_an_unforeseen_error_in_a_provider_loses_no_account(
    database: Engine, small_wire: None
) -> None:
    issue = postroom.frozen_issue(database, 5, batch_size=4)
    broken = Scripted(failing(ZeroDivisionError("boom"), after=1))
    with pytest.raises(ProviderError, match="broke off") as raised:
        deliver(database, issue, broken)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert broken.calls == [[1, 2]]
    assert states(database, issue) == {
        1: "submitted",  # it had said so
        2: "uncertain",  # it had it in hand
        3: "planned",  # it never had it
        4: "planned",
        5: "planned",
    }
    assert prove(database, issue).holds


def test_a_reader_no_envelope_can_be_made_for_fails_with_the_reason(database: Engine) -> None:
    def picky(reader: Reader) -> Envelope:
        if reader.id == 2:
            raise PermanentError("the address needs SMTPUTF8")
        return postroom.envelope_for(reader)

    issue = postroom.frozen_issue(database, 3)
    deliver(database, issue, Scripted(lambda _, e: taken(e)), envelope_for=picky)
    assert rows(database, issue)[2] == ("failed", "the address needs SMTPUTF8", 1)
    assert prove(database, issue).complete


def test_a_fault_in_making_envelopes_gives_back_what_was_not_handed_over(
    database: Engine, small_wire: None
) -> None:
    def faulty(reader: Reader) -> Envelope:
        if reader.id == 3:
            return postroom.envelope_for(Reader(1, reader.address, reader.name))
        return postroom.envelope_for(reader)

    issue = postroom.frozen_issue(database, 4)
    with pytest.raises(LedgerError, match="envelope for subscriber 3 has key 1"):
        deliver(database, issue, Scripted(lambda _, e: taken(e)), envelope_for=faulty)
    assert states(database, issue) == {1: "submitted", 2: "submitted", 3: "planned", 4: "planned"}


def test_asked_to_stop_it_finishes_what_is_on_the_wire_and_gives_back_the_rest(
    database: Engine, small_wire: None
) -> None:
    provider = Scripted(lambda _, e: taken(e))
    issue = postroom.frozen_issue(database, 6, batch_size=5)
    done = deliver(database, issue, provider, should_stop=lambda: len(provider.calls) >= 1)
    assert done == Progress(remaining=4, submitted=2, batches=1, stopped="asked to stop")
    assert set(states(database, issue).values()) == {"submitted", "planned"}
    assert rows(database, issue)[3] == ("planned", "", 0)
    assert deliver(database, issue, provider).submitted == 4
    assert sorted(chain.from_iterable(provider.calls)) == [1, 2, 3, 4, 5, 6]


def test_asked_to_stop_before_it_began_it_claims_nothing(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    provider = Scripted(lambda _, e: taken(e))
    done = deliver(database, issue, provider, should_stop=lambda: True)
    assert (done.remaining, done.stopped, provider.calls) == (2, "asked to stop", [])
    assert postroom.batches(database, issue) == [("planned", "", 0)]


def test_an_issue_paused_by_somebody_else_stops_after_the_batch(database: Engine) -> None:
    def pausing(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        with session_on(database) as session:
            session.execute(text("UPDATE issue SET state = 'paused'"))
        return taken(envelopes)

    issue = postroom.frozen_issue(database, 4, batch_size=2)
    done = deliver(database, issue, Scripted(pausing))
    assert (done.submitted, done.remaining) == (2, 2)
    assert "paused" in done.stopped


@pytest.mark.parametrize("state", ["planned", "approved", "paused", "cancelled", "done"])
def test_an_issue_that_is_not_sending_is_refused(database: Engine, state: str) -> None:
    issue = postroom.add_issue(database, state=state)
    with pytest.raises(RefusedError, match=f"2026-W48 is {state}"):
        deliver(database, issue, Scripted(lambda _, e: taken(e)))
