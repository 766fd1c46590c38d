"""What readers do with their mail, told to the audience: who gave a sign of life, who was silent.

Run at every tick, in the caller's transaction; each event and each issue is taken in once. What a
person alone does counts: an image that loads does not, since mail programs load it for everybody.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers import engagement

AT_ONCE = 50_000  # events of one call: a second's work; the rest comes with the next
TIME_TO_READ = timedelta(days=3)  # after an issue is done, before silence means anything
HUMAN = ("click", "vote", "unsubscribe", "preferences")

_BOOKMARK = "engagement"
_READ_TO = text("SELECT last_id FROM bookmark WHERE name = :name")
_PUT_BOOKMARK = text(
    "INSERT INTO bookmark (name, last_id) VALUES (:name, :last_id)"
    " ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id"
)

# By primary key, from the bookmark on.
_NEXT_EVENTS = text(
    "SELECT id, subscriber_id, kind, at FROM event WHERE id > :last_id ORDER BY id LIMIT :at_once"
).columns(at=UTCDateTime())

# A table of one row a week.
_TO_COUNT = (
    text(
        "SELECT id, frozen_at FROM issue WHERE kind = 'weekly' AND done_at <= :until"
        " AND silence_counted_at IS NULL AND frozen_at IS NOT NULL ORDER BY done_at, id"
    )
    .bindparams(bindparam("until", type_=UTCDateTime()))
    .columns(frozen_at=UTCDateTime())
)
_COUNTED = text("UPDATE issue SET silence_counted_at = :now WHERE id = :issue_id").bindparams(
    bindparam("now", type_=UTCDateTime())
)

# The issue's part of delivery's primary key, once an issue.
_COUNT = engagement.issue_sent(
    "SELECT subscriber_id FROM delivery WHERE issue_id = :issue_id"
    " AND state IN ('submitted', 'delivered')"
)


def take_in(session: Session, *, now: datetime, at_once: int = AT_ONCE) -> int:
    """Hears the events since the last call, then counts the issues that are due; how many events.

    Silence is counted behind the signs of life, so that nobody is silent because we were slow:
    where events are left, it waits for the next call.
    """
    session.flush()
    heard = _hear(session, at_once)
    if heard < at_once:
        _count_silence(session, now)
    return heard


def _hear(session: Session, at_once: int) -> int:
    last_id = session.execute(_READ_TO, {"name": _BOOKMARK}).scalar() or 0
    events = session.execute(_NEXT_EVENTS, {"last_id": last_id, "at_once": at_once}).all()
    if not events:
        return 0
    seen: dict[int, datetime] = {}
    for event in events:
        if event.kind in HUMAN and event.subscriber_id:
            seen[event.subscriber_id] = max(event.at, seen.get(event.subscriber_id, event.at))
    engagement.signs_of_life(session, seen)
    session.execute(_PUT_BOOKMARK, {"name": _BOOKMARK, "last_id": events[-1].id})
    return len(events)


def _count_silence(session: Session, now: datetime) -> None:
    for issue in session.execute(_TO_COUNT, {"until": now - TIME_TO_READ}).all():
        session.execute(_COUNT, {"issue_id": issue.id, "since": issue.frozen_at})
        session.execute(_COUNTED, {"issue_id": issue.id, "now": now})
