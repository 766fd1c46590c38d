"""The answers for one claimed batch, gathered while a provider works; no transaction is open here.

Whatever a provider does, each delivery claimed is answered for: taken, refused for good, deferred,
given back to be sent later, or uncertain. What is about to leave is in the journal before it does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import Engine

from newsletter.delivery import journal, ledger
from newsletter.delivery.backoff import GIVEN_UP, due_after
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Answer, Claim
from newsletter.delivery.owner import Owner
from newsletter.delivery.rate import Grant, Throttle
from newsletter.errors import (
    LedgerError,
    PermanentError,
    ProviderError,
    StoreError,
    TakenOverError,
    TransientError,
    UncertainError,
)
from newsletter.providers.base import Envelope, Evidence, Mailing, Outcome, Provider, Receipt
from newsletter.store.engine import session_on
from newsletter.store.states import DeliveryState
from subscribers.audience import Reader

LEASE = timedelta(minutes=5)  # well above what a provider needs for one hand-over
PATIENCE_S = 60.0  # the longest wait for a limit inside a batch; for more, it is let go
NAP_S = 0.2  # how soon a wish to stop is heard while waiting
SAME_INSTANT = timedelta(seconds=1)  # what is heard within it is stored as heard at its beginning
HEARD_WITHIN_S = 0.5  # how soon a pause is, between hand-overs: asking costs as much as 20 messages

_STATES: Mapping[Outcome, DeliveryState] = {
    Outcome.SUBMITTED: DeliveryState.SUBMITTED,
    Outcome.DEFERRED: DeliveryState.PLANNED,  # by us: it goes out in a later round
    Outcome.BOUNCED: DeliveryState.BOUNCED,
    Outcome.FAILED: DeliveryState.FAILED,
    Outcome.UNCERTAIN: DeliveryState.UNCERTAIN,
}
_EVIDENT: Mapping[Evidence, tuple[DeliveryState, str]] = {
    Evidence.TAKEN: (DeliveryState.SUBMITTED, ""),
    Evidence.NOT_TAKEN: (DeliveryState.PLANNED, ""),
    Evidence.UNKNOWN: (
        DeliveryState.UNCERTAIN,
        "its sender stopped before an answer came, and the provider cannot say",
    ),
}


@dataclass(slots=True)
class Streak:
    """Messages in a row of which none was taken, over all batches of one sender."""

    most: int = 0  # then the send stops; 0: never
    length: int = 0

    @property
    def is_over(self) -> bool:
        return 0 < self.most <= self.length

    def add(self, *, is_taken: bool) -> None:
        self.length = 0 if is_taken else self.length + 1


@dataclass(frozen=True, slots=True)
class Sending:
    """Everything a batch needs to go out, whoever calls `deliver_batch`.

    journals: the folder of what is about to leave. heard: told how many were answered for since it
    was last told, and which limit holds the rest back.
    """

    engine: Engine
    issue_id: int
    provider: Provider
    mailing: Mailing
    envelope_for: Callable[[Reader], Envelope]  # its key is the reader's id
    clock: Callable[[], datetime]
    owner: Owner
    journals: Path
    throttle: Throttle
    should_stop: Callable[[], bool] = lambda: False
    lease: timedelta = LEASE
    streak: Streak = field(default_factory=Streak)
    heard: Callable[[int, str], None] = lambda count, limited_by: None
    sleep: Callable[[float], None] = sleep


class Account:
    """The answers for one claim as they come in. What has none in the end was never handed over."""

    def __init__(self, sending: Sending, claim: Claim, book: Journal) -> None:
        self._sending = sending
        self.claim = claim
        self.trouble = ""  # the provider's last reason for not taking something
        self.limited_by = ""  # what held the last hand-over back
        self.goes_on_at: datetime | None = None  # a limit wants more patience than a batch has
        self.book = book
        self._lease_until = claim.lease_until
        self._answers: dict[int, Answer] = {}
        self._attempted_at: dict[int, datetime | None] = {}
        self._at: datetime | None = None
        self._requests = 0
        # A claim of a batch that was nobody's has just asked; one taken over may be of an issue
        # that was cancelled.
        self._asked_at = monotonic() if claim.is_fresh else -inf

    def answers(self) -> list[Answer]:
        """One for every delivery claimed."""
        claimed = (*self.claim.fresh, *self.claim.unanswered)
        given_back = DeliveryState.PLANNED
        return [self._answers.get(id_) or Answer(id_, given_back, tried=False) for id_ in claimed]

    # What a provider says before messages leave: `providers.base.AttemptLog`.

    def attempting(self, keys: Sequence[int]) -> None:
        at = self._instant()
        self._attempted_at.update(dict.fromkeys(keys, at))
        self.book.attempting(keys, at)

    def request(self, keys: Sequence[int]) -> str:
        self._requests += 1
        claim, now = self.claim, self._sending.clock()
        id_ = f"{claim.issue_id}.{claim.batch_id}.{claim.epoch}.{self._requests}"
        try:
            with session_on(self._sending.engine) as session:
                # Also the last moment to notice that somebody thought us dead.
                ledger.renew(session, claim, lease_until=now + self._sending.lease)
                ledger.record_request(session, claim, id_, keys, now)
        except StoreError as error:
            raise TransientError(error.what, hint=error.hint) from error
        self._lease_until = now + self._sending.lease
        self.attempting(keys)
        return id_

    # What an earlier owner left.

    def settle_the_unanswered(self) -> None:
        """By its journal, else by the provider's evidence. What never left goes out later."""
        unanswered = self.claim.unanswered
        if not unanswered:
            return
        left = journal.recover(self._sending.journals, self.claim, self._sending.owner)
        self._attempted_at.update(left.attempted_at)
        in_doubt = []
        for id_ in unanswered:
            answer = left.answers.get(id_)
            if answer is not None:
                self._answers[id_] = self._with_a_time(answer)
            elif left.is_whole and id_ not in left.attempted:
                self._answers[id_] = Answer(id_, DeliveryState.PLANNED, tried=False)
            else:
                in_doubt.append(id_)
        if in_doubt:
            self._ask_for_evidence(in_doubt)

    def _ask_for_evidence(self, in_doubt: Sequence[int]) -> None:
        # Until the provider says otherwise: held, and never resent by itself.
        self._answer_all(in_doubt, *_EVIDENT[Evidence.UNKNOWN])
        envelopes = self._envelopes(in_doubt)
        try:
            evidence = self._sending.provider.evidence(self._sending.mailing, envelopes)
        except ProviderError as error:
            self.trouble = str(error)
        except Exception as error:
            raise self._broken_off() from error
        else:
            for envelope in envelopes:
                known = evidence.get(envelope.key, Evidence.UNKNOWN)
                self._answer_all([envelope.key], *_EVIDENT[known])

    # What goes out now.

    def hand_over(self) -> None:
        """Gives the fresh deliveries to the provider, as many at a time as it and limits allow."""
        waiting = [(id_, self._domain(id_)) for id_ in self.claim.fresh]
        while waiting and self._may_go_on():
            grant = self._grant([domain for _, domain in waiting])
            self.limited_by = grant.limited_by
            self._hold()
            if not grant.chosen:
                self._sending.heard(0, grant.limited_by)
                if not self._wait(grant.wait_s):
                    return
                continue
            chosen = set(grant.chosen)
            now = [waiting[index][0] for index in grant.chosen]
            waiting = [one for index, one in enumerate(waiting) if index not in chosen]
            if not self._hand_over(now):
                return

    def _hand_over(self, ids: Sequence[int]) -> bool:
        """Whether to go on with the next ones."""
        envelopes = self._envelopes(ids)
        goes_on = not envelopes or self._submit(envelopes)
        self._sending.heard(len(ids), self.limited_by)
        if self._sending.streak.is_over:
            return False
        return goes_on

    def _may_go_on(self) -> bool:
        if self._sending.should_stop():
            return False
        if monotonic() - self._asked_at < HEARD_WITHIN_S:
            return True
        self._asked_at = monotonic()
        with session_on(self._sending.engine, readonly=True) as session:
            return ledger.is_sending(session, self.claim.issue_id)  # paused or cancelled meanwhile?

    def _grant(self, domains: Sequence[str]) -> Grant:
        return self._sending.throttle.grant(domains, at_most=self._sending.provider.at_once)

    def _domain(self, id_: int) -> str:
        reader = self.claim.readers.get(id_)
        return reader.address.rpartition("@")[2].lower() if reader else ""

    def _wait(self, wait_s: float) -> bool:
        """Until a limit lets the next message go; False where that is too long for a batch."""
        if wait_s > PATIENCE_S:
            self.goes_on_at = self._sending.clock() + timedelta(seconds=wait_s)
            return False
        until = monotonic() + wait_s
        while (left_s := until - monotonic()) > 0 and not self._sending.should_stop():
            self._sending.sleep(min(left_s, NAP_S))
        return True

    def _envelopes(self, ids: Iterable[int]) -> list[Envelope]:
        envelopes = []
        for id_ in ids:
            try:
                envelope = self._envelope(id_)
            except PermanentError as error:
                self._answers.setdefault(id_, Answer(id_, DeliveryState.FAILED, error.what))
                continue
            if envelope.key != id_:
                raise LedgerError(f"the envelope for subscriber {id_} has key {envelope.key}")
            envelopes.append(envelope)
        return envelopes

    def _envelope(self, subscriber_id: int) -> Envelope:
        reader = self.claim.readers.get(subscriber_id)
        if reader is None:
            raise PermanentError("erased")
        return self._sending.envelope_for(reader)

    def _hold(self) -> None:
        """Renews the lease past its half, so that nobody takes over a sender that is alive."""
        now = self._sending.clock()
        if self._lease_until - now > self._sending.lease / 2:
            return
        self._lease_until = now + self._sending.lease
        with session_on(self._sending.engine) as session:
            ledger.renew(session, self.claim, lease_until=self._lease_until)

    def _submit(self, envelopes: Sequence[Envelope]) -> bool:
        """Whether to go on with the next hand-over."""
        open_ = {envelope.key for envelope in envelopes}
        try:
            for receipt in self._sending.provider.submit(self._sending.mailing, envelopes, self):
                open_.remove(receipt.key)
                self._record(receipt)
        except TransientError as error:
            self.trouble = str(error)
            self._answer_all(open_, DeliveryState.PLANNED, error.what, tried=False)
            return False
        except PermanentError as error:
            self.trouble = str(error)
            self._refuse_all(open_, DeliveryState.FAILED, error.what)
        except UncertainError as error:
            # Not with the next ones: what times out once may time out for everybody.
            self.trouble = str(error)
            self._refuse_all(open_, DeliveryState.UNCERTAIN, error.what)
            return False
        except TakenOverError:  # noticed as a request was put on record: it did not leave
            raise
        except Exception as error:
            self._refuse_all(open_, DeliveryState.UNCERTAIN, "the provider broke off")
            raise self._broken_off() from error
        else:
            self._refuse_all(open_, DeliveryState.UNCERTAIN, "the provider gave no receipt")
        return True

    def _record(self, receipt: Receipt) -> None:
        state, detail = _STATES[receipt.outcome], receipt.detail
        is_taken = state is DeliveryState.SUBMITTED
        self._sending.streak.add(is_taken=is_taken)
        if is_taken:
            answer = Answer(receipt.key, state, receipt=detail, at=self._instant())
        else:
            self.trouble = detail or "the provider gave no reason"
            at = self._attempted_at.get(receipt.key)
            answer = self._with_a_time(Answer(receipt.key, state, self.trouble, at=at))
        self._answers[receipt.key] = answer
        self.book.answered(answer)

    def _instant(self) -> datetime:
        """Now, the same one for a second: each costs the journal a line and the store a value."""
        now = self._sending.clock()
        if self._at is None or abs(now - self._at) >= SAME_INSTANT:
            self._at = now
        return self._at

    def _with_a_time(self, answer: Answer) -> Answer:
        """A deferred message goes out later, or is given up after too many attempts."""
        if answer.state is not DeliveryState.PLANNED or not answer.tried:
            return answer
        attempts = self.claim.attempts.get(answer.subscriber_id, 0) + 1
        due_at = due_after(attempts, self._sending.clock())
        if due_at is not None:
            return answer._replace(due_at=due_at)
        reason = f"{GIVEN_UP} {attempts} attempts: {answer.reason}"
        return answer._replace(state=DeliveryState.FAILED, reason=reason)

    def _answer_all(
        self, ids: Iterable[int], state: DeliveryState, reason: str, *, tried: bool = True
    ) -> None:
        for id_ in ids:
            at = self._attempted_at.get(id_)
            answer = self._answers[id_] = Answer(id_, state, reason, tried=tried, at=at)
            self.book.answered(answer)

    def _refuse_all(self, ids: Collection[int], state: DeliveryState, reason: str) -> None:
        self._answer_all(ids, state, reason)
        for _ in ids:
            self._sending.streak.add(is_taken=False)

    def _broken_off(self) -> ProviderError:
        return ProviderError(
            f"the provider {self._sending.provider.name} broke off in an unforeseen way; what it "
            "had in hand is held as uncertain",
            hint="see `newsletter issue proof`; its cause is a fault of the provider's module",
        )
