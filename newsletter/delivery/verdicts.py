"""What follows from a provider's event, and what a delivery is by all that was told of it.

Pure: whichever order things were told in, and however often, the answer is the same. The first of
PRECEDENCE that was told decides; of several events of that kind the earliest gives the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from newsletter.providers.told import Kind
from newsletter.store.states import DeliveryState
from subscribers import bounces
from subscribers.policy import Verdict

# Complaint, unsubscription, refusal, then what came of the attempt. Who left through a mail has it,
# whatever a server said; what was refused after it was taken did not arrive after all.
PRECEDENCE: Final[tuple[tuple[frozenset[Kind], DeliveryState], ...]] = (
    (frozenset({Kind.COMPLAINED}), DeliveryState.COMPLAINED),
    (frozenset({Kind.UNSUBSCRIBED}), DeliveryState.DELIVERED),
    (frozenset({Kind.BOUNCED, Kind.INVALID, Kind.BLOCKED}), DeliveryState.BOUNCED),
    (frozenset({Kind.DELIVERED}), DeliveryState.DELIVERED),
    (frozenset({Kind.DROPPED}), DeliveryState.FAILED),
    (frozenset({Kind.DEFERRED}), DeliveryState.DEFERRED),
    (frozenset({Kind.PROCESSED}), DeliveryState.SUBMITTED),
)

# These have consequences for the reader, or a reason worth keeping; others only move a delivery.
WEIGHTY: Final = frozenset(
    {
        Kind.COMPLAINED,
        Kind.UNSUBSCRIBED,
        Kind.BOUNCED,
        Kind.INVALID,
        Kind.BLOCKED,
        Kind.DROPPED,
    }
)

# Why a provider did not even try, by how its words begin (SendGrid's), in lower case. The first
# that fits.
DROPS: Final[tuple[tuple[str, Verdict], ...]] = (
    ("bounced address", Verdict.HARD),
    ("spam reporting address", Verdict.COMPLAINT),
    ("unsubscribed address", Verdict.LEAVING),
    ("invalid smtpapi header", Verdict.SENDER_FAULT),
    ("invalid", Verdict.HARD),
    ("spam content", Verdict.SENDER_FAULT),
    ("recipient list over package quota", Verdict.SENDER_FAULT),
)

_SIMPLE: Final[Mapping[Kind, Verdict]] = {
    Kind.COMPLAINED: Verdict.COMPLAINT,
    Kind.UNSUBSCRIBED: Verdict.LEAVING,
}

_UNSAID: Final[Mapping[Kind, str]] = {
    Kind.COMPLAINED: "called spam",
    Kind.UNSUBSCRIBED: "left by the provider's link",
}


class Fact(NamedTuple):
    """One weighty event about one delivery."""

    kind: Kind
    at: datetime
    code: str
    detail: str

    @property
    def reason(self) -> str:
        """In words, never blank."""
        code = "" if self.code in self.detail else self.code
        said = " ".join(filter(None, (code, self.detail)))
        return said or _UNSAID.get(self.kind, f"{self.kind} without a reason")


def verdict_of(kind: Kind, code: str, detail: str) -> Verdict:
    """What the audience's policy is asked about. NONE for a kind without consequences."""
    if kind is Kind.DROPPED:
        said = detail.lower()
        found = (verdict for words, verdict in DROPS if said.startswith(words))
        return next(found, Verdict.UNCLASSIFIED)
    if kind is Kind.BOUNCED:
        return bounces.verdict_of(code, detail)
    if kind in (Kind.BLOCKED, Kind.INVALID):
        # 5.7.x and its like are about us, whatever the provider files them under: 5.7.0 ("other")
        # too, which `verdict_of_code` leaves to words. As in `fault_codes.is_ours`.
        is_ours = bounces.verdict_of(code, "") is Verdict.SENDER_FAULT
        passing = Verdict.BLOCKED if kind is Kind.BLOCKED else Verdict.HARD
        return Verdict.SENDER_FAULT if is_ours else passing
    return _SIMPLE.get(kind, Verdict.NONE)


def decided(facts: Iterable[Fact]) -> tuple[DeliveryState, str] | None:
    """The state that these facts make, and its reason; None where there are none."""
    known = list(facts)
    for kinds, state in PRECEDENCE:
        deciding = [fact for fact in known if fact.kind in kinds]
        if deciding:
            is_good = state in (DeliveryState.DELIVERED, DeliveryState.SUBMITTED)
            return state, "" if is_good else min(deciding, key=_earliest).reason
    return None


def _earliest(fact: Fact) -> tuple[datetime, str, str]:
    return fact.at, fact.code, fact.detail
