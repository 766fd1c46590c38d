"""The double opt-in machine: sign up, confirm, pause, leave; and an operator's stated consent.

            sign_up            confirm              unsubscribe
(nobody) ------------> pending ---------> active ---------------> unsubscribed
                                          |    ^                    ^     |
                                    pause v    | resume             |     |
                                          paused ------ unsubscribe +     |
                                                                          |
                                          active <------- confirm --------+

A sign-up never changes anyone who was on the list before: posting a stranger's address into a form
may cause one mail and nothing else. Only `confirm` and `add` make a subscriber active (`resume` one
who paused), and only `confirm` brings back one who left. Nothing here commits, nothing here sends.

Limits of sign-up mails, which protect a mailbox from a stranger with a form:
- one confirmation an address in 24 hours;
- three confirmations that nobody answers, then silence. Each act of the person (confirmed, left) or
  of an operator (added, imported) starts the count again, so nobody is locked out for good;
- one "you are already subscribed" in 24 hours.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, text
from sqlmodel import Session, select
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers import suppression
from subscribers.address import EmailAddress, clean_name
from subscribers.errors import AudienceError
from subscribers.evidence import consent_history, record, stated_consent, truncate_network
from subscribers.models import ConsentAction, ConsentRecord, Subscriber, SubscriberStatus
from subscribers.outcomes import (
    Added,
    Changed,
    Confirmation,
    SignUp,
    SignUpMail,
    Unsubscription,
)

__all__ = [
    "ON_THE_LIST",
    "Added",
    "Changed",
    "Confirmation",
    "SignUp",
    "SignUpMail",
    "Unsubscription",
    "add",
    "confirm",
    "consent_history",
    "find",
    "pause",
    "resume",
    "set_name",
    "sign_up",
    "truncate_network",
    "unsubscribe",
]

ON_THE_LIST = (SubscriberStatus.ACTIVE, SubscriberStatus.PAUSED)
BETWEEN_SIGN_UP_MAILS = timedelta(hours=24)
MAX_UNANSWERED_CONFIRMATIONS = 3


# Two forms posted at once for one new address: the second insert does nothing and reads the first.
_INSERT = text(
    "INSERT INTO subscriber (address, address_key, name, status, created_at, confirmations_sent)"
    " VALUES (:address, :address_key, :name, :status, :now, 0)"
    " ON CONFLICT (address_key) DO NOTHING"
).bindparams(bindparam("now", type_=UTCDateTime()))


def sign_up(
    session: Session,
    address: EmailAddress,
    *,
    source: str,
    wording: str,
    network: str,
    now: datetime,
) -> SignUp:
    """Someone asked for the newsletter at this address; says which mail, if any, is due.

    wording: the words agreed to, to the letter. network: the visitor's IP; its network is kept.
    pending, unsubscribed, or suppressed for a complaint: CONFIRM. active or paused:
    ALREADY_SUBSCRIBED. Suppressed for another reason, erased, or over a limit: NOTHING. A sign-up
    that causes a mail is recorded, one that causes none is not.
    """
    subscriber = _find_or_create(session, address, now=now)
    mail = _mail_due(session, subscriber, now=now)
    if mail is not SignUpMail.NOTHING:
        if mail is SignUpMail.CONFIRM:
            subscriber.confirmations_sent += 1
            subscriber.confirmation_sent_at = now
        record(
            session,
            _id(subscriber),
            ConsentAction.SIGNED_UP,
            source=source,
            wording=wording,
            network=network,
            now=now,
        )
    return SignUp(_id(subscriber), mail, subscriber.confirmations_sent)


def confirm(
    session: Session,
    subscriber_id: int,
    *,
    issued_at: datetime,
    source: str,
    network: str,
    now: datetime,
) -> Confirmation:
    """The person pressed the button behind the link in their confirmation mail.

    issued_at: when the link was made, as its token says (whole seconds will do). A link older than
    their leaving, or than their complaint, gives NOT_POSSIBLE: old mail brings nobody back. A
    confirmation lifts a complaint; a bounce or an operator's suppression stands on.
    """
    subscriber = _locked(session, subscriber_id)
    if subscriber is None or subscriber.status == SubscriberStatus.ERASED:
        return Confirmation.NOT_POSSIBLE
    complaint = suppression.standing_complaint(session, subscriber.address_key)
    if complaint is None and subscriber.status in ON_THE_LIST:
        return Confirmation.ALREADY_ACTIVE
    left = subscriber.unsubscribed_at
    if not _asked_since(subscriber, issued_at, left):
        return Confirmation.NOT_POSSIBLE
    if complaint is not None:
        if not _asked_since(subscriber, issued_at, complaint.at):
            return Confirmation.NOT_POSSIBLE
        suppression.lift_complaint(session, complaint, now=now)
    _activate(subscriber, now=now)
    record(
        session,
        subscriber_id,
        ConsentAction.CONFIRMED,
        source=source,
        wording=_words_of_sign_up(session, subscriber_id),
        network=network,
        now=now,
    )
    return Confirmation.CONFIRMED


def unsubscribe(
    session: Session, subscriber_id: int, *, source: str, network: str, now: datetime
) -> Unsubscription:
    """The person leaves. Idempotent: the first time is recorded, later ones change nothing."""
    subscriber = _locked(session, subscriber_id)
    if subscriber is None:
        return Unsubscription.UNKNOWN
    if subscriber.status in _GONE:
        return Unsubscription.ALREADY
    subscriber.status = SubscriberStatus.UNSUBSCRIBED
    subscriber.unsubscribed_at = now
    record(
        session, subscriber_id, ConsentAction.UNSUBSCRIBED, source=source, network=network, now=now
    )
    return Unsubscription.UNSUBSCRIBED


def pause(
    session: Session, subscriber_id: int, *, source: str, network: str, now: datetime
) -> Changed:
    """No issue until they resume; they stay on the list. Idempotent."""
    return _choose(
        session, subscriber_id, ConsentAction.PAUSED, source=source, network=network, now=now
    )


def resume(
    session: Session, subscriber_id: int, *, source: str, network: str, now: datetime
) -> Changed:
    """Issues again, from the next one on. Idempotent; who left does not come back this way."""
    return _choose(
        session, subscriber_id, ConsentAction.RESUMED, source=source, network=network, now=now
    )


def set_name(session: Session, subscriber_id: int, name: str) -> Changed:
    """What this person wants to be called; "" takes it away. No record: a name is no consent.

    Raises AddressError for a name that cannot be used.
    """
    cleaned = clean_name(name)
    subscriber = _locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    if subscriber.name == cleaned:
        return Changed.UNCHANGED
    subscriber.name = cleaned
    return Changed.CHANGED


def add(
    session: Session,
    address: EmailAddress,
    name: str,
    *,
    consent: str,
    given_on: str,
    source: str,
    now: datetime,
) -> Added:
    """An operator adds one person whose consent they can show.

    consent: what was agreed to, and how. given_on: the date, as 2026-05-31. Raises AudienceError
    where either is missing or the date is none, AddressError for a name that cannot be used.
    A suppressed address is refused, and one that left stays so.
    """
    wording, day = stated_consent(consent, given_on, now=now)
    cleaned = clean_name(name)
    if suppression.is_suppressed(session, address.key):
        return Added.KEPT_SUPPRESSED
    subscriber = _find_or_create(session, address, now=now)
    if subscriber.status in _GONE:
        return Added.KEPT_UNSUBSCRIBED
    if subscriber.status in ON_THE_LIST:
        return Added.ALREADY
    subscriber.name = cleaned or subscriber.name
    _activate(subscriber, now=now)
    record(
        session,
        _id(subscriber),
        ConsentAction.ADDED,
        source=source,
        wording=wording,
        given_on=day,
        now=now,
    )
    return Added.ADDED


def find(session: Session, address: EmailAddress) -> Subscriber | None:
    """The subscriber of this address, however it was typed."""
    return session.exec(
        select(Subscriber)
        .where(Subscriber.address_key == address.key)
        .execution_options(populate_existing=True)
    ).first()


_GONE = (SubscriberStatus.UNSUBSCRIBED, SubscriberStatus.ERASED)


_CHOSEN = {
    ConsentAction.PAUSED: SubscriberStatus.PAUSED,
    ConsentAction.RESUMED: SubscriberStatus.ACTIVE,
}


def _choose(
    session: Session,
    subscriber_id: int,
    action: ConsentAction,
    *,
    source: str,
    network: str,
    now: datetime,
) -> Changed:
    """A move between active and paused, recorded where it moves anything."""
    subscriber = _locked(session, subscriber_id)
    if subscriber is None or subscriber.status not in ON_THE_LIST:
        return Changed.NOT_ON_THE_LIST
    if subscriber.status == _CHOSEN[action]:
        return Changed.UNCHANGED
    subscriber.status = _CHOSEN[action]
    record(session, subscriber_id, action, source=source, network=network, now=now)
    return Changed.CHANGED


def _mail_due(session: Session, subscriber: Subscriber, *, now: datetime) -> SignUpMail:
    if subscriber.status == SubscriberStatus.ERASED:
        return SignUpMail.NOTHING
    complaint = suppression.standing_complaint(session, subscriber.address_key)
    if complaint is None and suppression.is_suppressed(session, subscriber.address_key):
        return SignUpMail.NOTHING
    since = complaint.at if complaint else None
    unanswered = _unanswered_sign_ups(session, _id(subscriber), since=since)
    if subscriber.status in ON_THE_LIST and complaint is None:
        told_at = unanswered[-1].at if unanswered else None
        return SignUpMail.ALREADY_SUBSCRIBED if _is_over(told_at, now) else SignUpMail.NOTHING
    within = len(unanswered) < MAX_UNANSWERED_CONFIRMATIONS
    due = within and _is_over(subscriber.confirmation_sent_at, now)
    return SignUpMail.CONFIRM if due else SignUpMail.NOTHING


def _words_of_sign_up(session: Session, subscriber_id: int) -> str:
    """What the newest sign-up agreed to: a confirmation confirms just that."""
    history = reversed(consent_history(session, subscriber_id))
    return next((e.wording for e in history if e.action == ConsentAction.SIGNED_UP), "")


def _is_over(previous: datetime | None, now: datetime) -> bool:
    return previous is None or now - previous >= BETWEEN_SIGN_UP_MAILS


def _unanswered_sign_ups(
    session: Session, subscriber_id: int, *, since: datetime | None
) -> list[ConsentRecord]:
    """The sign-ups since anything else happened; each of them caused one mail.

    since: when a complaint came in. Notices sent before it must not count against the
    confirmation that lifts it.
    """
    history = consent_history(session, subscriber_id)
    last_act = max(
        (n for n, entry in enumerate(history, 1) if entry.action != ConsentAction.SIGNED_UP),
        default=0,
    )
    return [entry for entry in history[last_act:] if since is None or entry.at > since]


def _asked_since(subscriber: Subscriber, issued_at: datetime, event: datetime | None) -> bool:
    """Whether the link answers a sign-up made after `event` (None: there was none).

    A token counts whole seconds, so a link of the second in which `event` fell proves nothing by
    itself: then it must be the newest confirmation's.
    """
    if event is None:
        return True
    sent = subscriber.confirmation_sent_at
    if sent is None or sent <= event:
        return False
    return issued_at > event or issued_at >= sent.replace(microsecond=0)


def _activate(subscriber: Subscriber, *, now: datetime) -> None:
    subscriber.status = SubscriberStatus.ACTIVE
    subscriber.confirmed_at = subscriber.confirmed_at or now
    subscriber.unsubscribed_at = None


def _find_or_create(session: Session, address: EmailAddress, *, now: datetime) -> Subscriber:
    session.flush()
    row = {
        "address": address.given,
        "address_key": address.key,
        "name": "",
        "status": str(SubscriberStatus.PENDING),
        "now": now,
    }
    session.connection().execute(_INSERT, row)
    # The lock makes concurrent sign-ups of one address take turns on PostgreSQL; SQLite has one
    # writer anyway.
    return session.exec(
        select(Subscriber)
        .where(Subscriber.address_key == address.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _locked(session: Session, subscriber_id: int) -> Subscriber | None:
    return session.exec(
        select(Subscriber)
        .where(Subscriber.id == subscriber_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def _id(subscriber: Subscriber) -> int:
    if subscriber.id is None:
        raise AudienceError("this subscriber was never stored", hint="report it: it is a fault")
    return subscriber.id
