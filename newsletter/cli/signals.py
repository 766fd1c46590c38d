"""Signals as a wish: the first SIGINT or SIGTERM asks the work to end well, a second ends it."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class StopWish:
    """While open, the first signal sets `number` and the next one interrupts."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {caught: signal.signal(caught, self._note) for caught in CAUGHT}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for caught, handler in self._before.items():
            signal.signal(caught, handler)

    def __call__(self) -> bool:
        """Has somebody asked to stop?"""
        return self.number != 0

    @property
    def exit_status(self) -> int:
        """What a shell expects of a program ended by this signal."""
        return 128 + self.number if self.number else 0

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
