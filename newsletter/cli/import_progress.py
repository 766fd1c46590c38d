"""How far an import is: a line that is written over on a terminal, one now and then in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from subscribers.transfer import Progress

EVERY_S = {True: 0.1, False: 5.0}  # between two tellings, on a terminal and in a pipe
_CLEAR = "\r\x1b[K"


class ImportProgress:
    """Call it with each `Progress`; open it around the import. It speaks on stderr.

    clock: seconds that never go back.
    """

    def __init__(self, *, silent: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._silent = silent
        self._clock = clock
        self._on_terminal = sys.stderr.isatty()
        self._told_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if self._silent or now - self._told_at < EVERY_S[self._on_terminal]:
            return
        self._told_at = now
        share = 100 * progress.done // max(1, progress.total)
        people = f", {progress.done:,} people" if progress.stage == "writing" else ""
        line = f"{progress.stage}: {share} %{people}"
        before, after = (_CLEAR, "") if self._on_terminal else ("", "\n")
        print(before + line, end=after, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Takes the line off a terminal, so that what follows stands alone."""
        if self._on_terminal and not self._silent:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
