r"""A change of address, agreed to at both ends: the old mailbox lets go, the new one takes.

    ask ----> asked --- the old one agrees ---+--- both ---> done (the record has both keys)
               |   \--- the new one agrees ---+
               +--- either refuses, or a later wish replaces it ---> ended

Whoever asks learns nothing of the new address: one that is on the list, suppressed or erased is
taken down like any other, its mailbox is told nothing, and so the move is never done. What stands
against the old address stays with the old address.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from subscribers import erasure, suppression
from subscribers.address import EmailAddress
from subscribers.erasure import FingerprintOf
from subscribers.errors import AddressError
from subscribers.evidence import record
from subscribers.models import AddressChange, ConsentAction, Engagement, Subscriber
from subscribers.outcomes import Move
from subscribers.rows import ON_THE_LIST, locked

WITHIN = timedelta(hours=24)
MAX_WISHES = 3  # of one reader within 24 hours
MAX_UNANSWERED = 3  # mails to one new mailbox that nobody answered, whoever asked


class End(StrEnum):
    """Which mailbox speaks."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish taken down. tells_new: whether the new mailbox may be asked, too."""

    change_id: int
    address: str  # the new one, as given
    tells_new: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of address that is open, as a page shows it: neither address in full."""

    old: str
    new: str
    has_agreed: bool  # this end


def ask(
    session: Session,
    subscriber_id: int,
    address: EmailAddress,
    *,
    fingerprint_of: FingerprintOf,
    now: datetime,
) -> Asked | None:
    """Takes down a reader's wish; the caller asks both mailboxes.

    None where nobody is to be asked: this wish is open already, it would be their fourth within 24
    hours, or they are not on the list. None of that depends on the new address.
    """
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return None
    if _wishes(session, subscriber_id, since=now - WITHIN) >= MAX_WISHES:
        return None
    if _is_asked(session, subscriber_id, address.key):
        return None
    # Both questions are asked whatever the first one says: the same work for every address.
    is_free, is_bearable = (
        _is_free(session, address.key, fingerprint_of),
        _is_bearable(session, address.key, now=now),
    )
    _end_open(session, subscriber_id, now=now)
    change = AddressChange(
        subscriber_id=subscriber_id,
        address=address.given,
        address_key=address.key,
        asked_at=now,
    )
    session.add(change)
    session.flush()
    return Asked(change.id or 0, address.given, is_free and is_bearable)


def look(session: Session, change_id: int, end: End) -> Wish | None:
    """An open wish; None where it is over. Changes nothing."""
    change = session.get(AddressChange, change_id)
    if change is None or change.ended_at is not None:
        return None
    subscriber = session.get(Subscriber, change.subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return None
    agreed_at = change.old_agreed_at if end is End.OLD else change.new_agreed_at
    return Wish(
        _redacted(subscriber.address), _redacted(change.address), has_agreed=agreed_at is not None
    )


def agree(
    session: Session,
    change_id: int,
    end: End,
    *,
    fingerprint_of: FingerprintOf,
    source: str,
    network: str,
    now: datetime,
) -> Move:
    """One mailbox agrees; once both have, mail goes to the new address. Idempotent."""
    change, subscriber = _open(session, change_id)
    if change is None or subscriber is None:
        return Move.OVER
    if end is End.OLD:
        change.old_agreed_at = change.old_agreed_at or now
    else:
        change.new_agreed_at = change.new_agreed_at or now
    session.add(change)
    session.flush()
    if change.old_agreed_at is None or change.new_agreed_at is None:
        return Move.WAITING
    change.ended_at = now
    if not _is_free(session, change.address_key, fingerprint_of):  # taken since it was asked for
        return Move.OVER
    old_key = subscriber.address_key
    if not _is_moved(session, subscriber, change):
        return Move.OVER
    record(
        session,
        change.subscriber_id,
        ConsentAction.ADDRESS_CHANGED,
        source=source,
        network=network,
        detail={"from": old_key, "to": change.address_key},
        now=now,
    )
    return Move.DONE


def refuse(session: Session, change_id: int, *, now: datetime) -> Move:
    """Either mailbox says no: nothing changes, and the wish is over."""
    change, _ = _open(session, change_id)
    if change is None:
        return Move.OVER
    change.ended_at = now
    session.add(change)
    session.flush()
    return Move.REFUSED


def _open(session: Session, change_id: int) -> tuple[AddressChange | None, Subscriber | None]:
    """An open wish and its reader, both locked; the reader first, as everybody locks them."""
    found = session.get(AddressChange, change_id)
    subscriber = locked(session, found.subscriber_id) if found else None
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return None, None
    change = session.exec(
        select(AddressChange)
        .where(AddressChange.id == change_id)
        .where(col(AddressChange.ended_at).is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    return (change, subscriber) if change else (None, None)


def _is_moved(session: Session, subscriber: Subscriber, change: AddressChange) -> bool:
    """Writes the new address; False where a sign-up took it at this very moment."""
    try:
        with session.begin_nested():
            subscriber.address, subscriber.address_key = change.address, change.address_key
            session.flush()
    except IntegrityError:
        session.refresh(subscriber)
        return False
    # What was counted against the old mailbox is not the new one's.
    session.execute(
        update(Engagement)
        .where(col(Engagement.subscriber_id) == change.subscriber_id)
        .values(soft_bounces=0)
    )
    return True


def _is_free(session: Session, key: str, fingerprint_of: FingerprintOf) -> bool:
    """Whether mail may go there, and nobody on record has it. Every question is asked."""
    taken = session.exec(select(Subscriber.id).where(Subscriber.address_key == key)).first()
    suppressed = suppression.is_suppressed(session, key)
    erased = erasure.standing(session, fingerprint_of(key))
    return taken is None and suppressed is None and erased is None


def _is_bearable(session: Session, key: str, *, now: datetime) -> bool:
    """Whether another mail to that mailbox is no nuisance: one a day, three unanswered for good."""
    unanswered = session.exec(
        select(AddressChange.asked_at)
        .where(AddressChange.address_key == key)
        .where(col(AddressChange.new_agreed_at).is_(None))
    ).all()
    return len(unanswered) < MAX_UNANSWERED and all(at <= now - WITHIN for at in unanswered)


def _is_asked(session: Session, subscriber_id: int, key: str) -> bool:
    """Whether just this wish is open: asked once more, it asks nobody once more."""
    same = session.exec(
        select(AddressChange.id)
        .where(AddressChange.subscriber_id == subscriber_id)
        .where(AddressChange.address_key == key)
        .where(col(AddressChange.ended_at).is_(None))
    ).first()
    return same is not None


def _wishes(session: Session, subscriber_id: int, *, since: datetime) -> int:
    return session.exec(
        select(func.count())
        .select_from(AddressChange)
        .where(AddressChange.subscriber_id == subscriber_id)
        .where(col(AddressChange.asked_at) > since)
    ).one()


def _end_open(session: Session, subscriber_id: int, *, now: datetime) -> None:
    session.execute(
        update(AddressChange)
        .where(col(AddressChange.subscriber_id) == subscriber_id)
        .where(col(AddressChange.ended_at).is_(None))
        .values(ended_at=now)
    )


def _redacted(address: str) -> str:
    try:
        return EmailAddress.parse(address).redacted
    except AddressError:  # stored by an older rule
        return "…"
