"""Secrets that endpoints had before: each signs beside the newest until its end, then no more.

A receiver is given the new one meanwhile, and refuses no message: it takes a call that is signed by
any secret it knows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.errors import RefusedError
from newsletter.store.feedback import OldSecret
from newsletter.store.timed import timed

MOST: Final = 4  # of an endpoint at a time: receivers look at a few signatures only


# All by the index on endpoint_id, or walks over a table of a few rows.
_SIGNING = timed(
    "SELECT secret FROM old_secret WHERE endpoint_id = :endpoint_id AND ends_at > :now"
    " ORDER BY id DESC",
    "now",
)
_ENDS = text(
    "SELECT endpoint_id, max(ends_at) AS ends_at FROM old_secret GROUP BY endpoint_id"
).columns(ends_at=UTCDateTime())
_END_BY = timed(
    "UPDATE old_secret SET ends_at = :until WHERE endpoint_id = :endpoint_id AND ends_at > :until",
    "until",
)
_FORGET = timed("DELETE FROM old_secret WHERE ends_at <= :now", "now")
_FORGET_ALL = text("DELETE FROM old_secret WHERE endpoint_id = :endpoint_id")


def retire(
    session: Session, endpoint_id: int, secret: str, *, until: datetime, now: datetime
) -> None:
    """Lets a secret sign until an instant, and those before it no longer than that.

    Raises RefusedError where `MOST` of them sign already.
    """
    session.add(OldSecret(endpoint_id=endpoint_id, secret=secret, ends_at=until))
    session.flush()
    session.execute(_END_BY, {"endpoint_id": endpoint_id, "until": until})
    session.execute(_FORGET, {"now": now})
    if len(signing(session, endpoint_id, now=now)) > MOST:
        raise RefusedError(
            f"{MOST} older secrets of endpoint {endpoint_id} sign already, which is the most",
            hint="wait until the first of them ends, or let all of them end now with --hours 0",
        )


def signing(session: Session, endpoint_id: int, *, now: datetime) -> tuple[str, ...]:
    """The older secrets that sign still, the latest first."""
    values = {"endpoint_id": endpoint_id, "now": now}
    return tuple(session.execute(_SIGNING, values).scalars())


def ends(session: Session) -> dict[int, datetime]:
    """Of each endpoint that has any on record, when the last of them ends, or ended."""
    return {row.endpoint_id: row.ends_at for row in session.execute(_ENDS)}


def forget_ended(session: Session, *, now: datetime) -> None:
    session.execute(_FORGET, {"now": now})


def forget_all(session: Session, endpoint_id: int) -> None:
    """Those of an endpoint that is called no more."""
    session.execute(_FORGET_ALL, {"endpoint_id": endpoint_id})
