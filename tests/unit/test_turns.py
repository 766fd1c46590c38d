"""Rests between write transactions: when one is due, how long it is, when the work ends."""

from __future__ import annotations

import pytest

from newsletter.store import turns as module
from newsletter.store.turns import REST_S, WORK_S, turns


class Time:
    """A clock that work and rests move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    one = Time()
    monkeypatch.setattr(module, "monotonic", lambda: one.now)
    monkeypatch.setattr(module, "sleep", one.sleep)
    return one


def test_a_long_step_is_followed_by_a_rest_half_as_long(time: Time) -> None:
    for _ in turns(3):
        time.now += 3.0
    assert time.rests == [1.5, 1.5]  # none after the last


def test_short_steps_share_a_rest_in_which_every_waiter_looks_once(time: Time) -> None:
    assert REST_S > 0.1  # SQLite's longest sleep between two looks
    for _ in turns(100):
        time.now += WORK_S / 10
    assert len(time.rests) in range(8, 11)
    assert min(time.rests) >= REST_S


def test_it_ends_after_so_many_turns_or_where_it_is_told_to() -> None:
    assert list(turns(3)) == [0, 1, 2]
    done: list[int] = []
    for turn in turns(should_stop=lambda: len(done) == 2):
        done.append(turn)
    assert done == [0, 1]
    assert list(turns(should_stop=lambda: True)) == []


def test_loops_one_after_the_other_share_their_turns(time: Time) -> None:
    shared = turns(2)
    assert [next(shared, None) for _ in range(3)] == [0, 1, None]
