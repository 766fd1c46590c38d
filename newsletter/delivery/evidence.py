"""What settles an uncertain delivery: a fact that proves what became of its message.

Whatever loads a mail's image, follows its link or leaves through it has the mail, machines
included: so it was taken. An event that brings a request's id back proves every message of that
request; a bounce that names its Message-ID proves that nobody got it. Functions work in the
caller's transaction, touch nothing but uncertain deliveries, and change nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery.proof import RESEND
from newsletter.store.models import Request
from newsletter.store.states import DELIVERY_MOVES, DeliveryState, move

# The uncertain rows of the issue's part of delivery's primary key, few, each with its reader's
# first event of this issue by event's index on subscriber_id. What an operator did is no evidence.
_EVENTS = text(
    """
    SELECT delivery.subscriber_id, (
        SELECT event.kind FROM event
        WHERE event.subscriber_id = delivery.subscriber_id
            AND event.issue_id = delivery.issue_id AND event.kind <> :resend
        ORDER BY event.id LIMIT 1
    ) AS kind
    FROM delivery WHERE delivery.issue_id = :issue_id AND delivery.state = 'uncertain'
    ORDER BY delivery.subscriber_id
    """
)

# The same part of the primary key.
_UNCERTAIN = text(
    """
    SELECT subscriber_id FROM delivery WHERE issue_id = :issue_id AND state = 'uncertain'
    ORDER BY subscriber_id
    """
)

# One row by primary key, in executemany. The losing case: an operator, or another fact, settled it
# between our look and this update; it is not uncertain any more, and stays as it was settled.
_SETTLE = text(
    """
    UPDATE delivery SET state = :state, reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = 'uncertain'
    """
).bindparams(bindparam("now", type_=UTCDateTime()))


def by_events(session: Session, issue_id: int) -> dict[int, str]:
    """The issue's uncertain deliveries that an event proves: its kind, by subscriber id."""
    session.flush()
    rows = session.execute(_EVENTS, {"issue_id": issue_id, "resend": RESEND})
    return {row.subscriber_id: row.kind for row in rows if row.kind}


def settle_by_events(session: Session, issue_id: int, now: datetime) -> int:
    """Those that an event proves become submitted, and say which kind of event it was; how many."""
    proven = by_events(session, issue_id)
    reasons = {id_: f"proven by {_called(kind)}" for id_, kind in proven.items()}
    return _settle(session, issue_id, DeliveryState.SUBMITTED, reasons, now)


def request_known(session: Session, request_id: str, now: datetime) -> int:
    """An event brought `request_id` back: all uncertain ones of it become submitted; how many.

    An id that is not on record proves nothing: 0.
    """
    request = session.get(Request, request_id)
    if request is None:
        return 0
    reasons = dict.fromkeys(request.subscriber_ids, "proven by an event of its request")
    return _settle(session, request.issue_id, DeliveryState.SUBMITTED, reasons, now)


def bounced(
    session: Session, issue_id: int, subscriber_id: int, reason: str, now: datetime
) -> bool:
    """A bounce of this very message: an uncertain delivery becomes bounced; whether it did.

    reason: the bounce's code and words, such as `5.1.1 no such user`; kept with the delivery.
    """
    kept = {subscriber_id: reason.strip() or "a bounce without a reason"}
    return _settle(session, issue_id, DeliveryState.BOUNCED, kept, now) == 1


def reader_of(
    session: Session, issue_id: int, message_id: str, message_id_of: Callable[[int], str]
) -> int | None:
    """Whose uncertain delivery has this Message-ID (angle brackets or not); None for nobody's.

    message_id_of: makes the issue's Message-ID of a subscriber id. Ids are keyed hashes that lead
    nowhere by themselves, so each uncertain one is made again: microseconds each.
    """
    wanted = message_id.strip().strip("<>")
    for (subscriber_id,) in session.execute(_UNCERTAIN, {"issue_id": issue_id}):
        if message_id_of(subscriber_id) == wanted:
            return int(subscriber_id)
    return None


def _settle(
    session: Session,
    issue_id: int,
    state: DeliveryState,
    reasons: Mapping[int, str],
    now: datetime,
) -> int:
    move(DELIVERY_MOVES, DeliveryState.UNCERTAIN, state)
    rows: Collection[dict[str, Any]] = [
        {
            "issue_id": issue_id,
            "subscriber_id": id_,
            "state": str(state),
            "reason": reason,
            "now": now,
        }
        for id_, reason in reasons.items()
    ]
    return _changed(session, _SETTLE, rows) if rows else 0


def _called(kind: str) -> str:
    """`image_load` -> `an image load`."""
    words = kind.replace("_", " ")
    return f"{'an' if words[:1] in 'aeio' else 'a'} {words}"


def _changed(session: Session, statement: Executable, rows: Collection[dict[str, Any]]) -> int:
    result = session.execute(statement, list(rows))
    return cast("CursorResult[Any]", result).rowcount
