"""Test sends: an issue's very mail to a few known mailboxes, which counts nowhere.

Its links carry the public copy's tokens, which stand for nobody: whatever is done with them changes
nothing and is no event. No delivery is written down either, so it stands outside every proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from typing import Final

from sqlmodel import Session

from newsletter import mailings, renders
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.editorial.issues import IssueDetails, StoredRender
from newsletter.errors import PermanentError, ProviderError, RefusedError, UncertainError
from newsletter.providers.base import Envelope, Mailing, Outcome, Provider, Receipt, Unlogged
from newsletter.rendering import headers
from newsletter.tracking import links
from subscribers import suppression
from subscribers.address import EmailAddress, clean_name
from subscribers.errors import AddressError

KIND: Final = "test"  # its folder in an outbox, and its kind in the Feedback-ID
PREFIX: Final = "[Test] "
MOST: Final = 50  # addresses; more than that is a send, and belongs in the ledger

_WITH_A_NAME = re.compile(r"\s*(.*?)\s*<([^<>]*)>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one address's message.

    detail: the provider's id of a message it took; of any other the reason.
    """

    address: str
    message_id: str
    outcome: Outcome
    detail: str

    @property
    def is_taken(self) -> bool:
        return self.outcome is Outcome.SUBMITTED


@dataclass(frozen=True, slots=True)
class Trial:
    """A test send, address by address. trouble: why the provider stopped before the end, or None.

    sha256: of the render, as an approval names it. is_as_shown: whether it is the render that was
    last kept; else templates or settings have changed since.
    """

    issue: str
    subject: str
    sha256: str
    is_as_shown: bool
    provider: str
    tried: tuple[Tried, ...]
    trouble: ProviderError | None

    @property
    def is_taken(self) -> bool:
        """Whether every message was taken."""
        return self.trouble is None and all(one.is_taken for one in self.tried)


@dataclass(frozen=True, slots=True)
class _Mailbox:
    address: EmailAddress
    name: str


def send(app: App, ref: str, to: Sequence[str], *, run: str) -> Trial:
    """Sends the issue as it renders now to `to` and to the seeds, nobody twice.

    An issue that was frozen goes as it was frozen. to: mailboxes, with or without a name. run:
    letters and digits that no test before had. Raises RefusedError for an address that cannot be
    used, SettingsError where the provider lacks settings, and the provider's own error where it
    answered for nobody; nothing was sent then.
    """
    mailboxes = _mailboxes(to, app.settings.seeds)
    provider = app.sending_provider
    with app.session() as session:
        _refuse_suppressed(session, mailboxes)
        issue = issues.find(session, ref)
        kept = issues.rendered(session, issue.id)
        render = _render_of_now(app, session, issue, kept)
    mailing = _mailing(app, issue, render)
    envelopes = _envelopes(app, issue, mailboxes, run)
    receipts, trouble = _submit(provider, mailing, envelopes)
    return Trial(
        issue=issue.ref,
        subject=mailing.content.subject,
        sha256=render.sha256,
        is_as_shown=render.sha256 == kept.sha256,
        provider=provider.name,
        tried=tuple(_tried(envelopes, receipts, trouble)),
        trouble=trouble,
    )


def _mailboxes(to: Sequence[str], seeds: Sequence[str]) -> list[_Mailbox]:
    """Each mailbox once. Raises RefusedError, which says which one without showing it."""
    read = [_read(text, f"address {n} of {len(to)}") for n, text in enumerate(to, 1)]
    read += [_read(text, f"seed {n} of NEWSLETTER_SEEDS") for n, text in enumerate(seeds, 1)]
    found = {one.address.key: one for one in reversed(read)}  # the first of a kind stays
    once = [one for one in read if found[one.address.key] is one]
    if not once:
        raise RefusedError(
            "a test needs somebody to go to",
            hint="give --to ADDRESS, or set NEWSLETTER_SEEDS to the mailboxes that get every test",
        )
    if len(once) > MOST:
        raise RefusedError(
            f"a test goes to at most {MOST} addresses, these are {len(once)}",
            hint="a send to readers is `newsletter issue send`: it accounts for everyone",
        )
    return once


