"""What settles an uncertain delivery: a fact that proves what became of its message.

Whatever loads a mail's image, follows its link or leaves through it has the mail, machines
included: so it was taken. An event that brings a request's id back proves every message of that
request. (A bounce proves that nobody got it: `delivery.bounces`.) Functions work in the caller's
transaction, touch nothing but uncertain deliveries, and change nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import CursorResult, Executable, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery import message_ids_of
from newsletter.delivery import statements as sql
from newsletter.delivery.proof import RESEND
from newsletter.store.models import Request
from newsletter.store.states import DELIVERY_MOVES, DeliveryState, move

TOLD: Final = "proven by what its provider told"
MAX_MADE_AGAIN: Final = 1_000_000  # Message-IDs, for one that a mail names: some seconds

# The uncertain rows of the issue's part of delivery's primary key, few, each with its reader's
# first event of this issue by event's index on subscriber_id. What an operator did is no evidence,
# and neither is HEAD: it shows nothing to anybody.
_EVENTS = text(
    """
    SELECT delivery.subscriber_id, (
        SELECT event.kind FROM event
        WHERE event.subscriber_id = delivery.subscriber_id
            AND event.issue_id = delivery.issue_id AND event.kind <> :resend
            AND event.method <> 'HEAD'
        ORDER BY event.id LIMIT 1
    ) AS kind
    FROM delivery WHERE delivery.issue_id = :issue_id AND delivery.state = 'uncertain'
    ORDER BY delivery.subscriber_id
    """
)

# The same part of the primary key.
_SENT = text(
    """
    SELECT subscriber_id FROM delivery WHERE issue_id = :issue_id AND state <> 'excluded'
    LIMIT :most
    """
)

# The end of that part.
_LAST = text("SELECT max(subscriber_id) FROM delivery WHERE issue_id = :issue_id")

# One row by primary key, in executemany. The losing case: an operator, or another fact, settled it
# between our look and this update; it is not uncertain any more, and stays as it was settled. It
# was taken when it was attempted, the last time: the same instant whatever proves it.
_SETTLE = text(
    """
    UPDATE delivery SET state = :state, reason = :reason,
        submitted_at = changed_at, changed_at = :now
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
    return settle_as_proven(session, issue_id, by_events(session, issue_id), now)


def settle_as_proven(
    session: Session, issue_id: int, kinds: Mapping[int, str], now: datetime
) -> int:
    """The same by what readers are known to have done, by subscriber id; how many."""
    reasons = {id_: f"proven by {_called(kind)}" for id_, kind in kinds.items()}
    return _settle(session, issue_id, DeliveryState.SUBMITTED, reasons, now)


def request_known(session: Session, request_id: str, now: datetime) -> int:
    """An event brought `request_id` back: all uncertain ones of it become submitted; how many.

    An id that is not on record proves nothing: 0.
    """
    request = session.get(Request, request_id)
    if request is None:
        return 0
    reasons = dict.fromkeys(request.subscriber_ids, TOLD)
    return _settle(session, request.issue_id, DeliveryState.SUBMITTED, reasons, now)


def issue_of(session: Session, request_id: str) -> int:
    """The issue of a request that is on record."""
    return session.get_one(Request, request_id).issue_id


def reader_of(
    session: Session,
    issue_id: int,
    message_id: str,
    message_id_of: Callable[[int], str],
    *,
    likely: Collection[int] = (),
) -> int | None:
    """Whose delivery of the issue has this Message-ID (angle brackets or not); None for nobody's.

    message_id_of: makes the issue's Message-ID of a subscriber id. Ids are keyed hashes that lead
    nowhere by themselves, so each is made again, microseconds each: those of `likely` subscribers
    first, then the issue's, MAX_MADE_AGAIN of them at most.
    """
    wanted = message_id.strip().strip("<>")
    for subscriber_id in likely:
        if message_id_of(subscriber_id) == wanted:
            return subscriber_id
    return readers_of(session, issue_id, [wanted], message_id_of).get(wanted)


def readers_of(
    session: Session,
    issue_id: int,
    message_ids: Collection[str],
    message_id_of: Callable[[int], str],
) -> dict[str, int]:
    """The same of many Message-IDs (no angle brackets); who is nobody's is left out.

    All of the issue's are made once in a process, and made again only where its deliveries differ.
    """
    which = {"issue_id": issue_id}
    last_id = session.execute(_LAST, which).scalar()
    if last_id is None:
        return {}
    # Nobody's Message-ID differs with the keys, the sender's domain and the issue.
    known_as = (str(session.get_bind().engine.url), issue_id, message_id_of(0), last_id)

    def ids() -> Iterator[int]:
        return session.execute(_SENT, which | {"most": MAX_MADE_AGAIN}).scalars()

    return message_ids_of.readers(known_as, message_ids, message_id_of, ids)


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
    settled = _changed(session, _SETTLE, rows) if rows else 0
    if settled:
        session.execute(sql.LOOK_AGAIN, list(rows))
    return settled


def _called(kind: str) -> str:
    """`image_load` -> `an image load`."""
    words = kind.replace("_", " ")
    return f"{'an' if words[:1] in 'aeio' else 'a'} {words}"


def _changed(session: Session, statement: Executable, rows: Collection[dict[str, Any]]) -> int:
    result = session.execute(statement, list(rows))
    return cast("CursorResult[Any]", result).rowcount
