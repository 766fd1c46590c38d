"""The hits of readers' mail become events: a part of the tick, and of `run --once`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlmodel import Session

from newsletter import endings
from newsletter.app import App
from newsletter.delivery import evidence
from newsletter.store.turns import never
from newsletter.tracking import hit_import
from newsletter.tracking.events import EventKind


def take_in(app: App, *, should_stop: Callable[[], bool] = never) -> Iterator[str]:
    """Takes in what the logs of all serving processes hold; says only what it could not use.

    should_stop: asked between its transactions.
    """
    now = app.clock()

    def prove(session: Session, issue_id: int, kinds: Mapping[int, EventKind]) -> None:
        # Of whom nothing is kept, it is now or never.
        if evidence.settle_as_proven(session, issue_id, kinds, now):
            endings.end_where_complete(session, issue_id, now=now)

    taken = hit_import.take_in(
        app.engine,
        app.home,
        now=now,
        tracking=app.settings.tracking,
        prove=prove,
        should_stop=should_stop,
    )
    if taken.damaged:
        yield f"lines of the hit log that were damaged: {taken.damaged}"
    if taken.unknown:
        yield f"hits of issues that are not in this store: {taken.unknown}"
    for file in taken.unreadable:
        yield f"a file of the hit log that cannot be read, {file}"
