"""The arithmetic of rates: never more than the limit, never stuck, whatever the clock does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.rate import Limits
from newsletter.delivery.rate_budget import (
    LONGEST_DEBT_S,
    TOLERANCE_S,
    Budget,
    Gate,
    Grant,
    Pacer,
    Window,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
HOUR = Window("an hour", 3_600, ((0.0, 100),))
BERLIN = ZoneInfo("Europe/Berlin")

Left = tuple[float, int]  # when, how many
steps = st.lists(
    st.tuples(st.floats(0, 4_000), st.integers(1, 200)), min_size=1, max_size=40
)  # seconds to wait, messages asked for


def most_within(left: Sequence[Left], length_s: float) -> int:
    """The most messages that left in any stretch of that length, its end left out."""
    best = 0
    for first, (start, _count) in enumerate(left):
        best = max(best, sum(n for at, n in left[first:] if at < start + length_s))
    return best


def asked(gate: Gate, now: float, wanted: int) -> tuple[Gate, int]:
    budget = Budget(now, {"all": gate}, {})
    chosen = budget.grant(["example.com"] * wanted, wanted).chosen
    return budget.shared["all"], len(chosen)


def run(gate: Gate, asking: Sequence[tuple[float, int]], *, at: float = NOON) -> list[Left]:
    """What left, where each asks some seconds after the one before."""
    left = []
    for wait_s, wanted in asking:
        at += wait_s
        gate, count = asked(gate, at, wanted)
        left.append((at, count))
    return left


@given(steps)
def test_no_hour_ever_sees_more_than_its_limit(asking: list[tuple[float, int]]) -> None:
    assert most_within(run(HOUR, asking), 3_600) <= 100


@given(
    st.floats(0.01, 10_000),
    st.lists(st.tuples(st.floats(0, 0.4), st.integers(1, 5_000)), min_size=1, max_size=40),
)
def test_no_stretch_sees_more_than_the_rate_and_a_tenth_of_a_second(
    per_second: float, asking: list[tuple[float, int]]
) -> None:
    left = run(Pacer("a second", per_second), asking)
    for first in range(len(left)):
        for last in range(first, len(left)):
            lasted_s = left[last][0] - left[first][0]
            count = sum(n for _at, n in left[first : last + 1])
            assert count <= per_second * (lasted_s + TOLERANCE_S + 1e-5) + 1


@pytest.mark.parametrize("gate", [HOUR, Pacer("a second", 7.0), Pacer("slow", 0.001)])
@given(asking=steps)
def test_after_the_wait_it_names_a_message_may_leave(
    gate: Gate, asking: list[tuple[float, int]]
) -> None:
    at = NOON
    for wait_s, wanted in asking:
        at += wait_s
        gate, count = asked(gate, at, wanted)
        if not count:
            wait = gate.wait_s(at)
            assert 0 < wait <= 3_700
            assert asked(gate, at + wait, 1)[1] == 1
            assert asked(gate, at + wait * 0.99 - 1e-3, 1)[1] == 0  # and not much earlier


def test_a_steady_sender_gets_the_whole_rate() -> None:
    left = run(Pacer("a second", 200.0), [(0.05, 1_000)] * 200)
    assert sum(n for _at, n in left) == pytest.approx(200 * 10, rel=0.02)


def test_a_full_hour_comes_free_as_it_slides_not_all_at_once() -> None:
    gate, _ = asked(HOUR, NOON, 60)
    gate, _ = asked(gate, NOON + 1_800, 60)
    assert gate.room(NOON + 3_599) == 0
    assert gate.room(NOON + 3_660) == 60
    assert gate.room(NOON + 5_459) == 60
    assert gate.room(NOON + 5_460) == 100


def test_slots_that_are_over_are_forgotten() -> None:
    left = run(HOUR, [(60, 1)] * 500)
    gate: Gate = HOUR
    for at, count in left:
        gate = replace(gate, slots=gate.settled(at).taken(count, at).slots)  # type: ignore[union-attr]
    assert len(gate.settled(left[-1][0]).slots) <= 62  # type: ignore[union-attr]


# The clock is set back: `left` is in the time that really passed.
backwards = st.lists(
    st.tuples(st.floats(0, 900), st.integers(1, 200), st.sampled_from([0, 0, 0, 1, 59, 7_200])),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize(
    ("gate", "most"),
    [(HOUR, lambda s: 100), (Pacer("a second", 2.0), lambda s: 2.0 * (s + TOLERANCE_S + 1e-5) + 1)],
)
@given(asking=backwards)
def test_a_clock_set_back_lets_nothing_more_out(
    gate: Gate, most: Callable[[float], float], asking: list[tuple[float, int, int]]
) -> None:
    real, clock, left = NOON, NOON, []
    for wait_s, wanted, back_s in asking:
        real, clock = real + wait_s, clock + wait_s - back_s
        gate, count = asked(gate, clock, wanted)
        left.append((real, count))
    for length_s in (1, 60, 3_600):
        allowed = most(length_s) if length_s == 3_600 or isinstance(gate, Pacer) else 100
        assert most_within(left, length_s) <= allowed


@pytest.mark.parametrize(
    ("gate", "longest_s"), [(HOUR, 3_660), (Pacer("a second", 10.0), LONGEST_DEBT_S + 1)]
)
@pytest.mark.parametrize("back_s", [1, 59, 62, 1_000, 3_600, 7_200, 10 * 86_400])
def test_a_clock_set_back_holds_nothing_up_for_longer_than_the_gate_itself(
    gate: Gate, longest_s: float, back_s: int
) -> None:
    gate, count = asked(gate, NOON, 1_000)
    assert count
    clock = NOON - back_s
    gate, early = asked(gate, clock, 1_000)
    assert early == 0
    assert gate.wait_s(clock) <= longest_s + 1
    assert asked(gate, clock + gate.wait_s(clock), 1)[1] == 1


@pytest.mark.parametrize("gate", [HOUR, Pacer("a second", 10.0)])
def test_a_clock_set_forward_opens_a_gate_once_and_no_further(gate: Gate) -> None:
    gate, first = asked(gate, NOON, 1_000)
    gate, second = asked(gate, NOON + 7_200, 1_000)
    assert second == first  # as if the time had passed
    assert asked(gate, NOON + 7_200, 1_000)[1] == 0
    gate, back = asked(gate, NOON + 1, 1_000)  # and right again: that counts all the same
    assert back == 0


@given(st.lists(st.integers(0, 300), max_size=20))
def test_what_does_not_wait_is_made_up_for_by_what_does(spent: list[int]) -> None:
    budget = Budget(NOON, {"hour": HOUR}, {})
    for count in spent:
        budget.spend(count)
    granted = budget.grant(["example.com"] * 500, 500)
    assert len(granted.chosen) == max(0, 100 - sum(spent))


def test_a_burst_that_does_not_wait_holds_up_the_rest_for_a_minute_at_most() -> None:
    budget = Budget(NOON, {"all": Pacer("a second", 1.0)}, {})
    budget.spend(100_000)
    assert budget.grant(["example.com"], 1).wait_s == pytest.approx(LONGEST_DEBT_S, abs=1)


def test_a_domain_at_its_limit_holds_up_no_other() -> None:
    own = {"gmail.com": Pacer("gmail.com: 1 message a second", 1.0)}
    budget = Budget(NOON, {}, own)
    domains = ["gmail.com", "gmail.com", "example.com", "gmail.com", "example.org"]
    assert budget.grant(domains, 5) == Grant((0, 2, 4), 0.0, "gmail.com: 1 message a second")
    assert budget.grant(["example.com"] * 3, 2) == Grant((0, 1))
    held = budget.grant(["gmail.com", "gmail.com"], 2)
    assert held.chosen == ()
    assert held.wait_s == pytest.approx(0.9, abs=0.01)
    assert held.limited_by == "gmail.com: 1 message a second"


def test_messages_passed_over_use_up_nothing() -> None:
    own = {"gmail.com": Pacer("gmail.com", 0.1)}
    budget = Budget(NOON, {"hour": HOUR}, own)
    budget.grant(["gmail.com"] * 50, 50)
    assert budget.shared["hour"].room(NOON) == 99


def test_it_names_the_limit_that_ends_last() -> None:
    shared: dict[str, Gate] = {"all": Pacer("ten a second", 10.0), "hour": HOUR}
    budget = Budget(NOON, shared, {})
    assert budget.grant(["example.com"] * 5, 5).limited_by == "ten a second"
    budget.spend(100)
    held = budget.grant(["example.com"], 1)
    assert held.limited_by == "an hour"
    assert held.wait_s > LONGEST_DEBT_S


def _day_of(limits: Limits, now: datetime) -> Window:
    gate = limits.shared(now)["day"]
    assert isinstance(gate, Window)
    return gate


WARM_UP = Limits(warm_up_from=date(2026, 10, 24), warm_up=(50, 100, 500), zone=BERLIN)


@pytest.mark.parametrize(
    ("now", "room", "says"),
    [
        (datetime(2026, 10, 20, 12, tzinfo=BERLIN), 50, "day 1 of the warm-up: 50 messages"),
        (datetime(2026, 10, 24, 0, 0, tzinfo=BERLIN), 50, "day 1 of the warm-up: 50 messages"),
        (
            datetime(2026, 10, 24, 23, 59, 59, tzinfo=BERLIN),
            50,
            "day 1 of the warm-up: 50 messages",
        ),
        (datetime(2026, 10, 25, 0, 0, tzinfo=BERLIN), 100, "day 2 of the warm-up: 100 messages"),
        (
            datetime(2026, 10, 25, 23, 59, 59, tzinfo=BERLIN),
            100,
            "day 2 of the warm-up: 100 messages",
        ),
        (datetime(2026, 10, 26, 0, 0, tzinfo=BERLIN), 500, "day 3 of the warm-up: 500 messages"),
    ],
)
def test_a_warm_up_goes_by_the_days_of_the_publications_time_zone(
    now: datetime, room: int, says: str
) -> None:
    # 25 October 2026 has 25 hours in Berlin.
    gate = _day_of(WARM_UP, now)
    assert (gate.room(now.timestamp()), gate.says) == (room, says)


def test_after_its_last_day_a_warm_up_limits_nothing() -> None:
    last = datetime(2026, 10, 26, 23, 59, tzinfo=BERLIN)
    assert not WARM_UP.are_none(last)
    assert WARM_UP.are_none(last + timedelta(minutes=1))


def test_a_warm_up_and_a_daily_limit_hold_both() -> None:
    limits = replace(WARM_UP, per_day=80)
    first, second = (datetime(2026, 10, day, 12, tzinfo=BERLIN) for day in (24, 25))
    assert _day_of(limits, first).says == "day 1 of the warm-up: 50 messages"
    assert _day_of(limits, second).says == "80 messages a day (NEWSLETTER_RATE_PER_DAY)"
    assert _day_of(limits, second).room(second.timestamp()) == 80


def test_a_days_number_begins_at_midnight_however_long_the_night_was() -> None:
    noon = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    starts = [at - noon.timestamp() for at, _limit in _day_of(WARM_UP, noon).steps[1:]]
    assert starts == [12 * 3_600, 37 * 3_600]
    spring = replace(WARM_UP, warm_up_from=date(2026, 3, 28))
    noon = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    starts = [at - noon.timestamp() for at, _limit in _day_of(spring, noon).steps[1:]]
    assert starts == [12 * 3_600, 35 * 3_600]


def test_a_warm_ups_wait_ends_at_the_midnight_that_allows_more() -> None:
    # Noon before the night of 25 hours; the next midnight is 12 hours off, the one after 37.
    noon = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    gate, count = asked(_day_of(WARM_UP, noon), noon.timestamp(), 1_000)
    assert count == 50
    assert gate.wait_s(noon.timestamp()) == pytest.approx(12 * 3_600, abs=1)
    midnight = datetime(2026, 10, 25, tzinfo=BERLIN)
    kept = replace(_day_of(WARM_UP, midnight), slots=gate.slots)  # type: ignore[union-attr]
    gate, more = asked(kept, midnight.timestamp(), 1_000)
    assert more == 50  # yesterday's fifty left within these 24 hours
    assert gate.wait_s(midnight.timestamp()) == pytest.approx(12 * 3_600, abs=1_441)


@given(
    st.lists(st.tuples(st.floats(0, 30_000), st.integers(1, 600)), min_size=1, max_size=30),
    st.sampled_from([datetime(2026, 10, 24, tzinfo=BERLIN), datetime(2026, 3, 28, tzinfo=BERLIN)]),
)
def test_on_each_day_of_a_warm_up_24_hours_see_at_most_its_number(
    asking: list[tuple[float, int]], start: datetime
) -> None:
    limits = replace(WARM_UP, warm_up_from=start.date(), warm_up=(50, 100, 500, 500, 500))
    at, slots, left = start.timestamp(), {}, []
    for wait_s, wanted in asking:
        at += wait_s
        now = datetime.fromtimestamp(at, UTC)
        if limits.are_none(now):
            break
        gate, count = asked(replace(_day_of(limits, now), slots=slots), at, wanted)
        slots = gate.slots  # type: ignore[union-attr]
        left.append((at, count))
    for index in range(len(left)):
        at = left[index][0]
        within = sum(n for earlier, n in left[: index + 1] if earlier > at - 86_400)
        day = (datetime.fromtimestamp(at, BERLIN).date() - start.date()).days
        assert within <= limits.warm_up[day]
