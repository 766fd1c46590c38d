"""A subscriber's row, held while something is decided about it."""

from __future__ import annotations

from sqlmodel import Session, select

from subscribers.errors import AudienceError
from subscribers.models import Subscriber, SubscriberStatus

ON_THE_LIST = (SubscriberStatus.ACTIVE, SubscriberStatus.PAUSED)
GONE = (SubscriberStatus.UNSUBSCRIBED, SubscriberStatus.ERASED)


def locked(session: Session, subscriber_id: int) -> Subscriber | None:
    """The row, locked where the database locks rows (SQLite has one writer anyway)."""
    return session.exec(
        select(Subscriber)
        .where(Subscriber.id == subscriber_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def id_of(subscriber: Subscriber) -> int:
    """Its id; raises AudienceError for one that was never stored."""
    if subscriber.id is None:
        raise AudienceError("this subscriber was never stored", hint="report it: it is a fault")
    return subscriber.id
