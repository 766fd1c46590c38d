"""How far a send is: a bar with its rate on a terminal, plain lines in a pipe; on stderr."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from newsletter.delivery.sender import Progress


class SendProgress:
    """Call it with each `sender.Progress`; open it around the send."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._started = monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._silent:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self._bar = Progress(
                BarColumn(bar_width=32),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        if self._silent:
            return
        done = progress.submitted + progress.failed + progress.uncertain + progress.excluded
        total = done + progress.remaining
        rate = f"{done / max(monotonic() - self._started, 0.001):,.0f}/s"
        if self._bar is None:
            print(f"{done:,} of {total:,} answered for, {rate}", file=sys.stderr, flush=True)
            return
        if self._task is None:
            self._task = self._bar.add_task("send", total=total, rate=rate)
        self._bar.update(self._task, completed=done, total=total, rate=rate)
