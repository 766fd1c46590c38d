"""When a system mail left that somebody reports on: no address is barred that came after it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select

from newsletter.store.models import SystemMail

# Servers try for four or five days, and then say so (RFC 5321, 4.5.4.1).
HEARD_WITHIN: Final = timedelta(days=7)

_MARK: Final = re.compile(r"(?P<kind>[a-z_]{1,24})\.(?P<mark>[0-9a-f]{24})@", re.ASCII)


def sent_at(mail: SystemMail) -> datetime:
    """When its address was looked up for the last time; when it was asked for, before that."""
    return mail.claimed_at or mail.created_at


def of_reader(
    session: Session,
    subscriber_id: int,
    message_ids: Iterable[str],
    fingerprint_of: Callable[[str], str],
    now: datetime,
) -> datetime | None:
    """When the reader's mail that one of these Message-IDs names was sent.

    Where none of them names one: the first that a report may still be about, so that a doubt bars
    nobody's new address. None where nothing was sent to them of late.
    """
    named = {(found["kind"], found["mark"]) for one in message_ids if (found := _MARK.match(one))}
    mails = session.exec(  # by system_mail's index on subscriber_id
        select(SystemMail).where(col(SystemMail.subscriber_id) == subscriber_id)
    ).all()
    for mail in mails:
        if (mail.kind, fingerprint_of(mail.once)) in named:
            return sent_at(mail)
    return min((at for at in map(sent_at, mails) if at >= now - HEARD_WITHIN), default=None)
