"""How far one sender is, told as it goes: to whoever watches it here, and to everybody's store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import Final

from sqlalchemy import Engine

from newsletter.delivery import pace
from newsletter.delivery.owner import Owner
from newsletter.delivery.pace import Speed
from newsletter.errors import StoreError
from newsletter.store.engine import session_on

EVERY_S: Final = 2.0  # the store is told no more often


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one sender is. Two senders of one issue each count their own; `remaining` is of all.

    stopped: why it ended while something was left; empty where nothing was left to claim.
    is_refused: whether that was one refusal after the other. goes_on_at: when the rest may go out,
    where that is known.
    """

    remaining: int  # planned or attempting, in whosever hands
    in_hand: int = 0  # of those, answered for in the batch under way
    submitted: int = 0
    bounced: int = 0
    failed: int = 0
    uncertain: int = 0
    excluded: int = 0  # since the freeze
    deferred: int = 0  # not taken, and planned again for later; some more than once
    batches: int = 0
    taken_over: int = 0  # batches this sender lost to another one
    per_second: float = field(default=0.0, compare=False)  # of late
    limited_by: str = ""  # which limit of ours holds it back
    trouble: str = ""  # the provider's last reason for not taking something
    stopped: str = ""
    is_refused: bool = False
    goes_on_at: datetime | None = None


class Watch:
    """Hears of each hand-over and each batch of one sender."""

    def __init__(
        self,
        engine: Engine,
        issue_id: int,
        *,
        owner: Owner,
        clock: Callable[[], datetime],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.progress = Progress(remaining=0)
        self._engine = engine
        self._issue_id = issue_id
        self._owner = str(owner)
        self._clock = clock
        self._on_progress = on_progress
        self._speed = Speed()
        self._told_at = monotonic()

    def hear(self, count: int, limited_by: str) -> None:
        """So many more were answered for, in the batch under way."""
        self._speed.add(monotonic(), count)
        self.progress = replace(
            self.progress, in_hand=self.progress.in_hand + count, limited_by=limited_by
        )
        self._say()

    def tell(self, progress: Progress) -> None:
        """A batch is over."""
        self.progress = progress
        self._say()

    def leave(self) -> None:
        """This sender is no longer at it."""
        with suppress(StoreError), session_on(self._engine) as session:
            pace.forget(session, self._issue_id, owner=self._owner)

    def _say(self) -> None:
        now = monotonic()
        self.progress = replace(self.progress, per_second=self._speed.per_second(now))
        if self._on_progress is not None:
            self._on_progress(self.progress)
        if now - self._told_at < EVERY_S:
            return
        self._told_at = now
        # Only for people to look at: a store that is busy must not hold up the mail.
        with suppress(StoreError), session_on(self._engine) as session:
            pace.record(
                session,
                issue_id=self._issue_id,
                owner=self._owner,
                now=self._clock(),
                per_second=self.progress.per_second,
                limited_by=self.progress.limited_by,
            )
