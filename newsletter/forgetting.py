"""What is kept of readers' doings grows less with time: a job that says what it did.

`tracking.retention` says what is cut and when; this does it step by step, each its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Session

from newsletter import stats
from newsletter.app import App
from newsletter.errors import NewsletterError
from newsletter.store.turns import never, turns
from newsletter.tracking import retention
from newsletter.tracking.retention import Step
from newsletter.webhooks import messages

STEPS = 100  # of each kind an hour: 200,000 rows

_HOUR = "retention_hour"
_SECONDS = 3_600

# One row by primary key. Of two that ask in one hour, one finds that it is done.
_TAKE_HOUR = text(
    "INSERT INTO bookmark (name, last_id) VALUES (:name, :hour)"
    " ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id"
    " WHERE bookmark.last_id <> excluded.last_id RETURNING last_id"
)
_HOUR_DONE = text("SELECT 1 FROM bookmark WHERE name = :name AND last_id = :hour")


def apply(app: App, *, should_stop: Callable[[], bool] = never) -> Iterator[str]:
    """A part of the tick, once an hour: forgets what is due, some of it, and says how much."""
    now = app.clock()
    row = {"name": _HOUR, "hour": int(now.timestamp()) // _SECONDS}
    with app.session(readonly=True) as session:
        if session.execute(_HOUR_DONE, row).first():
            return
    with app.session() as session:
        is_ours = session.execute(_TAKE_HOUR, row).first() is not None
    if is_ours:
        yield from forget(app, steps=STEPS, should_stop=should_stop)


def forget(
    app: App, *, steps: int | None = None, should_stop: Callable[[], bool] = never
) -> Iterator[str]:
    """Forgets what is due now, a sentence for each kind of which there was any.

    steps: of each kind, at most; None: all there is. should_stop: asked between transactions.
    """
    now = app.clock()

    def every(step: Callable[[Session], Step]) -> int:
        return _rows(app, turns(steps, should_stop=should_stop), step)

    cut = every(lambda session: retention.coarsen(session, now))
    if cut:
        yield f"agents and networks cut, of events older than 30 days: {cut}"
    cut = every(lambda session: retention.cut_told(session, now))
    if cut:
        yield f"addresses cut in what providers told more than 30 days ago: {cut}"
    with app.session() as session:
        gone = messages.forget_before(session, now - retention.WHOLE)
    if gone:
        yield f"webhook messages forgotten after 30 days: {gone}"
    yield from _seal(app, now)
    gone = every(retention.drop_sealed)
    if gone:
        yield f"events folded into the figures of their issues after 13 months: {gone}"
    gone = every(lambda session: retention.drop_told(session, now))
    if gone:
        yield f"events of providers forgotten after 13 months: {gone}"


def _seal(app: App, now: datetime) -> Iterator[str]:
    """An issue whose figures cannot be worked out keeps its events, and no other issue waits."""
    with app.session(readonly=True) as session:
        due = retention.to_seal(session, now)
    for issue_id in due:
        try:
            stats.seal(app, issue_id)
        except NewsletterError as error:
            yield f"the figures of issue {issue_id} could not be sealed, its events stay: {error}"
        else:
            yield f"the figures of issue {issue_id} stand for good, after 13 months"


def _rows(app: App, its_turns: Iterator[int], step: Callable[[Session], Step]) -> int:
    """Repeats a step, each in its own transaction, until nothing more is due; how many rows."""
    rows = 0
    for _ in its_turns:
        with app.session() as session:
            found = step(session)
        rows += found.rows
        if found.is_over:
            break
    return rows
