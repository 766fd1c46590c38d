"""The log of who did what to the list: append-only, and without a reader's address.

An entry says who, when, what and how many; its rows say which readers, by id, and what they were
before. Addresses are looked up when an entry is shown; an erasure takes a reader's rows away, so an
erased reader is nobody in here too, and an entry shows how many of its own are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from subscribers.errors import AudienceError
from subscribers.models import AuditEntry, AuditRow, Subscriber, SubscriberStatus

MAX_BY_CHARS = 200
MAX_PAGE = 1000
ERASED = "(erased)"

_ADDRESS = re.compile(r"[^\s\"'<>(),;:@]+@")  # the part before the @ says whose it is


@dataclass(frozen=True, slots=True)
class Touched:
    """One reader of an entry, as they are now. before: what the act found; address: or `ERASED`."""

    subscriber_id: int
    address: str
    status: str
    before: str


def record(
    session: Session,
    *,
    by: str,
    action: str,
    detail: Mapping[str, Any],
    readers: int,
    now: datetime,
) -> int:
    """Appends one entry; its id. readers: how many it affected.

    detail: numbers, words and lists of them; what looks like an address in it loses the part
    before the @. Raises AudienceError where nobody is named.
    """
    who = " ".join(by.split())[:MAX_BY_CHARS]
    if not who:
        raise AudienceError("nobody is named as who does this", hint="say who, with --by NAME")
    entry = AuditEntry(at=now, by=who, action=action, detail=nameless(detail), readers=readers)
    session.add(entry)
    session.flush()
    return id_of(entry)


def entries(
    session: Session,
    *,
    before_id: int | None = None,
    by: str = "",
    action: str = "",
    since: datetime | None = None,
    limit: int = MAX_PAGE,
) -> list[AuditEntry]:
    """Entries, newest first, at most `limit` (1 to 1000); before_id: only older ones than that."""
    query = select(AuditEntry)
    if before_id is not None:
        query = query.where(col(AuditEntry.id) < before_id)
    if by:
        query = query.where(AuditEntry.by == by)
    if action:
        query = query.where(AuditEntry.action == action)
    if since is not None:
        query = query.where(col(AuditEntry.at) >= since)
    size = max(1, min(limit, MAX_PAGE))
    return list(session.exec(query.order_by(col(AuditEntry.id).desc()).limit(size)))


def entry(session: Session, entry_id: int) -> AuditEntry:
    """Raises AudienceError where there is no such entry."""
    found = session.get(AuditEntry, entry_id, populate_existing=True)
    if found is None:
        raise AudienceError(
            f"the audit log has no entry {entry_id}", hint="see `newsletter audit list`"
        )
    return found


def touched(
    session: Session, entry_id: int, *, after_id: int = 0, limit: int = MAX_PAGE
) -> list[Touched]:
    """The readers of an undoable entry above `after_id`, by id, at most `limit` (1 to 1000)."""
    query = (
        select(AuditRow.subscriber_id, AuditRow.before, Subscriber.address, Subscriber.status)
        .join(Subscriber, col(Subscriber.id) == AuditRow.subscriber_id)
        .where(AuditRow.entry_id == entry_id, col(AuditRow.subscriber_id) > after_id)
        .order_by(col(AuditRow.subscriber_id))
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [
        Touched(id_, ERASED if status == SubscriberStatus.ERASED else address, status, before)
        for id_, before, address, status in session.exec(query)
    ]


def count_touched(session: Session, entry_id: int) -> int:
    """How many readers' rows an entry still has: an erasure takes its reader's away."""
    query = select(func.count()).select_from(AuditRow).where(AuditRow.entry_id == entry_id)
    return session.exec(query).one()


def of_reader(session: Session, subscriber_id: int) -> list[AuditEntry]:
    """The undoable acts that changed this reader, oldest first."""
    query = (
        select(AuditEntry)
        .join(AuditRow, col(AuditRow.entry_id) == AuditEntry.id)
        .where(AuditRow.subscriber_id == subscriber_id)
        .order_by(col(AuditEntry.id))
    )
    return list(session.exec(query))


def id_of(entry: AuditEntry) -> int:
    """The id of an entry that was stored."""
    if entry.id is None:
        raise AudienceError("this entry was never stored", hint="report it: it is a fault")
    return entry.id


def nameless(value: Any) -> Any:
    """The same without the part before the @ of anything that looks like an address."""
    if isinstance(value, str):
        return _ADDRESS.sub("…@", value)
    if isinstance(value, Mapping):
        return {str(nameless(key)): nameless(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [nameless(part) for part in value]
    return value
