"""Lists out: the whole list as lines of CSV, in our shape or that of another service.

Cells that a spreadsheet would run as formulas have an apostrophe in front, which an import takes
off. What a shape has no column or no word for stays behind; nobody becomes active by that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, TextClause, select
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col

from subscribers.dialects import PLAIN, Dialect, Standing
from subscribers.models import (
    ConsentAction,
    ConsentRecord,
    Subscriber,
    SubscriberStatus,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
    SuppressionReason,
)
from subscribers.spreadsheet import joined, write_row

PAGE_ROWS = 900

_BY_STATUS = {
    SubscriberStatus.ACTIVE: Standing.ACTIVE,
    SubscriberStatus.PAUSED: Standing.PAUSED,
    SubscriberStatus.PENDING: Standing.PENDING,
    SubscriberStatus.UNSUBSCRIBED: Standing.LEFT,
}
_BY_REASON = {
    SuppressionReason.COMPLAINT: Standing.COMPLAINED,
    SuppressionReason.HARD_BOUNCE: Standing.BOUNCED,
    SuppressionReason.SOFT_BOUNCES: Standing.WORN_OUT,
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One person and what is known of them."""

    reader: Row[Any]
    consent: Row[Any] | None
    suppressed: str
    tags: Sequence[str]
    topics: Sequence[str]

    @property
    def standing(self) -> Standing:
        """In the order of what matters: complaint, left, other suppressions, the rest."""
        stops = Standing.ACTIVE
        if self.suppressed:
            stops = _BY_REASON.get(SuppressionReason(self.suppressed), Standing.BLOCKED)
        return max(stops, _BY_STATUS[self.reader.status])


def export_lines(
    session: Session, dialect: Dialect = PLAIN, *, only: TextClause | None = None
) -> Iterator[str]:
    """The header, and a line for each subscriber by id; the erased are not on it.

    Who is in a standing that the shape has no word for is left out. only: a condition on the
    subscriber `s`, such as a segment's, with its values bound. A page is read at a time.
    """
    yield write_row(column for column, _ in dialect.writes)
    sources = [_SOURCES[source] for _, source in dialect.writes]
    for line in _people(session, only):
        word = dialect.says.get(line.standing)
        if word is not None:
            yield write_row([source(line, word) for source in sources])


def _people(session: Session, only: TextClause | None) -> Iterator[_Line]:
    session.flush()
    after_id = 0
    while readers := _page(session, only, after_id):
        after_id = readers[-1].id
        ids, keys = [r.id for r in readers], [r.address_key for r in readers]
        consents, reasons = _consents(session, ids), _suppressions(session, keys)
        tags = _labels(session, col(SubscriberTag.subscriber_id), col(SubscriberTag.tag), ids)
        topics = _labels(
            session, col(SubscriberTopic.subscriber_id), col(SubscriberTopic.topic), ids
        )
        for reader in readers:
            yield _Line(
                reader,
                consents.get(reader.id),
                reasons.get(reader.address_key, ""),
                tags.get(reader.id, ()),
                topics.get(reader.id, ()),
            )


def _page(session: Session, only: TextClause | None, after_id: int) -> Sequence[Row[Any]]:
    table = Subscriber.__table__.alias("s")  # type: ignore[attr-defined]
    columns = [column for column in table.c if column.computed is None]
    query = select(*columns).where(table.c.id > after_id, table.c.status != SubscriberStatus.ERASED)
    if only is not None:
        query = query.where(only)
    return session.connection().execute(query.order_by(table.c.id).limit(PAGE_ROWS)).all()


def _consents(session: Session, ids: Sequence[int]) -> dict[int, Row[Any]]:
    """For each id the newest consent given; a sign-up counts only where nothing better is known."""
    table = ConsentRecord.__table__  # type: ignore[attr-defined]
    query = select(table).where(table.c.subscriber_id.in_(ids), table.c.action.in_(_CONSENTING))
    found: dict[int, Row[Any]] = {}
    for entry in session.connection().execute(query.order_by(table.c.id)):
        if entry.action != ConsentAction.SIGNED_UP or entry.subscriber_id not in found:
            found[entry.subscriber_id] = entry
    return found


_CONSENTING = (
    ConsentAction.SIGNED_UP,
    ConsentAction.CONFIRMED,
    ConsentAction.IMPORTED,
    ConsentAction.ADDED,
)


def _suppressions(session: Session, keys: Sequence[str]) -> dict[str, str]:
    query = select(col(Suppression.address_key), col(Suppression.reason)).where(
        col(Suppression.address_key).in_(keys), col(Suppression.lifted_at).is_(None)
    )
    return {key: reason for key, reason in session.connection().execute(query)}  # noqa: C416


def _labels(
    session: Session, owner: Mapped[int], label: Mapped[str], ids: Sequence[int]
) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(owner, label).where(owner.in_(ids)).order_by(owner, label)
    for id_, word in session.connection().execute(query):
        found.setdefault(id_, []).append(word)
    return found


def _instant(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""


def _names(line: _Line) -> tuple[str, str]:
    """First and last name, which joined by a blank are the name again."""
    first, _, last = line.reader.name.rpartition(" ")
    return (first, last) if first else (last, "")


def _since(line: _Line) -> str:
    """When they went; of who never said so, since when we know them."""
    return _instant(line.reader.unsubscribed_at or line.reader.created_at)


def _consent(name: str) -> Callable[[_Line, str], str]:
    def read(line: _Line, _word: str) -> str:
        value = getattr(line.consent, name) if line.consent is not None else ""
        return _instant(value) if isinstance(value, datetime) else str(value)

    return read


# What can stand in a column: of the person, and of the dialect's word for their standing.
_SOURCES: Mapping[str, Callable[[_Line, str], str]] = {
    "": lambda _line, _word: "",
    "never": lambda _line, _word: "false",
    "free": lambda _line, _word: "free",
    "no_attributes": lambda _line, _word: "{}",
    "email": lambda line, _word: line.reader.address,
    "name": lambda line, _word: line.reader.name,
    "first_name": lambda line, _word: _names(line)[0],
    "last_name": lambda line, _word: _names(line)[1],
    "own_status": lambda line, _word: line.reader.status,
    "suppressed": lambda line, _word: line.suppressed,
    "created_at": lambda line, _word: _instant(line.reader.created_at),
    "confirmed_at": lambda line, _word: _instant(line.reader.confirmed_at),
    "unsubscribed_at": lambda line, _word: _instant(line.reader.unsubscribed_at),
    "consent": _consent("action"),
    "consent_at": _consent("at"),
    "consent_source": _consent("source"),
    "consent_wording": _consent("wording"),
    "consent_given_on": _consent("given_on"),
    "tags": lambda line, _word: joined(line.tags) if line.tags else "",
    "quoted_tags": lambda line, _word: joined(line.tags, quote_all=True) if line.tags else "",
    "topics": lambda line, _word: joined(line.topics) if line.topics else "",
    "word": lambda _line, word: word,
    "left_at": lambda line, word: _since(line) if word in ("left", "inactive") else "",
    "bounced_at": lambda line, word: _since(line) if word == "bounced" else "",
    "is_on": lambda _line, word: "false" if word else "true",
    "is_off": lambda _line, word: "true" if word else "false",
}
