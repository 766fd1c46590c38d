"""A sign-up: what the audience makes of it and the mail it calls for, as one piece of work.

How long it takes must not tell what we know of an address. So the work is done whether it is called
for or not, and taken back where it was not.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col

from newsletter.delivery import system_mail
from subscribers import consent, evidence
from subscribers.address import EmailAddress
from subscribers.consent import SignUp, SignUpMail
from subscribers.errors import AddressError
from subscribers.models import ConsentAction, Subscriber


def reachable(email: str) -> EmailAddress:
    """Raises AddressError where the text is no address, or one that no mail of ours could reach:
    that depends on what was typed alone, and on nothing we know."""
    address = EmailAddress.parse(email)
    if address.needs_smtputf8:
        raise AddressError(
            "mail to this address needs SMTPUTF8, which is not offered",
            hint="use an address with plain letters before the @",
        )
    return address


def take(
    session: Session,
    address: EmailAddress,
    *,
    source: str,
    wording: str,
    version: str = "",
    network: str,
    fingerprint: str,
    now: datetime,
    may_mail: bool = True,
) -> None:
    """Takes a sign-up and queues the mail it calls for; the caller learns nothing of the address.

    wording, version, network, fingerprint: as `consent.sign_up` has them. may_mail: False where a
    limit was passed. Then, and where no mail is due, nothing is kept.
    """
    tried = session.begin_nested()
    outcome = consent.sign_up(
        session,
        address,
        source=source,
        wording=wording,
        version=version,
        network=network,
        fingerprint=fingerprint,
        now=now,
    )
    is_due = outcome.mail is not SignUpMail.NOTHING
    if not is_due:
        evidence.record(
            session,
            outcome.subscriber_id,
            ConsentAction.SIGNED_UP,
            source=source,
            wording=wording,
            version=version,
            network=network,
            now=now,
        )
    if outcome.mail is not SignUpMail.CONFIRM:
        _write_as_a_confirmation_would(session, outcome)
    kind = outcome.mail if is_due else SignUpMail.CONFIRM
    system_mail.queue(
        session,
        kind.value,
        once=f"{kind.value}:{outcome.subscriber_id}:{now.isoformat()}",
        subscriber_id=outcome.subscriber_id,
        now=now,
    )
    if is_due and may_mail:
        tried.commit()
    else:
        tried.rollback()


def _write_as_a_confirmation_would(session: Session, outcome: SignUp) -> None:
    """The same row, written as it is."""
    session.execute(
        update(Subscriber)
        .where(col(Subscriber.id) == outcome.subscriber_id)
        .values(confirmations_sent=col(Subscriber.confirmations_sent))
        .execution_options(synchronize_session=False)
    )
