"""How long things take, so measured that a busy moment of the machine does not decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter


def seconds(work: Callable[[], object]) -> float:
    """What `work` takes by the clock."""
    started = perf_counter()
    work()
    return perf_counter() - started


def best_seconds(work: Callable[[], object], rounds: int) -> float:
    """The best of `rounds`: what the code costs when nobody else wants the machine."""
    return min(seconds(work) for _ in range(rounds))


def in_turns(rounds: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Each measure's results; one after the other, so that whatever drifts does so for all."""
    results = [[measure() for measure in measures] for _ in range(rounds)]
    return [list(one) for one in zip(*results, strict=True)]


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """The median of how many times as long as `fast` each round of `slow` took."""
    return median(one / other for one, other in zip(slow, fast, strict=True))
