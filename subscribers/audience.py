"""Who an issue may go to, and why not to the others; and pages of the list for its operator.

The hot questions are plain SQL that SQLite and PostgreSQL both speak, in one place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, TextClause, bindparam, func, or_, text
from sqlmodel import Session, col, select

from subscribers.address import EmailAddress
from subscribers.errors import AddressError
from subscribers.models import Subscriber, SubscriberStatus

MAX_IDS = 900  # bound parameters of one statement: older SQLite builds allow 999
MAX_PAGE = 1000
MOST_FINDS = 5  # of MAX_IDS each, before a search goes through the list itself

# Why subscriber `s` with suppression `p` may not be written to; '' where nothing stands against it.
# In the order in which it matters to a reader of the proof: complaint > left > other suppressions >
# other states. For statements of others, too, with the join below.
_AGAINST = (
    "CASE WHEN s.id IS NULL THEN 'erased'"
    " WHEN p.reason = 'complaint' THEN 'suppressed: complaint'"
    " WHEN s.status IN ('unsubscribed', 'erased') THEN s.status"
    " WHEN p.reason IS NOT NULL THEN 'suppressed: ' || p.reason"
    " WHEN s.status <> 'active' THEN s.status"
    " WHEN s.confirmed_at IS NULL THEN 'pending'"
)
REASON_SQL = f"{_AGAINST} ELSE '' END"
SUPPRESSION_SQL = (
    " LEFT JOIN suppression p ON p.address_key = s.address_key AND p.lifted_at IS NULL"
)
_FROM = f" FROM subscriber s{SUPPRESSION_SQL}"
_CANDIDATES = " WHERE s.confirmed_at IS NOT NULL AND s.status <> 'erased'"

# Every candidate of an issue (everyone ever confirmed and not erased), with '' or the reason why it
# is excluded. One walk over `subscriber` by primary key, which is the order asked for, so nothing
# is sorted; each row looks up `suppression` by address_key in its unique partial index
# `uq_suppression_address_key_standing`, which is small and stays in memory.
CANDIDATES_SQL = (
    f"SELECT s.id AS subscriber_id, {REASON_SQL} AS reason{_FROM}{_CANDIDATES} ORDER BY s.id"
)

# How many they are, found in another way: one walk over `subscriber`, no suppression looked up.
COUNT_CANDIDATES_SQL = (
    "SELECT count(*) FROM subscriber WHERE confirmed_at IS NOT NULL AND status <> 'erased'"
)

# What readers chose and an issue does not serve, after all that forbids writing to them. The values
# it names are those of `language_values`.
MONTHLY, LANGUAGE = "monthly: not served yet", "language: not served yet"
TOPICS = "topics: none of theirs"
_CHOICES = (
    f" WHEN s.frequency = 'monthly' THEN '{MONTHLY}'"
    " WHEN s.language <> '' AND lower(s.language) <> :language"
    f" AND lower(s.language) NOT LIKE :languages THEN '{LANGUAGE}'"
)

# Whom an issue leaves out, each with why: made before the freeze walks the list, gone after it. By
# indexes of its own, once; asked of every row, it would be found again for every batch.
LEFT_OUT = "left_out"
MAKE_LEFT_OUT = text(
    f"CREATE TEMPORARY TABLE {LEFT_OUT} (subscriber_id INTEGER PRIMARY KEY, reason TEXT NOT NULL)"
)
DROP_LEFT_OUT = text(f"DROP TABLE {LEFT_OUT}")
OUTSIDE_SQL = (  # before the condition of a segment
    f"INSERT INTO {LEFT_OUT} (subscriber_id, reason) SELECT s.id, :reason"  # noqa: S608
    f" FROM subscriber s{_CANDIDATES} AND NOT"
)
SOMEBODY_CHOSE_TOPICS = text("SELECT EXISTS (SELECT 1 FROM subscriber_topic)")

_EXCLUDED_NOW = text(f"SELECT s.id, {REASON_SQL} AS reason{_FROM} WHERE s.id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)


_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Reader:
    """One subscriber as a mail needs it. `address` is ready for the To header: its domain is ASCII.

    A local part that is not ASCII stays so; such a mail needs SMTPUTF8. is_tracked: whether what
    they do with it may be counted as theirs.
    """

    id: int
    address: str
    name: str
    is_tracked: bool = True


class Finder(Protocol):
    """What a store knows of who has a text in their address or name, if it knows anything.

    Ids above `after_id`, ascending, at most `limit`: nobody else above them can have `part`, which
    is in lower case. None where it cannot tell.
    """

    def __call__(
        self, session: Session, part: str, *, after_id: int, limit: int
    ) -> list[int] | None: ...


def candidates_sql(*, some_left_out: bool) -> str:
    """CANDIDATES_SQL with what readers chose; with those in LEFT_OUT where there are some."""
    left_out = " WHEN o.subscriber_id IS NOT NULL THEN o.reason" if some_left_out else ""
    joined = f" LEFT JOIN {LEFT_OUT} o ON o.subscriber_id = s.id" if some_left_out else ""
    return (
        f"SELECT s.id AS subscriber_id, {_AGAINST}{left_out}{_CHOICES} ELSE '' END AS reason"
        f"{_FROM}{joined}{_CANDIDATES} ORDER BY s.id"
    )


def none_of_theirs(topics: str) -> TextClause:
    """The statement that leaves out whoever chose topics and none of `topics`, a constant query."""
    return text(
        f"INSERT INTO {LEFT_OUT} (subscriber_id, reason)"  # noqa: S608
        f" SELECT DISTINCT subscriber_id, '{TOPICS}' FROM subscriber_topic"
        " WHERE subscriber_id NOT IN ("
        f"SELECT c.subscriber_id FROM subscriber_topic c WHERE c.topic IN ({topics}))"
        " ON CONFLICT (subscriber_id) DO NOTHING"
    )


def reason_for(topics: str) -> str:
    """The reason of REASON_SQL, or else the choice of theirs that an issue does not serve.

    topics: a query (a constant of the caller's) of the `topic`s the issue is about; one that is
    about none is for everybody.
    """
    chosen = "SELECT 1 FROM subscriber_topic c WHERE c.subscriber_id = s.id"
    return (
        f"{_AGAINST}{_CHOICES} WHEN EXISTS ({topics}) AND EXISTS ({chosen})"
        f" AND NOT EXISTS ({chosen} AND c.topic IN ({topics})) THEN '{TOPICS}' ELSE '' END"
    )


def language_values(language: str) -> dict[str, str]:
    """What `reason_for` and `candidates_sql` ask of an issue in `language` (BCP 47).

    `pt-BR` serves whoever chose any Portuguese. "": whatever they chose is served.
    """
    primary = language.lower().partition("-")[0]
    return {"language": primary, "languages": f"{primary}-%" if primary else "%"}


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


def reader(id_: int, address: str, name: str, *, is_tracked: bool = True) -> Reader:
    """A reader from what the store has of them."""
    return Reader(id_, _on_the_wire(address), name, is_tracked)


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
    find: Finder | None = None,
) -> list[Subscriber]:
    """Subscribers with an id above `after_id`, by id, at most `limit` (1 to 1000).

    search: part of an address or a name, in any case; with an @ in it of an address alone, and
    `@example.org` everybody at a domain. A page costs the same wherever it starts; a search that
    few match looks at the whole list where `find` does not say who it can be.
    """
    query = select(Subscriber).order_by(col(Subscriber.id))
    if status is not None:
        query = query.where(Subscriber.status == status)
    size = max(1, min(limit, MAX_PAGE))
    part = (search or "").strip().lower()
    if not part:
        return list(session.exec(query.where(col(Subscriber.id) > after_id).limit(size)))
    page: list[Subscriber] = []
    chunk = min(size, MAX_IDS) if status is None else MAX_IDS
    for ids in _may_be(session, part, after_id, chunk, find):
        named = query.where(col(Subscriber.id).in_(ids), _has(part))
        page += session.exec(named.limit(size - len(page)))
        if len(page) == size or len(ids) < chunk:
            return page
        after_id = ids[-1]
    walk = query.where(col(Subscriber.id) > after_id, _searched(part))
    return [*page, *session.exec(walk.limit(size - len(page)))]


def _may_be(
    session: Session, part: str, after_id: int, size: int, find: Finder | None
) -> Iterator[Sequence[int]]:
    """The ids `find` leads to, `size` at a time; what many have, a walk finds as soon."""
    if find is None:
        return
    session.flush()
    for _ in range(MOST_FINDS):
        ids = find(session, part, after_id=after_id, limit=size)
        if ids is None:
            return
        yield ids
        after_id = ids[-1]


def _searched(part: str) -> ColumnElement[bool]:
    """`_has`, for a walk over the whole list."""
    if part.isascii() and "@" in part[1:]:
        # Few have it: found in the unique index on the address, which is a third of the table.
        return col(Subscriber.id).in_(select(Subscriber.id).where(_has(part)))
    return _has(part)


def _has(part: str) -> ColumnElement[bool]:
    """What holds of those a search means. `address_key` is in lower case."""
    key = col(Subscriber.address_key).contains(part, autoescape=True)
    if part.isascii() and "@" in part:
        return key
    # Not lower() of an address too: it differs from the key by an international domain alone.
    kept = () if part.isascii() else (Subscriber.address,)
    return or_(
        key, *(func.lower(c).contains(part, autoescape=True) for c in (Subscriber.name, *kept))
    )


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
