"""The answers for one claimed batch, gathered while a provider works; no transaction is open here.

Whatever a provider does, each delivery claimed is answered for: taken, refused for good, given back
to be sent later, or uncertain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from newsletter.delivery import ledger
from newsletter.delivery.ledger import Answer, Claim
from newsletter.delivery.owner import Owner
from newsletter.errors import (
    LedgerError,
    PermanentError,
    ProviderError,
    TransientError,
    UncertainError,
)
from newsletter.providers.base import Envelope, Evidence, Mailing, Outcome, Provider, Receipt
from newsletter.store.engine import session_on
from newsletter.store.states import DeliveryState
from subscribers.audience import Reader

WIRE_SIZE = 250  # messages handed over at a time: a stop is heard, a lease renewed, in between
LEASE = timedelta(minutes=5)  # well above what a provider needs for WIRE_SIZE messages

_STATES: Mapping[Outcome, DeliveryState] = {
    Outcome.SUBMITTED: DeliveryState.SUBMITTED,
    Outcome.DEFERRED: DeliveryState.PLANNED,  # by us: it goes out in a later round
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


@dataclass(frozen=True, slots=True)
class Sending:
    """Everything a batch needs to go out, whoever calls `deliver_batch`."""

    engine: Engine
    issue_id: int
    provider: Provider
    mailing: Mailing
    envelope_for: Callable[[Reader], Envelope]  # its key is the reader's id
    clock: Callable[[], datetime]
    owner: Owner
    should_stop: Callable[[], bool] = lambda: False
    lease: timedelta = LEASE


class Account:
    """The answers for one claim as they come in. What has none in the end was never handed over."""

    def __init__(self, sending: Sending, claim: Claim, readers: Mapping[int, Reader]) -> None:
        self._sending = sending
        self.claim = claim
        self.trouble = ""  # the provider's last reason for not taking something
        self._readers = readers
        self._lease_until = claim.lease_until
        self._answers: dict[int, Answer] = {}

    def answers(self) -> list[Answer]:
        """One for every delivery claimed."""
        claimed = (*self.claim.fresh, *self.claim.unanswered)
        given_back = DeliveryState.PLANNED
        return [self._answers.get(id_) or Answer(id_, given_back, tried=False) for id_ in claimed]

    def ask_for_evidence(self) -> None:
        """Settles what an earlier owner left. What was not taken goes out in a later round."""
        unanswered = self.claim.unanswered
        if not unanswered:
            return
        # Until the provider says otherwise: held, and never resent by itself.
        self._answer_all(unanswered, *_EVIDENT[Evidence.UNKNOWN])
        envelopes = self._envelopes(unanswered)
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

    def hand_over(self) -> None:
        """Gives the fresh deliveries to the provider, `WIRE_SIZE` at a time, while that works."""
        fresh = self.claim.fresh
        for start in range(0, len(fresh), WIRE_SIZE):
            if self._sending.should_stop():
                return
            envelopes = self._envelopes(fresh[start : start + WIRE_SIZE])
            self._hold()
            if envelopes and not self._submit(envelopes):
                return

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
        reader = self._readers.get(subscriber_id)
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
            for receipt in self._sending.provider.submit(self._sending.mailing, envelopes):
                open_.remove(receipt.key)
                self._record(receipt)
        except TransientError as error:
            self.trouble = str(error)
            self._answer_all(open_, DeliveryState.PLANNED, error.what)
            return False
        except PermanentError as error:
            self.trouble = str(error)
            self._answer_all(open_, DeliveryState.FAILED, error.what)
        except UncertainError as error:
            # Not with the next ones: what times out once may time out for everybody.
            self.trouble = str(error)
            self._answer_all(open_, DeliveryState.UNCERTAIN, error.what)
            return False
        except Exception as error:
            self._answer_all(open_, DeliveryState.UNCERTAIN, "the provider broke off")
            raise self._broken_off() from error
        else:
            self._answer_all(open_, DeliveryState.UNCERTAIN, "the provider gave no receipt")
        return True

    def _record(self, receipt: Receipt) -> None:
        state, detail = _STATES[receipt.outcome], receipt.detail
        if state is DeliveryState.SUBMITTED:
            self._answers[receipt.key] = Answer(receipt.key, state, receipt=detail)
            return
        reason = detail or "the provider gave no reason"
        self.trouble = reason
        self._answers[receipt.key] = Answer(receipt.key, state, reason)

    def _answer_all(self, ids: Iterable[int], state: DeliveryState, reason: str) -> None:
        self._answers.update((id_, Answer(id_, state, reason)) for id_ in ids)

    def _broken_off(self) -> ProviderError:
        return ProviderError(
            f"the provider {self._sending.provider.name} broke off in an unforeseen way; what it "
            "had in hand is held as uncertain",
            hint="see `newsletter issue proof`; its cause is a fault of the provider's module",
        )
