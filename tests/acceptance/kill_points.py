"""A sender that strikes itself with -9 when it reaches the n-th line of our code.

Every point between two lines is reached by some n, so a seed's death is dense and comes again. It
runs in a process forked by the rehearsal's zygote.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import newsletter
from newsletter.rehearsal import room, sender

OUR_CODE = str(Path(newsletter.__file__).parent)


def each_line_of_ours(reached: Callable[[int], None]) -> None:
    """Calls `reached` with the number of every line of the newsletter about to run from now on."""
    lines = 0

    def on_line(_frame: FrameType, what: str, _value: Any) -> Any:
        nonlocal lines
        if what == "line":
            lines += 1
            reached(lines)
        return on_line

    def on_call(frame: FrameType, _what: str, _value: Any) -> Any:
        return on_line if frame.f_code.co_filename.startswith(OUR_CODE) else None

    sys.settrace(on_call)


def doomed(folder: str, port: int, line: int) -> None:
    """Sends until it reaches that line of freezing and delivering; it may end before."""

    def strike(reached: int) -> None:
        if reached == line:
            os.kill(os.getpid(), signal.SIGKILL)

    _send(Path(folder), port, strike)


def counted(folder: str, port: int, written: str) -> None:
    """Sends unharmed, and writes how many lines that took."""
    total = 0

    def note(reached: int) -> None:
        nonlocal total
        total = reached

    _send(Path(folder), port, note)
    Path(written).write_text(str(total))


def _send(home: Path, port: int, reached: Callable[[int], None]) -> None:
    app = room.enter(home, port=port, ahead=timedelta())
    each_line_of_ours(reached)
    sender.send(app, batch_size=room.batch_size(home))
    sys.settrace(None)
