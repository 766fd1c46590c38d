"""What an export tells of people, read a page at a time: only the columns that are asked for.

Rows are taken as the driver gives them. Converting every column of a million people would take
SQLAlchemy longer than the database takes to find them; what has to be converted are instants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import compress
from typing import Any

from sqlalchemy import Select, TextClause, bindparam, literal_column, select, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.dialects import Standing
from subscribers.models import ConsentAction, SubscriberStatus, SuppressionReason

PAGE_ROWS = 2000
SPREAD = 4  # ids a reader of a page, up to which a walk over all of them is quicker
ROWS_AT_ONCE = 1000  # held of another table, beside what is told of a page's readers
MAX_IDS = 900  # bound parameters of one statement: older SQLite builds allow 999

# A page by the name of each column: what it says of each reader, in the order of their ids.
Page = Mapping[str, Sequence[Any]]

PERSON = ("address", "name", "created_at", "confirmed_at", "unsubscribed_at")
CONSENT = (
    "consent_action",
    "consent_at",
    "consent_source",
    "consent_wording",
    "consent_given_on",
)
LABELS = ("tags", "topics")
_TEXT_CHARS = 26  # of an instant as SQLite keeps it, in UTC: 2026-11-24 09:00:00.000000
_INSTANTS = frozenset(name for name in (*PERSON, *CONSENT) if name.endswith("_at"))
_NO_CONSENT = ("",) * len(CONSENT)

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

# Found in the unique partial index `uq_suppression_address_key_standing`, small as it is.
_SUPPRESSED = (
    "(SELECT p.reason FROM suppression p"
    " WHERE p.address_key = s.address_key AND p.lifted_at IS NULL)"
)
_CONSENTING = ", ".join(
    f"'{action.value}'"
    for action in (
        ConsentAction.SIGNED_UP,
        ConsentAction.CONFIRMED,
        ConsentAction.IMPORTED,
        ConsentAction.ADDED,
    )
)
# What belongs to the readers of a page: all between its first and its last by one walk, or only
# theirs. Consents lean on `ix_consent_record_subscriber_id`, which has them in the order asked for;
# tags and topics on their primary keys, which do, too.
_WALK, _ASK = "BETWEEN :first AND :last", "IN :ids"
_BESIDE = {
    "consent": (
        "SELECT subscriber_id, action, at, source, wording, given_on FROM consent_record"  # noqa: S608
        f" WHERE subscriber_id {{}} AND action IN ({_CONSENTING}) ORDER BY subscriber_id, id"
    ),
    "tags": (
        "SELECT subscriber_id, tag FROM subscriber_tag WHERE subscriber_id {}"
        " ORDER BY subscriber_id, tag"
    ),
    "topics": (
        "SELECT subscriber_id, topic FROM subscriber_topic WHERE subscriber_id {}"
        " ORDER BY subscriber_id, topic"
    ),
}
_WALKS = {name: text(sql.format(_WALK)) for name, sql in _BESIDE.items()}
_ASKS = {
    name: text(sql.format(_ASK)).bindparams(bindparam("ids", expanding=True))
    for name, sql in _BESIDE.items()
}


def pages(
    session: Session,
    needed: frozenset[str],
    says: Mapping[Standing, str],
    only: TextClause | None,
) -> Iterator[Page]:
    """All of the list but the erased: `needed` and `word`, and who has none is left out.

    says: the word for each standing. only: a condition on the subscriber `s`.
    """
    session.flush()
    names = ("id", "status", "suppressed", *(name for name in PERSON if name in needed))
    query: Select[Any] = _query(names, only)
    after_id = 0
    word = lru_cache(maxsize=None)(lambda *known: says.get(_standing(*known)))
    instant = _instants(session)
    while rows := session.connection().execute(query, {"after_id": after_id}).all():
        after_id = rows[-1][0]
        words = [word(row[1], row[2] or "") for row in rows]
        if None in words:
            rows = list(compress(rows, [word is not None for word in words]))
            words = [word for word in words if word is not None]
        if rows:
            page = dict(zip(names, zip(*rows, strict=True), strict=True))
            yield _told(session, {**page, "word": words}, needed, instant)


def _query(names: Sequence[str], only: TextClause | None) -> Select[Any]:
    """A page by primary key, which is the order asked for."""
    query = (
        select(*_columns(names))
        .select_from(text("subscriber s"))
        .where(text("s.id > :after_id AND s.status <> 'erased'"))
    )
    if only is not None:
        query = query.where(only)
    return query.order_by(text("s.id")).limit(PAGE_ROWS)


def _columns(names: Sequence[str]) -> list[Any]:
    """Without a type: the driver's values are not converted."""
    sql = {"suppressed": _SUPPRESSED}
    return [literal_column(sql.get(name, f"s.{name}")) for name in names]


