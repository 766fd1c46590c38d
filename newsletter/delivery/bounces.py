"""What was said about a message, heard: its delivery moves, its address may get no more mail.

The policy is `subscribers.policy.POLICY`; here it is followed, in the caller's transaction, for a
server's refusal at the door and for the mails that come later alike. Said twice it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

import structlog
from sqlalchemy import CursorResult, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery import on_record, refusals
from newsletter.delivery.ledger import Answer
from newsletter.delivery.on_record import OnRecord
from newsletter.errors import TransientError
from newsletter.store.models import Delivery
from newsletter.store.states import DELIVERY_MOVES, DeliveryState
from subscribers import bounces, consent, suppression
from subscribers.models import SubscriberStatus, SuppressionReason
from subscribers.policy import POLICY, SOFT_ISSUES_IN_A_ROW, Consequence, Suppress, Verdict

_log = structlog.get_logger(__name__)

# One row by primary key. The losing case: somebody settled it between our look and this update; it
# keeps what they said, and we tell that nothing moved.
_MOVE = text(
    """
    UPDATE delivery SET state = :state, reason = :reason, changed_at = :now
    WHERE issue_id = :issue_id AND subscriber_id = :subscriber_id AND state = :was
    """
).bindparams(bindparam("now", type_=UTCDateTime()))

# By provider_event's index on subscriber_id.
_LEFT_THROUGH_IT = text(
    "SELECT EXISTS (SELECT 1 FROM provider_event WHERE subscriber_id = :subscriber_id"
    " AND issue_id = :issue_id AND kind = 'unsubscribed' AND NOT is_waiting)"
)


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict on one message. issue_id: None of a system mail. detail: kept with what follows.

    at: when it happened, to the second; None: it cannot be older than what the reader did last.
    sent_at: when a system mail left, where that is known.
    """

    subscriber_id: int
    issue_id: int | None
    verdict: Verdict
    detail: str
    at: datetime | None = None
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """What followed. moved: the state the delivery went to. suppressed: where that is news.

    is_history: the reader has agreed anew since, or is erased, so nothing did.
    """

    moved: DeliveryState | None = None
    suppressed: SuppressionReason | None = None
    left: bool = False
    alert: bool = False
    is_history: bool = False


NOTHING: Final = Followed()


def hear(session: Session, issue_id: int, answers: Iterable[Answer], now: datetime) -> int:
    """The policy for those a server refused at the door; how many addresses are newly suppressed.

    Their deliveries have moved already: the ledger has recorded the answers.
    """
    count = 0
    faults: Counter[str] = Counter()
    heard = [
        Told(answer.subscriber_id, issue_id, verdict, answer.reason)
        for answer in answers
        if (verdict := refusals.door_verdict(answer.state, answer.reason)) is not None
    ]
    known = on_record.look_up(session, [told.subscriber_id for told in heard])
    for told in heard:
        followed = consequences(session, known, told, now, sent_at=now)
        count += followed.suppressed is not None
        faults.update([bounces.enhanced_code(told.detail)] * followed.alert)
    for code, readers in faults.items():
        _log.warning("refused_for_our_fault", issue=issue_id, code=code, readers=readers)
    return count


def follow(session: Session, told: Told, now: datetime) -> Followed:
    """Does what the policy says. Raises TransientError while the message is still being sent.

    A delivery that the table of states lets go nowhere stays where it is; the address is
    suppressed all the same, unless its reader has moved to another one since.
    """
    sent_at = _sent_at(session, told)
    moved = _move(session, told, POLICY[told.verdict], now)
    known = on_record.look_up(session, [told.subscriber_id])
    return replace(consequences(session, known, told, now, sent_at=sent_at), moved=moved)


def consequences(
    session: Session, known: OnRecord, told: Told, now: datetime, *, sent_at: datetime | None
) -> Followed:
    """What follows for the reader; the delivery stays as it is.

    known: what is on record of the reader, looked up in this transaction. sent_at: when the message
    went out, where that is known. What happened before the reader's own newest double opt-in is
    history: it neither suppresses nor takes them off the list.
    """
    consequence = POLICY[told.verdict]
    reader = known.readers.get(told.subscriber_id)
    if reader is not None and reader.status == SubscriberStatus.ERASED:
        return Followed(alert=consequence.alert, is_history=True)
    in_a_row = _in_a_row(session, known, told, consequence)
    if _is_history(known, told):
        return Followed(alert=consequence.alert, is_history=True)
    suppressed = None
    if reader is not None and reader.address_key:
        is_due = consequence.suppress is Suppress.AT_ONCE or in_a_row >= SOFT_ISSUES_IN_A_ROW
        if is_due and (reason := _reason(known, told, sent_at)) is not None:
            suppressed = _suppress(session, told, reader.address_key, reason, now)
    left = _leave(session, told, consequence, now)
    return Followed(None, suppressed, left, consequence.alert)


