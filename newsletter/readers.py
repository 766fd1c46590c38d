"""What readers do, and operators for them: the audience, its mails and its events together."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlmodel import Session, col, select

from newsletter import letters, sign_ups
from newsletter.app import App
from newsletter.editorial.issues import called
from newsletter.errors import NotFoundError
from newsletter.store.models import Delivery, Issue
from newsletter.tokens import UNDO_LIFETIME, DeliveryToken
from newsletter.tracking import events
from subscribers import audience, consent, leaving, suppression, transfer
from subscribers.address import EmailAddress, clean_name
from subscribers.models import Subscriber, Suppression, SuppressionReason
from subscribers.outcomes import LeavingReason, Return

BY_PAGE = "page"  # how the source of what a reader does on our pages begins
FORM_WORDING = (
    "Get the next comparison in your inbox. One mail a week; every mail has a link to leave."
)


def sign_up(app: App, email: str, *, source: str, network: str) -> None:
    """A sign-up that no limit holds; pages take theirs through `web.limits`.

    Raises AddressError as `sign_ups.reachable` does.
    """
    address = sign_ups.reachable(email)
    with app.session() as session:
        take_sign_up(app, session, address, source=source, network=network)


def take_sign_up(
    app: App,
    session: Session,
    address: EmailAddress,
    *,
    source: str,
    network: str,
    may_mail: bool = True,
) -> None:
    """Takes a sign-up and queues the mail it calls for; the caller learns nothing of the address.

    may_mail: False where a limit was passed. Nothing is kept then, and it takes as long.
    """
    sign_ups.take(
        session,
        address,
        source=source,
        wording=FORM_WORDING,
        network=network,
        fingerprint=app.keyring.of_address(address.key),
        now=app.clock(),
        may_mail=may_mail,
    )


def read_confirm(app: App, token: str) -> None:
    """Checks a confirmation token and changes nothing. Raises TokenError."""
    app.keyring.read_confirm(token, app.clock())


def confirm(app: App, token: str, *, source: str, network: str) -> consent.Confirmation:
    """Raises TokenError for a token that is forged or expired."""
    now = app.clock()
    asked = app.keyring.read_confirm(token, now)
    with app.session() as session:
        reader = session.get(Subscriber, asked.subscriber_id)
        outcome = consent.confirm(
            session,
            asked.subscriber_id,
            issued_at=asked.issued_at,
            source=source,
            network=network,
            fingerprint=app.keyring.of_address(reader.address_key) if reader else "",
            now=now,
        )
        if outcome is consent.Confirmation.CONFIRMED:
            letters.welcome(app, session, asked.subscriber_id, now=now)
        return outcome


def read_unsubscribe(app: App, token: str) -> DeliveryToken:
    """Checks an unsubscribe token and changes nothing. Raises TokenError."""
    return app.keyring.read_unsubscribe(token)


def leave(
    app: App,
    left: DeliveryToken,
    *,
    source: str,
    network: str,
    agent: str = "",
    why: LeavingReason | None = None,
    words: str = "",
) -> consent.Unsubscription:
    """One reader leaves, whichever door they came through; the first time is told to them.

    Idempotent, and never too late. why, words: what they care to say; kept with the record.
    """
    now = app.clock()
    with app.session() as session:
        outcome = consent.unsubscribe(
            session,
            left.subscriber_id,
            source=source,
            network=network,
            now=now,
            why=why,
            words=words,
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


def undo_token(app: App, subscriber_id: int) -> str:
    """What takes back the leaving of a moment ago; "" where nobody left through a page just now."""
    now = app.clock()
    with app.session(readonly=True) as session:
        left = leaving.left_at(session, subscriber_id)
        if left is None or now - left > UNDO_LIFETIME:
            return ""
        if not leaving.left_by(session, subscriber_id, left).startswith(BY_PAGE):
            return ""
        return app.keyring.undo(subscriber_id, left)


def read_undo(app: App, token: str) -> None:
    """Checks the token and changes nothing. Raises TokenError."""
    app.keyring.read_undo(token, app.clock())


def take_back(app: App, token: str, *, network: str) -> Return:
    """They stay after all, as they were before. Raises TokenError for a forged or late token."""
    now = app.clock()
    undo = app.keyring.read_undo(token, now)
    with app.session() as session:
        outcome = leaving.undo(
            session,
            undo.subscriber_id,
            left=undo.left_at,
            source=f"{BY_PAGE}:undo",
            network=network,
            now=now,
        )
        if outcome is Return.RETURNED:
            letters.recall_goodbye(session, undo.subscriber_id)
        return outcome


def add(app: App, email: str, name: str, *, consent_text: str, given_on: str) -> consent.Added:
    """An operator adds one reader, stating what the reader agreed to and when."""
    address = EmailAddress.parse(email)
    with app.session() as session:
        return consent.add(
            session,
            address,
            clean_name(name),
            consent=consent_text,
            given_on=given_on,
            source="operator",
            fingerprint=app.keyring.of_address(address.key),
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
