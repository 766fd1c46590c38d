"""What readers do with their mail, told to the audience: who gave a sign of life, who was silent.

Run at every tick, in the caller's transaction; each event and each issue is taken in once. What a
person did counts, by its label (`tracking.rules`): a click of a scanner does not, nor does an image
that a mail program loads for everybody.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.tracking import classify
from subscribers import engagement

TIME_TO_READ = timedelta(days=3)  # after an issue is done, before silence means anything

# A table of one row a week. To an issue that is not tracked nobody can answer: it counts for none.
_TO_COUNT = (
    text(
        "SELECT id, frozen_at FROM issue WHERE kind = 'weekly' AND done_at <= :until"
        " AND silence_counted_at IS NULL AND frozen_at IS NOT NULL AND is_tracked"
        " ORDER BY done_at, id"
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

# Only where it was the last that was heard of them: else something newer stands. Their silence is
# counted again behind what is left, so that no machine has ended it. One row by primary key;
# event's index on (subscriber_id, issue_id); of the counted issues, a row a week, the reader's
# delivery by primary key.
_LAST = (
    "(SELECT max(at) FROM event WHERE subscriber_id = :subscriber_id AND label = 'human'"
    " AND issue_id IS NOT NULL)"
)
_WITHDRAW = text(
    f"UPDATE engagement SET last_human_at = {_LAST}, issues_without = ("  # noqa: S608
    "SELECT count(*) FROM issue JOIN delivery ON delivery.issue_id = issue.id"
    " AND delivery.subscriber_id = :subscriber_id"
    " AND delivery.state IN ('submitted', 'delivered')"
    " WHERE issue.silence_counted_at IS NOT NULL"
    f" AND (issue.frozen_at > {_LAST} OR {_LAST} IS NULL))"
    " WHERE subscriber_id = :subscriber_id AND last_human_at = :at"
).bindparams(bindparam("at", type_=UTCDateTime()))


def take_in(session: Session, *, now: datetime, at_once: int = classify.AT_ONCE) -> classify.Done:
    """Labels the events that are due, hears people's among them, then counts issues that are due.

    at_once: of pairs of reader and issue; where there are more, the next call goes on. Silence is
    counted behind the signs of life, so that nobody is silent because we were slow: while anything
    due waits, no issue is counted.
    """
    done = classify.run(session, now, at_once)
    _hear(session, done)
    if not classify.is_behind(session, now):
        _count_silence(session, now)
    return done


def take_in_again(
    session: Session, *, after_id: int = 0, before_version: int | None = None
) -> classify.Done:
    """`classify.run_again`, and the signs of life that come to light, or prove to be none."""
    done = classify.run_again(session, after_id=after_id, before_version=before_version)
    _hear(session, done)
    return done


def _hear(session: Session, done: classify.Done) -> None:
    """What a machine did is no sign of life, also where it was taken for a person's at first."""
    rows = [
        {"subscriber_id": reader, "at": at} for reader, ats in done.withdrawn.items() for at in ats
    ]
    if rows:
        session.connection().execute(_WITHDRAW, rows)
    engagement.signs_of_life(session, done.signs)


def _count_silence(session: Session, now: datetime) -> None:
    for issue in session.execute(_TO_COUNT, {"until": now - TIME_TO_READ}).all():
        session.execute(_COUNT, {"issue_id": issue.id, "since": issue.frozen_at})
        session.execute(_COUNTED, {"issue_id": issue.id, "now": now})
