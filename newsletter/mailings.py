"""What goes into an envelope: an issue or a system mail, compiled, with its readers' tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parseaddr
from typing import NamedTuple

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.errors import PermanentError, RefusedError
from newsletter.providers.base import Content, Envelope, Mailing
from newsletter.rendering import headers
from newsletter.rendering.message import CompiledMessage, compile_message
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import PLACEHOLDER, Slot, greeting, replacements
from newsletter.rendering.untracked import RULE, untracked
from newsletter.rendering.view import SystemMailView
from newsletter.tokens import Keyring
from subscribers.address import EmailAddress
from subscribers.audience import Reader

NOBODY = 0  # the subscriber id in the links of a public copy
NO_ISSUE = 0  # the issue id in the links of a system mail


def is_tracked(app: App, issue: IssueDetails) -> bool:
    """Whether anybody is tracked at all: neither the publication nor its editor said no."""
    return app.settings.tracking and issue.is_tracked


def as_read(app: App, issue: IssueDetails, render: StoredRender) -> RenderedIssue:
    """The render as its tracked readers get it, where it has any; else as everybody does.

    To look at: where nothing can be made of it for the untracked, it comes as it is, and one of its
    findings says so.
    """
    rendered = render.as_rendered()
    if is_tracked(app, issue) or any(one["rule"] == RULE for one in render.findings):
        return rendered
    return untracked(rendered)


def issue_mailing(app: App, issue: IssueDetails, render: StoredRender) -> Mailing:
    """The issue compiled once, and once more for who is not tracked; a reader costs a splice.

    Its date is the instant it was frozen. Raises RefusedError where no message can be made of it.
    """

    def compiled(rendered: RenderedIssue) -> _Compiled:
        message = compile_message(
            rendered,
            app.publication,
            date=issue.frozen_at or app.clock(),
            week=issue.week,
            issue_id=issue.id,
            kind=issue.kind,
        )
        return _Compiled(rendered, message)

    plain = compiled(untracked(render.as_rendered()))
    if not is_tracked(app, issue):
        return _mailing(app, issue.folder, plain)
    return _mailing(app, issue.folder, compiled(render.as_rendered()), plain)


def envelope_maker(app: App, issue: IssueDetails) -> Callable[[Reader], Envelope]:
    """How a reader becomes an envelope of this issue: address, Message-ID, tokens, greeting.

    Who is not tracked has no delivery token at all: nothing in their mail could carry it. It raises
    PermanentError for a reader whose address no message can carry.
    """
    keyring = app.keyring
    tracked = is_tracked(app, issue)
    message_id_of = message_id_maker(app, issue.id, issue.slug)
    bounces_to = parseaddr(app.settings.bounces_to)[1]

    def envelope_for(reader: Reader) -> Envelope:
        slots: dict[str, str] = {
            Slot.UNSUBSCRIBE: keyring.unsubscribe(issue.id, reader.id),
            Slot.PREFERENCES: keyring.preferences(issue.id, reader.id),
            Slot.VOTE: keyring.vote(issue.id, reader.id),
            Slot.NAME: greeting(reader.name),
        }
        counted = tracked and reader.is_tracked
        if counted:
            slots[Slot.DELIVERY] = keyring.delivery(issue.id, reader.id)
        return Envelope(
            key=reader.id,
            address=_wire(reader.address),
            name=reader.name,
            message_id=message_id_of(reader.id),
            slots=slots,
            bounce_to=_return_path(bounces_to, keyring, issue.id, reader.id),
            is_tracked=counted,
        )

    return envelope_for


def message_id_maker(app: App, issue_id: int, slug: str) -> Callable[[int], str]:
    """The Message-ID of a subscriber's copy of the issue, by their id; no angle brackets."""
    fingerprint, domain = app.keyring.fingerprint, _sender_domain(app)
    return lambda subscriber_id: f"{slug}.{fingerprint(f'{issue_id}:{subscriber_id}')}@{domain}"


