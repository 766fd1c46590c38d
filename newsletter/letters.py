"""What readers are told, once each: welcome, the link to their preferences, goodbye."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import WEEKLY
from newsletter.notices import in_words
from newsletter.store.models import Issue, Rendered, SystemMail
from newsletter.store.states import IssueState, SystemMailState
from subscribers import consent, suppression
from subscribers.models import Subscriber

BETWEEN_LINKS = timedelta(hours=24)

# What would be untrue, or unasked for, once its reader has left.
_FOR_READERS_ON_THE_LIST = ("welcome", "already_subscribed", "preferences_link")


def welcome(app: App, session: Session, subscriber_id: int, *, now: datetime) -> None:
    """Says when the next issue comes, and where the latest one is."""
    if _may_be_written_to(session, subscriber_id):
        system_mail.queue(
            session,
            "welcome",
            once=f"welcome:{subscriber_id}:{now.isoformat()}",
            subscriber_id=subscriber_id,
            facts={"next": _next_issue(app, session, now), **_latest_issue(app, session)},
            now=now,
        )


def preferences_link(session: Session, reader: Subscriber, *, now: datetime) -> bool:
    """Mails the link to a reader on the list, once in 24 hours; False where nothing is sent."""
    subscriber_id = reader.id or 0
    if reader.status not in consent.ON_THE_LIST or not _may_be_written_to(session, subscriber_id):
        return False
    days = (now, now - timedelta(days=1))
    today, yesterday = (f"preferences_link:{subscriber_id}:{day.date()}" for day in days)
    if _said_at(session, yesterday) > now - BETWEEN_LINKS:
        return False
    return system_mail.queue(
        session, "preferences_link", once=today, subscriber_id=subscriber_id, now=now
    )


def goodbye(session: Session, subscriber_id: int, *, now: datetime) -> None:
    """Says that it is done. What still waits for a reader on the list is never sent."""
    session.execute(
        update(SystemMail)
        .where(col(SystemMail.state) == SystemMailState.PLANNED)
        .where(col(SystemMail.subscriber_id) == subscriber_id)
        .where(col(SystemMail.kind).in_(_FOR_READERS_ON_THE_LIST))
        .values(state=SystemMailState.FAILED, reason="the reader left first")
    )
    if _may_be_written_to(session, subscriber_id):
        system_mail.queue(
            session,
            "goodbye",
            once=f"goodbye:{subscriber_id}:{now.isoformat()}",
            subscriber_id=subscriber_id,
            now=now,
        )


def _may_be_written_to(session: Session, subscriber_id: int) -> bool:
    reader = session.get(Subscriber, subscriber_id)
    return reader is not None and suppression.is_suppressed(session, reader.address_key) is None


def _said_at(session: Session, once: str) -> datetime:
    """When this was queued; long ago where it never was."""
    found = session.exec(select(SystemMail.created_at).where(SystemMail.once == once)).first()
    return found or datetime.min.replace(tzinfo=UTC)


def _next_issue(app: App, session: Session, now: datetime) -> str:
    """The next slot whose issue has not gone out yet, in words."""
    gone = session.exec(
        select(Issue.week).where(
            Issue.kind == WEEKLY, col(Issue.slot_at) > now, col(Issue.frozen_at).is_not(None)
        )
    ).all()
    slot_at = next(slot for week, slot in app.slot.upcoming(now) if str(week) not in gone)
    return in_words(app, slot_at)


def _latest_issue(app: App, session: Session) -> dict[str, str]:
    """Where the newest issue of the archive is, and its subject; blank while there is none."""
    query = (
        select(Issue.week, Rendered.subject)
        .join(Rendered, col(Rendered.id) == col(Issue.rendered_id))
        .where(Issue.kind == WEEKLY, col(Issue.state).in_((IssueState.SENDING, IssueState.DONE)))
        .order_by(col(Issue.slot_at).desc())
        .limit(1)
    )
    week, subject = session.exec(query).first() or ("", "")
    url = f"{app.publication.url}/issues/{week.lower()}" if week else ""
    return {"issue_url": url, "issue_subject": subject}
