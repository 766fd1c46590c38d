"""The budget all senders on one store share: held by as many processes as there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from postroom import start_process
from sqlalchemy import Engine, event, text

from newsletter.delivery.rate import Limits, Throttle
from newsletter.errors import StoreError
from newsletter.store.engine import open_engine, session_on

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
MIXED = ["gmail.com", "example.com", "gmail.com", "example.org", "GMAIL.com"]


@dataclass
class Clock:
    """Stands still until it is set."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def on(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rows(engine: Engine, table: str) -> list[tuple[object, ...]]:
    with session_on(engine, readonly=True) as session:
        return [tuple(row) for row in session.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))]


def granted(throttle: Throttle, count: int, *, domain: str = "example.com") -> int:
    return len(throttle.grant([domain] * count, at_most=count).chosen)


def test_without_a_limit_everything_may_leave_and_nothing_is_kept(
    database: Engine, clock: Clock
) -> None:
    throttle = Throttle(database, Limits(), clock)
    assert throttle.grant(MIXED, at_most=3).chosen == (0, 1, 2)
    throttle.spend(10)
    assert rows(database, "rate_scope") == rows(database, "rate_slot") == []


def test_a_rate_a_second_lets_go_a_tenth_of_a_seconds_worth_at_a_time(
    database: Engine, clock: Clock
) -> None:
    throttle = Throttle(database, Limits(per_second=100), clock)
    grant = throttle.grant(["example.com"] * 250, at_most=250)
    assert grant.chosen == tuple(range(11))
    assert grant.limited_by == "100 messages a second (NEWSLETTER_RATE_PER_SECOND)"
    held = throttle.grant(["example.com"], at_most=1)
    assert held.chosen == ()
    assert held.wait_s == pytest.approx(0.01, abs=1e-4)
    clock.on(seconds=held.wait_s)
    assert throttle.grant(["example.com"], at_most=1).chosen == (0,)


def test_where_a_hand_over_takes_longer_more_may_leave_together(
    database: Engine, clock: Clock
) -> None:
    assert granted(Throttle(database, Limits(per_second=100, tolerance_s=1.0), clock), 250) == 101


def test_an_hour_and_a_day_hold_their_numbers_across_restarts(
    database: Engine, clock: Clock
) -> None:
    limits = Limits(per_hour=100, per_day=150)
    assert granted(Throttle(database, limits, clock), 250) == 100
    clock.on(minutes=59)
    held = Throttle(database, limits, clock).grant(["example.com"], at_most=1)
    assert held.limited_by == "100 messages an hour (NEWSLETTER_RATE_PER_HOUR)"
    assert held.wait_s == pytest.approx(120, abs=1)  # the minute the hundred left in counts whole
    clock.on(seconds=held.wait_s)
    assert granted(Throttle(database, limits, clock), 250) == 50
    held = Throttle(database, limits, clock).grant(["example.com"], at_most=1)
    assert held.limited_by == "150 messages a day (NEWSLETTER_RATE_PER_DAY)"
    clock.on(seconds=held.wait_s)
    assert granted(Throttle(database, limits, clock), 250) == 100


def test_a_domains_limit_is_its_own_and_shared_by_all_senders(
    database: Engine, clock: Clock
) -> None:
    limits = Limits(per_domain={"gmail.com": 1})
    one, other = (Throttle(database, limits, clock) for _ in range(2))
    assert one.grant(MIXED, at_most=5).chosen == (0, 1, 3)
    passed = other.grant(MIXED, at_most=5)
    assert passed.chosen == (1, 3)
    assert passed.limited_by == "gmail.com: 1 message a second"
    clock.on(seconds=1)
    assert other.grant(MIXED, at_most=5).chosen == (0, 1, 3)


def test_at_most_is_counted_after_those_that_wait(database: Engine, clock: Clock) -> None:
    throttle = Throttle(database, Limits(per_domain={"gmail.com": 1}), clock)
    granted(throttle, 1, domain="gmail.com")
    assert throttle.grant(MIXED, at_most=2).chosen == (1, 3)
    assert throttle.grant(MIXED, at_most=2).limited_by == ""


def test_system_mails_count_without_waiting(database: Engine, clock: Clock) -> None:
    throttle = Throttle(database, Limits(per_hour=100), clock)
    throttle.spend(98)
    assert granted(throttle, 250) == 2
    throttle.spend(5)
    assert granted(throttle, 250) == 0


