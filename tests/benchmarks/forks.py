"""Work done in a process of its own, for what it takes of memory."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_a_process(work: Callable[[], float]) -> tuple[float, float]:
    """Peak resident memory in MB of a fork that does `work`, and its answer."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status, usage = os.wait4(pid, 0)
    assert status == 0
    assert said
    return usage.ru_maxrss / 1024, float(said)
