"""A full disk, a database that is read-only, a clock that jumps: nothing lost, nothing doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import postroom
import pytest
from postroom import LEASE, NOW, Scripted, Wire, deliver, journals, prove, states, taken
from sqlalchemy import Engine, event, text

from newsletter.delivery.owner import on_duty
from newsletter.delivery.rate import Limits, Throttle
from newsletter.errors import StoreError
from newsletter.providers.base import AttemptLog, Envelope, Mailing, Receipt
from newsletter.store.engine import open_engine


class Interrupting(Wire):
    """Does something once, when so many messages have been taken."""

    def __init__(self, path: Path, after: int, act: Callable[[], object]) -> None:
        super().__init__(path)
        self._after, self._act = after, act

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        for receipt in super().submit(mailing, envelopes, log):
            yield receipt
            self._after -= 1
            if not self._after:
                self._act()


def no_more_pages(engine: Engine) -> None:
    """As a disk that is full: the database can grow no more, on any connection made from now on."""

    def limit(connection: object, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    event.listen(engine, "connect", limit)
    engine.dispose()


def test_a_disk_that_fills_up_before_the_answers_are_stored_costs_nothing_but_time(
    database: Engine, database_file: Path, tmp_path: Path
) -> None:
    issue = postroom.frozen_issue(database, 400)
    full = open_engine(f"sqlite:///{database_file}")
    long_answers = Interrupting(tmp_path / "wire", 1, lambda: no_more_pages(full))

    class Talkative(Wire):
        def submit(
            self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
        ) -> Iterator[Receipt]:
            for receipt in long_answers.submit(mailing, envelopes, log):
                yield Receipt(receipt.key, receipt.outcome, f"{receipt.detail} {'x' * 2_000}")

    with pytest.raises(StoreError, match="free disk space") as refused:
        deliver(full, issue, Talkative(tmp_path / "wire"))
    full.dispose()
    assert "goes on where it stopped" in str(refused.value)
    assert set(states(database, issue).values()) == {"attempting"}
    done = deliver(database, issue, Wire(tmp_path / "wire"))  # there is room again
    assert (done.submitted, done.uncertain) == (400, 0)
    assert sorted(Wire(tmp_path / "wire").taken()) == list(range(1, 401))
    assert prove(database, issue).complete


def test_a_read_only_database_is_said_before_anything_leaves(
    database: Engine, database_file: Path, tmp_path: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    locked_up = open_engine(f"sqlite:///{database_file}")
    event.listen(locked_up, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreError, match="make the home folder and the database in it writable"):
        deliver(locked_up, issue, Wire(tmp_path / "wire"))
    locked_up.dispose()
    assert Wire(tmp_path / "wire").taken() == []
    assert set(states(database, issue).values()) == {"planned"}
    assert not list(journals(database).glob("*"))


def test_a_locked_database_is_said_before_anything_leaves(
    database: Engine, database_file: Path, tmp_path: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    hasty = open_engine(f"sqlite:///{database_file}")
    event.listen(hasty, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 20"))
    with database.connect() as holder:
        holder.execute(text("UPDATE issue SET reason = 'held open'"))
        with pytest.raises(StoreError, match="another process holds the database"):
            deliver(hasty, issue, Wire(tmp_path / "wire"))
        holder.rollback()
    hasty.dispose()
    assert Wire(tmp_path / "wire").taken() == []
    assert not list(journals(database).glob("*"))


@pytest.mark.parametrize("step", [timedelta(days=-30), timedelta(hours=-1), timedelta(days=30)])
def test_a_clock_that_jumps_in_the_middle_of_a_send_doubles_and_loses_nobody(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: timedelta
) -> None:
    monkeypatch.setattr(Wire, "at_once", 3)
    issue = postroom.frozen_issue(database, 20, batch_size=10)
    clock = Clock()
    wire = Interrupting(tmp_path / "wire", 4, lambda: clock.jump(step))
    done = deliver(database, issue, wire, clock=clock)
    assert (done.submitted, done.remaining) == (20, 0)
    assert sorted(wire.taken()) == list(range(1, 21))
    assert prove(database, issue).complete


def test_a_clock_set_far_ahead_hands_a_living_senders_batch_over_and_still_doubles_nobody(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the second sender the lease is over; the first one is alive, so silence proves nothing."""
    monkeypatch.setattr(Wire, "at_once", 2)
    issue = postroom.frozen_issue(database, 6)
    second = Wire(tmp_path / "wire")

    def another_sender() -> None:
        with on_duty() as owner:
            deliver(database, issue, second, clock=lambda: NOW + LEASE, owner=owner)

    first = Interrupting(tmp_path / "wire", 3, another_sender)
    done = deliver(database, issue, first)
    assert done.taken_over == 1
    assert sorted(first.taken()) == sorted(set(first.taken())), "nobody has it twice"
    found = prove(database, issue)
    assert (found.holds, found.states["planned"], found.states["attempting"]) == (True, 0, 0)
    assert found.states["submitted"] == 2, "whose answers the first one's journal had by then"
    assert found.states["uncertain"] == 4


def test_a_throttle_on_a_locked_database_gives_back_what_it_did_not_grant(
    database: Engine, database_file: Path
) -> None:
    issue = postroom.frozen_issue(database, 3)
    provider = Scripted(lambda _, e: taken(e))

    class Locked(Throttle):
        def grant(self, domains: Sequence[str], *, at_most: int) -> object:  # type: ignore[override]
            raise StoreError("the database refused: locked", hint="try again")

    with pytest.raises(StoreError):
        deliver(database, issue, provider, throttle=Locked(database, Limits(), lambda: NOW))
    assert provider.calls == []
    assert set(states(database, issue).values()) == {"planned"}


class Clock:
    def __init__(self) -> None:
        self._now = NOW

    def __call__(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def jump(self, step: timedelta) -> None:
        self._now += step
