"""An issue's audience, frozen: one delivery a candidate, the excluded with their reason.

In the caller's transaction, and once: the candidates are counted first, and what is written has to
add up to them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Row
from sqlmodel import Session

from newsletter.delivery import statements as sql
from newsletter.errors import LedgerError, NotFoundError, RefusedError
from subscribers import audience, segments

BATCH_SIZE = 1_000
SEGMENT = "segment:"  # and its name: the audience of an issue for a part of the list
MAX_ID = 2**63 - 1  # of a column both stores count in


@dataclass(frozen=True, slots=True)
class Frozen:
    """An audience at the moment it was frozen: candidates = planned + excluded."""

    candidates: int
    planned: int
    excluded: int


def freeze(
    session: Session,
    *,
    issue_id: int,
    now: datetime,
    batch_size: int = BATCH_SIZE,
    language: str = "",
    disposable_domains: Collection[str] = frozenset(),
) -> Frozen:
    """Writes one delivery a candidate; sets `issue.frozen_at` and `.candidates`, not its state.

    Whoever is outside the issue's segment, or chose what it does not serve, is excluded with that
    reason; its topics (`issue_topic`) are there before. language: of its content (BCP 47); "": any
    reader's. disposable_domains: for a segment that asks for them. Raises NotFoundError for no such
    issue, RefusedError where it is frozen already, SegmentError where its segment is no more,
    LedgerError where the rows written do not add up to the candidates counted.
    """
    session.flush()  # plain SQL does not see what the caller's objects still keep to themselves
    marked = session.execute(sql.MARK_FROZEN, {"issue_id": issue_id, "now": now})
    if cast("CursorResult[Any]", marked).rowcount != 1:
        raise _not_freezable(session, issue_id)
    session.execute(sql.RECORD_LANGUAGE, {"issue_id": issue_id, "language": language})
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one()
    if issue.corrects_id is not None:  # those who may have got what it corrects
        corrected = {"corrects_id": issue.corrects_id}
        return _written(session, sql.FREEZE_CORRECTED, corrected, issue_id, now, batch_size)
    where = audience.language_values(language)
    if not _leave_out(session, issue_id, issue.audience, now, disposable_domains):
        return _written(session, sql.FREEZE_EVERYBODY, where, issue_id, now, batch_size)
    frozen = _written(session, sql.FREEZE_BUT_LEFT_OUT, where, issue_id, now, batch_size)
    session.execute(audience.DROP_LEFT_OUT)
    return frozen


def _written(
    session: Session,
    freezing: sql.Freezing,
    where: Mapping[str, Any],
    issue_id: int,
    now: datetime,
    batch_size: int,
) -> Frozen:
    """Counts the candidates, writes them down, and compares."""
    candidates = session.execute(freezing.count, where).scalar_one()
    session.execute(sql.RECORD_CANDIDATES, {"issue_id": issue_id, "candidates": candidates})
    row = {**where, "issue_id": issue_id, "now": now, "batch_size": batch_size}
    planned = _fill(session, freezing, row)
    written = session.execute(sql.COUNT_FROZEN, {"issue_id": issue_id}).one()
    return _verified(candidates, planned, written)


def _fill(session: Session, freezing: sql.Freezing, row: dict[str, Any]) -> int:
    """Writes the deliveries batch by batch; how many are to be sent."""
    planned, after_id, number = 0, 0, 0
    while True:
        batch = session.execute(freezing.next_batch, {**row, "after_id": after_id}).one()
        if not batch.size:
            break
        named = {"issue_id": row["issue_id"], "number": number}
        batch_id = session.execute(sql.INSERT_BATCH, named).scalar_one()
        part = {"batch_id": batch_id, "after_id": after_id, "last_id": batch.last_id}
        session.execute(freezing.fill_batch, row | part)
        planned, after_id, number = planned + batch.size, batch.last_id, number + 1
    # Whoever comes after the last one who gets it.
    rest = {"batch_id": None, "after_id": after_id, "last_id": MAX_ID}
    session.execute(freezing.fill_batch, row | rest)
    return planned


def _leave_out(
    session: Session, issue_id: int, rule: str, now: datetime, domains: Collection[str]
) -> bool:
    """Writes down whom the issue's segment and its topics leave out; whether that can be anybody.

    Once, before the walk: the list is walked by one and the same rule from end to end.
    """
    segment = rule.removeprefix(SEGMENT) if rule.startswith(SEGMENT) else None
    by_topic = _is_for_some_topics(session, issue_id)
    if segment is None and not by_topic:
        return False
    session.execute(audience.MAKE_LEFT_OUT)
    if segment is not None:
        inside = segments.condition(session, segment, now, disposable_domains=domains)
        outside = {"reason": f"not in the segment {segment}"}
        session.execute(inside.statement(audience.OUTSIDE_SQL), outside)
    if by_topic:
        session.execute(sql.NONE_OF_THEIRS, {"issue_id": issue_id})
    return True


def _is_for_some_topics(session: Session, issue_id: int) -> bool:
    """Whether what readers chose can leave anybody out."""
    has_topics = session.execute(sql.HAS_TOPICS, {"issue_id": issue_id}).scalar_one()
    return bool(has_topics and session.execute(audience.SOMEBODY_CHOSE_TOPICS).scalar_one())


def _not_freezable(session: Session, issue_id: int) -> RefusedError:
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one_or_none()
    if issue is None:
        return NotFoundError(f"there is no issue {issue_id}", hint="see `newsletter issue list`")
    return RefusedError(
        f"the audience of issue {issue.week} is frozen already",
        hint=f"send it with `newsletter issue send {issue.week}`: it goes on where it stopped",
    )


def _verified(candidates: int, planned: int, written: Row[Any]) -> Frozen:
    frozen = Frozen(written.candidates, written.planned, written.excluded)
    adds_up = frozen.candidates == frozen.planned + frozen.excluded
    if not adds_up or (frozen.candidates, frozen.planned) != (candidates, planned):
        raise LedgerError(
            f"freezing counted {candidates} candidates, {planned} of them to be sent to, but "
            f"wrote {frozen.candidates} deliveries: {frozen.planned} planned and "
            f"{frozen.excluded} excluded",
            hint="nothing was kept; run the same command again, then `newsletter db check`",
        )
    return frozen
