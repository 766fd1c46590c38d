"""Messages to endpoints: written once, claimed for one call at a time, settled by its answer.

A claim is a lease: whoever dies between the call and its answer leaves a message that is due again,
under the same id, so it arrives at least once. The functions work in the caller's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.errors import NotFoundError, RefusedError
from newsletter.store.feedback import WebhookEndpoint, WebhookMessage
from newsletter.store.timed import timed
from newsletter.webhooks import old_secrets, patience
from newsletter.webhooks.kinds import Kind, body

LEASE: Final = timedelta(minutes=1)  # well above what a call may take


class MessageState(StrEnum):
    PLANNED = "planned"  # waits for its time, or for the answer to a call
    DELIVERED = "delivered"  # the endpoint took it
    FAILED = "failed"  # not taken in days: given up, until a person says otherwise
    DROPPED = "dropped"  # its endpoint was removed


class New(NamedTuple):
    """A message to be written. event: what happened and when, of which an endpoint is told once."""

    endpoint_id: int
    event: str
    kind: Kind
    body: str


class Claim(NamedTuple):
    """A message in hand for one call. attempts: this one included. wire_id: the same each time.

    secrets: each signs it; the newest first.
    """

    id: int
    endpoint_id: int
    url: str
    secrets: tuple[str, ...]
    wire_id: str
    kind: str
    body: str
    attempts: int
    sends_addresses: bool


@dataclass(frozen=True, slots=True)
class Logged:
    """A message and its last attempt. status: of HTTP; None without an answer, or an attempt."""

    id: int
    endpoint_id: int
    kind: str
    event: str
    state: MessageState
    attempts: int
    created_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    attempted_at: datetime | None
    status: int | None
    trouble: str
    took_ms: int | None


_TIMES = {name: UTCDateTime() for name in ("created_at", "due_at", "ended_at", "attempted_at")}


_WRITE = timed(
    "INSERT INTO webhook_message"
    " (endpoint_id, event, kind, body, state, attempts, created_at, due_at)"
    " VALUES (:endpoint_id, :event, :kind, :body, 'planned', 0, :now, :now)"
    " ON CONFLICT (endpoint_id, event) DO NOTHING",
    "now",
)

# For each of the few endpoints the first entry of its part of ix_webhook_message_due; the longest
# waiting first.
_DUE_ENDPOINTS = timed(
    "SELECT d.id FROM (SELECT e.id, (SELECT min(m.due_at) FROM webhook_message m"
    " WHERE m.endpoint_id = e.id AND m.state = 'planned') AS due_at"
    " FROM webhook_endpoint e WHERE e.removed_at IS NULL"
    " AND (e.held_until IS NULL OR e.held_until <= :now)) d"
    " WHERE d.due_at <= :now ORDER BY d.due_at, d.id",
    "now",
)

# The first entry of the endpoint's part of the same index; then one row by primary key. The losing
# case: another process claimed it between the two, so it is not due any more, and we look again.
_NEXT = timed(
    "SELECT m.id, m.endpoint_id, e.url, e.secret, e.id_key, m.event, m.kind, m.body,"
    " m.attempts, e.sends_addresses"
    " FROM webhook_message m JOIN webhook_endpoint e ON e.id = m.endpoint_id"
    " WHERE m.endpoint_id = :endpoint_id AND m.state = 'planned' AND m.due_at <= :now"
    " AND e.removed_at IS NULL AND (e.held_until IS NULL OR e.held_until <= :now)"
    " ORDER BY m.due_at, m.id LIMIT 1",
    "now",
)
_CLAIM = timed(
    "UPDATE webhook_message SET attempts = attempts + 1, due_at = :until"
    " WHERE id = :id AND state = 'planned' AND due_at <= :now",
    "now",
).bindparams(bindparam("until", type_=UTCDateTime()))

# By primary key. The losing case: the lease was over and another process has it in hand by now, or
# a person said to begin anew; what it made of it stands.
_SETTLE = text(
    "UPDATE webhook_message SET state = :state, due_at = :due_at, ended_at = :ended_at"
    " WHERE id = :id AND state = 'planned' AND attempts = :attempts"
).bindparams(bindparam("due_at", type_=UTCDateTime()), bindparam("ended_at", type_=UTCDateTime()))
_ATTEMPT = timed(
    "INSERT INTO webhook_attempt (message_id, at, status, trouble, took_ms)"
    " VALUES (:id, :now, :status, :trouble, :took_ms)",
    "now",
)

# By ix_webhook_attempt_message_id, of some ten rows.
_FIRST_ATTEMPT = text("SELECT min(at) AS at FROM webhook_attempt WHERE message_id = :id").columns(
    at=UTCDateTime()
)

# The endpoint's planned part of ix_webhook_message_due; the endpoint by primary key. A message's
# age is not enough: the silence may have been ours, or a person said to try it again.
_GIVE_UP_OLD = timed(
    "UPDATE webhook_message SET state = 'failed', due_at = NULL, ended_at = :now"
    " WHERE endpoint_id = :endpoint_id AND state = 'planned' AND created_at < :before"
    " AND EXISTS (SELECT 1 FROM webhook_endpoint e"
    " WHERE e.id = :endpoint_id AND e.failing_since < :before)",
    "now",
    "before",
)
_DROP = timed(
    "UPDATE webhook_message SET state = 'dropped', due_at = NULL, ended_at = :now"
    " WHERE endpoint_id = :endpoint_id AND state = 'planned'",
    "now",
)

# By primary key; its losing case is a message whose endpoint was removed.
_AGAIN = timed(
    "UPDATE webhook_message SET state = 'planned', attempts = 0, due_at = :now, ended_at = NULL"
    " WHERE id = :id AND endpoint_id IN (SELECT id FROM webhook_endpoint WHERE removed_at IS NULL)",
    "now",
)

# The endpoint's failed part of ix_webhook_message_due.
_FAILED_AGAIN = timed(
    "UPDATE webhook_message SET state = 'planned', attempts = 0, due_at = :now, ended_at = NULL"
    " WHERE endpoint_id = :endpoint_id AND state = 'failed'",
    "now",
)

# The index ix_webhook_message_due alone, of which each endpoint's delivered part is passed over.
_COUNTED = text(
    "SELECT endpoint_id, state, count(*) AS many FROM webhook_message"
    " WHERE state IN ('planned', 'failed') GROUP BY endpoint_id, state"
)

# Backwards by primary key; of each message its newest attempt by ix_webhook_attempt_message_id.
_LOG = text(
    "SELECT m.id, m.endpoint_id, m.kind, m.event, m.state, m.attempts, m.created_at, m.due_at,"
    " m.ended_at, a.at AS attempted_at, a.status, coalesce(a.trouble, '') AS trouble, a.took_ms"
    " FROM webhook_message m LEFT JOIN webhook_attempt a ON a.id ="
    " (SELECT max(b.id) FROM webhook_attempt b WHERE b.message_id = m.id)"
    " WHERE (:endpoint_id = 0 OR m.endpoint_id = :endpoint_id)"
    " AND (:state = '' OR m.state = :state) ORDER BY m.id DESC LIMIT :most"
).columns(**_TIMES)

# Retention: one walk over each table, once a day at most.
_FORGET_ATTEMPTS = text(
    "DELETE FROM webhook_attempt WHERE message_id IN"
    " (SELECT id FROM webhook_message WHERE state <> 'planned' AND ended_at < :instant)"
).bindparams(bindparam("instant", type_=UTCDateTime()))
_FORGET = text(
    "DELETE FROM webhook_message WHERE state <> 'planned' AND ended_at < :instant"
).bindparams(bindparam("instant", type_=UTCDateTime()))


def write(session: Session, fresh: Sequence[New], *, now: datetime) -> None:
    """What an endpoint was told of once is not written again."""
    if fresh:
        session.execute(_WRITE, [{**one._asdict(), "now": now} for one in fresh])


def due_endpoints(session: Session, *, now: datetime) -> list[int]:
    """The endpoints for which something is due, the one that waits longest first."""
    return [int(row.id) for row in session.execute(_DUE_ENDPOINTS, {"now": now})]


def claim(session: Session, endpoint_id: int, *, now: datetime) -> Claim | None:
    """The endpoint's next message, in hand until the lease is over; None where none is due."""
    while row := session.execute(_NEXT, {"endpoint_id": endpoint_id, "now": now}).first():
        taken: Any = session.execute(_CLAIM, {"id": row.id, "until": now + LEASE, "now": now})
        if taken.rowcount == 1:
            return Claim(
                id=row.id,
                endpoint_id=row.endpoint_id,
                url=row.url,
                secrets=(row.secret, *old_secrets.signing(session, endpoint_id, now=now)),
                wire_id=wire_id(row.id_key, row.event),
                kind=row.kind,
                body=row.body,
                attempts=row.attempts + 1,
                sends_addresses=bool(row.sends_addresses),
            )
    return None


