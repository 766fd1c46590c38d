"""Claimed slots: the row that makes a second scheduler, or a second tick, find the work done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from newsletter.editorial.issues import WEEKLY, IssueDetails
from newsletter.errors import RefusedError
from newsletter.store.models import Slot
from newsletter.store.states import SlotOutcome
from newsletter.weeks import IssueWeek


def outcome_of(session: Session, week: IssueWeek) -> SlotOutcome | None:
    """What became of the week's slot; None while nobody claimed it."""
    slot = session.exec(select(Slot).where(Slot.kind == WEEKLY, Slot.week == str(week))).first()
    return None if slot is None else SlotOutcome(slot.outcome)


def take(session: Session, issue: IssueDetails, *, now: datetime) -> None:
    """Claims the slot for an issue about to be frozen, in the same transaction; one of a kind that
    has none claims nothing.

    A slot missed or thin before is taken now (an operator sends by hand after all). Raises
    RefusedError where another issue, or another scheduler, has it.
    """
    if not issue.has_slot:
        return
    slot = session.get(Slot, (WEEKLY, issue.slot_at))
    if slot is not None and slot.outcome != SlotOutcome.TAKEN:
        slot.outcome, slot.issue_id, slot.claimed_at = SlotOutcome.TAKEN, issue.id, now
        return
    if slot is not None or not _insert(session, issue.week, issue.slot_at, now, issue_id=issue.id):
        raise RefusedError(
            f"the slot of week {issue.week} is taken",
            hint=f"see `newsletter issue show {issue.week}`",
        )


def close(
    session: Session,
    week: IssueWeek | str,
    slot_at: datetime,
    outcome: SlotOutcome,
    *,
    now: datetime,
    note: str,
) -> bool:
    """Records that nothing goes out for this slot; False where somebody claimed it before."""
    return _insert(session, str(week), slot_at, now, outcome=outcome, note=note)


def _insert(
    session: Session,
    week: str,
    slot_at: datetime,
    now: datetime,
    *,
    outcome: SlotOutcome = SlotOutcome.TAKEN,
    issue_id: int | None = None,
    note: str = "",
) -> bool:
    try:
        with session.begin_nested():
            session.add(
                Slot(
                    kind=WEEKLY,
                    slot_at=slot_at,
                    week=week,
                    outcome=outcome,
                    issue_id=issue_id,
                    claimed_at=now,
                    note=note,
                )
            )
    except IntegrityError:  # the losing scheduler: the slot has an owner, and that is all right
        return False
    return True
