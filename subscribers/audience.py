"""Who an issue may go to, and why not to the others; and pages of the list for its operator.

The hot questions are plain SQL that SQLite and PostgreSQL both speak, in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import bindparam, func, or_, text
from sqlmodel import Session, col, select

from subscribers.address import EmailAddress
from subscribers.errors import AddressError
from subscribers.models import Subscriber, SubscriberStatus

MAX_IDS = 900  # bound parameters of one statement: older SQLite builds allow 999
MAX_PAGE = 1000

# Why subscriber `s` with suppression `p` may not be written to; '' where nothing stands against it.
# In the order in which it matters to a reader of the proof: complaint > left > other suppressions >
# other states. For statements of others, too, with the join below.
REASON_SQL = (
    "CASE WHEN s.id IS NULL THEN 'erased'"
    " WHEN p.reason = 'complaint' THEN 'suppressed: complaint'"
    " WHEN s.status IN ('unsubscribed', 'erased') THEN s.status"
    " WHEN p.reason IS NOT NULL THEN 'suppressed: ' || p.reason"
    " WHEN s.status <> 'active' THEN s.status"
    " WHEN s.confirmed_at IS NULL THEN 'pending'"
    " ELSE '' END"
)
SUPPRESSION_SQL = (
    " LEFT JOIN suppression p ON p.address_key = s.address_key AND p.lifted_at IS NULL"
)
_FROM = f" FROM subscriber s{SUPPRESSION_SQL}"

# Every candidate of an issue (everyone ever confirmed and not erased), with '' or the reason why it
# is excluded. One walk over `subscriber` by primary key, which is the order asked for, so nothing
# is sorted; each row looks up `suppression` by address_key in its unique partial index
# `uq_suppression_address_key_standing`, which is small and stays in memory.
CANDIDATES_SQL = (
    f"SELECT s.id AS subscriber_id, {REASON_SQL} AS reason{_FROM}"
    " WHERE s.confirmed_at IS NOT NULL AND s.status <> 'erased'"
    " ORDER BY s.id"
)

# How many they are, found in another way: one walk over `subscriber`, no suppression looked up.
COUNT_CANDIDATES_SQL = (
    "SELECT count(*) FROM subscriber WHERE confirmed_at IS NOT NULL AND status <> 'erased'"
)

_EXCLUDED_NOW = text(f"SELECT s.id, {REASON_SQL} AS reason{_FROM} WHERE s.id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Reader:
    """One subscriber as a mail needs it. `address` is ready for the To header: its domain is ASCII.

    A local part that is not ASCII stays so; such a mail needs SMTPUTF8.
    """

    id: int
    address: str
    name: str


def still_excluded(session: Session, subscriber_ids: Sequence[int]) -> dict[int, str]:
    """Who of these may not be written to at this moment, and why; asked when a batch is claimed.

    An id without a row counts as erased: what cannot be looked up is not written to.
    """
    session.flush()
    found: dict[int, str] = {}
    for ids in in_chunks(subscriber_ids, MAX_IDS):
        rows = session.connection().execute(_EXCLUDED_NOW, {"ids": ids})
        found.update((row[0], row[1]) for row in rows)
    reasons = ((id_, found.get(id_, "erased")) for id_ in subscriber_ids)
    return {id_: reason for id_, reason in reasons if reason}


def reader(id_: int, address: str, name: str) -> Reader:
    """A reader from what the store has of them."""
    return Reader(id_, _on_the_wire(address), name)


def count_by_status(session: Session) -> dict[SubscriberStatus, int]:
    """How many subscribers are in each status; every status is named, with 0 where none is."""
    rows = session.exec(
        select(Subscriber.status, func.count(col(Subscriber.id))).group_by(col(Subscriber.status))
    )
    counts = dict.fromkeys(SubscriberStatus, 0)
    counts.update((SubscriberStatus(status), count) for status, count in rows)
    return counts


def page(
    session: Session,
    *,
    after_id: int = 0,
    limit: int = MAX_PAGE,
    status: SubscriberStatus | None = None,
    search: str | None = None,
) -> list[Subscriber]:
    """Subscribers with an id above `after_id`, by id, at most `limit` (1 to 1000).

    search: part of an address or a name, in any case. A page costs the same wherever it starts.
    """
    query = select(Subscriber).where(col(Subscriber.id) > after_id)
    if status is not None:
        query = query.where(Subscriber.status == status)
    if search and search.strip():
        part = search.strip().lower()
        query = query.where(
            or_(
                col(Subscriber.address_key).contains(part, autoescape=True),
                func.lower(Subscriber.address).contains(part, autoescape=True),
                func.lower(Subscriber.name).contains(part, autoescape=True),
            )
        )
    size = max(1, min(limit, MAX_PAGE))
    return list(session.exec(query.order_by(col(Subscriber.id)).limit(size)))


def in_chunks(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    """The items in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _on_the_wire(address: str) -> str:
    if address.isascii():
        return address
    try:
        return EmailAddress.parse(address).wire
    except AddressError:  # stored by an older rule: the provider will say what it thinks of it
        return address
