"""What goes into an envelope: an issue or a system mail, compiled, with its readers' tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parseaddr

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.errors import PermanentError, RefusedError
from newsletter.providers.base import Content, Envelope, Mailing
from newsletter.rendering import headers
from newsletter.rendering.message import CompiledMessage, compile_message
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import PLACEHOLDER, Slot, greeting, replacements
from newsletter.rendering.view import SystemMailView
from newsletter.tokens import Keyring
from subscribers.address import EmailAddress
from subscribers.audience import Reader

NOBODY = 0  # the subscriber id in the links of a public copy
NO_ISSUE = 0  # the issue id in the links of a system mail


def issue_mailing(app: App, issue: IssueDetails, render: StoredRender) -> Mailing:
    """The issue compiled once; a reader costs a splice. Its date is the instant it was frozen."""
    rendered = render.as_rendered()
    compiled = compile_message(
        rendered,
        app.publication,
        date=issue.frozen_at or app.clock(),
        week=issue.week,
        issue_id=issue.id,
        kind=issue.kind,
    )
    return _mailing(app, issue.folder, rendered, compiled)


def envelope_maker(app: App, issue: IssueDetails) -> Callable[[Reader], Envelope]:
    """How a reader becomes an envelope of this issue: address, Message-ID, tokens, greeting.

    It raises PermanentError for a reader whose address no message can carry.
    """
    domain = _sender_domain(app)
    keyring = app.keyring

    def envelope_for(reader: Reader) -> Envelope:
        mark = keyring.fingerprint(f"{issue.id}:{reader.id}")
        return Envelope(
            key=reader.id,
            address=_wire(reader.address),
            name=reader.name,
            message_id=f"{issue.slug}.{mark}@{domain}",
            slots={
                Slot.DELIVERY: keyring.delivery(issue.id, reader.id),
                Slot.UNSUBSCRIBE: keyring.unsubscribe(issue.id, reader.id),
                Slot.PREFERENCES: keyring.preferences(issue.id, reader.id),
                Slot.NAME: greeting(reader.name),
            },
        )

    return envelope_for


def public_slots(app: App, issue_id: int) -> Mapping[str, str]:
    """The slots of the public copy: real tokens that stand for nobody, and no name."""
    return {
        Slot.DELIVERY: app.keyring.delivery(issue_id, NOBODY),
        Slot.UNSUBSCRIBE: app.keyring.unsubscribe(issue_id, NOBODY),
        Slot.PREFERENCES: app.keyring.preferences(issue_id, NOBODY),
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
    return _mailing(app, system_mail.FOLDER, rendered, compiled)


def system_envelope(app: App, due: system_mail.Due) -> Envelope:
    mark = app.keyring.fingerprint(due.once)
    return Envelope(
        key=due.id,
        address=_wire(EmailAddress.parse(due.address).wire),
        name="",
        message_id=f"{due.kind}.{mark}@{_sender_domain(app)}",
        slots=_own_pages(app.keyring, due.subscriber_id, due.created_at),
    )


def _own_pages(keyring: Keyring, subscriber_id: int | None, asked_at: datetime) -> dict[str, str]:
    """The tokens of a reader's own pages; a mail to somebody else has none to give."""
    if subscriber_id is None:
        return {}
    return {
        Slot.CONFIRM: keyring.confirm(subscriber_id, asked_at),
        Slot.UNSUBSCRIBE: keyring.unsubscribe(NO_ISSUE, subscriber_id),
        Slot.PREFERENCES: keyring.preferences(NO_ISSUE, subscriber_id),
    }


def _wire(address: str) -> str:
    """Raises PermanentError, for this one reader, where the address cannot stand in a message."""
    try:
        return headers.wire_address(address)
    except RefusedError as error:
        raise PermanentError("the address has letters before the @ that need SMTPUTF8") from error


def _mailing(app: App, folder: str, rendered: RenderedIssue, compiled: CompiledMessage) -> Mailing:
    base = f"{app.publication.url}/unsubscribe/"

    def way_out(envelope: Envelope) -> str:
        return base + envelope.slots.get(Slot.UNSUBSCRIBE, "")

    def splice(envelope: Envelope) -> bytes:
        return compiled.splice(
            address=envelope.address,
            name=envelope.name,
            message_id=envelope.message_id,
            slots=envelope.slots,
            unsubscribe_url=way_out(envelope),
        )

    content = Content(
        sender=app.publication.sender,
        reply_to=app.publication.reply_to,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers=compiled.shared,
        tokens=lambda envelope: replacements(envelope.slots),
        own_headers=lambda envelope: compiled.own_headers(way_out(envelope)),
    )
    return Mailing(folder, splice, content)


def _sender_domain(app: App) -> str:
    return parseaddr(app.publication.sender)[1].rpartition("@")[2]
