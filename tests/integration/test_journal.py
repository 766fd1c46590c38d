"""The journal: after a sender's death only what was on the wire is in doubt."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import postroom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom import LEASE, NOW, STRANGER, Scripted, deliver, journals, prove, states, taken
from sqlalchemy import Engine

from newsletter.delivery.journal import RESERVED_BYTES, Journal, recover
from newsletter.delivery.ledger import Answer, Claim
from newsletter.delivery.owner import Owner, on_duty
from newsletter.errors import TransientError
from newsletter.providers.base import Envelope, Outcome, Receipt
from newsletter.store.states import DeliveryState

ME = Owner.current()
DEAD = replace(ME, pid=2**22 + 1, start=1)  # beyond the largest process id: nobody's


def claim(*, epoch: int = 1, owner: Owner = DEAD, is_fresh: bool = True) -> Claim:
    return Claim(
        issue_id=1,
        batch_id=7,
        number=0,
        epoch=epoch,
        owner=str(owner),
        lease_until=NOW + LEASE,
        fresh=(1, 2, 3),
        unanswered=(),
        excluded={},
        is_fresh=is_fresh,
    )


def left_by(folder: Path, owner: Owner = DEAD, **others: object) -> Journal:
    """A journal whose sender attempted 1 and 2, and had an answer for 1."""
    journal = Journal.begin(folder, replace(claim(owner=owner), **others))  # type: ignore[arg-type]
    journal.attempting([1])
    journal.answered(Answer(1, DeliveryState.SUBMITTED, receipt="r1"))
    journal.attempting([2])
    return journal


def test_a_dead_senders_journal_tells_answered_attempted_and_never_sent(tmp_path: Path) -> None:
    left_by(tmp_path).close()
    left = recover(tmp_path, claim(epoch=2, owner=ME), ME)
    assert left.is_whole
    assert left.attempted == {2}
    assert left.answers == {1: Answer(1, DeliveryState.SUBMITTED, receipt="r1")}


def test_what_the_writer_had_not_closed_is_read_all_the_same(tmp_path: Path) -> None:
    journal = left_by(tmp_path)
    journal.answered(Answer(2, DeliveryState.FAILED, "550"))  # to be said with the next attempt
    left = recover(tmp_path, claim(epoch=2), ME)
    assert (left.attempted, set(left.answers)) == ({2}, {1})
    journal.close()
    left = recover(tmp_path, claim(epoch=2), ME)
    assert (left.attempted, set(left.answers)) == (set(), {1, 2})


def test_a_journal_torn_at_any_octet_says_no_more_than_it_said_before(tmp_path: Path) -> None:
    path = left_by(tmp_path).path
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0"))
    for cut in range(end):
        path.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        left = recover(tmp_path, claim(epoch=2), ME)
        assert left.attempted <= {1, 2}
        assert set(left.answers) <= {1}
        if cut < whole.index(b"\n") + 1:
            assert not left.is_whole


@pytest.mark.parametrize("owner", [ME, STRANGER, replace(DEAD, boot="before the crash")])
def test_while_its_owner_may_live_or_the_machine_crashed_silence_proves_nothing(
    tmp_path: Path, owner: Owner
) -> None:
    left_by(tmp_path, owner).close()
    left = recover(tmp_path, claim(epoch=2), ME)
    assert not left.is_whole
    assert set(left.answers) == {1}, "what it says still holds"


def test_a_lost_journal_proves_nothing(tmp_path: Path) -> None:
    assert not recover(tmp_path, claim(epoch=2), ME).is_whole
    left_by(tmp_path, epoch=2, is_fresh=False).close()  # took over from epoch 1, which is gone
    assert not recover(tmp_path, claim(epoch=3), ME).is_whole


def test_two_dead_senders_in_a_row_are_read_together_and_the_later_has_the_last_word(
    tmp_path: Path,
) -> None:
    left_by(tmp_path).close()
    second = Journal.begin(tmp_path, claim(epoch=2, is_fresh=False))
    second.answered(Answer(2, DeliveryState.SUBMITTED, receipt="r2"))
    second.attempting([3])
    second.close()
    left = recover(tmp_path, claim(epoch=3), ME)
    assert (left.is_whole, left.attempted, set(left.answers)) == (True, {3}, {1, 2})


def test_journals_of_before_the_batch_was_last_finished_are_not_read(tmp_path: Path) -> None:
    left_by(tmp_path).close()
    Journal.begin(tmp_path, claim(epoch=2, is_fresh=True)).close()
    left = recover(tmp_path, claim(epoch=3), ME)
    assert (left.is_whole, left.attempted, left.answers) == (True, set(), {})


answers = st.builds(
    Answer,
    subscriber_id=st.integers(1, 3),
    state=st.sampled_from([DeliveryState.SUBMITTED, DeliveryState.FAILED, DeliveryState.PLANNED]),
    reason=st.text(),
    receipt=st.text(),
    tried=st.booleans(),
    due_at=st.none(),  # reckoned anew by whoever takes over
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(answer=answers)
def test_an_answer_comes_back_as_it_was_whatever_a_server_said(
    tmp_path_factory: pytest.TempPathFactory, answer: Answer
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    journal = Journal.begin(folder, claim())
    journal.attempting([1, 2, 3], NOW)
    journal.answered(answer)
    journal.close()
    left = recover(folder, claim(epoch=2), ME)
    assert left.answers == {answer.subscriber_id: answer}
    assert left.attempted == {1, 2, 3} - {answer.subscriber_id}
    assert left.attempted_at == dict.fromkeys([1, 2, 3], NOW)


def test_each_line_is_dated_and_one_instant_is_written_once(tmp_path: Path) -> None:
    later = NOW + timedelta(seconds=3)
    journal = Journal.begin(tmp_path, claim())
    journal.attempting([1, 2], NOW)
    journal.answered(Answer(1, DeliveryState.SUBMITTED, at=NOW))
    journal.attempting([3], later)
    journal.answered(Answer(2, DeliveryState.SUBMITTED, at=later))
    journal.close()
    left = recover(tmp_path, claim(epoch=2), ME)
    assert {id_: answer.at for id_, answer in left.answers.items()} == {1: NOW, 2: later}
    assert left.attempted_at == {1: NOW, 2: NOW, 3: later}
    assert journal.path.read_bytes().count(b"\nT ") == 2


def test_a_journal_without_instants_follows_one_with_them(tmp_path: Path) -> None:
    first = Journal.begin(tmp_path, claim())
    first.attempting([1], NOW)
    first.close()
    second = Journal.begin(tmp_path, claim(epoch=2, is_fresh=False))
    second.attempting([2])
    second.close()
    assert recover(tmp_path, claim(epoch=3), ME).attempted_at == {1: NOW, 2: None}


def test_a_finished_issue_leaves_no_journal(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 5, batch_size=2)
    deliver(database, issue, Scripted(lambda _, e: taken(e)))
    assert list(journals(database).iterdir()) == []


def test_a_run_that_ended_in_the_middle_leaves_one_message_in_doubt_and_sends_the_rest(
    database: Engine,
) -> None:
    class Interrupted(BaseException):
        """As a second Ctrl-C."""

    def one_then_interrupted(call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        if call == 1:
            yield Receipt(envelopes[0].key, Outcome.SUBMITTED, "r1")
            raise Interrupted
        yield from taken(envelopes)

    issue = postroom.frozen_issue(database, 4)
    provider = OneByOne(one_then_interrupted)
    with pytest.raises(Interrupted):
        deliver(database, issue, provider)
    deliver(database, issue, provider)
    assert states(database, issue) == {
        1: "submitted",
        2: "uncertain",
        3: "submitted",
        4: "submitted",
    }
    assert provider.calls == [[1, 2, 3, 4], [3, 4]]
    assert prove(database, issue).holds


class OneByOne(Scripted):
    """Says of each message that it may leave only when the one before is answered."""

    def submit(
        self, mailing: object, envelopes: Sequence[Envelope], log: object
    ) -> Iterator[Receipt]:  # type: ignore[override]
        self.calls.append([envelope.key for envelope in envelopes])
        log.attempting([envelopes[0].key])  # type: ignore[attr-defined]
        for n, receipt in enumerate(self._answer(len(self.calls), envelopes), 1):
            yield receipt
            if n < len(envelopes):
                log.attempting([envelopes[n].key])  # type: ignore[attr-defined]


def test_without_room_for_the_journal_nothing_is_claimed_and_nothing_leaves(
    database: Engine,
) -> None:
    issue = postroom.frozen_issue(database, 300)
    provider = Scripted(lambda _, e: taken(e))
    with (
        no_file_larger_than(300 * RESERVED_BYTES // 2),
        pytest.raises(TransientError, match="free"),
    ):
        deliver(database, issue, provider)
    assert provider.calls == []
    assert set(states(database, issue).values()) == {"planned"}
    assert list(journals(database).iterdir()) == []
    assert deliver(database, issue, provider).submitted == 300


class no_file_larger_than:  # noqa: N801  (reads as a sentence)
    def __init__(self, octets: int) -> None:
        self._octets = octets

    def __enter__(self) -> None:
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._octets, self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        signal.signal(signal.SIGXFSZ, self._handler)


def test_a_run_that_has_ended_is_dead_to_the_next_one_in_its_process() -> None:
    with on_duty() as first, on_duty() as second:
        assert not first.is_known_dead_to(second)
    with on_duty() as third:
        assert first.is_known_dead_to(third)
        assert not ME.is_known_dead_to(third), "the process itself lives"
    assert Owner.parse(str(first)) == first
    assert first.pid == os.getpid()
