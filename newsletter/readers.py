"""What readers do, and operators for them: the audience, its mails and its events together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlmodel import Session, col, select

from newsletter import letters
from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import called
from newsletter.errors import NotFoundError
from newsletter.store.models import Delivery, Issue
from newsletter.tokens import DeliveryToken
from newsletter.tracking import events
from subscribers import audience, consent, suppression, transfer
from subscribers.address import EmailAddress, clean_name
from subscribers.errors import AddressError
from subscribers.models import Subscriber, SubscriberStatus, Suppression, SuppressionReason

FORM_WORDING = (
    "Get the next comparison in your inbox. One mail a week; every mail has a link to leave."
)


def sign_up(app: App, email: str, *, source: str, network: str) -> None:
    """Takes a sign-up and queues the mail it calls for; the caller learns nothing of the address.

    Raises AddressError where the text is no address, or one that no mail of ours could reach: that
    depends on what was typed alone, and on nothing we know.
    """
    address = EmailAddress.parse(email)
    if address.needs_smtputf8:
        raise AddressError(
            "mail to this address needs SMTPUTF8, which is not offered",
            hint="use an address with plain letters before the @",
        )
    now = app.clock()
    with app.session() as session:
        outcome = consent.sign_up(
            session, address, source=source, wording=FORM_WORDING, network=network, now=now
        )
        if outcome.mail is not consent.SignUpMail.NOTHING:
            system_mail.queue(
                session,
                outcome.mail.value,
                once=f"{outcome.mail.value}:{outcome.subscriber_id}:{now.isoformat()}",
                subscriber_id=outcome.subscriber_id,
                now=now,
            )


def read_confirm(app: App, token: str) -> None:
    """Checks a confirmation token and changes nothing. Raises TokenError."""
    app.keyring.read_confirm(token, app.clock())


def confirm(app: App, token: str, *, source: str, network: str) -> consent.Confirmation:
    """Raises TokenError for a token that is forged or expired."""
    now = app.clock()
    asked = app.keyring.read_confirm(token, now)
    with app.session() as session:
        outcome = consent.confirm(
            session,
            asked.subscriber_id,
            issued_at=asked.issued_at,
            source=source,
            network=network,
            now=now,
        )
        if outcome is consent.Confirmation.CONFIRMED:
            letters.welcome(app, session, asked.subscriber_id, now=now)
        return outcome


def read_unsubscribe(app: App, token: str) -> DeliveryToken:
    """Checks an unsubscribe token and changes nothing. Raises TokenError."""
    return app.keyring.read_unsubscribe(token)


def unsubscribe(
    app: App, token: str, *, source: str, network: str, agent: str = ""
) -> consent.Unsubscription:
    """Idempotent, and never too late. Raises TokenError for a forged token."""
    left = app.keyring.read_unsubscribe(token)
    return leave(app, left, source=source, network=network, agent=agent)


def leave(
    app: App, left: DeliveryToken, *, source: str, network: str, agent: str = ""
) -> consent.Unsubscription:
    """One reader leaves, whichever door they came through; the first time is told to them."""
    now = app.clock()
    with app.session() as session:
        outcome = consent.unsubscribe(
            session, left.subscriber_id, source=source, network=network, now=now
        )
        if outcome is not consent.Unsubscription.UNSUBSCRIBED:
            return outcome
        letters.goodbye(session, left.subscriber_id, now=now)
        if left.issue_id:
            events.append(
                session,
                issue_id=left.issue_id,
                subscriber_id=left.subscriber_id,
                kind="unsubscribe",
                link=None,
                at=now,
                method="POST",
                agent=agent,
                network=network,
            )
        return outcome


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a reader on the list may choose for themselves."""

    address: str  # redacted: a forwarded mail must not tell whose it was
    name: str
    is_paused: bool


def send_preferences_link(app: App, email: str) -> None:
    """Mails a reader the link to their preferences; the caller learns nothing of the address.

    Raises AddressError where the text is no address.
    """
    address = EmailAddress.parse(email)
    with app.session() as session:
        reader = consent.find(session, address)
        if reader is not None:
            letters.preferences_link(session, reader, now=app.clock())


def read_preferences(app: App, token: str) -> DeliveryToken:
    """Checks a preferences token and changes nothing. Raises TokenError."""
    return app.keyring.read_preferences(token)


