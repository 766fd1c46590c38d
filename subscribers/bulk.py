"""One action on many readers: who is affected, who is left out and why, and doing it.

A preview and the act itself ask the same question and read the answer a page at a time, so neither
holds more than that. The act writes an audit entry, a row for every reader it changes with what
they were before, and the change: all in the caller's transaction. `subscribers.undo` takes it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, TextClause, case, exists, insert, or_
from sqlalchemy import select as sa_select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from subscribers import audience, audit, effects
from subscribers.choices import OURS
from subscribers.effects import TAGGING, BulkAction
from subscribers.errors import AudienceError
from subscribers.models import (
    AuditEntry,
    AuditRow,
    ConsentAction,
    ConsentRecord,
    Subscriber,
    SubscriberStatus,
    SubscriberTag,
    Suppression,
)
from subscribers.tags import clean_tag

PAGE = 1000
SAMPLE = 10

_S = aliased(Subscriber, name="s")  # what a compiled rule calls a reader


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done; a tag for `tag` and `untag` alone. Made by `act_of`."""

    action: BulkAction
    tag: str = ""

    @property
    def named(self) -> str:
        return f"{self.action} {self.tag}".strip()


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom an act is meant for: all that is given must hold.

    ids: these readers. rule: as an operator wrote it; condition: what it was compiled to, of `s`.
    find: what the store knows of who has the text searched for.
    """

    status: SubscriberStatus | None = None
    search: str = ""
    tag: str = ""
    ids: tuple[int, ...] = ()
    rule: str = ""
    condition: TextClause | None = None
    find: audience.Finder | None = None

    @property
    def is_everybody(self) -> bool:
        given = (self.status, self.search.strip(), self.tag, self.ids, self.rule)
        return not any(given) and self.condition is None

    def for_the_log(self) -> dict[str, Any]:
        """How they were chosen. A searched text may be somebody's name: it is not kept."""
        facts = {
            "status": self.status and str(self.status),
            "where": self.rule,
            "tagged": self.tag,
            "by_search": bool(self.search.strip()),
            "by_address": len(self.ids),
        }
        return {name: value for name, value in facts.items() if value}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    id: int
    address: str
    name: str
    status: str
    confirmed_at: datetime | None


@dataclass(slots=True)
class Account:
    """Who is affected and who is left out; sample: addresses of the first ten affected."""

    affected: int = 0
    sample: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    last_id: int = 0  # the highest reader looked at

    def take(self, rows: Sequence[Judged]) -> list[Judged]:
        """Counts a page; the affected ones of it."""
        affected = [row for row in rows if not row.reason]
        self.affected += len(affected)
        self.sample += [row.address for row in affected[: SAMPLE - len(self.sample)]]
        self.left_out.update(row.reason for row in rows if row.reason)
        self.last_id = rows[-1].id
        return affected


@dataclass(frozen=True, slots=True)
class Judged:
    """One chosen reader; reason: why they are left out, '' where they are not."""

    id: int
    address: str
    before: str
    reason: str


def act_of(action: BulkAction, tag: str = "") -> Act:
    """Raises AudienceError for a tag that cannot be one, is missing, or is not asked for."""
    if action in TAGGING:
        return Act(action, clean_tag(tag))
    if tag.strip():
        raise AudienceError(f"`{action}` takes no tag", hint="to choose by a tag, use --tag")
    return Act(action)


def chosen(session: Session, choice: Choice, *, after_id: int = 0) -> Iterator[Listed]:
    """The chosen readers above `after_id`, by id, read as they are taken; no choice means all."""
    session.flush()
    columns: tuple[Any, ...] = (_S.id, _S.address, _S.name, _S.status, _S.confirmed_at)
    query = sa_select(*columns).order_by(col(_S.id)).execution_options(yield_per=PAGE)
    for condition in _conditions(session, choice, after_id=after_id):
        for row in session.connection().execute(query.where(*condition)):
            yield Listed(*row)


def preview(session: Session, act: Act, choice: Choice) -> Account:
    """What `perform` would do at this moment; changes nothing."""
    account = Account()
    for rows in _pages(session, act, choice, up_to_id=None):
        account.take(rows)
    return account


def perform(
    session: Session,
    act: Act,
    choice: Choice,
    *,
    by: str,
    now: datetime,
    up_to_id: int | None = None,
) -> tuple[int | None, Account]:
    """Does it and logs it: the entry's id (None where it affected nobody), and the account.

    up_to_id: whoever came on the list after a preview's `last_id` was never shown, and is left be.
    Raises AudienceError for a choice that chooses everybody without saying so.
    """
    _require_a_choice(choice)
    entry_id, account = None, Account()
    for rows in _pages(session, act, choice, up_to_id=up_to_id):
        affected = account.take(rows)
        if affected and entry_id is None:
            entry_id = audit.record(
                session, by=by, action=str(act.action), detail={}, readers=0, now=now
            )
        if entry_id is not None:
            note(session, entry_id, affected)
    if entry_id is None:
        return None, account
    effects.apply(session, act.action, tag=act.tag, entry_id=entry_id, now=now)
    tagged = {"tag": act.tag} if act.tag else {}
    close(session, entry_id, account, {**tagged, "chosen": choice.for_the_log()})
    return entry_id, account


def note(session: Session, entry_id: int, affected: Sequence[Judged]) -> None:
    """Writes down who is changed, and what they were."""
    if affected:
        session.connection().execute(
            insert(AuditRow),
            [
                {"entry_id": entry_id, "subscriber_id": row.id, "before": row.before}
                for row in affected
            ],
        )