def test_slots_that_are_over_are_deleted(database: Engine, clock: Clock) -> None:
    throttle = Throttle(database, Limits(per_hour=1_000, per_day=20_000), clock)
    for _ in range(100):
        clock.on(minutes=2)
        assert granted(throttle, 10) == 10
    kept = [scope for scope, _starts_at, _taken in rows(database, "rate_slot")]
    assert kept.count("hour") <= 31
    assert kept.count("day") <= 10


def test_a_clock_set_back_by_hours_neither_blocks_nor_bursts(
    database: Engine, clock: Clock
) -> None:
    throttle = Throttle(database, Limits(per_second=10, per_hour=100), clock)
    throttle.spend(100)
    clock.on(hours=-5)
    held = throttle.grant(["example.com"], at_most=1)
    assert held.chosen == ()
    assert held.wait_s <= 3_661
    clock.on(seconds=held.wait_s)  # asked again every second or once: it ends at the same time
    assert granted(throttle, 250) == 2


def test_who_keeps_asking_under_a_clock_set_back_is_not_put_off_again(
    database: Engine, clock: Clock
) -> None:
    throttle = Throttle(database, Limits(per_hour=100), clock)
    throttle.spend(100)
    clock.on(hours=-5)
    for _ in range(62):
        if granted(throttle, 1):
            break
        clock.on(minutes=1)
    assert clock.now <= NOW - timedelta(hours=5) + timedelta(minutes=61)


def test_who_only_asks_changes_nothing(database: Engine, clock: Clock) -> None:
    throttle = Throttle(database, Limits(per_second=1, per_hour=100), clock)
    granted(throttle, 1)
    before = rows(database, "rate_scope"), rows(database, "rate_slot")
    assert granted(throttle, 1) == 0
    assert (rows(database, "rate_scope"), rows(database, "rate_slot")) == before


def test_a_locked_database_is_a_store_error_and_takes_nothing(
    database: Engine, database_file: Path, clock: Clock
) -> None:
    hasty = open_engine(f"sqlite:///{database_file}")
    event.listen(hasty, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 20"))
    throttle = Throttle(hasty, Limits(per_hour=100), clock)
    with session_on(database) as holder:
        holder.execute(text("UPDATE issue SET reason = 'held open'"))
        with pytest.raises(StoreError, match="locked"):
            throttle.grant(["example.com"], at_most=1)
        with pytest.raises(StoreError, match="locked"):
            throttle.spend(1)
    assert granted(throttle, 250) == 100
    hasty.dispose()


def in_processes(count: int, work: Callable[[Path], None], home: Path) -> list[list[str]]:
    """Runs `work` in that many processes at once, each with a file; the words of each line."""
    files = [home / f"process-{number}" for number in range(count)]
    pids = [start_process(lambda file=file: work(file)) for file in files]  # type: ignore[misc]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * count
    return [line.split() for file in files for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_at_one_instant_share_exactly_one_hours_budget(
    database_file: Path, tmp_path: Path, processes: int
) -> None:
    def take_all(file: Path) -> None:
        throttle = Throttle(
            open_engine(f"sqlite:///{database_file}"), Limits(per_hour=301), Clock()
        )
        total = 0
        while count := granted(throttle, 7):
            total += count
        file.write_text(f"{total}\n")

    taken = in_processes(processes, take_all, tmp_path)
    assert sum(int(words[0]) for words in taken) == 301


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_keep_the_rate_and_use_it(
    database_file: Path, tmp_path: Path, processes: int
) -> None:
    per_second, lasting_s = 500.0, 2.0
    # One clock for all: a millisecond passes whenever anybody looks at it.
    ticks = get_context("fork").Value("q", 0)

    def tick() -> datetime:
        with ticks.get_lock():
            ticks.value += 1
            return NOW + timedelta(milliseconds=ticks.value)

    def send(file: Path) -> None:
        seen = NOW

        def clock() -> datetime:
            nonlocal seen
            seen = tick()
            return seen

        engine = open_engine(f"sqlite:///{database_file}")
        throttle = Throttle(engine, Limits(per_second=per_second), clock)
        with file.open("w") as record:
            while seen < NOW + timedelta(seconds=lasting_s):
                count = granted(throttle, 20)
                record.write(f"{(seen - NOW).total_seconds():.3f} {count}\n")

    left = sorted((float(at), int(n)) for at, n in in_processes(processes, send, tmp_path))
    for first in range(0, len(left), 7):
        total = 0
        for at, count in left[first:]:
            total += count
            assert total <= per_second * (at - left[first][0] + 0.1 + 1e-5) + 1
    assert sum(n for _at, n in left) >= per_second * lasting_s * 0.9
