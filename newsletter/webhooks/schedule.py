"""When a message that was not taken is tried again, and when no more.

The waits are the example of Standard Webhooks 1.0.0: ten attempts over three days and a bit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

WAITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
ATTEMPTS: Final = len(WAITS) + 1
SPREAD: Final = 0.2  # of a wait, at most, on top: what failed together shall not come together
PATIENCE: Final = timedelta(days=1)  # the longest wait an endpoint can ask for
GIVE_UP_AFTER: Final = timedelta(days=4)  # of failing, behind an endpoint that does not answer


def wait_after(attempts: int, *, chance: float, asked: timedelta | None = None) -> timedelta | None:
    """How long after the last of `attempts` (1 and more) the next comes; None for never.

    chance: from 0 to below 1, anew each time. asked: by the endpoint (Retry-After); it makes a wait
    longer, never shorter, and never more than `PATIENCE`.
    """
    if attempts >= ATTEMPTS:
        return None
    wait = WAITS[attempts - 1]
    if asked is not None:
        wait = max(wait, min(asked, PATIENCE))
    return wait * (1 + SPREAD * chance)
