"""From a reader's ballots to their votes: which one counts of each tool, and which are suspect.

A pure function of the set of ballots: neither their order nor how often one comes plays a part.
Mail scanners follow every link and press every button; what marks them is how fast they are, and
that they say both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.rendering.view import Verdict

SECOND_THOUGHT = timedelta(seconds=10)
BURST = timedelta(seconds=5)
BURST_TOOLS = 4  # of one reader within a burst's time: more are a machine's

Key = tuple[int, str]  # comparison id, tool's slug


@dataclass(frozen=True, slots=True)
class Ballot:
    """One press of ship or skip by a reader. is_hurried: sooner than a person answers a form.

    is_machine: what the rules for events (`tracking.rules`) take it for.
    """

    comparison_id: int
    tool: str
    verdict: Verdict
    at: datetime
    issue_id: int
    is_hurried: bool = False
    is_machine: bool = False

    @property
    def key(self) -> Key:
        return self.comparison_id, self.tool


@dataclass(frozen=True, slots=True)
class Standing:
    """What a reader's ballots on one tool come to. suspicion: a rule's name; "": it is believed."""

    verdict: Verdict
    at: datetime
    issue_id: int
    suspicion: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a ballot is kept apart. finds: told the ballot and all of the same reader's."""

    name: str
    says: str  # a sentence for operators
    finds: Callable[[Ballot, Sequence[Ballot]], bool]


def _hurried(ballot: Ballot, _others: Sequence[Ballot]) -> bool:
    return ballot.is_hurried


def _scanner(ballot: Ballot, _others: Sequence[Ballot]) -> bool:
    return ballot.is_machine


def _both_ways(ballot: Ballot, others: Sequence[Ballot]) -> bool:
    return any(
        one.key == ballot.key
        and one.verdict is not ballot.verdict
        and abs(one.at - ballot.at) < SECOND_THOUGHT
        for one in others
    )


def _burst(ballot: Ballot, others: Sequence[Ballot]) -> bool:
    """Whether any stretch of `BURST` that holds the ballot holds too many tools."""
    starts = (one.at for one in others if timedelta(0) <= ballot.at - one.at <= BURST)
    return any(
        len({one.key for one in others if timedelta(0) <= one.at - start <= BURST}) > BURST_TOOLS
        for start in starts
    )


# The first that finds something names the suspicion.
RULES = (
    Rule("hurried", "pressed within 2 seconds of being shown", _hurried),
    Rule("scanner", "pressed by what the reader's other doings show to be a machine", _scanner),
    Rule("both_ways", "ship and skip for one tool within 10 seconds", _both_ways),
    Rule("burst", "votes on more than 4 tools within 5 seconds", _burst),
)
NAMES = frozenset(rule.name for rule in RULES)


def suspicion(ballot: Ballot, others: Sequence[Ballot]) -> str:
    """The name of the first rule that finds something; "" for none. others: with the ballot."""
    return next((rule.name for rule in RULES if rule.finds(ballot, others)), "")


def judged(ballots: Iterable[Ballot]) -> Mapping[Key, Standing]:
    """One reader's votes, a tool each.

    The latest ballot that is believed; where none is, the latest. So what a scanner presses takes
    no person's vote away. At one instant skip goes before ship, and the later issue before.
    """
    kept = sorted(set(ballots), key=lambda one: one.at)
    choices: dict[Key, list[Standing]] = defaultdict(list)
    for ballot, near in _with_neighbours(kept):
        found = Standing(ballot.verdict, ballot.at, ballot.issue_id, suspicion(ballot, near))
        choices[ballot.key].append(found)
    return {key: max(some, key=_weight) for key, some in choices.items()}


def _with_neighbours(ballots: Sequence[Ballot]) -> Iterable[tuple[Ballot, Sequence[Ballot]]]:
    """Each of the ballots, which stand by their instants, with those near enough for any rule."""
    reach = max(SECOND_THOUGHT, BURST)
    first = last = 0
    for ballot in ballots:
        while ballot.at - ballots[first].at > reach:
            first += 1
        while last < len(ballots) and ballots[last].at - ballot.at <= reach:
            last += 1
        yield ballot, ballots[first:last]


def _weight(standing: Standing) -> tuple[bool, datetime, str, int, str]:
    believed = not standing.suspicion
    return believed, standing.at, standing.verdict, standing.issue_id, standing.suspicion
