"""What is on record of the readers something bad is told of, looked up for all of them at once.

A reader costs a millisecond where each is looked up alone. What is read here stays true while the
consequences are drawn, in the same transaction: these suppress, take off the list and move
deliveries, and none of that is part of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, TextualSelect, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime


def _about(sql: str) -> TextualSelect:
    """`sql` about the readers `ids`; its column `at` is an instant."""
    named = text(sql).bindparams(bindparam("ids", expanding=True))
    return named.columns(at=UTCDateTime())


# By primary key.
_READERS: Final = text(
    "SELECT id, status, address_key FROM subscriber WHERE id IN :ids"
).bindparams(bindparam("ids", expanding=True))

# Each by its index on subscriber_id. The few weighty facts, of system mails too.
_TOLD: Final = _about(
    "SELECT subscriber_id, issue_id, at, kind, code, detail, is_waiting FROM provider_event"
    " WHERE subscriber_id IN :ids AND kind IN"
    " ('complained', 'unsubscribed', 'bounced', 'invalid', 'blocked', 'dropped')"
)
_REPORTED: Final = _about(
    "SELECT subscriber_id, issue_id, received_at AS at, verdict FROM inbound_report"
    " WHERE subscriber_id IN :ids AND issue_id IS NOT NULL AND kind = 'bounce'"
)
# When an operator last had an issue sent again.
_SENT_AGAIN: Final = _about(
    "SELECT subscriber_id, issue_id, max(at) AS at FROM event"
    " WHERE subscriber_id IN :ids AND kind = 'resend' GROUP BY subscriber_id, issue_id"
)
# What only the person does, through their own mailbox.
_AGREED: Final = _about(
    "SELECT subscriber_id, max(at) AS at FROM consent_record WHERE subscriber_id IN :ids"
    " AND action IN ('confirmed', 'returned') GROUP BY subscriber_id"
)
_MOVED: Final = _about(
    "SELECT subscriber_id, max(ended_at) AS at FROM address_change"
    " WHERE subscriber_id IN :ids AND ended_at IS NOT NULL AND old_agreed_at IS NOT NULL"
    " AND new_agreed_at IS NOT NULL GROUP BY subscriber_id"
)

# The last time a row of refusals began anew: another mailbox, a new agreement, an operator's word.
# As above; suppressions by the index on address_key. A graver reason that took a suppression's
# place (`subscribers.suppression`) is no word of anybody's.
_BEGUN_ANEW: Final = _about(
    """
    SELECT subscriber_id, max(at) AS at FROM (
        SELECT subscriber_id, ended_at AS at FROM address_change WHERE subscriber_id IN :ids
            AND ended_at IS NOT NULL AND old_agreed_at IS NOT NULL AND new_agreed_at IS NOT NULL
        UNION ALL SELECT subscriber_id, at FROM consent_record
            WHERE subscriber_id IN :ids AND action = 'confirmed'
        UNION ALL SELECT subscriber.id, suppression.lifted_at FROM subscriber
            JOIN suppression ON suppression.address_key = subscriber.address_key
            WHERE subscriber.id IN :ids AND suppression.reason = 'soft_bounces'
                AND suppression.lifted_at IS NOT NULL
                AND suppression.lifted_because NOT LIKE '% took its place'
    ) AS begun GROUP BY subscriber_id
    """
)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """Some readers; each mapping is by their id, and lacks whoever has nothing of the kind.

    readers: id, status and address_key. told, reported: the refusals, complaints and leavings that
    providers and mails told of. again: issue to when it was last sent on purpose again, to the
    whole second: so exact are providers. agreed: to be written to, through their own mailbox.
    moved: to another address. begun_anew: their row of refusals.
    """

    readers: Mapping[int, Row[Any]]
    told: Mapping[int, Sequence[Row[Any]]]
    reported: Mapping[int, Sequence[Row[Any]]]
    again: Mapping[int, Mapping[int | None, datetime]]
    agreed: Mapping[int, datetime]
    moved: Mapping[int, datetime]
    begun_anew: Mapping[int, datetime]


NOTHING: Final = OnRecord({}, {}, {}, {}, {}, {}, {})


def look_up(session: Session, subscriber_ids: Collection[int]) -> OnRecord:
    """Seven statements, however many readers (up to some thousands); none for nobody."""
    if not subscriber_ids:
        return NOTHING
    about = {"ids": sorted(set(subscriber_ids))}
    again: defaultdict[int, dict[int | None, datetime]] = defaultdict(dict)
    for row in session.execute(_SENT_AGAIN, about):
        again[row.subscriber_id][row.issue_id] = row.at.replace(microsecond=0)
    return OnRecord(
        readers={row.id: row for row in session.execute(_READERS, about)},
        told=_by_reader(session, _TOLD, about),
        reported=_by_reader(session, _REPORTED, about),
        again=again,
        agreed=_instants(session, _AGREED, about),
        moved=_instants(session, _MOVED, about),
        begun_anew=_instants(session, _BEGUN_ANEW, about),
    )


def _by_reader(
    session: Session, query: TextualSelect, about: Mapping[str, Any]
) -> Mapping[int, Sequence[Row[Any]]]:
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in session.execute(query, about):
        found[row.subscriber_id].append(row)
    return found


def _instants(
    session: Session, query: TextualSelect, about: Mapping[str, Any]
) -> Mapping[int, datetime]:
    return {row.subscriber_id: row.at for row in session.execute(query, about)}
