"""What a rehearsal proves: conditions on the stage's log, the ledger and the proof, each yes or no.

The stage's log is what really happened, the ledger what we say happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from newsletter.delivery.proof import Proof
from newsletter.delivery.rate_budget import TOLERANCE_S
from newsletter.rehearsal.account import Told
from newsletter.rehearsal.faults import UNANSWERED, Fault
from newsletter.rehearsal.stage_log import StageLog
from newsletter.rehearsal.supervisor import Course, Plan
from newsletter.store.states import DeliveryState

_MAY_HAVE_IT: Final = frozenset({DeliveryState.SUBMITTED, DeliveryState.UNCERTAIN})
_WITH_A_REASON: Final = frozenset(
    {DeliveryState.FAILED, DeliveryState.BOUNCED, DeliveryState.UNCERTAIN}
)
_OPEN: Final = frozenset({DeliveryState.PLANNED, DeliveryState.ATTEMPTING})
_BURST_S: Final = 2 * TOLERANCE_S  # seconds' worth that may leave at once, at each start


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold; `found` says what was found, either way."""

    name: str
    holds: bool
    found: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a certificate is made from.

    on_the_wire: messages one sender can have unanswered; per_fault: uncertain for one message that
    the stage left unanswered. per_second: the publication's own limit, or None.
    """

    plan: Plan
    course: Course
    proof: Proof
    told: Mapping[str, Told]
    log: StageLog
    on_the_wire: int
    per_fault: int
    per_second: float | None = None

    @property
    def seconds(self) -> float:
        """From the first thing the stage did to the last; the rate is taken over these."""
        lines = self.log.lines
        return max(lines[-1].at - lines[0].at, 0.001) if lines else 0.0

    @property
    def rate(self) -> float:
        """Messages a second that were accepted, with all faults and kills."""
        return len(self.log.accepted) / self.seconds if self.log.lines else 0.0

    @property
    def uncertain(self) -> int:
        return sum(one.state is DeliveryState.UNCERTAIN for one in self.told.values())

    @property
    def most_uncertain(self) -> int:
        """What kills, and faults that leave no answer, may have left in doubt."""
        silent = UNANSWERED[self.plan.provider]
        unanswered = sum(n for fault, n in self.log.faults.items() if fault in silent)
        return self.course.kills * self.on_the_wire + unanswered * self.per_fault


@dataclass(frozen=True, slots=True)
class Certificate:
    """The conditions, and the figures beside them."""

    evidence: Evidence
    conditions: tuple[Condition, ...]

    @property
    def is_certified(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    @property
    def failed(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.holds]

    def to_dict(self) -> dict[str, Any]:
        """The shape of `rehearse --json`."""
        evidence, plan = self.evidence, self.evidence.plan
        return {
            "issue": evidence.proof.issue,
            "certified": self.is_certified,
            "provider": plan.provider,
            "readers": plan.readers,
            "senders": plan.senders,
            "faults": str(plan.faults),
            "seed": plan.seed,
            "kills": evidence.course.kills,
            "rounds": evidence.course.rounds,
            "accepted": len(evidence.log.accepted),
            "faults_met": {str(fault): n for fault, n in met(evidence.log).items()},
            "uncertain_at_most": evidence.most_uncertain,
            "seconds": round(evidence.course.seconds, 3),
            "messages_per_second": round(evidence.rate, 1),
            "conditions": [
                {"name": one.name, "holds": one.holds, "found": one.found}
                for one in self.conditions
            ],
            "proof": evidence.proof.to_dict(),
        }


def certify(evidence: Evidence) -> Certificate:
    """Judges; nothing is left out because it went well elsewhere."""
    judges = (_finished, _proven, _once, _ledger_knows, _no_silence, _few_unknown, _struck, _limits)
    conditions = (judge(evidence) for judge in judges)
    return Certificate(evidence, tuple(one for one in conditions if one is not None))


def met(log: StageLog) -> dict[Fault, int]:
    """How many messages met each fault, in the order of the language."""
    return {fault: log.faults[fault] for fault in Fault if log.faults[fault]}


def _finished(evidence: Evidence) -> Condition:
    open_ = sum(one.state in _OPEN for one in evidence.told.values())
    found = "nobody is left to be sent to" if not open_ else f"{open_:,} were never finished"
    if evidence.course.stopped:
        found += f": {evidence.course.stopped}"
    if evidence.course.failed:
        found += f"; {evidence.course.failed} senders ended with an error"
    return Condition("finished", not open_ and not evidence.course.failed, found)


def _proven(evidence: Evidence) -> Condition:
    proof = evidence.proof
    found = f"{proof.candidates:,} candidates, {proof.unexplained:,} unexplained"
    return Condition("the proof holds", proof.holds, found)


def _once(evidence: Evidence) -> Condition:
    doubled = len(evidence.log.doubled)
    found = f"{len(evidence.log.accepted):,} messages accepted, {doubled:,} of them again"
    return Condition("nobody got it twice", not doubled, found)


def _ledger_knows(evidence: Evidence) -> Condition:
    """Whatever the stage has, the ledger counts as submitted, or names as uncertain."""
    unknown = [
        line.reader
        for line in evidence.log.accepted
        if line.reader not in evidence.told or evidence.told[line.reader].state not in _MAY_HAVE_IT
    ]
    found = f"{len(unknown):,} accepted that the ledger denies"
    return Condition("the ledger knows who has it", not unknown, found)


def _no_silence(evidence: Evidence) -> Condition:
    """Everybody was accepted, or there is a reason why it is not known, or why not."""
    accepted = {line.reader for line in evidence.log.accepted}
    lost = sum(
        reader not in accepted and not (one.state in _WITH_A_REASON and one.reason)
        for reader, one in evidence.told.items()
    ) + abs(evidence.plan.readers - len(evidence.told))
    return Condition("nobody is lost in silence", not lost, f"{lost:,} readers without a word")


def _few_unknown(evidence: Evidence) -> Condition:
    most = evidence.most_uncertain
    found = f"{evidence.uncertain:,} uncertain, where {most:,} may be"
    return Condition("few are uncertain", evidence.uncertain <= most, found)


def _struck(evidence: Evidence) -> Condition | None:
    wanted, struck = evidence.plan.kills, evidence.course.kills
    if not wanted:
        return None
    found = f"{struck} of {wanted} struck a running sender"
    return Condition("senders were killed", struck == wanted, found)


def _limits(evidence: Evidence) -> Condition | None:
    """On the whole way, with a burst at every start: what comes late may come together."""
    limit = evidence.per_second
    if limit is None:
        return None
    starts = evidence.course.rounds + evidence.course.kills
    most = limit * (evidence.seconds + _BURST_S * starts) + starts
    taken = len(evidence.log.accepted)
    found = f"{evidence.rate:,.1f} a second, where {limit:,g} are allowed"
    return Condition("the publication's rate is kept", taken <= most, found)
