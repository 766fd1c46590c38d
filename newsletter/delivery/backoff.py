"""When a message that was not taken goes out again: later each time, and not for ever.

Servers that ask for patience (greylisting, a full queue, a rate of theirs) mean minutes to hours;
RFC 5321, 4.5.4.1 wants at least half an hour between later attempts. A relay of ours gives up
after days; an issue that comes two days late is no weekly any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

STEPS: Final = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))
GIVEN_UP: Final = "given up after"  # how the reason of a delivery that was begins
MAX_ATTEMPTS: Final = 16  # with these steps, after about two days


def due_after(attempts: int, now: datetime) -> datetime | None:
    """When the next attempt is due after that many (from 1); None: there is to be none."""
    if attempts >= MAX_ATTEMPTS:
        return None
    return now + STEPS[min(attempts, len(STEPS)) - 1]
