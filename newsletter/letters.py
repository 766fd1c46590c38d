"""What readers are told, once each: welcome, links to pages of their own, a move, goodbye."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from sqlalchemy import text, update
from sqlmodel import Session, col, select

from newsletter import mailings
from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import WEEKLY
from newsletter.notices import in_words
from newsletter.store.models import Issue, Rendered, SystemMail
from newsletter.store.states import IssueState, SystemMailState
from subscribers import consent, suppression
from subscribers.models import Subscriber, SubscriberStatus
from subscribers.moving import Asked

BETWEEN_LINKS = timedelta(hours=24)

# What would be untrue, or unasked for, once its reader has left.
_FOR_READERS_ON_THE_LIST = (
    "welcome",
    "already_subscribed",
    "preferences_link",
    "move_from",
    "still_there",
)

_ASKED = "asked:links"  # a scope of the rates: how many links were asked for, an hour
_COUNT_ASKED = text(
    "INSERT INTO rate_slot (scope, starts_at, taken) VALUES (:scope, :hour, 1)"
    " ON CONFLICT (scope, starts_at) DO UPDATE SET taken = rate_slot.taken + 1"
)
_FORGET_ASKED = text("DELETE FROM rate_slot WHERE scope = :scope AND starts_at < :hour - 86400")


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


def preferences_link(session: Session, reader: Subscriber | None, *, now: datetime) -> bool:
    """Mails the link to a reader on the list, once in 24 hours; False where nothing is sent."""
    return _own_link(session, "preferences_link", reader, consent.ON_THE_LIST, now=now)


def own_data_link(session: Session, reader: Subscriber | None, *, now: datetime) -> bool:
    """Mails whoever is on record the link to all we hold on them, once in 24 hours."""
    on_record = set(SubscriberStatus) - {SubscriberStatus.ERASED}
    return _own_link(session, "own_data", reader, on_record, now=now)


def move_asked(session: Session, subscriber_id: int, asked: Asked, *, now: datetime) -> None:
    """Asks the old mailbox, and the new one where it may be asked. Neither mail names an address:
    what a visitor typed goes into no mail."""
    facts = {"change": str(asked.change_id)}
    if _may_be_written_to(session, subscriber_id):
        system_mail.queue(
            session,
            "move_from",
            once=f"move_from:{asked.change_id}",
            subscriber_id=subscriber_id,
            facts=facts,
            now=now,
        )
    told = session.begin_nested()  # the same work whether the new mailbox is asked or not
    system_mail.queue(
        session,
        "move_to",
        once=f"move_to:{asked.change_id}",
        address=asked.address,
        facts=facts,
        now=now,
    )
    if asked.tells_new:
        told.commit()
    else:
        told.rollback()


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


def recall_goodbye(session: Session, subscriber_id: int) -> None:
    """They are back: a goodbye that still waits would be untrue."""
    session.execute(
        update(SystemMail)
        .where(col(SystemMail.state) == SystemMailState.PLANNED)
        .where(col(SystemMail.subscriber_id) == subscriber_id)
        .where(col(SystemMail.kind) == "goodbye")
        .values(state=SystemMailState.FAILED, reason="the reader came back first")
    )


def _own_link(
    session: Session,
    kind: str,
    reader: Subscriber | None,
    statuses: Collection[str],
    *,
    now: datetime,
) -> bool:
    """Queues the mail, or does the same work and takes it back: how long an answer takes must not
    tell whether an address is on record. The count is what makes both of them write."""
    hour = int(now.timestamp()) // 3600 * 3600
    session.execute(_COUNT_ASKED, {"scope": _ASKED, "hour": hour})
    session.execute(_FORGET_ASKED, {"scope": _ASKED, "hour": hour})
    subscriber_id = (reader.id or 0) if reader else 0
    today, yesterday = (f"{kind}:{subscriber_id}:{(now - timedelta(d)).date()}" for d in (0, 1))
    is_due = (
        _may_be_written_to(session, subscriber_id),
        _said_at(session, yesterday) <= now - BETWEEN_LINKS,
        reader is not None and reader.status in statuses,
    )
    tried = session.begin_nested()
    is_new = system_mail.queue(
        session, kind, once=today, subscriber_id=subscriber_id or None, now=now
    )
    if not all(is_due):
        tried.rollback()
        return False
    tried.commit()
    return is_new


def _may_be_written_to(session: Session, subscriber_id: int) -> bool:
    reader = session.get(Subscriber, subscriber_id)
    key = reader.address_key if reader else ""
    return suppression.is_suppressed(session, key) is None and reader is not None


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


def drain_system_mail(app: App) -> system_mail.Drained:
    """Hands every queued system mail to the provider. They wait for no limit, but count."""
    drained = system_mail.drain(
        app.engine,
        app.sending_provider,
        mailing_of=lambda kind, facts, date: mailings.system_mailing(app, kind, facts, date),
        envelope_of=lambda due: mailings.system_envelope(app, due),
        now=app.clock(),
    )
    app.throttle.spend(drained.submitted)
    return drained