def public_slots(app: App, issue_id: int) -> Mapping[str, str]:
    """The slots of the public copy: real tokens that stand for nobody, and no name."""
    return {
        Slot.DELIVERY: app.keyring.delivery(issue_id, NOBODY),
        Slot.UNSUBSCRIBE: app.keyring.unsubscribe(issue_id, NOBODY),
        Slot.PREFERENCES: app.keyring.preferences(issue_id, NOBODY),
        Slot.VOTE: app.keyring.vote(issue_id, NOBODY),
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
    return _mailing(app, system_mail.FOLDER, _Compiled(rendered, compiled))


def system_envelope(app: App, due: system_mail.Due) -> Envelope:
    mark = app.keyring.fingerprint(due.once)
    return Envelope(
        key=due.id,
        address=_wire(EmailAddress.parse(due.address).wire),
        name="",
        message_id=f"{due.kind}.{mark}@{_sender_domain(app)}",
        slots=_own_pages(app.keyring, due),
        bounce_to=_return_path(
            parseaddr(app.settings.bounces_to)[1], app.keyring, NO_ISSUE, due.subscriber_id
        ),
    )


def _return_path(
    bounces_to: str, keyring: Keyring, issue_id: int, subscriber_id: int | None
) -> str:
    """`bounces+TOKEN@example.com`: where this one message's bounces go; "" where none is set."""
    if not bounces_to or subscriber_id is None:
        return ""
    local, _at, domain = bounces_to.rpartition("@")
    return f"{local}+{keyring.bounce(issue_id, subscriber_id)}@{domain}"


def _own_pages(keyring: Keyring, due: system_mail.Due) -> dict[str, str]:
    """The tokens of a reader's own pages; a mail to somebody else has none of them to give."""
    slots: dict[str, str] = {}
    if "change" in due.facts:  # the new mailbox is asked before it is anybody's
        is_new = due.kind == "move_to"
        slots[Slot.MOVE] = keyring.move(int(due.facts["change"]), due.created_at, is_new=is_new)
    if due.subscriber_id is None:
        return slots
    return slots | {
        Slot.CONFIRM: keyring.confirm(due.subscriber_id, due.created_at),
        Slot.UNSUBSCRIBE: keyring.unsubscribe(NO_ISSUE, due.subscriber_id),
        Slot.PREFERENCES: keyring.preferences(NO_ISSUE, due.subscriber_id),
        Slot.DATA: keyring.own_data(due.subscriber_id, due.created_at),
    }


def _wire(address: str) -> str:
    """Raises PermanentError, for this one reader, where the address cannot stand in a message."""
    try:
        return headers.wire_address(address)
    except RefusedError as error:
        raise PermanentError("the address has letters before the @ that need SMTPUTF8") from error


class _Compiled(NamedTuple):
    """One form of a mailing, for those who join it with a reader and for those who splice."""

    rendered: RenderedIssue
    message: CompiledMessage


def _mailing(app: App, folder: str, usual: _Compiled, plain: _Compiled | None = None) -> Mailing:
    """plain: the form for who is not tracked; None where it is the same for all."""
    base = f"{app.publication.url}/unsubscribe/"
    bare = (plain or usual).message

    def way_out(envelope: Envelope) -> str:
        return base + envelope.slots.get(Slot.UNSUBSCRIBE, "")

    def splice(envelope: Envelope) -> bytes:
        return (usual.message if envelope.is_tracked else bare).splice(
            address=envelope.address,
            name=envelope.name,
            message_id=envelope.message_id,
            slots=envelope.slots,
            unsubscribe_url=way_out(envelope),
        )

    def content(form: _Compiled) -> Content:
        return Content(
            sender=app.publication.sender,
            reply_to=app.publication.reply_to,
            subject=form.rendered.subject,
            html=form.rendered.html,
            text=form.rendered.text,
            headers=form.message.shared,
            tokens=lambda envelope: replacements(envelope.slots),
            own_headers=lambda envelope: form.message.own_headers(way_out(envelope)),
        )

    return Mailing(folder, splice, content(usual), None if plain is None else content(plain))


def _sender_domain(app: App) -> str:
    return parseaddr(app.publication.sender)[1].rpartition("@")[2]
