"""What servers said about recipients, heard: a mailbox that is not there gets no more mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session

from newsletter.delivery.ledger import Answer
from newsletter.store.states import DeliveryState
from subscribers import bounces, suppression
from subscribers.models import Subscriber, SuppressionReason


def suppress_the_hard(session: Session, answers: Iterable[Answer], now: datetime) -> int:
    """Suppresses the addresses of hard bounces, for their code; how many are new."""
    count = 0
    for answer in answers:
        if answer.state is not DeliveryState.BOUNCED or not bounces.is_hard(answer.reason):
            continue
        reader = session.get(Subscriber, answer.subscriber_id)
        if reader is not None and reader.address_key:
            count += suppression.suppress(
                session,
                reader.address_key,
                SuppressionReason.HARD_BOUNCE,
                detail=answer.reason,
                now=now,
            )
    return count
