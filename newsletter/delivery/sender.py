"""Sending an issue: claim a batch, commit, hand it to the provider, commit what it answered.

No transaction is open while a provider works; `account` sees to it that every delivery claimed is
answered for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from newsletter.delivery import ledger
from newsletter.delivery.account import LEASE, Account, Sending
from newsletter.delivery.ledger import Claim
from newsletter.delivery.owner import Owner
from newsletter.errors import RefusedError, TakenOverError
from newsletter.providers.base import Envelope, Mailing, Provider
from newsletter.store.engine import session_on
from newsletter.store.states import DeliveryState
from subscribers import audience
from subscribers.audience import Reader

ROUNDS_WITHOUT_PROGRESS = 3  # batches in a row of which the provider took nothing, then we stop


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one sender is. Two senders of one issue each count their own; `remaining` is of all.

    stopped: why it ended while something was left; empty where nothing was left to claim.
    """

    remaining: int  # planned or attempting, in whosever hands
    submitted: int = 0
    failed: int = 0
    uncertain: int = 0
    excluded: int = 0  # since the freeze
    batches: int = 0
    taken_over: int = 0  # batches this sender lost to another one
    stopped: str = ""


@dataclass(slots=True)
class BatchReport:
    """What became of one batch: deliveries by their new state, and what went wrong."""

    states: Counter[DeliveryState] = field(default_factory=Counter)
    taken_over: bool = False
    trouble: str = ""  # the provider's last reason for not taking something

    @property
    def moved(self) -> int:
        """Deliveries that are neither planned nor attempting any more."""
        return self.states.total() - self.states[DeliveryState.PLANNED]

    @property
    def is_idle(self) -> bool:
        """Whether the provider took nothing, and said why."""
        return bool(self.trouble) and not self.states[DeliveryState.SUBMITTED]


def deliver_issue(
    engine: Engine,
    issue_id: int,
    *,
    provider: Provider,
    mailing: Mailing,
    envelope_for: Callable[[Reader], Envelope],
    clock: Callable[[], datetime],
    owner: Owner,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    lease: timedelta = LEASE,
) -> Progress:
    """Sends until no batch of the issue can be claimed; started again, it goes on where it stopped.

    Raises RefusedError unless the issue is frozen and `sending`, StoreError as `session_on` does,
    ProviderError where the provider broke its contract; what was on the wire is accounted for.
    """
    sending = Sending(
        engine, issue_id, provider, mailing, envelope_for, clock, owner, should_stop, lease
    )
    progress = Progress(remaining=_count_open(sending, checked=True))
    idle_rounds = 0
    while not progress.stopped and (report := deliver_batch(sending)) is not None:
        idle_rounds = idle_rounds + 1 if report.is_idle else 0
        progress = _advanced(progress, report)
        if idle_rounds == ROUNDS_WITHOUT_PROGRESS:
            progress = replace(progress, stopped=report.trouble)
        if on_progress is not None:
            on_progress(progress)
    return _ended(sending, progress)


def _ended(sending: Sending, progress: Progress) -> Progress:
    remaining = _count_open(sending)
    if not remaining or progress.stopped:
        return replace(progress, remaining=remaining)
    stopped = "asked to stop" if sending.should_stop() else _why_none_is_free(sending)
    return replace(progress, remaining=remaining, stopped=stopped)


def _why_none_is_free(sending: Sending) -> str:
    try:
        _count_open(sending, checked=True)
    except RefusedError as error:  # paused or cancelled meanwhile
        return error.what
    return "another sender has the rest in hand"


def _count_open(sending: Sending, *, checked: bool = False) -> int:
    with session_on(sending.engine, readonly=True) as session:
        if checked:
            ledger.check_sending(session, sending.issue_id)
        return ledger.count_open(session, sending.issue_id)


def _advanced(progress: Progress, report: BatchReport) -> Progress:
    return replace(
        progress,
        remaining=max(0, progress.remaining - report.moved),
        submitted=progress.submitted + report.states[DeliveryState.SUBMITTED],
        failed=progress.failed + report.states[DeliveryState.FAILED],
        uncertain=progress.uncertain + report.states[DeliveryState.UNCERTAIN],
        excluded=progress.excluded + report.states[DeliveryState.EXCLUDED],
        batches=progress.batches + 1,
        taken_over=progress.taken_over + report.taken_over,
    )


def deliver_batch(sending: Sending) -> BatchReport | None:
    """Claims one batch and sees it through; None where there is none to claim."""
    if sending.should_stop():
        return None
    claimed = _claim(sending)
    if claimed is None:
        return None
    claim, readers = claimed
    account = Account(sending, claim, readers)
    try:
        _see_through(sending, account)
    except TakenOverError:
        return BatchReport(taken_over=True)
    states = Counter(answer.state for answer in account.answers())
    states[DeliveryState.EXCLUDED] += len(claim.excluded)
    return BatchReport(states, trouble=account.trouble)


def _see_through(sending: Sending, account: Account) -> None:
    fault: Exception | None = None
    try:
        account.ask_for_evidence()
        account.hand_over()
    except TakenOverError:
        raise
    except Exception as error:  # noqa: BLE001  (raised again once the account is committed)
        # Not of BaseException: interrupted in the middle of a hand-over, what is on the wire has
        # no answer yet and must not be given back. The batch is then taken over like a dead one's.
        fault = error
    with session_on(sending.engine) as session:
        ledger.finish(session, account.claim, account.answers(), sending.clock())
    if fault is not None:
        raise fault


def _claim(sending: Sending) -> tuple[Claim, dict[int, Reader]] | None:
    with session_on(sending.engine) as session:
        claim = ledger.claim(
            session,
            issue_id=sending.issue_id,
            owner=sending.owner,
            now=sending.clock(),
            lease=sending.lease,
        )
        if claim is None:
            return None
        return claim, audience.readers(session, (*claim.fresh, *claim.unanswered))
