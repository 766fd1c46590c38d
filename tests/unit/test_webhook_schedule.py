"""When a webhook is tried again: ten times, ever more rarely, over three days."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.webhooks.schedule import ATTEMPTS, PATIENCE, SPREAD, WAITS, wait_after

chances = st.floats(min_value=0, max_value=1, exclude_max=True)
asked = st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))


def test_the_waits_are_those_of_the_specification_to_the_last_try() -> None:
    assert ATTEMPTS == 10
    assert sum(WAITS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert [wait_after(n, chance=0.0) for n in range(1, ATTEMPTS + 1)] == [*WAITS, None]


@given(st.integers(1, ATTEMPTS - 1), chances, asked)
def test_chance_and_wishes_make_a_wait_longer_and_never_endless(
    attempts: int, chance: float, wish: timedelta | None
) -> None:
    wait = wait_after(attempts, chance=chance, asked=wish)
    assert wait is not None
    assert WAITS[attempts - 1] <= wait <= max(WAITS[attempts - 1], PATIENCE) * (1 + SPREAD)
    if wish is not None:
        assert wait >= min(wish, PATIENCE)


@given(st.integers(ATTEMPTS, 1_000), chances, asked)
def test_after_the_last_attempt_no_wish_brings_another(
    attempts: int, chance: float, wish: timedelta | None
) -> None:
    assert wait_after(attempts, chance=chance, asked=wish) is None