def _read(text: str, which: str) -> _Mailbox:
    match = _WITH_A_NAME.fullmatch(text)
    name, bare = (match[1].strip('"'), match[2]) if match else ("", text)
    if not name.isprintable():
        raise RefusedError(
            f"the name of {which} has a line end or another control character",
            hint="write it on one line, in plain words",
        )
    try:
        address = EmailAddress.parse(bare)
        headers.wire_address(address.wire)
        return _Mailbox(address, clean_name(name))
    except (AddressError, RefusedError) as error:
        raise RefusedError(f"{which} cannot be used: {error.what}", hint=error.hint) from None


def _refuse_suppressed(session: Session, mailboxes: Iterable[_Mailbox]) -> None:
    for one in mailboxes:
        reason = suppression.is_suppressed(session, one.address.key)
        if reason is not None:
            raise RefusedError(
                f"{one.address.redacted} must not be written to: {reason.value}",
                hint="leave it out, or see `newsletter suppressions list`",
            )


def _render_of_now(
    app: App, session: Session, issue: IssueDetails, kept: StoredRender
) -> StoredRender:
    """What goes out if the issue goes out now. Its numbered links lead somewhere from here on."""
    render = kept
    if issue.state in issues.OPEN:
        view = renders.issue_view(app, session, issue.id)
        render = kept.of(app.renderer.issue(view, checked=False))
    if not issue.frozen_at:
        # The file alone, which freezing writes anew; the table belongs to what really went out.
        links.write_links(app.home, issue.id, {link["n"]: link["url"] for link in render.links})
    return render


def _mailing(app: App, issue: IssueDetails, render: StoredRender) -> Mailing:
    # Dated now, and with a Feedback-ID of its own: mail hosts shall not count it as the issue.
    issue = replace(issue, kind=KIND, frozen_at=None)
    marked = replace(render, subject=PREFIX + render.subject)
    return replace(mailings.issue_mailing(app, issue, marked), folder=KIND)


def _envelopes(
    app: App, issue: IssueDetails, mailboxes: Iterable[_Mailbox], run: str
) -> list[Envelope]:
    """Keys are below zero: no reader's, so that no event of a provider's can be one's."""
    slots, tracked = mailings.public_slots(app, issue.id), mailings.is_tracked(app, issue)
    domain = parseaddr(app.publication.sender)[1].rpartition("@")[2]
    return [
        Envelope(
            key=-number,
            address=one.address.wire,
            name=one.name,
            message_id=f"{issue.slug}.{KIND}.{run}.{number}@{domain}",
            slots=slots,
            is_tracked=tracked,
        )
        for number, one in enumerate(mailboxes, 1)
    ]


def _submit(
    provider: Provider, mailing: Mailing, envelopes: Sequence[Envelope]
) -> tuple[dict[int, Receipt], ProviderError | None]:
    """Receipts by key, and what ended it early. Raises the error where it is all there is."""
    receipts: dict[int, Receipt] = {}
    try:
        for receipt in provider.submit(mailing, envelopes, Unlogged()):
            receipts[receipt.key] = receipt
    except ProviderError as error:
        if not receipts:
            raise
        return receipts, error
    return receipts, None


def _tried(
    envelopes: Iterable[Envelope], receipts: dict[int, Receipt], trouble: ProviderError | None
) -> Iterator[Tried]:
    for one in envelopes:
        receipt = receipts.get(one.key) or _without_receipt(one.key, trouble)
        yield Tried(one.address, one.message_id, receipt.outcome, receipt.detail)


def _without_receipt(key: int, trouble: ProviderError | None) -> Receipt:
    if trouble is None or isinstance(trouble, UncertainError):
        words = "the provider gave no receipt" if trouble is None else trouble.what
        return Receipt(key, Outcome.UNCERTAIN, words)
    is_final = isinstance(trouble, PermanentError)
    return Receipt(key, Outcome.FAILED if is_final else Outcome.DEFERRED, trouble.what)
