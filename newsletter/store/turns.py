"""Work in many write transactions, with rests between them in which others come to theirs.

SQLite keeps no queue of writers: whoever waits only looks again now and then (after its first
looks every 100 ms), and one that writes without a pause is met at work each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Final

WORK_S: Final = 0.25  # together, before a rest is due
REST_S: Final = 0.12  # at least: longer than any waiter sleeps between two looks


def never() -> bool:
    """For work that nobody stops."""
    return False


def turns(most: int | None = None, *, should_stop: Callable[[], bool] = never) -> Iterator[int]:
    """Numbers from 0, one for each transaction of the loop over them; rests in between.

    A rest is due after WORK_S of work and is half as long as that was, REST_S at least. Ends after
    `most` turns, or where should_stop says so.
    """
    done, worked_s = 0, 0.0
    while (most is None or done < most) and not should_stop():
        if worked_s >= WORK_S:
            sleep(max(REST_S, worked_s / 2))
            worked_s = 0.0
        began = monotonic()
        yield done
        worked_s += monotonic() - began
        done += 1
