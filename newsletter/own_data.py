"""One's own data: all that is held on a reader, for them to keep; and its erasure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, or_, update
from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.delivery.proof import RESEND
from newsletter.editorial import votes
from newsletter.editorial.issues import called
from newsletter.store import search
from newsletter.store.feedback import Event, ProviderEvent, ToClassify
from newsletter.store.models import Delivery, InboundReport, Issue, SystemMail
from newsletter.store.states import SystemMailState
from newsletter.tracking import classify, snapshots
from newsletter.tracking.agents import coarse
from subscribers import consent, erasure, tags
from subscribers.models import (
    AddressChange,
    Engagement,
    Subscriber,
    SubscriberStatus,
    SubscriberTopic,
    Suppression,
)
from subscribers.outcomes import Erasure

ERASED_IN_TEXT = "(erased)"


def collect(session: Session, subscriber_id: int) -> dict[str, Any] | None:
    """All we hold on this person, as plain values for JSON; None for who is not on record."""
    reader = session.get(Subscriber, subscriber_id)
    if reader is None or reader.status == SubscriberStatus.ERASED:
        return None
    engagement = session.get(Engagement, subscriber_id)
    return {
        "profile": _plain(reader),
        "topics": sorted(
            session.exec(
                select(SubscriberTopic.topic).where(SubscriberTopic.subscriber_id == subscriber_id)
            )
        ),
        "tags": list(tags.tags_of(session, subscriber_id)),
        "consent": [_plain(one) for one in consent.consent_history(session, subscriber_id)],
        "address_changes": _rows(session, AddressChange, subscriber_id),
        "suppressions": [
            _plain(one)
            for one in session.exec(
                select(Suppression).where(Suppression.address_key == reader.address_key)
            )
        ],
        "engagement": _plain(engagement) if engagement else None,
        "deliveries": _deliveries(session, subscriber_id),
        "events": _rows(session, Event, subscriber_id),
        "told_by_provider": _rows(session, ProviderEvent, subscriber_id),
        "votes": votes.of_reader(session, subscriber_id),
        "mails_about_you": _rows(session, InboundReport, subscriber_id),
        "mails_to_you": [
            {"kind": one.kind, "state": one.state, "asked_for_at": _stamp(one.created_at)}
            for one in session.exec(
                select(SystemMail)
                .where(SystemMail.subscriber_id == subscriber_id)
                .order_by(col(SystemMail.id))
            )
        ],
    }


def erase(app: App, session: Session, subscriber_id: int, *, source: str) -> Erasure:
    """Takes away who this was, everywhere: see `subscribers.erasure` for what stays.

    Deliveries stay as counts, so that a proof still holds; texts of mail servers in them may quote
    the address, and are cut. Events stay as facts about an issue, with the label that stands and
    the program that asked, and are nobody's. Votes are taken back.
    """
    names = _names(session, subscriber_id)
    changes = session.exec(
        select(AddressChange.id).where(AddressChange.subscriber_id == subscriber_id)
    ).all()
    outcome = erasure.erase(
        session,
        subscriber_id,
        fingerprint_of=app.keyring.of_address,
        source=source,
        now=app.clock(),
    )
    if outcome is Erasure.ERASED:
        search.forget(session)
        votes.withdraw(session, subscriber_id)
        _forget_events(session, subscriber_id)
        _forget_what_providers_told(session, subscriber_id)
        _forget_mails(session, subscriber_id, names, [change or 0 for change in changes])
        _cut_texts(session, subscriber_id, names)
        snapshots.outdate_of_reader(session, subscriber_id)
    return outcome


def _names(session: Session, subscriber_id: int) -> tuple[str, ...]:
    """How this person was addressed: every spelling a text of ours may hold, longest first."""
    reader = session.get(Subscriber, subscriber_id)
    if reader is None:
        return ()
    moves = [one.detail for one in consent.consent_history(session, subscriber_id)]
    earlier = {str(detail["from"]) for detail in moves if detail.get("from")}
    known = {reader.address, reader.address_key, *earlier} - {""}
    return tuple(sorted(known, key=len, reverse=True))


def _forget_events(session: Session, subscriber_id: int) -> None:
    """Labelled first: once it is nobody's, no rule can look at it again."""
    classify.run_for(session, subscriber_id)
    theirs = col(Event.subscriber_id) == subscriber_id
    nobodys = {"subscriber_id": None, "network": ""}
    agents = session.exec(select(Event.kind, Event.agent).where(theirs).distinct()).all()
    for kind, agent in agents:
        kept = "" if kind == RESEND else coarse(agent)  # of a resend, it is a person's words
        its = (theirs, col(Event.kind) == kind, col(Event.agent) == agent)
        session.execute(update(Event).where(*its).values(agent=kept, **nobodys))
    session.execute(delete(ToClassify).where(col(ToClassify.subscriber_id) == subscriber_id))


def _forget_what_providers_told(session: Session, subscriber_id: int) -> None:
    session.execute(
        update(ProviderEvent)
        .where(col(ProviderEvent.subscriber_id) == subscriber_id)
        .values(subscriber_id=None, detail="", raw="")
    )


def _forget_mails(
    session: Session, subscriber_id: int, names: Sequence[str], changes: Sequence[int]
) -> None:
    """What waits is never sent; what was sent keeps its kind and its date."""
    theirs = or_(
        col(SystemMail.subscriber_id) == subscriber_id,
        col(SystemMail.address).in_(names),
        col(SystemMail.once).in_([f"move_to:{change}" for change in changes]),
    )
    session.execute(
        update(SystemMail)
        .where(theirs, col(SystemMail.state) == SystemMailState.PLANNED)
        .values(state=SystemMailState.FAILED)
    )
    session.execute(update(SystemMail).where(theirs).values(address="", reason=""))


def _cut_texts(session: Session, subscriber_id: int, names: Sequence[str]) -> None:
    for delivery in session.exec(select(Delivery).where(Delivery.subscriber_id == subscriber_id)):
        delivery.reason = _cut(delivery.reason, names)
        delivery.receipt = _cut(delivery.receipt, names)
        session.add(delivery)
    reports = select(InboundReport).where(InboundReport.subscriber_id == subscriber_id)
    for report in session.exec(reports):
        report.subscriber_id, report.reason = None, _cut(report.reason, names)
        session.add(report)
    session.flush()


def _cut(text: str, names: Sequence[str]) -> str:
    for name in names:
        text = re.sub(re.escape(name), ERASED_IN_TEXT, text, flags=re.IGNORECASE)
    return text


def _deliveries(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    query = (
        select(Issue.kind, Issue.week, Delivery)
        .join(Issue, col(Issue.id) == Delivery.issue_id)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(col(Issue.slot_at))
    )
    return [
        {"issue": called(kind, week), **_plain(delivery)}
        for kind, week, delivery in session.exec(query)
    ]


def _rows(session: Session, table: Any, subscriber_id: int) -> list[dict[str, Any]]:
    found = session.exec(
        select(table).where(table.subscriber_id == subscriber_id).order_by(table.id)
    )
    return [_plain(one) for one in found]


def _plain(row: Any) -> dict[str, Any]:
    """Every column of a row but our own numbers, so that one that is added is in it."""
    return {
        name: _stamp(value) if isinstance(value, datetime) else value
        for name, value in row.model_dump().items()
        if name not in ("id", "subscriber_id", "issue_id", "batch_id")
    }


def _stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()
