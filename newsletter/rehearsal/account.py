"""What the ledger says of each reader, beside what the stage's own log says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.app import App
from newsletter.delivery import proof
from newsletter.delivery.proof import Proof
from newsletter.store.states import DeliveryState

# Every delivery of the one issue of a scratch home: a rehearsal's own size.
_ROWS = text(
    """
    SELECT subscriber.address, delivery.state, delivery.reason
    FROM delivery JOIN subscriber ON subscriber.id = delivery.subscriber_id
    WHERE delivery.issue_id = :issue_id
    """
)
# The same rows.
_OPEN = text(
    """
    SELECT count(*) AS open, max(due_at) AS due_at FROM delivery
    WHERE issue_id = :issue_id AND state IN ('planned', 'attempting')
    """
).columns(due_at=UTCDateTime())


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one reader, as the ledger has it."""

    state: DeliveryState
    reason: str


@dataclass(frozen=True, slots=True)
class Left:
    """How many are still to be answered for, and when the last of those who wait is due."""

    count: int
    due_at: datetime | None


def read(app: App, issue_id: int) -> tuple[Proof, Mapping[str, Told]]:
    """The proof, and every reader by address."""
    with app.session(readonly=True) as session:
        rows = session.execute(_ROWS, {"issue_id": issue_id})
        told = {row.address: Told(DeliveryState(row.state), row.reason) for row in rows}
        return proof.prove(session, issue_id), told


def left(app: App, issue_id: int) -> Left:
    with app.session(readonly=True) as session:
        row = session.execute(_OPEN, {"issue_id": issue_id}).one()
        return Left(row.open, row.due_at)
