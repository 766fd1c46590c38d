"""Figures as they were worked out at an instant, kept, so that reading them costs nothing.

A snapshot remembers how far the facts had come (`signs`): figures are worked out again where
something came since. A sealed one stands for good: the events behind it were folded away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import JSON, CursorResult, TextClause, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.tracking.figures import IssueFigures, ListFigures
from newsletter.tracking.figures_json import from_plain, to_plain

LIST = "list"
REST = 20  # times what working them out took, before they are worked out again
YOUNG = timedelta(days=60)  # an issue; of an older one the figures are at most a day old
A_DAY = timedelta(days=1)

Signs = Mapping[str, Any]

# How far the append-only tables have come: each its primary key's end. waits: by the first part of
# to_classify's primary key, whether events of the issue are still to be looked at.
_ISSUE_SIGNS = text(
    """
    SELECT coalesce((SELECT max(id) FROM event), 0) AS event,
        coalesce((SELECT max(id) FROM provider_event), 0) AS provider_event,
        coalesce((SELECT max(id) FROM inbound_report), 0) AS inbound_report,
        coalesce((SELECT max(id) FROM vote), 0) AS vote,
        CASE WHEN EXISTS (SELECT 1 FROM to_classify WHERE issue_id = :issue_id) THEN 1 ELSE 0 END
            AS waits,
        (SELECT state FROM issue WHERE id = :issue_id) AS state
    """
)
_LIST_SIGNS = text(
    """
    SELECT coalesce((SELECT max(id) FROM consent_record), 0) AS consent_record,
        coalesce((SELECT max(id) FROM suppression), 0) AS suppression
    """
)

# Events by the index on (issue_id, kind), which ends with the id; the others by primary key, from
# where they were read to.
_NEWS = text(
    """
    SELECT CASE WHEN EXISTS (
            SELECT 1 FROM event WHERE issue_id = :issue_id AND id > :event AND kind IN
                ('image_load', 'click', 'unsubscribe', 'vote', 'preferences', 'resend'))
        OR EXISTS (
            SELECT 1 FROM provider_event WHERE id > :provider_event AND issue_id = :issue_id)
        OR EXISTS (
            SELECT 1 FROM inbound_report WHERE id > :inbound_report AND issue_id = :issue_id)
        OR EXISTS (
            SELECT 1 FROM vote WHERE id > :vote AND comparison_id IN (
                SELECT comparison_id FROM issue_item WHERE issue_id = :issue_id))
        OR :waits <> CASE WHEN EXISTS (
            SELECT 1 FROM to_classify WHERE issue_id = :issue_id) THEN 1 ELSE 0 END
        OR :state <> (SELECT state FROM issue WHERE id = :issue_id)
    THEN 1 ELSE 0 END
    """
)

# One row by primary key. Who worked longer may come in later with older figures: the newer stand,
# and so does what is sealed. What is later than now was worked out while a clock was ahead.
_SAVE = text(
    """
    INSERT INTO snapshot (name, computed_at, took_ms, body, is_sealed)
    VALUES (:name, :computed_at, :took_ms, :body, :is_sealed)
    ON CONFLICT (name) DO UPDATE SET computed_at = excluded.computed_at,
        took_ms = excluded.took_ms, body = excluded.body, is_sealed = excluded.is_sealed
    WHERE NOT snapshot.is_sealed
        AND (snapshot.computed_at <= excluded.computed_at OR snapshot.computed_at > :now)
    """
).bindparams(
    bindparam("computed_at", type_=UTCDateTime()),
    bindparam("now", type_=UTCDateTime()),
    bindparam("body", type_=JSON()),
)
_COLUMNS = "name, computed_at, took_ms, body, is_sealed"


def _typed(statement: TextClause) -> Any:
    return statement.columns(computed_at=UTCDateTime(), body=JSON())


# By primary key.
_LOAD = _typed(
    text(f"SELECT {_COLUMNS} FROM snapshot WHERE name IN :names").bindparams(  # noqa: S608
        bindparam("names", expanding=True)
    )
)
# By primary key. Nothing has been read of what there is: whatever there is, is news.
_OUTDATE = text("UPDATE snapshot SET body = :body WHERE name = :name").bindparams(
    bindparam("body", type_=JSON())
)

# A scan of `issue`, which has a row a week; of each one row by delivery's primary key. The excluded
# stay so, whatever becomes of the reader.
_ISSUES_OF = text(
    """
    SELECT issue.id FROM issue JOIN delivery
        ON delivery.issue_id = issue.id AND delivery.subscriber_id = :subscriber_id
    WHERE delivery.state <> 'excluded'
    """
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot's row. took_ms: what working its figures out took. outdated: how often it was."""

    name: str
    computed_at: datetime
    took_ms: int
    is_sealed: bool
    signs: Signs
    plain: Mapping[str, Any]
    outdated: int = 0

    def issue_figures(self) -> IssueFigures:
        """Raises KeyError, TypeError or ValueError where it holds something else."""
        return replace(from_plain(IssueFigures, self.plain), is_sealed=self.is_sealed)

    def list_figures(self) -> ListFigures:
        """Raises KeyError, TypeError or ValueError where it holds something else."""
        return from_plain(ListFigures, self.plain)


