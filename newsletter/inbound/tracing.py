"""Whose message a mail is about: by what we signed ourselves, never by what a stranger says.

The token in the address the report came to proves it; so does the token of the returned
List-Unsubscribe, for reports that came another way. Else a Message-ID of ours, which nobody but its
reader has seen: it is made again for those whom the report names, then for the whole issue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, select

from newsletter import mailings
from newsletter.app import App
from newsletter.delivery import evidence, system_sent
from newsletter.editorial.issues import WEEKLY
from newsletter.errors import TokenError
from newsletter.inbound.report import Clues
from newsletter.store.models import Issue
from newsletter.tokens import DeliveryToken
from subscribers.address import EmailAddress
from subscribers.errors import AddressError
from subscribers.models import Subscriber

_MAX_NAMED = 5
# A Message-ID begins with its issue's slug: `2026-w48`, `2026-w48-correction`.
_SLUG = re.compile(r"(?P<slug>(?P<week>\d{4}-w\d{2})(?:-(?P<kind>[a-z]{1,16}))?)\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Traced:
    """Where the clues lead. issue_id: None of a system mail, and sent_at is when that left, where
    it is known. why_not: a sentence, else ""."""

    issue_id: int | None = None
    subscriber_id: int | None = None
    why_not: str = ""
    sent_at: datetime | None = None


def trace(app: App, session: Session, clues: Clues) -> Traced:
    """The delivery, or the reader of a system mail, or why there is none."""
    ring = app.keyring
    for found in (
        *_read(ring.read_bounce, clues.bounce_tokens),
        *_read(ring.read_unsubscribe, clues.unsubscribe_tokens),
    ):
        reader = session.get(Subscriber, found.subscriber_id)
        if reader is not None:
            issue = session.get(Issue, found.issue_id)
            if issue is not None:
                return Traced(issue.id, found.subscriber_id)
            sent_at = system_sent.of_reader(
                session, found.subscriber_id, clues.message_ids, ring.fingerprint, app.clock()
            )
            return Traced(None, found.subscriber_id, sent_at=sent_at)
    likely = _named(session, clues.recipients)
    for message_id in clues.message_ids:
        if traced := _by_message_id(app, session, message_id, likely):
            return traced
    return Traced(why_not=_why_not(clues))


def _why_not(clues: Clues) -> str:
    if clues.bounce_tokens or clues.unsubscribe_tokens:
        return "its token is forged, damaged, or of another publication"
    if clues.message_ids:
        return "it names no message of ours"
    return "it names no message"


def _read(reader: Callable[[str], DeliveryToken], tokens: Sequence[str]) -> Iterator[DeliveryToken]:
    for token in tokens:
        try:
            yield reader(token)
        except TokenError:
            continue


def _named(session: Session, recipients: Sequence[str]) -> list[int]:
    """Subscribers at the addresses that a report names: a guess at where to look first."""
    keys = []
    for recipient in recipients[:_MAX_NAMED]:
        try:
            keys.append(EmailAddress.parse(recipient).key)
        except AddressError:
            continue
    found = (session.exec(select(Subscriber.id).where(Subscriber.address_key == k)) for k in keys)
    return [id_ for rows in found for id_ in rows if id_ is not None]


def _by_message_id(
    app: App, session: Session, message_id: str, likely: Sequence[int]
) -> Traced | None:
    named = _SLUG.match(message_id)
    if named is None:
        return None
    week, kind = named["week"].upper(), named["kind"] or WEEKLY
    issue_id = session.exec(select(Issue.id).where(Issue.week == week, Issue.kind == kind)).first()
    if issue_id is None:
        return None
    message_id_of = mailings.message_id_maker(app, issue_id, named["slug"])
    # The end is the same for all: without it no delivery needs to be looked at.
    if message_id.rpartition("@")[2] != message_id_of(0).rpartition("@")[2]:
        return None
    found = evidence.reader_of(session, issue_id, message_id, message_id_of, likely=likely)
    return Traced(issue_id, found) if found is not None else None
