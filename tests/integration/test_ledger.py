"""The account of an issue's audience: frozen once, claimed by one, answered for row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import postroom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom import LEASE, NOW, STRANGER, claim, claimed, freeze, rows, states
from sqlalchemy import Engine, event, text, update
from sqlmodel import col

from newsletter.delivery import ledger
from newsletter.delivery.freezing import Frozen
from newsletter.delivery.ledger import Answer, Claim
from newsletter.delivery.owner import Owner
from newsletter.errors import (
    IllegalMoveError,
    LedgerError,
    NotFoundError,
    RefusedError,
    StoreError,
    TakenOverError,
)
from newsletter.providers.base import Evidence
from newsletter.store.engine import open_engine, session_on
from newsletter.store.states import DeliveryState
from subscribers.models import Subscriber

S = DeliveryState


def finish(engine: Engine, held: Claim, state: DeliveryState = S.SUBMITTED) -> None:
    reason = "" if state in {S.SUBMITTED, S.PLANNED} else "because"
    answers = [Answer(id_, state, reason) for id_ in (*held.fresh, *held.unanswered)]
    with session_on(engine) as session:
        ledger.finish(session, held, answers, NOW)


def settle(engine: Engine, issue_id: int, decisions: dict[int, Evidence]) -> ledger.Settled:
    with session_on(engine) as session:
        return ledger.settle(session, issue_id, decisions, NOW)


@pytest.fixture
def zombie_owner() -> Iterator[Owner]:
    """A process of this machine that has ended, and whose parent has not looked yet."""
    pid = postroom.start_process(lambda: None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    yield replace(Owner.current(), pid=pid, start=int(stat[19]))
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


@pytest.fixture
def dead_owner(zombie_owner: Owner) -> Owner:
    """A process of this machine that has ended, and nothing is left of it."""
    os.waitpid(zombie_owner.pid, 0)
    return zombie_owner


def test_every_candidate_gets_one_row_and_the_excluded_their_reason(database: Engine) -> None:
    sent_to = postroom.add_readers(database, 5)
    (gone,) = postroom.add_readers(database, 1, status="unsubscribed")
    (loud,) = postroom.add_readers(database, 1)
    postroom.suppress(database, loud)
    postroom.add_readers(database, 2, status="pending", confirmed_at=None)  # no candidates
    issue = postroom.add_issue(database)

    assert freeze(database, issue) == Frozen(candidates=7, planned=5, excluded=2)

    found = rows(database, issue)
    assert {id_ for id_, row in found.items() if row == ("planned", "", 0)} == set(sent_to)
    assert found[gone] == ("excluded", "unsubscribed", 0)
    assert found[loud] == ("excluded", "suppressed: complaint", 0)


def test_batches_are_filled_in_order_and_the_excluded_take_no_place(database: Engine) -> None:
    first = postroom.add_readers(database, 2)
    postroom.add_readers(database, 3, status="unsubscribed")
    second = postroom.add_readers(database, 3)
    issue = postroom.add_issue(database)
    freeze(database, issue, batch_size=2)

    held = [claimed(database, issue).fresh for _ in range(3)]

    assert held == [tuple(first), tuple(second[:2]), tuple(second[2:])]
    assert claim(database, issue) is None


@settings(max_examples=25, deadline=None)  # each writes a database of its own
@given(size=st.integers(1, 12), eligible=st.lists(st.booleans(), max_size=40))
def test_any_audience_in_any_batch_size_adds_up(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_file: Path,
    size: int,
    eligible: list[bool],
) -> None:
    path = tmp_path_factory.mktemp("audience") / "newsletter.db"
    path.write_bytes(migrated_file.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    ids = postroom.add_readers(engine, len(eligible))
    with session_on(engine) as session:
        paused = [id_ for id_, active in zip(ids, eligible, strict=True) if not active]
        session.execute(
            update(Subscriber).where(col(Subscriber.id).in_(paused)).values(status="paused")
        )
    issue = postroom.add_issue(engine)

    frozen = freeze(engine, issue, batch_size=size)

    assert frozen == Frozen(len(eligible), sum(eligible), len(eligible) - sum(eligible))
    assert len(postroom.batches(engine, issue)) == -(-sum(eligible) // size)
    engine.dispose()
    path.unlink()


def test_an_audience_is_frozen_once(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    postroom.add_readers(database, 1)
    with pytest.raises(RefusedError, match="2026-W48 is frozen already"):
        freeze(database, issue)
    assert len(rows(database, issue)) == 3


def test_an_empty_list_is_frozen_once_too(database: Engine) -> None:
    issue = postroom.add_issue(database)
    assert freeze(database, issue) == Frozen(0, 0, 0)
    with pytest.raises(RefusedError, match="frozen already"):
        freeze(database, issue)


def test_an_issue_that_is_not_there_cannot_be_frozen(database: Engine) -> None:
    with pytest.raises(NotFoundError, match="no issue 99"):
        freeze(database, 99)


def test_a_freeze_that_does_not_add_up_keeps_nothing(database: Engine) -> None:
    postroom.add_readers(database, 3)
    issue = postroom.add_issue(database)
    with session_on(database) as session:  # a row is lost on its way
        session.execute(
            text(
                "CREATE TRIGGER lose AFTER INSERT ON delivery WHEN new.subscriber_id = 2 BEGIN"
                " DELETE FROM delivery WHERE subscriber_id = 2; END"
            )
        )
    with pytest.raises(LedgerError, match=r"3 candidates.*wrote 2 deliveries"):
        freeze(database, issue)
    assert rows(database, issue) == {}
    assert postroom.batches(database, issue) == []


def test_a_claim_is_one_owners(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    held = claimed(database, issue)
    assert held.fresh == (1, 2, 3)
    assert held.unanswered == ()
    assert set(states(database, issue).values()) == {"attempting"}
    assert claim(database, issue, owner=STRANGER) is None


def test_the_loser_of_a_race_for_a_batch_gets_the_next_one(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 4, batch_size=2)
    overtaken = False

    # The other sender's update, between this one's look and its own.
    def overtake(_connection, cursor, statement, *_rest):
        nonlocal overtaken
        if not overtaken and statement.lstrip().startswith("UPDATE batch SET"):
            overtaken = True
            cursor.execute("UPDATE batch SET epoch = epoch + 1 WHERE number = 0")

    event.listen(database, "before_cursor_execute", overtake)
    held = claim(database, issue)
    assert overtaken
    assert held is not None
    assert (held.number, held.fresh) == (1, (3, 4))


def test_who_became_ineligible_after_the_freeze_is_excluded_at_the_claim(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 3)
    postroom.suppress(database, 2, "hard_bounce")
    held = claimed(database, issue)
    assert held.fresh == (1, 3)
    assert held.excluded == {2: "suppressed: hard_bounce"}
    assert rows(database, issue)[2] == ("excluded", "suppressed: hard_bounce", 0)
    finish(database, held)
    assert postroom.prove(database, issue).complete


@pytest.mark.parametrize("state", ["approved", "paused", "cancelled", "done"])
def test_only_an_issue_that_is_sending_gives_out_batches(database: Engine, state: str) -> None:
    issue = postroom.frozen_issue(database, 1)
    with session_on(database) as session:
        session.execute(text("UPDATE issue SET state = :state"), {"state": state})
    assert claim(database, issue) is None


def test_a_dead_owners_batch_is_taken_over_at_once(database: Engine, dead_owner: Owner) -> None:
    issue = postroom.frozen_issue(database, 2)
    claimed(database, issue, owner=dead_owner)
    held = claimed(database, issue)
    assert (held.fresh, held.unanswered, held.epoch) == ((), (1, 2), 2)


def test_a_strangers_batch_is_taken_over_after_its_lease_and_not_before(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    claimed(database, issue, owner=STRANGER)
    assert claim(database, issue, now=NOW + LEASE - timedelta(seconds=1)) is None
    assert claimed(database, issue, now=NOW + LEASE).unanswered == (1, 2)


def test_a_renewed_lease_keeps_others_out(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    held = claimed(database, issue, owner=STRANGER)
    with session_on(database) as session:
        ledger.renew(session, held, lease_until=NOW + 2 * LEASE)
    assert claim(database, issue, now=NOW + LEASE) is None


def test_a_zombies_finish_changes_nothing_and_says_so(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    zombie = claimed(database, issue, owner=STRANGER)
    held = claimed(database, issue, now=NOW + LEASE)
    before = rows(database, issue), postroom.batches(database, issue)
    with pytest.raises(TakenOverError, match="taken over by another sender"):
        finish(database, zombie, S.FAILED)
    assert (rows(database, issue), postroom.batches(database, issue)) == before
    finish(database, held, S.UNCERTAIN)
    with pytest.raises(TakenOverError):
        finish(database, zombie)
    assert set(states(database, issue).values()) == {"uncertain"}


def test_a_batch_is_done_when_everyone_in_it_is_answered_for(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    finish(database, claimed(database, issue))
    assert postroom.batches(database, issue) == [("done", "", 1)]
    assert rows(database, issue) == {1: ("submitted", "", 1), 2: ("submitted", "", 1)}
    assert claim(database, issue) is None


def test_what_was_not_taken_is_planned_again_and_counted_as_an_attempt(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 1)
    finish(database, claimed(database, issue), S.PLANNED)
    assert postroom.batches(database, issue) == [("planned", "", 1)]
    assert rows(database, issue)[1] == ("planned", "", 1)
    finish(database, claimed(database, issue))
    assert rows(database, issue)[1] == ("submitted", "", 2)


def test_a_batch_given_back_waits_behind_those_never_tried(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2, batch_size=1)
    finish(database, claimed(database, issue), S.PLANNED)
    assert claimed(database, issue).number == 1


@pytest.mark.parametrize("ids", [(), (1,), (1, 2, 2), (1, 2, 3), (1, 3)])
def test_answers_must_be_those_of_the_claim(database: Engine, ids: tuple[int, ...]) -> None:
    issue = postroom.frozen_issue(database, 2)
    held = claimed(database, issue)
    with pytest.raises(LedgerError, match="2 deliveries to answer for"), session_on(database) as s:
        ledger.finish(s, held, [Answer(id_, S.SUBMITTED) for id_ in ids], NOW)
    assert set(states(database, issue).values()) == {"attempting"}


@pytest.mark.parametrize("state", [S.DELIVERED, S.COMPLAINED, S.EXCLUDED, S.ATTEMPTING])
def test_an_attempt_cannot_end_in_every_state(database: Engine, state: DeliveryState) -> None:
    issue = postroom.frozen_issue(database, 1)
    held = claimed(database, issue)
    with pytest.raises(IllegalMoveError):
        finish(database, held, state)
    assert states(database, issue) == {1: "attempting"}


def test_a_delivery_changed_behind_its_senders_back_stops_the_finish(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 2)
    held = claimed(database, issue)
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state = 'failed' WHERE subscriber_id = 1"))
    with pytest.raises(LedgerError, match="was changed while a sender had it"):
        finish(database, held)
    assert states(database, issue) == {1: "failed", 2: "attempting"}


def test_the_uncertain_are_settled_by_evidence_and_nobody_else_is(database: Engine) -> None:
    issue = postroom.frozen_issue(database, 4, batch_size=3)
    finish(database, claimed(database, issue), S.UNCERTAIN)
    finish(database, claimed(database, issue), S.FAILED)
    evidence = {
        1: Evidence.TAKEN,
        2: Evidence.NOT_TAKEN,
        3: Evidence.UNKNOWN,
        4: Evidence.NOT_TAKEN,  # failed for good: evidence does not bring it back
        99: Evidence.TAKEN,
    }
    assert settle(database, issue, evidence) == ledger.Settled(submitted=1, planned=1, held=3)
    assert states(database, issue) == {1: "submitted", 2: "planned", 3: "uncertain", 4: "failed"}
    assert claimed(database, issue).fresh == (2,)


def test_a_database_that_is_locked_gives_a_clear_error(
    database: Engine, database_file: Path
) -> None:
    issue = postroom.frozen_issue(database, 1)
    other = open_engine(f"sqlite:///{database_file}")
    event.listen(other, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 20"))
    with session_on(database) as session:
        session.execute(text("UPDATE issue SET reason = 'held open'"))
        with pytest.raises(StoreError, match="locked") as refused:
            claim(other, issue)
    other.dispose()
    assert "another process holds the database" in str(refused.value)
    assert states(database, issue) == {1: "planned"}


def test_a_database_that_cannot_be_written_gives_a_clear_error(
    database: Engine, database_file: Path
) -> None:
    issue = postroom.frozen_issue(database, 1)
    other = open_engine(f"sqlite:///{database_file}")
    event.listen(other, "connect", lambda raw, _: raw.execute("PRAGMA query_only = 1"))
    with pytest.raises(StoreError, match="readonly") as refused:
        claim(other, issue)
    other.dispose()
    assert "writable" in str(refused.value)


def test_an_owner_reads_back_what_it_wrote_and_fits_its_column() -> None:
    here = Owner.current()
    assert Owner.parse(str(here)) == here
    longest = replace(here, host=f"{'h' * 48}:{2**32 - 1}", pid=2**22, start=10**9)
    assert len(str(longest)) <= 120


@given(st.text(max_size=60))
def test_an_owner_is_read_or_refused_but_never_raises(written: str) -> None:
    read = Owner.parse(written)
    assert read is None or (read.pid >= 0 and read.start >= 0)


def test_a_killed_process_is_dead_before_its_parent_looks(zombie_owner: Owner) -> None:
    assert zombie_owner.is_known_dead_to(Owner.current())


def test_a_process_is_dead_only_to_those_who_can_know(dead_owner: Owner) -> None:
    here, dead = Owner.current(), dead_owner
    assert dead.is_known_dead_to(here)
    assert not here.is_known_dead_to(here)
    assert replace(here, start=here.start + 1).is_known_dead_to(here)  # its id was used again
    assert not replace(dead, host="elsewhere:1").is_known_dead_to(here)
    assert not replace(dead, boot="another").is_known_dead_to(here)
    nowhere = replace(here, boot="")
    assert not replace(dead, boot="").is_known_dead_to(nowhere)
