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

from subscribers import erasure, suppression
from subscribers.address import EmailAddress, clean_name
from subscribers.choices import pause, resume, resume_due, set_name
from subscribers.evidence import consent_history, record, stated_consent, truncate_network
from subscribers.leaving import unsubscribe
from subscribers.models import (
    ConsentAction,
    ConsentRecord,
    Subscriber,
    SubscriberStatus,
    SuppressionReason,
)
from subscribers.outcomes import (
    Added,
    Changed,
    Confirmation,
    SignUp,
    SignUpMail,
    Unsubscription,
)
from subscribers.rows import GONE, ON_THE_LIST, id_of, locked

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
    "resume_due",
    "set_name",
    "sign_up",
    "truncate_network",
    "unsubscribe",
]

BETWEEN_SIGN_UP_MAILS = timedelta(hours=24)
MAX_UNANSWERED_CONFIRMATIONS = 3

# What an erased address is kept for; with any other reason it is written to by nobody.
_LIFTED_BY_THEMSELVES = (SuppressionReason.COMPLAINT, SuppressionReason.ERASED)


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
    version: str = "",
    network: str,
    fingerprint: str = "",
    now: datetime,
) -> SignUp:
    """Someone asked for the newsletter at this address; says which mail, if any, is due.

    wording: the words agreed to, to the letter; version: which ones these are. network: the
    visitor's IP; its network is kept. fingerprint: the keyed hash of the address's key, by which an
    erased one is known.

    pending, unsubscribed, erased, or suppressed for a complaint: CONFIRM. active or paused:
    ALREADY_SUBSCRIBED. Suppressed for another reason, before an erasure too, or over a limit:
    NOTHING. A sign-up that causes a mail is recorded, one that causes none is not.
    """
    subscriber = _find_or_create(session, address, now=now)
    mail = _mail_due(session, subscriber, fingerprint, now=now)
    if mail is not SignUpMail.NOTHING:
        if mail is SignUpMail.CONFIRM:
            subscriber.confirmations_sent += 1
            subscriber.confirmation_sent_at = now
        record(
            session,
            id_of(subscriber),
            ConsentAction.SIGNED_UP,
            source=source,
            wording=wording,
            version=version,
            network=network,
            now=now,
        )
    return SignUp(id_of(subscriber), mail, subscriber.confirmations_sent)


def confirm(
    session: Session,
    subscriber_id: int,
    *,
    issued_at: datetime,
    source: str,
    network: str,
    fingerprint: str = "",
    now: datetime,
) -> Confirmation:
    """The person pressed the button behind the link in their confirmation mail.

    issued_at: when the link was made, as its token says (whole seconds will do). A link older than
    their leaving, their complaint or their erasure gives NOT_POSSIBLE: old mail brings nobody back.
    A confirmation lifts a complaint and an erasure's mark (found by fingerprint, the keyed hash of
    the address's key); a bounce or an operator's suppression stands on.
    """
    subscriber = locked(session, subscriber_id)
    if subscriber is None or subscriber.status == SubscriberStatus.ERASED:
        return Confirmation.NOT_POSSIBLE
    complaint = suppression.standing_complaint(session, subscriber.address_key)
    if complaint is None and subscriber.status in ON_THE_LIST:
        return Confirmation.ALREADY_ACTIVE
    mark = erasure.standing(session, fingerprint)
    since = [subscriber.unsubscribed_at, *(one.at for one in (complaint, mark) if one)]
    if not all(_asked_since(subscriber, issued_at, event) for event in since):
        return Confirmation.NOT_POSSIBLE
    if complaint is not None:
        suppression.lift_complaint(session, complaint, now=now)
    if mark is not None and mark.reason in _LIFTED_BY_THEMSELVES:
        erasure.lift(session, mark, now=now)
    _activate(subscriber, now=now)
    wording, version = _words_of_sign_up(session, subscriber_id)
    record(
        session,
        subscriber_id,
        ConsentAction.CONFIRMED,
        source=source,
        wording=wording,
        version=version,
        network=network,
        now=now,
    )
    return Confirmation.CONFIRMED


def add(
    session: Session,
    address: EmailAddress,
    name: str,
    *,
    consent: str,
    given_on: str,
    source: str,
    fingerprint: str = "",
    now: datetime,
) -> Added:
    """An operator adds one person whose consent they can show.

    consent: what was agreed to, and how. given_on: the date, as 2026-05-31. Raises AudienceError
    where either is missing or the date is none, AddressError for a name that cannot be used.
    A suppressed address is refused, an erased one too (found by fingerprint, the keyed hash of the
    address's key), and one that left stays so.
    """
    wording, day = stated_consent(consent, given_on, now=now)
    cleaned = clean_name(name)
    if suppression.is_suppressed(session, address.key) or erasure.standing(session, fingerprint):
        return Added.KEPT_SUPPRESSED
    subscriber = _find_or_create(session, address, now=now)
    if subscriber.status in GONE:
        return Added.KEPT_UNSUBSCRIBED
    if subscriber.status in ON_THE_LIST:
        return Added.ALREADY
    subscriber.name = cleaned or subscriber.name
    _activate(subscriber, now=now)
    record(
        session,
        id_of(subscriber),
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


def _mail_due(
    session: Session, subscriber: Subscriber, fingerprint: str, *, now: datetime
) -> SignUpMail:
    # All of it is read whatever the first of it says: how long an answer takes tells nobody who is
    # on the list.
    complaint = suppression.standing_complaint(session, subscriber.address_key)
    reason = suppression.is_suppressed(session, subscriber.address_key)
    mark = erasure.standing(session, fingerprint)
    is_barred = mark is not None and mark.reason not in _LIFTED_BY_THEMSELVES
    since = complaint.at if complaint else None
    unanswered = _unanswered_sign_ups(session, id_of(subscriber), since=since)
    is_erased = subscriber.status == SubscriberStatus.ERASED
    if is_erased or is_barred or (reason and complaint is None):
        return SignUpMail.NOTHING
    if subscriber.status in ON_THE_LIST and complaint is None:
        told_at = unanswered[-1].at if unanswered else None
        return SignUpMail.ALREADY_SUBSCRIBED if _is_over(told_at, now) else SignUpMail.NOTHING
    within = len(unanswered) < MAX_UNANSWERED_CONFIRMATIONS
    due = within and _is_over(subscriber.confirmation_sent_at, now)
    return SignUpMail.CONFIRM if due else SignUpMail.NOTHING


def _words_of_sign_up(session: Session, subscriber_id: int) -> tuple[str, str]:
    """What the newest sign-up agreed to, and its version: a confirmation confirms just that."""
    history = reversed(consent_history(session, subscriber_id))
    signed_up = (e for e in history if e.action == ConsentAction.SIGNED_UP)
    return next(((e.wording, e.version) for e in signed_up), ("", ""))


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
    subscriber.paused_until = None


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