def close(session: Session, entry_id: int, account: Account, detail: dict[str, Any]) -> AuditEntry:
    """Gives an entry of this transaction its sum."""
    entry = audit.entry(session, entry_id)
    left_out = {"left_out": dict(account.left_out)} if account.left_out else {}
    entry.detail, entry.readers = {**audit.nameless(detail), **left_out}, account.affected
    session.add(entry)
    session.flush()
    return entry


def _require_a_choice(choice: Choice) -> None:
    if choice.is_everybody:
        raise AudienceError(
            "nobody is chosen", hint="say whom: a status, a search, a tag or a rule"
        )


def _pages(
    session: Session, act: Act, choice: Choice, *, up_to_id: int | None
) -> Iterator[list[Judged]]:
    """Every chosen reader by id, judged; a statement of the walk is read a page at a time."""
    session.flush()
    before = {BulkAction.TAG: without(act.tag), BulkAction.UNTAG: having(act.tag)}.get(act.action)
    query = (
        select(_S.id, _S.address, _S.status, _reason(act))
        .join(
            Suppression,
            (col(Suppression.address_key) == _S.address_key) & col(Suppression.lifted_at).is_(None),
            isouter=True,
        )
        .order_by(col(_S.id))
        .execution_options(yield_per=PAGE)
    )
    if up_to_id is not None:
        query = query.where(col(_S.id) <= up_to_id)
    for condition in _conditions(session, choice, after_id=0):
        for rows in session.connection().execute(query.where(*condition)).partitions():
            yield [
                Judged(id_ or 0, address, status if before is None else before, reason)
                for id_, address, status, reason in rows
            ]


def _conditions(
    session: Session, choice: Choice, *, after_id: int
) -> Iterator[list[ColumnElement[bool]]]:
    """What must hold of the readers of each part of the walk.

    One part where the list is walked by its primary key; one a page where a search or addresses say
    who it can be at most.
    """
    given = _given(choice)
    if choice.search.strip():
        for ids in _found(session, choice, after_id):
            yield [*given, col(_S.id).in_(ids)]
    elif choice.ids:
        wanted = sorted(id_ for id_ in set(choice.ids) if id_ > after_id)
        for ids in audience.in_chunks(wanted, audience.MAX_IDS):
            yield [*given, col(_S.id).in_(ids)]
    else:
        yield [*given, col(_S.id) > after_id]


def _found(session: Session, choice: Choice, after_id: int) -> Iterator[list[int]]:
    """The ids a search finds, in pages that one statement can bind."""
    while found := audience.page(
        session,
        after_id=after_id,
        limit=audience.MAX_IDS,
        status=choice.status,
        search=choice.search,
        find=choice.find,
    ):
        ids = [one.id for one in found if one.id is not None]
        session.expunge_all()
        yield ids
        after_id = ids[-1]


def _given(choice: Choice) -> list[ColumnElement[bool]]:
    conditions: list[Any] = []
    if choice.status is not None:
        conditions.append(col(_S.status) == str(choice.status))
    if choice.tag:
        conditions.append(_has(choice.tag))
    if choice.condition is not None:
        conditions.append(choice.condition)
    return conditions


def having(tag: str) -> str:
    """What a row says of a reader who had the tag before; `without` of one who had not."""
    return f"with {tag}"


def without(tag: str) -> str:
    return f"without {tag}"


def _has(tag: str) -> ColumnElement[bool]:
    return exists().where(col(SubscriberTag.subscriber_id) == _S.id, col(SubscriberTag.tag) == tag)


def _reason(act: Act) -> ColumnElement[str]:
    """Why a reader is left out of this act, '' where they are not. One expression an action."""
    status = col(_S.status)
    erased = (status == str(SubscriberStatus.ERASED), "erased")
    return {
        BulkAction.TAG: case(erased, (_has(act.tag), "has the tag already"), else_=""),
        BulkAction.UNTAG: case((~_has(act.tag), "does not have the tag"), else_=""),
        BulkAction.PAUSE: case(
            (status == "pending", "not confirmed"),
            (status == "paused", "paused already"),
            (status != "active", status),
            else_="",
        ),
        BulkAction.RESUME: case(
            (status == "active", "not paused"),
            (status == "pending", "not confirmed"),
            (status != "paused", status),
            (_paused_by_us(), ""),
            else_="paused by their own choice",
        ),
        BulkAction.UNSUBSCRIBE: case(
            erased, (status == "unsubscribed", "unsubscribed already"), else_=""
        ),
        BulkAction.SUPPRESS: case(
            erased,
            (
                col(Suppression.id).is_not(None),
                "suppressed already: " + func.replace(Suppression.reason, "_", " "),
            ),
            else_="",
        ),
    }[act.action]


def _paused_by_us() -> ColumnElement[bool]:
    """Whether the pause that stands is an operator's or the sunset rule's: silence that a reader
    asked for is theirs to end. A pause without a record counts as the reader's."""
    source = (
        select(ConsentRecord.source)
        .where(
            ConsentRecord.subscriber_id == _S.id,
            ConsentRecord.action == str(ConsentAction.PAUSED),
        )
        .order_by(col(ConsentRecord.id).desc())
        .limit(1)
        .correlate(_S)
        .scalar_subquery()
    )
    return or_(*(source.like(f"{ours}%") for ours in OURS))
