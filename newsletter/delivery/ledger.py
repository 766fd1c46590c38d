"""The account of an issue's audience: claimed in batches, answered for row by row.

Every function works in the caller's transaction and commits nothing itself. A batch costs two
commits: `claim`, then, once the provider has answered, `finish`. What lies between them when a
process dies is `unanswered` to whoever takes the batch over, and is never sent again unless the
provider knows that it never had it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import CursorResult, Executable, Result, Row
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
from newsletter.tracking.events import SETTLE
from subscribers import audience, tuples
from subscribers.audience import Reader

CANCELLED = "issue cancelled"  # why nobody else gets it

_SETTLED_AS = {
    Evidence.TAKEN: DeliveryState.SUBMITTED,
    Evidence.NOT_TAKEN: DeliveryState.PLANNED,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One batch in one owner's hands, until `lease_until` or until somebody takes it over.

    fresh: subscriber ids to send to. unanswered: ids that an earlier owner attempted and never
    answered for. excluded: who became ineligible since the freeze, with the reason. The ledger
    wants an answer for every id of the first two. readers: their address and name, but for the
    erased. attempts: how often each was tried before, where it was. is_fresh: whether nobody held
    the batch, so nothing can be left of an earlier owner. left_by: who held it, else "".
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
    readers: Mapping[int, Reader] = field(default_factory=dict)
    attempts: Mapping[int, int] = field(default_factory=dict)
    is_fresh: bool = True
    left_by: str = ""


class Answer(NamedTuple):
    """What became of one attempted delivery. `tried` is False where nothing was handed over.

    due_at: of one that is planned again, when; None: as soon as anybody sends. at: when it was
    taken, or, of one that is uncertain, attempted; None: nobody knows, but not before its claim. A
    named tuple: made for every reader, at a third of what a frozen dataclass costs.
    """

    subscriber_id: int
    state: DeliveryState
    reason: str = ""
    receipt: str = ""
    tried: bool = True
    due_at: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """How many uncertain deliveries evidence has settled; `held` stay as they are."""

    submitted: int
    planned: int
    held: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Deliveries that were deferred: how many, and when the first of them is due."""

    count: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery that was attempted and never answered for: never sent again by itself."""

    subscriber_id: int
    address: str
    reason: str


def claim(
    session: Session, *, issue_id: int, owner: Owner, now: datetime, lease: timedelta
) -> Claim | None:
    """Takes a batch that is nobody's, or whose owner is dead or out of its lease; None if none is.

    Its planned deliveries that are due become `attempting`, but those who may no longer be written
    to become `excluded`. Only batches of an issue that is `sending` are given out, and of one that
    was cancelled those that a dead sender had: to account for them, not to send.
    """
    for batch in session.execute(sql.OPEN_BATCHES, {"issue_id": issue_id, "now": now}).all():
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
    session.flush()  # what the caller knows of readers counts
    fresh, unanswered = [], []
    attempts, excluded, readers = {}, {}, {}
    rows = _due(session, issue_id, batch, now)
    for id_, state, tried, address, name, is_tracked, against in rows:
        if state == DeliveryState.ATTEMPTING:
            unanswered.append(id_)
        elif against:
            excluded[id_] = against
            continue
        else:
            fresh.append(id_)
        if tried:
            attempts[id_] = tried
        if address:
            readers[id_] = audience.reader(id_, address, name, is_tracked=bool(is_tracked))
    _exclude(session, issue_id, excluded, now)
    session.execute(sql.ATTEMPT, {"batch_id": batch.id, "now": now})
    return Claim(
        issue_id=issue_id,
        batch_id=batch.id,
        number=batch.number,
        epoch=batch.epoch + 1,
        owner=str(owner),
        lease_until=lease_until,
        fresh=tuple(fresh),
        unanswered=tuple(unanswered),
        excluded=excluded,
        readers=readers,
        attempts=attempts,
        is_fresh=batch.state == BatchState.PLANNED,
        left_by=batch.owner,
    )


def _due(
    session: Session, issue_id: int, batch: Row[Any], now: datetime
) -> Result[*tuple[Any, ...]]:
    """The deliveries of a batch to see to, each with what stands against it now."""
    row = {"batch_id": batch.id, "now": now}
    if batch.corrects:
        return session.execute(sql.OPEN_CORRECTIONS, row)
    served = {"issue_id": issue_id, **audience.language_values(batch.language)}
    return session.execute(sql.OPEN_DELIVERIES, row | served)


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

    The batch is `planned` again where a delivery is (not taken this time), else `done`; of an issue
    cancelled meanwhile nothing is planned again. Raises
    TakenOverError, and changes nothing, where the claim's epoch is over; LedgerError where the
    answers are not those of the deliveries claimed.
    """
    renew(session, claim, lease_until=now)
    _check_complete(claim, answers)
    for state in {answer.state for answer in answers}:
        move(DELIVERY_MOVES, DeliveryState.ATTEMPTING, state)
    if _record(session, claim.issue_id, answers, now) != len(answers):
        raise LedgerError(
            f"a delivery of batch {claim.number} of issue {claim.issue_id} was changed while a "
            "sender had it",
            hint="nothing was recorded; see `newsletter issue proof`, then send again",
        )
    if _may_be_labelled(answers, now):
        session.execute(sql.LOOK_AGAIN_BATCH, {"batch_id": claim.batch_id, "now": now})
    session.execute(sql.FORGET_REQUESTS, {"batch_id": claim.batch_id})
    if is_cancelled(session, claim.issue_id):
        gone = {"batch_id": claim.batch_id, "reason": CANCELLED, "now": now}
        session.execute(sql.WITHDRAW_BATCH, gone)
    session.execute(sql.CLOSE_BATCH, {"batch_id": claim.batch_id})


