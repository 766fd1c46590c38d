"""Erasure: who a subscriber was goes; that their address asked for it stays recognisable.

What stays: the row, nameless, so that deliveries keep adding up; the dates and kinds of consent
records; and a suppression whose key is a mark, made of a keyed hash of the address. The mark holds
the reason and the date: whoever would write to that address finds it, and nobody finds the address
in it. The hash is the caller's, who holds the key.

An erased address is added and imported by nobody. The person comes back as somebody new, with their
own double opt-in, unless a bounce or an operator's suppression stands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from subscribers import suppression
from subscribers.evidence import record
from subscribers.models import (
    AddressChange,
    AuditRow,
    ConsentAction,
    ConsentRecord,
    Engagement,
    Subscriber,
    SubscriberStatus,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
    SuppressionReason,
)
from subscribers.outcomes import Erasure
from subscribers.rows import id_of, locked

MARK = "erased:"  # no address begins like that: it has no @

FingerprintOf = Callable[[str], str]  # of an address's key


def mark_of(fingerprint: str) -> str:
    """What stands for an erased address, in place of its key."""
    return MARK + fingerprint


def standing(session: Session, fingerprint: str) -> Suppression | None:
    """What stands against an erased address, found by the keyed hash of it; "" finds nothing."""
    if not fingerprint:
        return None
    return session.exec(
        select(Suppression)
        .where(Suppression.address_key == mark_of(fingerprint))
        .where(col(Suppression.lifted_at).is_(None))
        .execution_options(populate_existing=True)
    ).first()


def standing_marks(session: Session) -> frozenset[str]:
    """Every mark that stands: for lists, which would else ask once a row."""
    return frozenset(
        session.exec(
            select(Suppression.address_key)
            .where(col(Suppression.address_key).startswith(MARK, autoescape=True))
            .where(col(Suppression.lifted_at).is_(None))
        )
    )


def lift(session: Session, mark: Suppression, *, now: datetime) -> None:
    """For `consent.confirm` alone: the person came back by their own double opt-in."""
    mark.lifted_at = now
    mark.lifted_because = "confirmed again by a fresh double opt-in"
    session.add(mark)
    session.flush()


def erase(
    session: Session,
    subscriber_id: int,
    *,
    fingerprint_of: FingerprintOf,
    source: str,
    now: datetime,
) -> Erasure:
    """Takes away who this was, for good. Idempotent: the second time finds nobody.

    fingerprint_of: the keyed hash of an address's key. Also of earlier addresses of theirs the
    suppressions are kept under a mark alone.
    """
    subscriber = locked(session, subscriber_id)
    if subscriber is None:
        return Erasure.UNKNOWN
    if subscriber.status == SubscriberStatus.ERASED:
        return Erasure.ALREADY
    keys = _keys_of(session, subscriber)
    for key in keys:
        _keep_as_mark(session, key, mark_of(fingerprint_of(key)), now=now)
    _forget(session, subscriber_id, keys)
    mark = mark_of(fingerprint_of(subscriber.address_key))
    suppression.suppress(session, mark, SuppressionReason.ERASED, detail="", now=now)
    _name_nobody(session, subscriber, mark)
    record(session, subscriber_id, ConsentAction.ERASED, source=source, now=now)
    return Erasure.ERASED


def _keys_of(session: Session, subscriber: Subscriber) -> tuple[str, ...]:
    """The keys of this address and of those they moved away from."""
    moves = session.exec(
        select(ConsentRecord.detail)
        .where(ConsentRecord.subscriber_id == subscriber.id)
        .where(ConsentRecord.action == ConsentAction.ADDRESS_CHANGED)
    )
    earlier = [str(detail.get("from", "")) for detail in moves]
    # Whoever has an earlier address now is somebody else: what stands against it is theirs.
    taken = set(
        session.exec(
            select(Subscriber.address_key)
            .where(col(Subscriber.address_key).in_(earlier))
            .where(Subscriber.id != subscriber.id)
        )
    )
    return tuple({subscriber.address_key, *(key for key in earlier if key and key not in taken)})


def _keep_as_mark(session: Session, key: str, mark: str, *, now: datetime) -> None:
    """What stands and stood against the address, under its mark; texts may quote it, and go."""
    session.flush()
    rows = session.exec(
        select(Suppression)
        .where(Suppression.address_key == key)
        .execution_options(populate_existing=True)
    ).all()
    newer = next((row for row in rows if row.lifted_at is None), None)
    older = session.exec(
        select(Suppression)
        .where(Suppression.address_key == mark)
        .where(col(Suppression.lifted_at).is_(None))
    ).first()
    if newer is not None and older is not None:  # one stands for an address: the graver one
        gives_way = newer if older.reason == SuppressionReason.COMPLAINT else older
        gives_way.lifted_at, gives_way.lifted_because = now, "another took its place"
        session.add(gives_way)
        session.flush()
    for row in rows:
        row.address_key, row.detail = mark, ""
        session.add(row)
    session.flush()


def _forget(session: Session, subscriber_id: int, keys: tuple[str, ...]) -> None:
    for table in (SubscriberTopic, SubscriberTag, Engagement, AuditRow):
        session.execute(delete(table).where(col(table.subscriber_id) == subscriber_id))
    session.execute(
        delete(AddressChange).where(
            or_(
                col(AddressChange.subscriber_id) == subscriber_id,
                col(AddressChange.address_key).in_(keys),
            )
        )
    )
    session.execute(
        update(ConsentRecord)
        .where(col(ConsentRecord.subscriber_id) == subscriber_id)
        .values(network="", detail={})
    )


def _name_nobody(session: Session, subscriber: Subscriber, mark: str) -> None:
    earlier = session.exec(select(Subscriber).where(Subscriber.address_key == mark)).first()
    if earlier is not None:  # erased before, came back, and erased again: the mark is the newest's
        earlier.address_key = f"{mark}:{id_of(earlier)}"
        session.add(earlier)
        session.flush()
    subscriber.address, subscriber.address_key = "", mark
    subscriber.name = subscriber.language = subscriber.timezone = ""
    subscriber.status, subscriber.frequency = SubscriberStatus.ERASED, "weekly"
    subscriber.paused_until = subscriber.confirmation_sent_at = None
    subscriber.is_tracked = False
    session.add(subscriber)
    session.flush()
