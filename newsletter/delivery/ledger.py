"""The account of an issue's audience: frozen once, claimed in batches, answered for row by row.

Every function works in the caller's transaction and commits nothing itself. A batch costs two
commits: `claim`, then, once the provider has answered, `finish`. What lies between them when a
process dies is `unanswered` to whoever takes the batch over, and is never sent again unless the
provider knows that it never had it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, Row
from sqlmodel import Session

from newsletter.delivery import statements as sql
from newsletter.delivery.owner import Owner
from newsletter.errors import LedgerError, NotFoundError, RefusedError, TakenOverError
from newsletter.providers.base import Evidence
from newsletter.store.states import (
    BATCH_MOVES,
    DELIVERY_MOVES,
    BatchState,
    DeliveryState,
    IssueState,
    move,
)
from subscribers import audience

CANCELLED = "issue cancelled"  # why nobody else gets it
BATCH_SIZE = 1_000

_SETTLED_AS = {
    Evidence.TAKEN: DeliveryState.SUBMITTED,
    Evidence.NOT_TAKEN: DeliveryState.PLANNED,
}


@dataclass(frozen=True, slots=True)
class Frozen:
    """An audience at the moment it was frozen: candidates = planned + excluded."""

    candidates: int
    planned: int
    excluded: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One batch in one owner's hands, until `lease_until` or until somebody takes it over.

    fresh: subscriber ids to send to. unanswered: ids that an earlier owner attempted and never
    answered for. excluded: who became ineligible since the freeze, with the reason. The ledger
    wants an answer for every id of the first two.
    """

    issue_id: int
    batch_id: int
    number: int
    epoch: int
    owner: str
    lease_until: datetime
    fresh: tuple[int, ...]
    unanswered: tuple[int, ...]
    excluded: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempted delivery. `tried` is False where nothing was handed over."""

    subscriber_id: int
    state: DeliveryState
    reason: str = ""
    receipt: str = ""
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """How many uncertain deliveries evidence has settled; `held` stay as they are."""

    submitted: int
    planned: int
    held: int


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that was attempted and never answered for: never sent again by itself."""

    subscriber_id: int
    address: str
    reason: str


