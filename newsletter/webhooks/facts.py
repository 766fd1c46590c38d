"""What happened since it was last looked, as messages to the endpoints that want to know.

Read from tables that only grow, from a bookmark on, in the transaction that moves the bookmark: no
fact is missed, and none told twice. SQLite's writers come one after the other, so no row appears
behind a bookmark; where writers overlap, a row's id can be older than a later one's commit, and
whoever brings such a database has to read behind the oldest open transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.editorial import issues
from newsletter.store import bookmarks
from newsletter.store.feedback import WebhookEndpoint
from newsletter.webhooks import messages
from newsletter.webhooks.kinds import TOLD_OF, Kind, body, stamp
from subscribers.models import ConsentAction

AT_ONCE = 5_000  # facts of a table in one transaction

# Both by primary key, from the bookmark on; the second looks its few readers up by the unique index
# on address_key. Of an erased reader both keys are the same mark.
_CONSENT = (
    text(
        "SELECT id, subscriber_id, action AS word, at FROM consent_record"
        " WHERE id > :last_id AND id <= :newest AND action IN :actions ORDER BY id LIMIT :most"
    )
    .bindparams(bindparam("actions", [str(one) for one in TOLD_OF], expanding=True))
    .columns(at=UTCDateTime())
)
_COMPLAINTS = text(
    "SELECT p.id, s.id AS subscriber_id, p.reason AS word, p.at FROM suppression p"
    " JOIN subscriber s ON s.address_key = p.address_key"
    " WHERE p.id > :last_id AND p.id <= :newest AND p.reason = 'complaint'"
    " ORDER BY p.id LIMIT :most"
).columns(at=UTCDateTime())

# A table of one row a week. An issue that is sent again to somebody is done again, and told once.
_DONE = text(
    "SELECT id FROM issue WHERE done_at IS NOT NULL AND told_at IS NULL ORDER BY done_at, id"
)
_TOLD = text("UPDATE issue SET told_at = :now WHERE id = :id").bindparams(
    bindparam("now", type_=UTCDateTime())
)


class Fact(NamedTuple):
    """Something that happened. row: where it is on record, as `issue:7`."""

    row: str
    kind: Kind
    at: datetime
    data: Mapping[str, Any]

    @property
    def event(self) -> str:
        """Names it, and no other: a row's number alone is given anew after a restored backup."""
        return f"{self.row}:{stamp(self.at)}"


class _Table(NamedTuple):
    """A table that only grows: its statement for a page of facts, and how its rows are named."""

    name: str
    statement: Any
    kind_of: Callable[[str], Kind]

    @property
    def bookmark(self) -> str:
        return f"webhooks: {self.name}"


_TABLES = (
    _Table("consent_record", _CONSENT, lambda word: TOLD_OF[ConsentAction(word)]),
    _Table("suppression", _COMPLAINTS, lambda _word: Kind.COMPLAINED),
)


def take_in(session: Session, *, now: datetime, at_once: int = AT_ONCE) -> bool:
    """Writes messages for what happened; whether more may be left than `at_once` of a table.

    Where nobody wants to know, the bookmarks move on all the same.
    """
    session.flush()
    wanted = _wanted(session)
    more = False
    for table in _TABLES:
        found, reached_end = _page(session, table, at_once if wanted else 0)
        _tell(session, wanted, found, now)
        more |= not reached_end
    _tell(session, wanted, list(_issues(session, now)), now)
    return more


def catch_up(session: Session, *, now: datetime) -> None:
    """Takes in all there is."""
    while take_in(session, now=now):
        pass


def _wanted(session: Session) -> Mapping[int, frozenset[str]]:
    """The kinds each standing endpoint wants, by its id."""
    rows = session.exec(
        select(WebhookEndpoint.id, WebhookEndpoint.kinds).where(
            col(WebhookEndpoint.removed_at).is_(None)
        )
    )
    return {id_: frozenset(kinds) for id_, kinds in rows if id_ is not None}


def _page(session: Session, table: _Table, most: int) -> tuple[list[Fact], bool]:
    """The next facts of a table, at most so many, and whether they are the last.

    most: 0 to pass over all there are.
    """
    newest = session.execute(text(f"SELECT max(id) FROM {table.name}")).scalar() or 0  # noqa: S608
    last_id = bookmarks.read_to(session, table.bookmark)
    if newest <= last_id:
        return [], True
    values = {"last_id": last_id, "newest": newest, "most": most}
    rows = session.execute(table.statement, values).all() if most else []
    reached_end = len(rows) < most or not most
    read_to = newest if reached_end else rows[-1].id
    bookmarks.put(session, table.bookmark, read_to)
    return [_fact(table, row) for row in rows], reached_end


def _fact(table: _Table, row: Any) -> Fact:
    data = {"subscriber": row.subscriber_id, "because": row.word}
    return Fact(f"{table.name}:{row.id}", table.kind_of(row.word), row.at, data)


def _issues(session: Session, now: datetime) -> Iterator[Fact]:
    for (issue_id,) in session.execute(_DONE).all():
        session.execute(_TOLD, {"id": issue_id, "now": now})
        issue = issues.details(session, issue_id)
        data = {
            "issue": issue.ref,
            "id": issue.id,
            "kind": issue.kind,
            "subject": issue.subject,
        }
        yield Fact(f"issue:{issue_id}", Kind.ISSUE_SENT, issue.done_at or now, data)


def _tell(
    session: Session,
    wanted: Mapping[int, frozenset[str]],
    found: Sequence[Fact],
    now: datetime,
) -> None:
    messages.write(
        session,
        [
            messages.New(endpoint_id, fact.event, fact.kind, body(fact.kind, fact.at, fact.data))
            for fact in found
            for endpoint_id, kinds in wanted.items()
            if fact.kind in kinds
        ],
        now=now,
    )
