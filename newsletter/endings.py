"""How an issue ends once nothing of it is open, whoever saw to the last delivery."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from newsletter.delivery import ledger
from newsletter.editorial import issues, planning
from newsletter.store.states import IssueState
from newsletter.tracking import snapshots


def end_where_complete(session: Session, issue_id: int, *, now: datetime) -> bool:
    """A sending issue with nothing open becomes done; whether it did.

    Of a cancelled one, what came back to be sent later is withdrawn. Whoever asks has moved
    deliveries, so its figures are counted again. In the caller's transaction.
    """
    session.flush()
    snapshots.outdate(session, issue_id)
    state = issues.row(session, issue_id).state
    if state == IssueState.CANCELLED:
        ledger.withdraw(session, issue_id, reason=ledger.CANCELLED, now=now)
        return False
    if state != IssueState.SENDING or ledger.is_open(session, issue_id):
        return False
    planning.finish(session, issue_id, now=now)
    return True
