"""What goes into an envelope: an issue or a system mail, compiled, with its readers' tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parseaddr

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.providers.base import Envelope, Mailing
from newsletter.rendering.message import compile_message
from newsletter.rendering.slots import PLACEHOLDER, Slot, greeting
from newsletter.rendering.view import SystemMailView
from subscribers.address import EmailAddress
from subscribers.audience import Reader

NOBODY = 0  # the subscriber id in the links of a public copy


def issue_mailing(app: App, issue: IssueDetails, render: StoredRender) -> Mailing:
    """The issue compiled once; a reader costs a splice. Its date is the instant it was frozen."""
    compiled = compile_message(
        render.as_rendered(),
        app.publication,
        date=issue.frozen_at or app.clock(),
        week=issue.week,
        issue_id=issue.id,
        kind="weekly",
    )
    return Mailing(folder=issue.week, splice=_splicer(app, compiled.splice))


def envelope_maker(app: App, issue: IssueDetails) -> Callable[[Reader], Envelope]:
    """How a reader becomes an envelope of this issue: address, Message-ID, tokens, greeting."""
    domain = _sender_domain(app)
    keyring = app.keyring

    def envelope_for(reader: Reader) -> Envelope:
        mark = keyring.fingerprint(f"{issue.id}:{reader.id}")
        return Envelope(
            key=reader.id,
            address=reader.address,
            name=reader.name,
            message_id=f"{issue.slug}.{mark}@{domain}",
            slots={
                Slot.DELIVERY: keyring.delivery(issue.id, reader.id),
                Slot.UNSUBSCRIBE: keyring.unsubscribe(issue.id, reader.id),
                Slot.NAME: greeting(reader.name),
            },
        )

    return envelope_for


def public_slots(app: App, issue_id: int) -> Mapping[str, str]:
    """The slots of the public copy: real tokens that stand for nobody, and no name."""
    return {
        Slot.DELIVERY: app.keyring.delivery(issue_id, NOBODY),
        Slot.UNSUBSCRIBE: app.keyring.unsubscribe(issue_id, NOBODY),
        Slot.NAME: "",
    }


def system_mailing(app: App, kind: str, facts: Mapping[str, str], date: datetime) -> Mailing:
    """A system mail compiled once for all who are told the same facts."""
    # A fact may quote an issue whose subject holds a placeholder: it must not become a slot here.
    shown = {name: PLACEHOLDER.sub("[a slot]", fact) for name, fact in facts.items()}
    rendered = app.renderer.system(
        SystemMailView(kind=kind, publication=app.publication, facts=shown)
    )
    compiled = compile_message(rendered, app.publication, date=date, kind=kind)
    return Mailing(folder=system_mail.FOLDER, splice=_splicer(app, compiled.splice))


def system_envelope(app: App, due: system_mail.Due) -> Envelope:
    mark = app.keyring.fingerprint(due.once)
    token = app.keyring.confirm(due.subscriber_id, due.created_at) if due.subscriber_id else ""
    return Envelope(
        key=due.id,
        address=EmailAddress.parse(due.address).wire,
        name="",
        message_id=f"{due.kind}.{mark}@{_sender_domain(app)}",
        slots={Slot.CONFIRM: token},
    )


def _splicer(app: App, splice: Callable[..., bytes]) -> Callable[[Envelope], bytes]:
    base = f"{app.publication.url}/unsubscribe/"

    def joined(envelope: Envelope) -> bytes:
        return splice(
            address=envelope.address,
            name=envelope.name,
            message_id=envelope.message_id,
            slots=envelope.slots,
            unsubscribe_url=base + envelope.slots.get(Slot.UNSUBSCRIBE, ""),
        )

    return joined


def _sender_domain(app: App) -> str:
    return parseaddr(app.publication.sender)[1].rpartition("@")[2]
