"""What an endpoint's answers say of the endpoint: since when it fails, until when it is left alone.

It counts as failing only as long as we kept calling: after a silence of ours, longer than any wait
between two calls, the count begins anew. So does it by a person's word (`begin_anew`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.webhooks.calls import Answer
from newsletter.webhooks.schedule import PATIENCE

SILENCE: Final = 2 * PATIENCE  # well above the longest wait between two calls, its spread included

# All by primary key. An endpoint that takes what it is told is not written at all.
_TAKEN = text(
    "UPDATE webhook_endpoint SET failing_since = NULL, failed_at = NULL"
    " WHERE id = :id AND failed_at IS NOT NULL"
)
_NOT_TAKEN = text(
    "UPDATE webhook_endpoint SET failed_at = :now,"
    " failing_since = CASE WHEN failed_at >= :lately THEN failing_since ELSE :now END"
    " WHERE id = :id"
).bindparams(bindparam("now", type_=UTCDateTime()), bindparam("lately", type_=UTCDateTime()))
# The losing case: another call was asked to wait longer.
_HOLD = text(
    "UPDATE webhook_endpoint SET held_until = :until"
    " WHERE id = :id AND (held_until IS NULL OR held_until < :until)"
).bindparams(bindparam("until", type_=UTCDateTime()))
_ANEW = text(
    "UPDATE webhook_endpoint SET failing_since = NULL, failed_at = NULL, held_until = NULL"
    " WHERE id = :id"
)


def note(session: Session, endpoint_id: int, answer: Answer, *, now: datetime) -> None:
    """Puts down what one answer says of the whole endpoint; a wait it asks for holds for all."""
    if answer.is_taken:
        session.execute(_TAKEN, {"id": endpoint_id})
        return
    values: dict[str, Any] = {"id": endpoint_id, "now": now, "lately": now - SILENCE}
    session.execute(_NOT_TAKEN, values)
    if answer.is_of_all and answer.asked:
        until = now + min(answer.asked, PATIENCE)
        session.execute(_HOLD, {"id": endpoint_id, "until": until})


def begin_anew(session: Session, endpoint_id: int) -> None:
    """It has all our patience before it again, and is called with the next round."""
    session.execute(_ANEW, {"id": endpoint_id})