def name_of(issue_id: int) -> str:
    return f"issue:{issue_id}"


def load(session: Session, name: str) -> Kept | None:
    """What is kept under this name."""
    return load_all(session, [name]).get(name)


def load_all(session: Session, names: Sequence[str]) -> dict[str, Kept]:
    """What is kept under these names, by name."""
    rows = session.execute(_LOAD, {"names": list(names)}) if names else ()
    return {
        row.name: Kept(
            name=row.name,
            computed_at=row.computed_at,
            took_ms=row.took_ms,
            is_sealed=bool(row.is_sealed),
            signs=row.body["signs"],
            plain=row.body["figures"],
            outdated=row.body.get("outdated", 0),
        )
        for row in rows
    }


def save(
    session: Session,
    name: str,
    figures: IssueFigures | ListFigures,
    signs: Signs,
    *,
    took_ms: int,
    now: datetime | None = None,
    seal: bool = False,
) -> bool:
    """Keeps figures under a name; False where newer ones, or sealed ones, stand there.

    signs: taken in the transaction that the figures were counted in. now: whatever is later than
    that does not count as newer. seal: they stand for good.
    """
    kept = load(session, name)
    outdated = kept.outdated if kept else 0
    if outdated > signs.get("outdated", 0):  # while these were counted: they are not the last word
        signs = {}
    row = {
        "name": name,
        "computed_at": figures.computed_at,
        "took_ms": took_ms,
        "body": {"figures": to_plain(figures), "signs": dict(signs), "outdated": outdated},
        "is_sealed": seal,
        "now": now,
    }
    return cast("CursorResult[Any]", session.execute(_SAVE, row)).rowcount == 1


def outdate(session: Session, issue_id: int) -> None:
    """For who changes what facts are taken for (labels, suspicions): has them counted again."""
    kept = load(session, name_of(issue_id))
    if kept is not None and not kept.is_sealed:
        body = {"figures": dict(kept.plain), "signs": {}, "outdated": kept.outdated + 1}
        session.execute(_OUTDATE, {"name": kept.name, "body": body})


def outdate_of_reader(session: Session, subscriber_id: int) -> None:
    """The same of every issue that was for them: where what is known of a reader changes."""
    for (issue_id,) in session.execute(_ISSUES_OF, {"subscriber_id": subscriber_id}).all():
        outdate(session, issue_id)


def issue_signs(session: Session, issue_id: int) -> Signs:
    kept = load(session, name_of(issue_id))
    found = session.execute(_ISSUE_SIGNS, {"issue_id": issue_id}).mappings().one()
    return {**found, "outdated": kept.outdated if kept else 0}


def list_signs(session: Session) -> Signs:
    return dict(session.execute(_LIST_SIGNS).mappings().one())


def has_news(session: Session, kept: Kept, issue_id: int) -> bool:
    """Whether anything came since an issue's figures were counted; milliseconds.

    Of an issue that is going out there always is: its deliveries change all the time.
    """
    if not kept.signs or kept.signs["state"] == "sending":
        return True
    return bool(session.execute(_NEWS, {**kept.signs, "issue_id": issue_id}).scalar_one())


def is_ahead(kept: Kept, now: datetime) -> bool:
    """Whether a clock that was ahead said when: nobody knows how old the figures are."""
    return kept.computed_at > now


def is_rested(kept: Kept, now: datetime) -> bool:
    """Whether figures may be worked out again: counting takes a twentieth of the time at most."""
    return now - kept.computed_at >= REST * timedelta(milliseconds=kept.took_ms)


def is_due(
    session: Session, kept: Kept, issue_id: int, *, sent_at: datetime, now: datetime
) -> bool:
    """Whether the tick works an issue's figures out again.

    A young issue's at news, and once a day in any case; an older one's at news, once a day.
    """
    if kept.is_sealed or is_ahead(kept, now):
        return not kept.is_sealed
    if not is_rested(kept, now):
        return False
    is_a_day_old = now - kept.computed_at >= A_DAY
    if now - sent_at < YOUNG:
        return is_a_day_old or has_news(session, kept, issue_id)
    return is_a_day_old and has_news(session, kept, issue_id)