def preferences(app: App, subscriber_id: int) -> Preferences | None:
    """What this reader chose; None for who is not on the list."""
    with app.session(readonly=True) as session:
        reader = session.get(Subscriber, subscriber_id)
        if reader is None or reader.status not in consent.ON_THE_LIST:
            return None
        return Preferences(
            address=EmailAddress.parse(reader.address).redacted,
            name=reader.name,
            is_paused=reader.status == SubscriberStatus.PAUSED,
        )


def set_name(app: App, subscriber_id: int, name: str) -> consent.Changed:
    """Raises AddressError for a name that cannot be used."""
    with app.session() as session:
        return consent.set_name(session, subscriber_id, name)


def pause(app: App, subscriber_id: int, *, source: str, network: str) -> consent.Changed:
    with app.session() as session:
        return consent.pause(
            session, subscriber_id, source=source, network=network, now=app.clock()
        )


def resume(app: App, subscriber_id: int, *, source: str, network: str) -> consent.Changed:
    with app.session() as session:
        return consent.resume(
            session, subscriber_id, source=source, network=network, now=app.clock()
        )


def add(app: App, email: str, name: str, *, consent_text: str, given_on: str) -> consent.Added:
    """An operator adds one reader, stating what the reader agreed to and when."""
    with app.session() as session:
        return consent.add(
            session,
            EmailAddress.parse(email),
            clean_name(name),
            consent=consent_text,
            given_on=given_on,
            source="operator",
            now=app.clock(),
        )


def operator_unsubscribe(app: App, email: str) -> consent.Unsubscription:
    """An operator takes one reader off the list. Raises NotFoundError."""
    with app.session() as session:
        return consent.unsubscribe(
            session, _known(session, email).id or 0, source="operator", network="", now=app.clock()
        )


def import_list(
    app: App, data: bytes, *, source: str, consent_text: str, given_on: str, dry_run: bool
) -> transfer.ImportReport:
    """A CSV list with its stated consent; see `subscribers.transfer.import_csv`."""
    with app.session() as session:
        return transfer.import_csv(
            session,
            data,
            source=source,
            consent=consent_text,
            given_on=given_on,
            now=app.clock(),
            dry_run=dry_run,
        )


def show(app: App, email: str) -> dict[str, Any]:
    """All we hold on one reader. Raises NotFoundError."""
    with app.session(readonly=True) as session:
        reader = _known(session, email)
        reason = suppression.is_suppressed(session, reader.address_key)
        return {
            "address": reader.address,
            "name": reader.name,
            "status": reader.status,
            "suppressed": reason.value if reason else None,
            "created_at": _stamp(reader.created_at),
            "confirmed_at": _stamp(reader.confirmed_at),
            "unsubscribed_at": _stamp(reader.unsubscribed_at),
            "consent": [
                {
                    "action": record.action,
                    "at": _stamp(record.at),
                    "source": record.source,
                    "wording": record.wording,
                    "given_on": record.given_on,
                    "network": record.network,
                }
                for record in consent.consent_history(session, reader.id or 0)
            ],
            "deliveries": _deliveries(session, reader.id or 0),
        }


def suppressions(app: App) -> list[Suppression]:
    """Every suppression that stands, newest first."""
    with app.session(readonly=True) as session:
        return suppression.standing(session)


def suppress(app: App, email: str, *, because: str) -> bool:
    """An operator forbids mail to an address, on the list or not; True where that is news."""
    with app.session() as session:
        return suppression.suppress(
            session,
            EmailAddress.parse(email).key,
            SuppressionReason.MANUAL,
            detail=because.strip(),
            now=app.clock(),
        )


def lift_suppression(app: App, email: str, *, because: str) -> bool:
    """False where none stands. Raises AudienceError for a complaint, and without a reason."""
    with app.session() as session:
        key = EmailAddress.parse(email).key
        return suppression.lift(session, key, because=because, now=app.clock())


def counts(app: App) -> dict[str, int]:
    """How many readers there are in each status."""
    with app.session(readonly=True) as session:
        return {status.value: n for status, n in audience.count_by_status(session).items()}


def _known(session: Session, email: str) -> Subscriber:
    address = EmailAddress.parse(email)
    reader = consent.find(session, address)
    if reader is None:
        raise NotFoundError(
            f"{address.given} is not on the list", hint="see `newsletter subscribers list`"
        )
    return reader


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


def _stamp(instant: Any) -> str | None:
    return instant.astimezone(UTC).isoformat() if instant else None
