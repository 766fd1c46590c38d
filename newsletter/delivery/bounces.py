"""What was said about a message, heard: its delivery moves, its address may get no more mail.

The policy is `subscribers.policy.POLICY`; here it is followed, in the caller's transaction, for a
server's refusal at the door and for the mails that come later alike. Said twice it changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

import structlog
from sqlalchemy import CursorResult, bindparam, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery.backoff import GIVEN_UP
from newsletter.delivery.ledger import Answer
from newsletter.errors import TransientError
from newsletter.store.models import Delivery
from newsletter.store.states import DELIVERY_MOVES, DeliveryState
from subscribers import bounces, consent, engagement, suppression
from subscribers.models import AddressChange, Subscriber, SuppressionReason
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

# The few issues between two numbers, each with one row of delivery by primary key.
_DELIVERED_BETWEEN = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM engagement JOIN issue ON issue.id > engagement.soft_bounced_issue
        JOIN delivery ON delivery.issue_id = issue.id
            AND delivery.subscriber_id = engagement.subscriber_id
        WHERE engagement.subscriber_id = :subscriber_id AND issue.id < :issue_id
            AND delivery.state IN ('submitted', 'delivered')
    )
    """
)


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict on one message. issue_id: None of a system mail. detail: kept with what follows."""

    subscriber_id: int
    issue_id: int | None
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class Followed:
    """What followed. moved: the state the delivery went to. suppressed: where that is news."""

    moved: DeliveryState | None = None
    suppressed: SuppressionReason | None = None
    left: bool = False
    alert: bool = False


NOTHING: Final = Followed()


def hear(session: Session, issue_id: int, answers: Iterable[Answer], now: datetime) -> int:
    """The policy for those a server refused at the door; how many addresses are newly suppressed.

    Their deliveries have moved already: the ledger has recorded the answers.
    """
    count = 0
    faults: Counter[str] = Counter()
    for answer in answers:
        verdict = _verdict(answer)
        if verdict is not None:
            told = Told(answer.subscriber_id, issue_id, verdict, answer.reason)
            followed = follow(session, told, now)
            count += followed.suppressed is not None
            faults.update([bounces.enhanced_code(answer.reason)] * followed.alert)
    for code, readers in faults.items():
        _log.warning("refused_for_our_fault", issue=issue_id, code=code, readers=readers)
    return count


def _verdict(answer: Answer) -> Verdict | None:
    """None where nothing was said about the recipient: a relay that is down is nobody's bounce."""
    if answer.state is DeliveryState.BOUNCED:
        return bounces.verdict_of(bounces.enhanced_code(answer.reason), answer.reason)
    if answer.state is DeliveryState.FAILED and answer.reason.startswith(GIVEN_UP):
        code = bounces.code_in(answer.reason)
        return bounces.verdict_of(code, "") if code.startswith("4") else None
    return None


def follow(session: Session, told: Told, now: datetime) -> Followed:
    """Does what the policy says. Raises TransientError while the message is still being sent.

    A delivery that the table of states lets go nowhere stays where it is; the address is
    suppressed all the same, unless its reader has moved to another one since.
    """
    consequence = POLICY[told.verdict]
    reader = session.get(Subscriber, told.subscriber_id)
    sent_at = _sent_at(session, told)
    moved = _move(session, told, consequence, now)
    suppressed = None
    if reader is not None and reader.address_key:
        suppressed = _suppress(session, told, consequence, reader, sent_at, now)
    return Followed(moved, suppressed, _leave(session, told, consequence, now), consequence.alert)


def _sent_at(session: Session, told: Told) -> datetime | None:
    if told.issue_id is None:
        return None
    delivery = session.get(Delivery, (told.issue_id, told.subscriber_id), populate_existing=True)
    if delivery is not None and delivery.state == DeliveryState.ATTEMPTING:
        raise TransientError(
            "the message it is about is still being sent",
            hint="read it again once the sender is done: nothing was recorded",
        )
    return delivery.changed_at if delivery is not None else None


def _move(
    session: Session, told: Told, consequence: Consequence, now: datetime
) -> DeliveryState | None:
    delivery = session.get(Delivery, (told.issue_id, told.subscriber_id)) if told.issue_id else None
    if delivery is None or not consequence.delivery:
        return None
    was, state = DeliveryState(delivery.state), DeliveryState(consequence.delivery)
    if state not in DELIVERY_MOVES[was]:
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


def _suppress(
    session: Session,
    told: Told,
    consequence: Consequence,
    reader: Subscriber,
    sent_at: datetime | None,
    now: datetime,
) -> SuppressionReason | None:
    """The reason, where the address is suppressed just now."""
    if told.verdict is Verdict.COMPLAINT:
        reason = SuppressionReason.COMPLAINT
    elif _has_moved_since(session, told.subscriber_id, sent_at):
        return None  # what was refused is where they were before
    elif consequence.suppress is Suppress.AT_ONCE:
        reason = SuppressionReason.HARD_BOUNCE
    elif consequence.suppress is Suppress.IN_A_ROW and _in_a_row(session, told):
        reason = SuppressionReason.SOFT_BOUNCES
    else:
        return None
    news = suppression.suppress(session, reader.address_key, reason, detail=told.detail, now=now)
    return reason if news else None


def _in_a_row(session: Session, told: Told) -> bool:
    """Counts this issue; whether it is one too many. A delivery in between ends the row."""
    if told.issue_id is None:
        return False
    ids = {"subscriber_id": told.subscriber_id, "issue_id": told.issue_id}
    if session.execute(_DELIVERED_BETWEEN, ids).scalar():
        engagement.delivered(session, [told.subscriber_id])
    count = engagement.soft_bounced(session, told.subscriber_id, told.issue_id)
    return count >= SOFT_ISSUES_IN_A_ROW


def _has_moved_since(session: Session, subscriber_id: int, sent_at: datetime | None) -> bool:
    if sent_at is None:
        return False
    change = select(AddressChange.id).where(
        AddressChange.subscriber_id == subscriber_id,
        col(AddressChange.ended_at) >= sent_at,
        col(AddressChange.old_agreed_at).is_not(None),
        col(AddressChange.new_agreed_at).is_not(None),
    )
    return session.exec(change).first() is not None


def _leave(session: Session, told: Told, consequence: Consequence, now: datetime) -> bool:
    if not consequence.leaves:
        return False
    source = "complaint" if told.verdict is Verdict.COMPLAINT else "mail:unsubscribe"
    left = consent.unsubscribe(session, told.subscriber_id, source=source, network="", now=now)
    return left is consent.Unsubscription.UNSUBSCRIBED
