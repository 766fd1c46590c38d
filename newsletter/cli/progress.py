"""How far a send is: a bar on a terminal, a line every few seconds in a pipe; on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from newsletter.cli.screen import stamp
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.delivery.watch import Progress

EVERY_S = 5.0  # between two lines in a pipe
BAR_WIDTH = 20  # with the widest numbers, all of it fits 80 columns


class SendProgress:
    """Call it with each `Progress` of a sender; open it around the send.

    clock: seconds that never go back.
    """

    def __init__(self, *, silent: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._silent = silent
        self._clock = clock
        self._total = 0
        self._line = ""  # what a pipe was not told yet
        self._told_at: float | None = None
        self._bar: _Bar | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._silent:
            self._bar = _Bar()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._line:  # how it ended is told, however soon after the last line
            self._print()

    def __call__(self, progress: Progress) -> None:
        if self._silent:
            return
        left = max(0, progress.remaining - progress.in_hand)
        # Of all senders: who joins one that is under way shows what was left when it came.
        self._total = max(self._total, _answered(progress) + left)
        done = self._total - left
        if self._bar is not None:
            self._bar.show(done, self._total, _speed(progress, left), _limit(progress))
            return
        parts = (f"{done:,} of {self._total:,} answered for", _speed(progress, left))
        self._line = "; ".join(filter(None, (", ".join(parts), _limit(progress))))
        if self._told_at is None or self._clock() - self._told_at >= EVERY_S:
            self._print()

    def _print(self) -> None:
        print(self._line, file=sys.stderr, flush=True)
        self._line, self._told_at = "", self._clock()


class _Bar:
    """Two lines that are written over: how far, how fast, how long; and what limits it."""

    def __init__(self) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        self._limit = Text()
        self._progress = Progress(
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[speed]}"),
        )
        self._task: Any = None
        self._live = Live(Group(self._progress, self._limit), console=Console(stderr=True))
        self._live.start()

    def show(self, done: int, total: int, speed: str, limit: str) -> None:
        if self._task is None:
            self._task = self._progress.add_task("send", total=total, speed=speed)
        self._progress.update(self._task, completed=done, total=total, speed=speed)
        self._limit.plain = limit

    def stop(self) -> None:
        self._live.stop()


def _answered(progress: Progress) -> int:
    settled = progress.submitted + progress.bounced + progress.failed
    return settled + progress.uncertain + progress.excluded + progress.in_hand


def _speed(progress: Progress, left: int) -> str:
    is_known = progress.goes_on_at is None
    return rate_and_time_left(progress.per_second, left if is_known else 0)


def rate_and_time_left(per_second: float, left: int) -> str:
    """`1,234/s, 12 min left`; without the time where nothing is left, or nothing moves."""
    is_coarse = per_second >= 10 or not per_second
    shown = f"{per_second:,.0f}/s" if is_coarse else f"{per_second:.2g}/s"
    return f"{shown}, {lasting(left / per_second)} left" if per_second > 0 and left else shown


def _limit(progress: Progress) -> str:
    """`limited by 500 messages an hour, goes on at 2026-11-24 14:05 UTC`."""
    by = f"limited by {progress.limited_by}" if progress.limited_by else ""
    on = f"goes on at {stamp(progress.goes_on_at)}" if progress.goes_on_at else ""
    return ", ".join(filter(None, (by, on)))


def lasting(seconds: float) -> str:
    """`45 s`, `12 min`, `2 h 05 min`, `3 days 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(1, int(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02} min"
    days, hours = divmod(hours, 24)
    return f"{counted(days, 'day')} {hours} h"
