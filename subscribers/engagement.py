"""What readers' behaviour tells: signs of life, issues without one, soft bounces in a row.

Written by whoever hears of it; segments and the sunset rule read it and look no further up. Nothing
here commits. A reader nobody has heard of has no row, and counts as one with zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import TextClause, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

_EMPTY_ROW = "INSERT INTO engagement (subscriber_id, issues_without, soft_bounces)"

# One row by primary key, in executemany. Through `subscriber`, so that an id without a row there
# (an old token of somebody erased and gone) is no error. Facts may arrive late, or a second time:
# the newest stands, and one that is no news does not end a silence that began after it.
_ALIVE = text(
    "INSERT INTO engagement (subscriber_id, last_human_at, issues_without, soft_bounces)"
    " SELECT id, :at, 0, 0 FROM subscriber WHERE id = :subscriber_id"
    " ON CONFLICT (subscriber_id) DO UPDATE"
    " SET issues_without = 0, last_human_at = excluded.last_human_at"
    " WHERE engagement.last_human_at IS NULL"
    " OR engagement.last_human_at < excluded.last_human_at"
).bindparams(bindparam("at", type_=UTCDateTime()))

# One row by primary key. Who has none and never bounced needs none.
_SOFT_BOUNCES = text(
    "INSERT INTO engagement (subscriber_id, issues_without, soft_bounces, soft_bounced_issue)"
    " SELECT id, 0, :count, :newest FROM subscriber WHERE id = :subscriber_id"
    " ON CONFLICT (subscriber_id) DO UPDATE SET soft_bounces = excluded.soft_bounces,"
    " soft_bounced_issue = excluded.soft_bounced_issue"
)
_NO_SOFT_BOUNCES = text(
    "UPDATE engagement SET soft_bounces = 0 WHERE subscriber_id = :subscriber_id"
    " AND soft_bounces > 0"
)


def sign_of_life(session: Session, subscriber_id: int, at: datetime) -> None:
    """A person did something with their mail or their account at `at`: they are not silent."""
    signs_of_life(session, {subscriber_id: at})


def signs_of_life(session: Session, seen: Mapping[int, datetime]) -> None:
    """The same for many: subscriber id to the instant. Unknown ids change nothing."""
    rows = [{"subscriber_id": id_, "at": at} for id_, at in seen.items()]
    if rows:
        session.flush()
        session.connection().execute(_ALIVE, rows)


def issue_sent(readers: str) -> TextClause:
    """The statement that counts one more issue without a sign of life; run it once an issue.

    readers: a query (a constant of the caller's, never input) of the `subscriber_id` of everybody
    whom the issue reached; its parameters are the statement's, beside `since`: who has been heard
    of since then is not silent. Who is not tracked can give no sign, so their silence says nothing.
    """
    return text(
        f"{_EMPTY_ROW} SELECT reached.subscriber_id, 1, 0 FROM ({readers}) AS reached"  # noqa: S608
        " JOIN subscriber s ON s.id = reached.subscriber_id AND s.is_tracked"
        " WHERE true ON CONFLICT (subscriber_id) DO UPDATE"
        " SET issues_without = engagement.issues_without + 1"
        " WHERE engagement.last_human_at IS NULL OR engagement.last_human_at < :since"
    ).bindparams(bindparam("since", type_=UTCDateTime()))


def soft_bounces_are(
    session: Session, subscriber_id: int, count: int, *, newest: int | None
) -> None:
    """So many issues in a row could not be delivered for a passing reason, the newest among them.

    newest: None where there is none at all. Idempotent; somebody unknown changes nothing.
    """
    session.flush()
    row = {"subscriber_id": subscriber_id, "count": count, "newest": newest}
    session.connection().execute(_NO_SOFT_BOUNCES if newest is None else _SOFT_BOUNCES, row)
