"""Leaving, and taking it back: a leaving is undone by itself alone, and to the state before it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from subscribers.evidence import record
from subscribers.models import ConsentAction, ConsentRecord, Subscriber, SubscriberStatus
from subscribers.outcomes import LeavingReason, Return, Unsubscription
from subscribers.rows import GONE, ON_THE_LIST, locked

MAX_WORDS_CHARS = 300
_OPERATOR = "operator"  # what an operator's sources begin with


def unsubscribe(
    session: Session,
    subscriber_id: int,
    *,
    source: str,
    network: str,
    now: datetime,
    why: LeavingReason | None = None,
    words: str = "",
) -> Unsubscription:
    """The person leaves. Idempotent: the first time is recorded, later ones change nothing.

    why, words: what they care to say; kept with the record, on one line of 300 characters at most.
    """
    subscriber = locked(session, subscriber_id)
    if subscriber is None:
        return Unsubscription.UNKNOWN
    if subscriber.status in GONE:
        if not source.startswith(_OPERATOR) and _newest_is_an_operators(session, subscriber_id):
            # Their own word, too, from now on: an operator who takes theirs back brings nobody back
            # who has left by themselves meanwhile.
            record(
                session,
                subscriber_id,
                ConsentAction.UNSUBSCRIBED,
                source=source,
                network=network,
                now=now,
            )
        return Unsubscription.ALREADY
    detail = {"was": str(subscriber.status), "why": str(why or ""), "words": _one_line(words)}
    subscriber.status = SubscriberStatus.UNSUBSCRIBED
    subscriber.unsubscribed_at = now
    record(
        session,
        subscriber_id,
        ConsentAction.UNSUBSCRIBED,
        source=source,
        network=network,
        detail={name: value for name, value in detail.items() if value},
        now=now,
    )
    return Unsubscription.UNSUBSCRIBED


def _newest_is_an_operators(session: Session, subscriber_id: int) -> bool:
    newest = session.exec(
        select(ConsentRecord)
        .where(ConsentRecord.subscriber_id == subscriber_id)
        .order_by(col(ConsentRecord.id).desc())
        .limit(1)
    ).first()
    return (
        newest is not None
        and newest.action == ConsentAction.UNSUBSCRIBED
        and newest.source.startswith(_OPERATOR)
    )


def left_at(session: Session, subscriber_id: int) -> datetime | None:
    """When this person left; None for who has not."""
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None or subscriber.status != SubscriberStatus.UNSUBSCRIBED:
        return None
    return subscriber.unsubscribed_at


def left_by(session: Session, subscriber_id: int, left: datetime) -> str:
    """The source of the leaving of that instant; "" where there was none."""
    found = session.exec(
        select(ConsentRecord.source)
        .where(ConsentRecord.subscriber_id == subscriber_id)
        .where(ConsentRecord.action == ConsentAction.UNSUBSCRIBED)
        .where(ConsentRecord.at == left)
    ).first()
    return found or ""


def undo(
    session: Session,
    subscriber_id: int,
    *,
    left: datetime,
    source: str,
    network: str,
    now: datetime,
) -> Return:
    """Takes back the leaving of that instant: the state before it, no more and no less.

    Within which time is the caller's to say. A suppression stands on.
    """
    subscriber = locked(session, subscriber_id)
    if subscriber is None:
        return Return.OVER
    if subscriber.status in ON_THE_LIST:
        return Return.ALREADY
    was = _state_before(session, subscriber_id, left)
    if was is None or subscriber.unsubscribed_at != left:
        return Return.OVER
    if subscriber.status != SubscriberStatus.UNSUBSCRIBED:
        return Return.OVER
    subscriber.status, subscriber.unsubscribed_at = was, None
    record(
        session,
        subscriber_id,
        ConsentAction.RETURNED,
        source=source,
        network=network,
        now=now,
    )
    return Return.RETURNED


def _state_before(session: Session, subscriber_id: int, left: datetime) -> SubscriberStatus | None:
    found = session.exec(
        select(ConsentRecord.detail)
        .where(ConsentRecord.subscriber_id == subscriber_id)
        .where(ConsentRecord.action == ConsentAction.UNSUBSCRIBED)
        .where(ConsentRecord.at == left)
    ).first()
    was = (found or {}).get("was")
    return SubscriberStatus(was) if was else None


def _one_line(words: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in words)
    return " ".join(shown.split())[:MAX_WORDS_CHARS]