def freeze(
    session: Session, *, issue_id: int, now: datetime, batch_size: int = BATCH_SIZE
) -> Frozen:
    """Writes one delivery a candidate; sets `issue.frozen_at` and `.candidates`, not its state.

    Raises NotFoundError for no such issue, RefusedError where it is frozen already, LedgerError
    where the rows written do not add up to the candidates counted.
    """
    session.flush()  # plain SQL does not see what the caller's objects still keep to themselves
    if _changed(session, sql.MARK_FROZEN, {"issue_id": issue_id, "now": now}) != 1:
        raise _not_freezable(session, issue_id)
    wanted = session.execute(sql.COUNT_CANDIDATES).one()
    session.execute(sql.RECORD_CANDIDATES, {"issue_id": issue_id, "candidates": wanted.candidates})
    numbers = range(-(-wanted.planned // batch_size))
    if numbers:
        session.execute(sql.INSERT_BATCH, [{"issue_id": issue_id, "number": n} for n in numbers])
    session.execute(
        sql.INSERT_DELIVERIES, {"issue_id": issue_id, "now": now, "batch_size": batch_size}
    )
    written = session.execute(sql.COUNT_FROZEN, {"issue_id": issue_id}).one()
    return _verified(wanted, written)


def _not_freezable(session: Session, issue_id: int) -> RefusedError:
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one_or_none()
    if issue is None:
        return NotFoundError(f"there is no issue {issue_id}", hint="see `newsletter issue list`")
    return RefusedError(
        f"the audience of issue {issue.week} is frozen already",
        hint=f"send it with `newsletter issue send {issue.week}`: it goes on where it stopped",
    )


def _verified(wanted: Row[Any], written: Row[Any]) -> Frozen:
    frozen = Frozen(written.candidates, written.planned, written.excluded)
    adds_up = frozen.candidates == frozen.planned + frozen.excluded
    if not adds_up or (frozen.candidates, frozen.planned) != (wanted.candidates, wanted.planned):
        raise LedgerError(
            f"freezing counted {wanted.candidates} candidates, {wanted.planned} of them to be sent "
            f"to, but wrote {frozen.candidates} deliveries: {frozen.planned} planned and "
            f"{frozen.excluded} excluded",
            hint="nothing was kept; run the same command again, then `newsletter db check`",
        )
    return frozen


def claim(
    session: Session, *, issue_id: int, owner: Owner, now: datetime, lease: timedelta
) -> Claim | None:
    """Takes a batch that is nobody's, or whose owner is dead or out of its lease; None if none is.

    Its planned deliveries become `attempting`, but those who may no longer be written to become
    `excluded`. Only batches of an issue that is `sending` are given out.
    """
    for batch in session.execute(sql.OPEN_BATCHES, {"issue_id": issue_id}).all():
        if _is_free(batch, owner, now) and _take(session, batch, owner, now + lease):
            return _opened(session, issue_id, batch, owner, now, now + lease)
    return None


def _is_free(batch: Row[Any], owner: Owner, now: datetime) -> bool:
    if batch.state == BatchState.PLANNED:
        return True
    holder = Owner.parse(batch.owner)
    if holder is not None and holder.is_known_dead_to(owner):
        return True
    return batch.lease_until is None or bool(batch.lease_until <= now)


def _take(session: Session, batch: Row[Any], owner: Owner, lease_until: datetime) -> bool:
    # A compare-and-set on state and epoch. The losing case: another sender took this very batch
    # between our look at it and this update (possible where readers do not block writers, as on
    # PostgreSQL); its epoch has moved on, no row matches, and we look at the next batch instead.
    taken = {
        "batch_id": batch.id,
        "state": batch.state,
        "epoch": batch.epoch,
        "owner": str(owner),
        "lease_until": lease_until,
    }
    move(BATCH_MOVES, BatchState(batch.state), BatchState.CLAIMED)
    return _changed(session, sql.TAKE_BATCH, taken) == 1


def _opened(
    session: Session,
    issue_id: int,
    batch: Row[Any],
    owner: Owner,
    now: datetime,
    lease_until: datetime,
) -> Claim:
    rows = session.execute(sql.OPEN_DELIVERIES, {"batch_id": batch.id}).all()
    planned = [row.subscriber_id for row in rows if row.state == DeliveryState.PLANNED]
    excluded = audience.still_excluded(session, planned) if planned else {}
    _exclude(session, issue_id, excluded, now)
    session.execute(sql.ATTEMPT, {"batch_id": batch.id, "now": now})
    return Claim(
        issue_id=issue_id,
        batch_id=batch.id,
        number=batch.number,
        epoch=batch.epoch + 1,
        owner=str(owner),
        lease_until=lease_until,
        fresh=tuple(id_ for id_ in planned if id_ not in excluded),
        unanswered=tuple(r.subscriber_id for r in rows if r.state == DeliveryState.ATTEMPTING),
        excluded=dict(excluded),
    )


def _exclude(session: Session, issue_id: int, excluded: Mapping[int, str], now: datetime) -> None:
    rows = [
        {"issue_id": issue_id, "subscriber_id": id_, "reason": reason, "now": now}
        for id_, reason in excluded.items()
    ]
    if rows:
        session.execute(sql.EXCLUDE, rows)


def renew(session: Session, claim: Claim, *, lease_until: datetime) -> None:
    """Holds a batch for longer. Raises TakenOverError where it is somebody else's by now."""
    held = {
        "batch_id": claim.batch_id,
        "epoch": claim.epoch,
        "owner": claim.owner,
        "lease_until": lease_until,
    }
    if _changed(session, sql.HOLD_BATCH, held) != 1:
        raise TakenOverError(
            f"batch {claim.number} of issue {claim.issue_id} was taken over by another sender; "
            "nothing was recorded here",
            hint="nothing to do: the other sender accounts for it (see `newsletter issue proof`)",
        )


def finish(session: Session, claim: Claim, answers: Collection[Answer], now: datetime) -> None:
    """Records what became of each delivery claimed, and lets go of the batch.

    The batch is `planned` again where a delivery is (not taken this time), else `done`. Raises
    TakenOverError, and changes nothing, where the claim's epoch is over; LedgerError where the
    answers are not those of the deliveries claimed.
    """
    renew(session, claim, lease_until=now)
    _check_complete(claim, answers)
    for state in {answer.state for answer in answers}:
        move(DELIVERY_MOVES, DeliveryState.ATTEMPTING, state)
    rows = [_answered(claim.issue_id, answer, now) for answer in answers]
    if rows and _changed(session, sql.ANSWER, rows) != len(rows):
        raise LedgerError(
            f"a delivery of batch {claim.number} of issue {claim.issue_id} was changed while a "
            "sender had it",
            hint="nothing was recorded; see `newsletter issue proof`, then send again",
        )
    session.execute(sql.CLOSE_BATCH, {"batch_id": claim.batch_id})


def _check_complete(claim: Claim, answers: Collection[Answer]) -> None:
    claimed = {*claim.fresh, *claim.unanswered}
    if len(answers) != len(claimed) or {answer.subscriber_id for answer in answers} != claimed:
        raise LedgerError(
            f"batch {claim.number} of issue {claim.issue_id} has {len(claimed)} deliveries to "
            f"answer for, and {len(answers)} answers that do not match them",
            hint="nothing was recorded; send again once the provider is mended",
        )


def _answered(issue_id: int, answer: Answer, now: datetime) -> dict[str, object]:
    return {
        "issue_id": issue_id,
        "subscriber_id": answer.subscriber_id,
        "state": str(answer.state),
        "reason": answer.reason,
        "receipt": answer.receipt,
        "tried": int(answer.tried),
        "now": now,
    }


def settle(
    session: Session, issue_id: int, decisions: Mapping[int, Evidence], now: datetime
) -> Settled:
    """Moves uncertain deliveries by evidence: taken -> submitted, not taken -> planned again.

    Deliveries that are not uncertain stay untouched, whatever was decided of them.
    """
    submitted = _settle(session, issue_id, decisions, Evidence.TAKEN, now)
    planned = _settle(session, issue_id, decisions, Evidence.NOT_TAKEN, now)
    if planned:
        session.execute(sql.REOPEN_BATCHES, {"issue_id": issue_id})
    return Settled(submitted, planned, held=len(decisions) - submitted - planned)


def _settle(
    session: Session,
    issue_id: int,
    decisions: Mapping[int, Evidence],
    evidence: Evidence,
    now: datetime,
) -> int:
    state = move(DELIVERY_MOVES, DeliveryState.UNCERTAIN, _SETTLED_AS[evidence])
    rows = [
        {"issue_id": issue_id, "subscriber_id": id_, "state": str(state), "now": now}
        for id_, decided in decisions.items()
        if decided is evidence
    ]
    return _changed(session, sql.SETTLE, rows) if rows else 0


def withdraw(session: Session, issue_id: int, *, reason: str, now: datetime) -> int:
    """Excludes whoever is still planned, for `reason`; how many. What is on the wire stays."""
    return _changed(session, sql.WITHDRAW, {"issue_id": issue_id, "reason": reason, "now": now})


def uncertain(session: Session, issue_id: int) -> list[Held]:
    """The deliveries an operator may have to settle, by subscriber id."""
    return [Held(*row) for row in session.execute(sql.UNCERTAIN, {"issue_id": issue_id})]


def check_sending(session: Session, issue_id: int) -> None:
    """Raises NotFoundError or RefusedError unless the issue's frozen audience is going out."""
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one_or_none()
    if issue is None:
        raise NotFoundError(f"there is no issue {issue_id}", hint="see `newsletter issue list`")
    if not issue.frozen or issue.state != IssueState.SENDING:
        raise RefusedError(
            f"issue {issue.week} is {issue.state}: nothing of it can go out",
            hint=f"see `newsletter issue show {issue.week}`",
        )


def count_open(session: Session, issue_id: int) -> int:
    """How many deliveries are planned or attempting."""
    return int(session.execute(sql.COUNT_OPEN, {"issue_id": issue_id}).scalar_one())


def _changed(
    session: Session, statement: Executable, parameters: dict[str, Any] | list[dict[str, Any]]
) -> int:
    """How many rows `statement` changed."""
    return cast("CursorResult[Any]", session.execute(statement, parameters)).rowcount
