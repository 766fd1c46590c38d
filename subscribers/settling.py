"""An imported list meets the database: who is new, who is known, who must stay away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from sqlalchemy import TextClause
from sqlmodel import Session

from subscribers import list_sql as sql
from subscribers import suppression
from subscribers.dialects import Standing
from subscribers.erasure import FingerprintOf, mark_of, standing_marks
from subscribers.evidence import version_of
from subscribers.intake import SEPARATOR, Entry, reason_of
from subscribers.models import SubscriberStatus, SuppressionReason
from subscribers.tuples import run_for_each

_ON_THE_LIST = (SubscriberStatus.ACTIVE, SubscriberStatus.PAUSED)
_PAUSED_STANDING = Standing.PAUSED
# Plain text, as the driver wants it: asked for a million times.
_ACTIVE, _PAUSED = SubscriberStatus.ACTIVE.value, SubscriberStatus.PAUSED.value


@dataclass(slots=True)
class Account:
    """What became of the people of a list. kept: out, by LEFT, PENDING or BLOCKED."""

    added: int = 0
    already: int = 0
    kept: Counter[Standing] = field(default_factory=Counter)
    newly_suppressed: Counter[str] = field(default_factory=Counter)


class Settling:
    """Settles the entries of one list, a chunk at a time; open it around all of them."""

    def __init__(
        self,
        session: Session,
        source: str,
        *,
        fingerprint_of: FingerprintOf | None,
        now: datetime,
        dry_run: bool,
    ) -> None:
        self.account = Account()
        self._session = session
        self._source = source
        # Erasures are few, a list is long: its addresses are hashed only where a mark stands.
        self._marks = standing_marks(session) if fingerprint_of else frozenset[str]()
        self._fingerprint_of = fingerprint_of
        self._now = now
        self._writes = not dry_run
        self._new: list[Entry] = []
        self._pending: list[tuple[int, Entry]] = []
        self._suppress: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        self._set_cache(sql.MORE_CACHE)
        run = self._session.connection().execute
        self._has_people = bool(run(sql.ANYBODY).scalar())
        self._has_suppressions = bool(run(sql.ANYTHING).scalar())
        self._last_id = int(run(sql.LAST_ID).scalar() or 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:  # after an error there may be no transaction left to ask in
            self._set_cache(sql.USUAL_CACHE)

    def _set_cache(self, pragma: str) -> None:
        connection = self._session.connection()
        if self._writes and connection.dialect.name == "sqlite":
            connection.exec_driver_sql(pragma)

    def settle(self, entries: Sequence[Entry]) -> None:
        keys = {"keys": [entry.key for entry in entries]}
        run = self._session.connection().execute
        rows = run(sql.KNOWN, keys) if self._has_people else ()
        known = {key: (id_, status) for key, id_, status in rows}
        standing: dict[str, str] = {}
        lifted: set[tuple[str, str]] = set()
        for key, reason, stands in run(sql.SUPPRESSED, keys) if self._has_suppressions else ():
            if stands:
                standing[key] = reason
            else:
                lifted.add((key, reason))
        if self._marks:
            standing.update((e.key, "erased") for e in entries if self._is_erased(e.key))
        for entry in entries:
            reason = reason_of(entry.standing)
            if reason:
                self._stop(entry.key, reason, standing.get(entry.key), lifted)
            else:
                self._sort(entry, known.get(entry.key), is_suppressed=entry.key in standing)
        if self._writes:
            self._write()
        self._new, self._pending, self._suppress = [], [], []

    def _is_erased(self, key: str) -> bool:
        return self._fingerprint_of is not None and (
            mark_of(self._fingerprint_of(key)) in self._marks
        )

    def _stop(
        self, key: str, reason: str, before: str | None, lifted: set[tuple[str, str]]
    ) -> None:
        """By the file, nobody must write to this address."""
        self.account.kept[Standing.BLOCKED] += 1
        outranks = reason == SuppressionReason.COMPLAINT and before != reason
        if (before is None or outranks) and (key, reason) not in lifted:
            self.account.newly_suppressed[reason] += 1
            self._suppress.append((key, reason))

    def _sort(self, entry: Entry, known: tuple[int, str] | None, *, is_suppressed: bool) -> None:
        account = self.account
        if entry.standing > _PAUSED_STANDING:
            account.kept[Standing(entry.standing)] += 1
        elif is_suppressed:
            account.kept[Standing.BLOCKED] += 1
        elif known is None:
            account.added += 1
            self._new.append(entry)
        elif known[1] == SubscriberStatus.PENDING:
            account.added += 1
            self._pending.append((known[0], entry))
        elif known[1] in _ON_THE_LIST:
            account.already += 1
        else:
            account.kept[Standing.LEFT] += 1

    def _write(self) -> None:
        added = self._run(
            sql.ADD,
            ("address", "address_key", "name", "status"),
            [(one.given, one.key, one.name, _status(one)) for one in self._new],
            at=self._now,
        )
        ids = self._ids_of_the_new(added)
        people = [(ids[one.key], one) for one in self._new if one.key in ids]
        self._run(
            sql.ACTIVATE,
            ("id", "name", "status"),
            [(id_, one.name, _status(one)) for id_, one in self._pending],
            at=self._now,
        )
        self._describe([*people, *self._pending])
        self._forbid()

    def _ids_of_the_new(self, added: int) -> dict[str, int]:
        """By key. They follow upon the ids so far; where they do not, they are asked for by key."""
        if not self._new:
            return {}
        run = self._session.connection().execute
        found = run(sql.ADDED_ABOVE, {"last_id": self._last_id}).all()
        self._last_id = max((id_ for _, id_ in found), default=self._last_id)
        own = {one.key for one in self._new}
        ids: dict[str, int] = {key: id_ for key, id_ in found if key in own}
        if len(ids) != added:
            found = run(sql.ADDED, {"keys": list(own)}).all()
            ids = {key: id_ for key, id_ in found}  # noqa: C416  (rows are no tuples)
        return ids

    def _describe(self, people: Sequence[tuple[int, Entry]]) -> None:
        self._run(
            sql.PROVE,
            ("id", "wording", "version", "given_on"),
            [(id_, one.wording, _version(one.wording), one.given_on) for id_, one in people],
            at=self._now,
            source=self._source,
        )
        self._run(sql.TAG, ("id", "label"), list(_labels((i, one.tags) for i, one in people)))
        self._run(sql.CHOOSE, ("id", "label"), list(_labels((i, one.topics) for i, one in people)))

    def _forbid(self) -> None:
        for key, reason in self._suppress:
            if reason == SuppressionReason.COMPLAINT:  # it takes the place of another reason
                suppression.suppress(
                    self._session,
                    key,
                    SuppressionReason.COMPLAINT,
                    detail=self._source,
                    now=self._now,
                )
        self._run(
            sql.SUPPRESS,
            ("address_key", "reason"),
            [row for row in self._suppress if row[1] != SuppressionReason.COMPLAINT],
            at=self._now,
            detail=self._source,
        )

    def _run(
        self,
        statement: TextClause,
        names: tuple[str, ...],
        rows: Sequence[tuple[Any, ...]],
        **shared: Any,
    ) -> int:
        return run_for_each(self._session, statement, names, rows, **shared)


_version = lru_cache(maxsize=256)(version_of)  # most of a list agreed to the same words


def _status(entry: Entry) -> str:
    return _PAUSED if entry.standing == _PAUSED_STANDING else _ACTIVE


def _labels(joined: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    for id_, labels in joined:
        for label in labels.split(SEPARATOR) if labels else ():
            yield id_, label
