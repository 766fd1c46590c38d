"""What readers do, and operators for them: the audience, its mails and its events together."""

from __future__ import annotations

from sqlmodel import Session

from newsletter import letters, sign_ups
from newsletter.app import App
from newsletter.tokens import UNDO_LIFETIME, DeliveryToken
from newsletter.tracking import events
from subscribers import audience, consent, leaving, suppression
from subscribers.address import EmailAddress
from subscribers.models import Subscriber, Suppression
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


def suppressions(app: App) -> list[Suppression]:
    """Every suppression that stands, newest first."""
    with app.session(readonly=True) as session:
        return suppression.standing(session)


def counts(app: App) -> dict[str, int]:
    """How many readers there are in each status."""
    with app.session(readonly=True) as session:
        return {status.value: n for status, n in audience.count_by_status(session).items()}