def _may_be_labelled(answers: Collection[Answer], now: datetime) -> bool:
    """Whether events of what was taken are old enough to have a label: not while sending fast."""
    since = now - SETTLE / 2
    taken = {answer.at for answer in answers if answer.state is DeliveryState.SUBMITTED}
    return any(at is None or at <= since for at in taken)


def record_request(
    session: Session, claim: Claim, request_id: str, subscriber_ids: Sequence[int], now: datetime
) -> None:
    """Puts a request on record before it leaves."""
    row = {
        "id": request_id,
        "issue_id": claim.issue_id,
        "batch_id": claim.batch_id,
        "made_at": now,
        "subscriber_ids": list(subscriber_ids),
    }
    session.execute(sql.INSERT_REQUEST, row)


def _check_complete(claim: Claim, answers: Collection[Answer]) -> None:
    claimed = {*claim.fresh, *claim.unanswered}
    if len(answers) != len(claimed) or {answer.subscriber_id for answer in answers} != claimed:
        raise LedgerError(
            f"batch {claim.number} of issue {claim.issue_id} has {len(claimed)} deliveries to "
            f"answer for, and {len(answers)} answers that do not match them",
            hint="nothing was recorded; send again once the provider is mended",
        )


def _record(session: Session, issue_id: int, answers: Collection[Answer], now: datetime) -> int:
    instants = {answer.at for answer in answers} - {None}  # few
    stored = {at: tuples.stored(session, sql.ANSWER, "at", at) for at in instants}
    rows = [
        (
            str(answer.state),
            answer.reason,
            answer.receipt,
            int(answer.tried),
            answer.due_at and tuples.stored(session, sql.ANSWER, "due_at", answer.due_at),
            stored.get(answer.at),
            answer.subscriber_id,
        )
        for answer in answers
    ]
    names = ("state", "reason", "receipt", "tried", "due_at", "at", "subscriber_id")
    return tuples.run_for_each(session, sql.ANSWER, names, rows, issue_id=issue_id, now=now)


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
    settled = _changed(session, sql.SETTLE, rows) if rows else 0
    if settled:
        session.execute(sql.LOOK_AGAIN, rows)
    return settled


def withdraw(session: Session, issue_id: int, *, reason: str, now: datetime) -> int:
    """Excludes whoever is still planned, for `reason`; how many. What is on the wire stays."""
    return _changed(session, sql.WITHDRAW, {"issue_id": issue_id, "reason": reason, "now": now})


def left_behind(session: Session) -> list[int]:
    """The cancelled issues of which a sender, dead or alive, has something in hand."""
    return list(session.execute(sql.LEFT_BEHIND).scalars())


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


def is_sending(session: Session, issue_id: int) -> bool:
    """Whether nobody has paused, cancelled or ended the issue."""
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one_or_none()
    return issue is not None and issue.state == IssueState.SENDING


def is_cancelled(session: Session, issue_id: int) -> bool:
    """Whether somebody has ended the issue for good."""
    issue = session.execute(sql.ISSUE, {"issue_id": issue_id}).one_or_none()
    return issue is not None and issue.state == IssueState.CANCELLED


def waiting(session: Session, issue_id: int, now: datetime) -> Waiting | None:
    """The deliveries that are not due yet, where their batches hold nothing that is."""
    row = session.execute(sql.NEXT_DUE, {"issue_id": issue_id, "now": now}).one()
    return Waiting(row.waiting, row.due_at) if row.waiting else None


def count_open(session: Session, issue_id: int) -> int:
    """How many deliveries are planned or attempting."""
    return int(session.execute(sql.COUNT_OPEN, {"issue_id": issue_id}).scalar_one())


def is_open(session: Session, issue_id: int) -> bool:
    """Whether any delivery is planned, attempting or uncertain."""
    return bool(session.execute(sql.IS_OPEN, {"issue_id": issue_id}).scalar_one())


def _changed(
    session: Session, statement: Executable, parameters: dict[str, Any] | list[dict[str, Any]]
) -> int:
    """How many rows `statement` changed."""
    return cast("CursorResult[Any]", session.execute(statement, parameters)).rowcount