def write_test(session: Session, endpoint_id: int, *, now: datetime) -> Claim:
    """A message that says nothing, written and claimed at once, so that no other process has it."""
    endpoint = session.get_one(WebhookEndpoint, endpoint_id)
    row = WebhookMessage(
        endpoint_id=endpoint_id,
        event=f"test:{secrets.token_hex(8)}",
        kind=Kind.TEST,
        body=body(Kind.TEST, now, {"endpoint": endpoint_id}),
        state=MessageState.PLANNED,
        attempts=1,
        created_at=now,
        due_at=now + LEASE,
    )
    session.add(row)
    session.flush()
    return Claim(
        id=row.id or 0,
        endpoint_id=endpoint_id,
        url=endpoint.url,
        secrets=(endpoint.secret, *old_secrets.signing(session, endpoint_id, now=now)),
        wire_id=wire_id(endpoint.id_key, row.event),
        kind=row.kind,
        body=row.body,
        attempts=row.attempts,
        sends_addresses=False,
    )


def wire_id(id_key: str, event: str) -> str:
    """The `webhook-id`: one for each thing an endpoint is told, on every attempt.

    Not by the secret, which may change between two attempts.
    Not of numbers of rows alone: those are given anew once a backup was restored, and a receiver
    would take the news for what it had already. So `event` holds the instant as well.
    """
    return "msg_" + hmac.digest(id_key.encode(), event.encode(), hashlib.sha256).hex()[:32]


