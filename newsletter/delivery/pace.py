"""How fast an issue goes out, and what holds it back: measured by each sender, kept for everybody.

A row a sender in the table `pace`, written every few seconds and gone when the sender is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from sqlmodel import Session, col, delete, select

from newsletter.store import models

SEEN_WITHIN = timedelta(minutes=2)  # who has not been heard of for longer is not counted
OVER_S = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """All senders of an issue together: messages a second, and the limits they name."""

    senders: int
    per_second: float
    limited_by: str  # empty where nothing of ours holds them back


@dataclass(slots=True)
class Speed:
    """Messages a second over the last `over_s` seconds, or since it began where that is less.

    Instants are seconds of one clock that never goes back (`time.monotonic`).
    """

    started_s: float = field(default_factory=monotonic)
    over_s: float = OVER_S
    # (when its first messages were heard of, how many): a thirtieth of the time each.
    _stretches: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, at_s: float, count: int) -> None:
        """`count` messages left between the last call and `at_s`."""
        if self._stretches and at_s - self._stretches[-1][0] < self.over_s / 30:
            since_s, before = self._stretches.pop()
            self._stretches.append((since_s, before + count))
        else:
            self._stretches.append((at_s, count))
        self._forget(at_s)

    def per_second(self, at_s: float) -> float:
        """The rate as it is at `at_s`: it falls while nothing leaves. 0 before any time passed."""
        self._forget(at_s)
        lasted_s = min(self.over_s, at_s - self.started_s)
        return sum(count for _since_s, count in self._stretches) / lasted_s if lasted_s > 0 else 0.0

    def _forget(self, at_s: float) -> None:
        while self._stretches and self._stretches[0][0] <= at_s - self.over_s:
            self._stretches.popleft()


def record(
    session: Session,
    *,
    issue_id: int,
    owner: str,
    now: datetime,
    per_second: float,
    limited_by: str,
) -> None:
    """Writes down one sender's pace, over what it was."""
    session.merge(
        models.Pace(
            issue_id=issue_id,
            owner=owner,
            seen_at=now,
            per_second=per_second,
            limited_by=limited_by,
        )
    )


def current(session: Session, issue_id: int, now: datetime) -> Pace | None:
    """The pace of the senders heard of lately; None where there is none.

    A row dated further ahead than that was left before the clock was set back: not counted either.
    """
    rows = session.exec(
        select(models.Pace)
        .where(models.Pace.issue_id == issue_id)
        .where(col(models.Pace.seen_at) >= now - SEEN_WITHIN)
        .where(col(models.Pace.seen_at) <= now + SEEN_WITHIN)
        .order_by(col(models.Pace.owner))
    ).all()
    if not rows:
        return None
    limits = dict.fromkeys(row.limited_by for row in rows if row.limited_by)
    return Pace(len(rows), sum(row.per_second for row in rows), "; ".join(limits))


def forget(session: Session, issue_id: int, *, owner: str | None = None) -> None:
    """Drops what one sender wrote, or everything there is about the issue."""
    gone = delete(models.Pace).where(col(models.Pace.issue_id) == issue_id)
    session.execute(gone if owner is None else gone.where(col(models.Pace.owner) == owner))