def _standing(status: str, reason: str) -> Standing:
    """In the order of what matters: complaint, left, other suppressions, the rest."""
    stops = Standing.ACTIVE
    if reason:
        stops = _BY_REASON.get(SuppressionReason(reason), Standing.BLOCKED)
    return max(stops, _BY_STATUS[SubscriberStatus(status)])


def _told(
    session: Session,
    page: dict[str, Sequence[Any]],
    needed: frozenset[str],
    instant: Callable[[Any], str],
) -> Page:
    """The page with what other tables know of its readers, and its instants as text."""
    ids = page["id"]
    page["suppressed"] = [reason or "" for reason in page["suppressed"]]
    if not needed.isdisjoint(CONSENT):
        consents = _consents(session, ids)
        known = [consents.get(id_, _NO_CONSENT) for id_ in ids]
        page.update(zip(CONSENT, zip(*known, strict=True), strict=True))
    for name in LABELS:
        if name in needed:
            labels = _labels(session, name, ids)
            page[name] = [labels.get(id_, ()) for id_ in ids]
    page.update({name: list(map(instant, page[name])) for name in _INSTANTS & page.keys()})
    return page


def _beside(session: Session, name: str, ids: Sequence[int]) -> Iterator[Sequence[Any]]:
    """Rows of another table that belong to these readers, some held at a time.

    A walk meets those of others, up to SPREAD for each reader, who may have done much.
    """
    execute = partial(session.connection().execute, execution_options={"yield_per": ROWS_AT_ONCE})
    if ids[-1] - ids[0] < SPREAD * len(ids):
        wanted = frozenset(ids)
        met = execute(_WALKS[name], {"first": ids[0], "last": ids[-1]})
        yield from (row for row in met if row[0] in wanted)
        return
    for start in range(0, len(ids), MAX_IDS):
        yield from execute(_ASKS[name], {"ids": ids[start : start + MAX_IDS]})


def _consents(session: Session, ids: Sequence[int]) -> dict[int, Sequence[Any]]:
    """For each id the newest consent given; a sign-up counts only where nothing better is known."""
    found: dict[int, Sequence[Any]] = {}
    for row in _beside(session, "consent", ids):
        if row[1] != ConsentAction.SIGNED_UP or row[0] not in found:
            found[row[0]] = row[1:]
    return found


def _labels(session: Session, name: str, ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for row in _beside(session, name, ids):
        found.setdefault(row[0], []).append(row[1])
    return found


def _instants(session: Session) -> Callable[[Any], str]:
    """What makes text of an instant as the driver gives it; "" of none."""
    dialect = session.connection().dialect
    process = UTCDateTime().dialect_impl(dialect).result_processor(dialect, None)

    @lru_cache(maxsize=4096)  # the people of one list came at one instant
    def said(stored: Any) -> str:
        if isinstance(stored, str) and len(stored) == _TEXT_CHARS and stored[10] == " ":
            return f"{stored[:10]}T{stored[11:19]}+00:00"
        at: datetime | None = process(stored) if process is not None and stored else stored
        return at.astimezone(UTC).isoformat(timespec="seconds") if at else ""

    return said