def _is_history(known: OnRecord, told: Told) -> bool:
    agreed = known.agreed.get(told.subscriber_id)
    if told.at is None or agreed is None:
        return False
    # A provider's instants are whole seconds: one of the same second is not older.
    return told.at < agreed.replace(microsecond=0)


def _sent_at(session: Session, told: Told) -> datetime | None:
    if told.issue_id is None:
        return told.sent_at
    delivery = session.get(Delivery, (told.issue_id, told.subscriber_id), populate_existing=True)
    if delivery is not None and delivery.state == DeliveryState.ATTEMPTING:
        raise TransientError(
            "the message it is about is still being sent",
            hint="read it again once the sender is done: nothing was recorded",
        )
    return (delivery.submitted_at or delivery.changed_at) if delivery is not None else None


def _move(
    session: Session, told: Told, consequence: Consequence, now: datetime
) -> DeliveryState | None:
    delivery = session.get(Delivery, (told.issue_id, told.subscriber_id)) if told.issue_id else None
    if delivery is None or not consequence.delivery:
        return None
    was, state = DeliveryState(delivery.state), DeliveryState(consequence.delivery)
    if state not in DELIVERY_MOVES[was] or _is_known_to_have_it(session, told, was, state):
        return None
    row = {
        "issue_id": told.issue_id,
        "subscriber_id": told.subscriber_id,
        "was": str(was),
        "state": str(state),
        "reason": told.detail.strip() or f"{told.verdict} without a reason",
        "now": now,
    }
    session.expire(delivery)
    changed = cast("CursorResult[Any]", session.execute(_MOVE, row)).rowcount
    return state if changed == 1 else None


def _is_known_to_have_it(
    session: Session, told: Told, was: DeliveryState, state: DeliveryState
) -> bool:
    """Whether its reader left through it, so that no refusal of it can be true."""
    if (was, state) != (DeliveryState.DELIVERED, DeliveryState.BOUNCED):
        return False
    ids = {"subscriber_id": told.subscriber_id, "issue_id": told.issue_id}
    return bool(session.execute(_LEFT_THROUGH_IT, ids).scalar())


def _reason(known: OnRecord, told: Told, sent_at: datetime | None) -> SuppressionReason | None:
    if told.verdict is Verdict.COMPLAINT:
        return SuppressionReason.COMPLAINT
    moved = known.moved.get(told.subscriber_id)
    if sent_at is not None and moved is not None and moved >= sent_at:
        return None  # what was refused is where they were before
    is_hard = POLICY[told.verdict].suppress is Suppress.AT_ONCE
    return SuppressionReason.HARD_BOUNCE if is_hard else SuppressionReason.SOFT_BOUNCES


def _suppress(
    session: Session, told: Told, address_key: str, reason: SuppressionReason, now: datetime
) -> SuppressionReason | None:
    """The reason, where the address is suppressed just now."""
    news = suppression.suppress(session, address_key, reason, detail=told.detail, now=now)
    return reason if news else None


def _in_a_row(session: Session, known: OnRecord, told: Told, consequence: Consequence) -> int:
    """The soft refusals of the row that this one stands in: an otherwise refused one may close it.

    The row is counted anew for any refusal, and for a reader who turns out to have the mail.
    """
    if told.issue_id is None:
        return 0
    id_, issue_id = told.subscriber_id, told.issue_id
    if consequence.delivery != DeliveryState.BOUNCED:
        # Not even tried, it neither counts nor ends a row: it may join what stands beside it.
        return refusals.in_a_row(session, known, id_, issue_id)
    is_soft = consequence.suppress is Suppress.IN_A_ROW
    return refusals.in_a_row(session, known, id_, issue_id, is_soft=is_soft, at=told.at)


def _leave(session: Session, told: Told, consequence: Consequence, now: datetime) -> bool:
    if not consequence.leaves:
        return False
    source = "complaint" if told.verdict is Verdict.COMPLAINT else "mail:unsubscribe"
    left = consent.unsubscribe(session, told.subscriber_id, source=source, network="", now=now)
    return left is consent.Unsubscription.UNSUBSCRIBED