def settle(
    session: Session, claimed: Claim, state: MessageState, *, due_at: datetime | None, now: datetime
) -> bool:
    """What becomes of a message after its call; False where it is in other hands by now."""
    done: Any = session.execute(
        _SETTLE,
        {
            "id": claimed.id,
            "attempts": claimed.attempts,
            "state": str(state),
            "due_at": due_at,
            "ended_at": None if state is MessageState.PLANNED else now,
        },
    )
    return bool(done.rowcount)


def note_attempt(
    session: Session,
    claimed: Claim,
    *,
    status: int | None,
    trouble: str,
    took_ms: int,
    now: datetime,
) -> None:
    """Puts a call on record. trouble: an answer's, which is cut."""
    row = {"id": claimed.id, "status": status, "took_ms": took_ms, "now": now}
    session.execute(_ATTEMPT, {**row, "trouble": trouble})


def first_called_at(session: Session, message_id: int) -> datetime | None:
    """When an endpoint was first told of it; None for what was never tried."""
    found = session.execute(_FIRST_ATTEMPT, {"id": message_id}).scalar()
    return found if isinstance(found, datetime) else None


def give_up_old(session: Session, endpoint_id: int, *, before: datetime, now: datetime) -> int:
    """Ends what was written before an instant, if the endpoint fails since before it; how many."""
    values = {"endpoint_id": endpoint_id, "before": before, "now": now}
    done: Any = session.execute(_GIVE_UP_OLD, values)
    return int(done.rowcount)


def drop(session: Session, endpoint_id: int, *, now: datetime) -> int:
    """Ends what waits for an endpoint that is no more; how many messages."""
    session.flush()
    done: Any = session.execute(_DROP, {"endpoint_id": endpoint_id, "now": now})
    return int(done.rowcount)


def again(session: Session, message_id: int, *, now: datetime) -> None:
    """The message is due now, with all its attempts before it; it keeps its id.

    Its endpoint's failing counts from here on, and no wait it asked for holds any more.
    Raises NotFoundError; RefusedError where the endpoint was removed.
    """
    done: Any = session.execute(_AGAIN, {"id": message_id, "now": now})
    if done.rowcount:
        patience.begin_anew(session, session.get_one(WebhookMessage, message_id).endpoint_id)
        return
    known = text("SELECT 1 FROM webhook_message WHERE id = :id")
    if session.execute(known, {"id": message_id}).first() is None:
        raise NotFoundError(
            f"there is no message {message_id}", hint="see `newsletter webhooks log`"
        )
    raise RefusedError(
        f"the endpoint of message {message_id} was removed",
        hint="add it again; it is then told of what happens from there on",
    )


def failed_again(session: Session, endpoint_id: int, *, now: datetime) -> int:
    """The same for every message of an endpoint that was given up; how many."""
    done: Any = session.execute(_FAILED_AGAIN, {"endpoint_id": endpoint_id, "now": now})
    if done.rowcount:
        patience.begin_anew(session, endpoint_id)
    return int(done.rowcount)


def counted(session: Session) -> dict[int, dict[str, int]]:
    """Of each endpoint how many messages are `waiting` and `failed`."""
    names = {"planned": "waiting", "failed": "failed"}
    found: dict[int, dict[str, int]] = {}
    for row in session.execute(_COUNTED):
        found.setdefault(row.endpoint_id, {})[names[row.state]] = row.many
    return found


def log(session: Session, *, endpoint_id: int = 0, state: str = "", most: int = 50) -> list[Logged]:
    """Messages with their last attempt, newest first. endpoint_id 0, state "": of any."""
    values = {"endpoint_id": endpoint_id, "state": state, "most": most}
    rows = session.execute(_LOG, values).mappings()
    return [Logged(**{**row, "state": MessageState(row["state"])}) for row in rows]


def forget_before(session: Session, instant: datetime) -> int:
    """Deletes messages that ended before an instant, with their attempts; how many messages.

    What was told stays told: bookmarks, not messages, know what was read.
    """
    session.execute(_FORGET_ATTEMPTS, {"instant": instant})
    done: Any = session.execute(_FORGET, {"instant": instant})
    return int(done.rowcount)
