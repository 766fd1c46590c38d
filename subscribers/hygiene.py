"""The sunset rule: who gives no sign of life is asked, and who does not answer is paused.

Mail that nobody wants harms what everybody else gets. A pause loses nobody: they stay on the list
and come back with one press of a button. Who is not tracked can give no sign, so the rule leaves
them alone; whoever chose anything on their own page since they were asked has answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Integer, bindparam, column, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.choices import pause
from subscribers.outcomes import Changed

WAIT: Final = timedelta(days=28)  # for an answer
SOURCE: Final = "sunset rule"

# One walk over `engagement` in the order of its key, cut off by `most`; the others by theirs.
_SILENT = (
    text(
        "SELECT e.subscriber_id, e.issues_without, e.last_human_at, e.asked_at,"
        " (SELECT max(c.at) FROM consent_record c WHERE c.subscriber_id = s.id) AS chose_at"
        " FROM engagement e JOIN subscriber s ON s.id = e.subscriber_id"
        " LEFT JOIN suppression p ON p.address_key = s.address_key AND p.lifted_at IS NULL"
        " WHERE e.issues_without >= :issues AND s.status = 'active' AND s.is_tracked"
        " AND p.id IS NULL AND (e.asked_at IS NULL OR e.asked_at <= :asked_before"
        " OR e.asked_at < e.last_human_at) AND e.subscriber_id > :after"
        " ORDER BY e.subscriber_id LIMIT :most"
    )
    .bindparams(bindparam("asked_before", type_=UTCDateTime()))
    .columns(
        column("subscriber_id", Integer),
        column("issues_without", Integer),
        column("last_human_at", UTCDateTime()),
        column("asked_at", UTCDateTime()),
        column("chose_at", UTCDateTime()),
    )
)

_ASKED = text(
    "UPDATE engagement SET asked_at = :at WHERE subscriber_id = :subscriber_id"
).bindparams(bindparam("at", type_=UTCDateTime()))


class Step(StrEnum):
    """What the rule does next about a reader."""

    NOTHING = "nothing"
    ASK = "ask"  # whether they still want it
    PAUSE = "pause"  # they were asked, and gave no sign since


@dataclass(frozen=True, slots=True)
class Silence:
    """What is known of somebody's silence. chose_at: their newest consent record."""

    subscriber_id: int
    issues_without: int
    last_human_at: datetime | None = None
    asked_at: datetime | None = None
    chose_at: datetime | None = None


def next_step(silence: Silence, *, after_issues: int, now: datetime) -> Step:
    """after_issues: how many without a sign are too many; 0: the rule is off."""
    if after_issues <= 0 or silence.issues_without < after_issues:
        return Step.NOTHING
    asked, heard = silence.asked_at, silence.last_human_at
    if asked is None or (heard is not None and heard > asked):
        return Step.ASK
    if silence.chose_at is not None and silence.chose_at > asked:
        return Step.NOTHING
    return Step.PAUSE if now - asked >= WAIT else Step.NOTHING


def silent(
    session: Session, *, after_issues: int, now: datetime, after_id: int = 0, most: int = 500
) -> Sequence[Silence]:
    """Active, tracked readers whom the rule may concern, by id, `most` at a time."""
    session.flush()
    values: Mapping[str, object] = {
        "issues": after_issues,
        "asked_before": now - WAIT,
        "after": after_id,
        "most": most,
    }
    return [Silence(*row) for row in session.execute(_SILENT, values)]


def asked(session: Session, subscriber_id: int, at: datetime | None) -> None:
    """They were asked at `at`; None: the question never reached them."""
    session.execute(_ASKED, {"subscriber_id": subscriber_id, "at": at})


def pause_silent(session: Session, subscriber_id: int, *, now: datetime) -> bool:
    """Until they say otherwise, on record; whether that is news."""
    changed = pause(session, subscriber_id, source=SOURCE, network="", now=now)
    return changed is Changed.CHANGED
