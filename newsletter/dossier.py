"""All that is held on one reader, for an operator who is asked about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.desk import known
from newsletter.editorial.issues import called
from newsletter.store.models import Delivery, InboundReport, Issue
from subscribers import audit, consent, tags
from subscribers.models import Engagement, Subscriber, SubscriberTopic, Suppression


def show(app: App, email: str) -> dict[str, Any]:
    """All we hold on one reader, as plain values. Raises NotFoundError, AddressError."""
    with app.session(readonly=True) as session:
        reader = known(session, email)
        id_ = reader.id or 0
        suppression = _suppression(session, reader.address_key)
        return {
            "id": id_,
            "address": reader.address,
            "name": reader.name,
            "status": reader.status,
            "suppressed": suppression["reason"] if suppression else None,
            "suppression": suppression,
            "created_at": _stamp(reader.created_at),
            "confirmed_at": _stamp(reader.confirmed_at),
            "unsubscribed_at": _stamp(reader.unsubscribed_at),
            "choices": _choices(session, reader),
            "tags": tags.tags_of(session, id_),
            "engagement": _engagement(session, id_),
            "consent": _consent(session, id_),
            "deliveries": _deliveries(session, id_),
            "reports": _reports(session, id_),
            "operators": _operators(session, id_),
        }


def _choices(session: Session, reader: Subscriber) -> dict[str, Any]:
    topics = session.exec(
        select(SubscriberTopic.topic)
        .where(SubscriberTopic.subscriber_id == reader.id)
        .order_by(col(SubscriberTopic.topic))
    )
    return {
        "topics": list(topics),
        "frequency": reader.frequency,
        "language": reader.language,
        "timezone": reader.timezone,
        "paused_until": _stamp(reader.paused_until),
        "is_tracked": reader.is_tracked,
    }


def _suppression(session: Session, address_key: str) -> dict[str, Any] | None:
    standing = session.exec(
        select(Suppression).where(
            Suppression.address_key == address_key, col(Suppression.lifted_at).is_(None)
        )
    ).first()
    if standing is None:
        return None
    return {"reason": standing.reason, "at": _stamp(standing.at), "detail": standing.detail}


def _engagement(session: Session, subscriber_id: int) -> dict[str, Any]:
    """Who has no row was never heard of: the same as one with zeros."""
    found = session.get(Engagement, subscriber_id) or Engagement(subscriber_id=subscriber_id)
    return {
        "last_human_at": _stamp(found.last_human_at),
        "issues_without": found.issues_without,
        "soft_bounces": found.soft_bounces,
    }


def _consent(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """Every column of the records but ids, so that one that is added is shown."""
    records = (record.model_dump() for record in consent.consent_history(session, subscriber_id))
    return [
        {
            name: _stamp(value) if isinstance(value, datetime) else value
            for name, value in record.items()
            if name not in ("id", "subscriber_id")
        }
        for record in records
    ]


def _deliveries(session: Session, subscriber_id: int) -> list[dict[str, str]]:
    query = (
        select(Issue.kind, Issue.week, Delivery.state, Delivery.reason)
        .join(Issue, col(Issue.id) == Delivery.issue_id)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(col(Issue.slot_at).desc())
    )
    return [
        {"issue": called(kind, week), "state": state, "reason": reason}
        for kind, week, state, reason in session.exec(query)
    ]


def _reports(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """Mail about our mail to them: bounces, complaints."""
    query = (
        select(InboundReport)
        .where(InboundReport.subscriber_id == subscriber_id)
        .order_by(col(InboundReport.id))
    )
    return [
        {
            "at": _stamp(report.received_at),
            "kind": report.kind,
            "verdict": report.verdict,
            "code": report.code,
            "reason": report.reason,
        }
        for report in session.exec(query)
    ]


def _operators(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """What operators did to them, of what can be undone."""
    return [
        {
            "entry": entry.id,
            "at": _stamp(entry.at),
            "by": entry.by,
            "action": f"{entry.action} {entry.detail.get('tag', '')}".strip(),
            "undone_by": entry.undone_by,
        }
        for entry in audit.of_reader(session, subscriber_id)
    ]


def _stamp(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat() if instant else None
