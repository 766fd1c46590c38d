"""Readers in every state, for the tests of what operators do to them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlmodel import Session

from subscribers import consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import Subscriber, SubscriberStatus, SuppressionReason

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def person(
    session: Session,
    name: str,
    status: SubscriberStatus = SubscriberStatus.ACTIVE,
    *,
    suppressed: SuppressionReason | None = None,
) -> int:
    """One reader, `name`@example.com; their id."""
    address = EmailAddress.parse(f"{name}@example.com")
    row = Subscriber(
        address=address.given,
        address_key=address.key,
        name=name.title(),
        status=status,
        created_at=NOW,
        confirmed_at=None if status is SubscriberStatus.PENDING else NOW,
    )
    session.add(row)
    session.flush()
    if suppressed:
        suppression.suppress(session, address.key, suppressed, detail="", now=NOW)
    assert row.id is not None
    return row.id


def states(session: Session) -> dict[str, str]:
    """Everybody's status, by name."""
    from sqlmodel import select

    session.expire_all()
    return {one.name.lower(): one.status for one in session.exec(select(Subscriber))}


def history(session: Session, id_: int) -> list[tuple[str, str]]:
    """What was recorded of this reader's consent, and from where."""
    return [(one.action, one.source) for one in consent.consent_history(session, id_)]
