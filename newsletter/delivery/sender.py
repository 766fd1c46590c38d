"""Sending an issue: claim a batch, commit, hand it to the provider, commit what it answered.

No transaction is open while a provider works; `account` sees to it that every delivery claimed is
answered for, and the journal that a sender's death leaves in doubt only what was on the wire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.delivery import bounces, journal, ledger
from newsletter.delivery.account import LEASE, Account, Sending, Streak
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Claim
from newsletter.delivery.owner import Owner
from newsletter.delivery.rate import Throttle
from newsletter.delivery.watch import Progress, Watch
from newsletter.errors import RefusedError, TakenOverError
from newsletter.providers.base import Envelope, Mailing, Provider
from newsletter.store.engine import session_on
from newsletter.store.states import DeliveryState
from subscribers.audience import Reader

ROUNDS_WITHOUT_PROGRESS = 3  # batches in a row of which the provider took nothing, then we stop


@dataclass(slots=True)
class BatchReport:
    """What became of one batch: deliveries by their new state, and what went wrong.

    deferred: of the planned, those that wait for a time. goes_on_at: when a limit lets go of the
    rest, where that is too far off to wait for.
    """

    states: Counter[DeliveryState] = field(default_factory=Counter)
    deferred: int = 0
    taken_over: bool = False
    trouble: str = ""  # the provider's last reason for not taking something
    limited_by: str = ""
    goes_on_at: datetime | None = None

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
    journals: Path,
    throttle: Throttle,
    stop_after: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    lease: timedelta = LEASE,
) -> Progress:
    """Sends until no batch of the issue can be claimed; started again, it goes on where it stopped.

    stop_after: refusals in a row that end it as `is_refused`; 0 for never. Raises RefusedError
    unless the issue is frozen and `sending`, StoreError as `session_on` does, ProviderError where
    the provider broke its contract; what was on the wire is accounted for.
    """
    watch = Watch(engine, issue_id, owner=owner, clock=clock, on_progress=on_progress)
    sending = Sending(
        engine, issue_id, provider, mailing, envelope_for, clock, owner, journals, throttle,
        should_stop, lease, Streak(stop_after), watch.hear,
    )  # fmt: skip
    watch.progress = Progress(remaining=_count_open(sending, checked=True))
    idle_rounds = 0
    try:
        while not watch.progress.stopped and (report := deliver_batch(sending)) is not None:
            idle_rounds = idle_rounds + 1 if report.is_idle else 0
            tired = idle_rounds == ROUNDS_WITHOUT_PROGRESS
            watch.tell(_advanced(sending, watch.progress, report, tired=tired))
        return _ended(sending, watch.progress)
    finally:
        watch.leave()


def _advanced(
    sending: Sending, progress: Progress, report: BatchReport, *, tired: bool
) -> Progress:
    advanced = replace(
        progress,
        remaining=max(0, progress.remaining - report.moved),
        in_hand=0,
        submitted=progress.submitted + report.states[DeliveryState.SUBMITTED],
        bounced=progress.bounced + report.states[DeliveryState.BOUNCED],
        failed=progress.failed + report.states[DeliveryState.FAILED],
        uncertain=progress.uncertain + report.states[DeliveryState.UNCERTAIN],
        excluded=progress.excluded + report.states[DeliveryState.EXCLUDED],
        deferred=progress.deferred + report.deferred,
        batches=progress.batches + 1,
        taken_over=progress.taken_over + report.taken_over,
        limited_by=report.limited_by,
        trouble=report.trouble or progress.trouble,
    )
    if sending.streak.is_over:
        why = f"{sending.streak.length} messages in a row were not taken; the last: "
        return replace(advanced, stopped=why + report.trouble, is_refused=True)
    if report.goes_on_at is not None:
        why = f"the limit is reached: {report.limited_by}"
        return replace(advanced, stopped=why, goes_on_at=report.goes_on_at)
    return replace(advanced, stopped=report.trouble) if tired else advanced


def _ended(sending: Sending, progress: Progress) -> Progress:
    remaining = _count_open(sending)
    if not remaining or progress.stopped:
        return replace(progress, remaining=remaining, stopped=progress.stopped or _cut_off(sending))
    if sending.should_stop():
        return replace(progress, remaining=remaining, stopped="asked to stop")
    try:
        _count_open(sending, checked=True)
    except RefusedError as error:  # paused or cancelled meanwhile
        return replace(progress, remaining=remaining, stopped=error.what)
    with session_on(sending.engine, readonly=True) as session:
        waiting = ledger.waiting(session, sending.issue_id, sending.clock())
    if waiting is None:
        stopped = "another sender has the rest in hand"
        return replace(progress, remaining=remaining, stopped=stopped)
    return replace(
        progress,
        remaining=remaining,
        stopped=f"{waiting.count:,} deferred, to be tried again later; {progress.trouble}".rstrip(
            "; "
        ),
        goes_on_at=waiting.due_at,
    )


def _cut_off(sending: Sending) -> str:
    """What a cancellation says, which leaves nothing open; empty where there was none."""
    with session_on(sending.engine, readonly=True) as session:
        if not ledger.is_cancelled(session, sending.issue_id):
            return ""
        try:
            ledger.check_sending(session, sending.issue_id)
        except RefusedError as error:
            return error.what
    return ""


def _count_open(sending: Sending, *, checked: bool = False) -> int:
    with session_on(sending.engine, readonly=True) as session:
        if checked:
            ledger.check_sending(session, sending.issue_id)
        return ledger.count_open(session, sending.issue_id)


def account_for_the_cancelled(sending: Sending) -> None:
    """Answers for what dead senders of a cancelled issue had in hand. Nothing more is sent."""
    while deliver_batch(sending) is not None:
        pass


def deliver_batch(sending: Sending) -> BatchReport | None:
    """Claims one batch and sees it through; None where there is none to claim."""
    if sending.should_stop():
        return None
    account = _claim(sending)
    if account is None:
        return None
    try:
        _see_through(sending, account)
    except TakenOverError:
        return BatchReport(taken_over=True)
    finally:
        account.book.close()
    answers = account.answers()
    states = Counter(answer.state for answer in answers)
    states[DeliveryState.EXCLUDED] += len(account.claim.excluded)
    return BatchReport(
        states,
        deferred=sum(answer.due_at is not None for answer in answers),
        trouble=account.trouble,
        limited_by=account.limited_by,
        goes_on_at=account.goes_on_at,
    )


def _see_through(sending: Sending, account: Account) -> None:
    fault: Exception | None = None
    try:
        account.settle_the_unanswered()
        account.hand_over()
    except TakenOverError:
        raise
    except Exception as error:  # noqa: BLE001  (raised again once the account is committed)
        # Not of BaseException: interrupted in the middle of a hand-over, what is on the wire has
        # no answer yet and must not be given back. The batch is then taken over like a dead one's.
        fault = error
    answers, now = account.answers(), sending.clock()
    with session_on(sending.engine) as session:
        ledger.finish(session, account.claim, answers, now)
        bounces.hear(session, account.claim.issue_id, answers, now)
    account.book.discard()
    journal.discard_older(sending.journals, account.claim)
    if fault is not None:
        raise fault


def _claim(sending: Sending) -> Account | None:
    book: Journal | None = None
    try:
        with session_on(sending.engine) as session:
            claim = _next_claim(sending, session)
            if claim is None:
                return None
            # There before the claim is: who finds a claim without its journal can trust nothing.
            book = Journal.begin(sending.journals, claim)
    except BaseException:
        if book is not None:
            # Not removed: an interruption may have come right after the commit, and where none was
            # made, the next sender's journal may stand in this place by now.
            book.close()
        raise
    return Account(sending, claim, book)


def _next_claim(sending: Sending, session: Session) -> Claim | None:
    return ledger.claim(
        session,
        issue_id=sending.issue_id,
        owner=sending.owner,
        now=sending.clock(),
        lease=sending.lease,
    )
