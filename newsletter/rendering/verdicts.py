"""What the mail says about a comparison: its ruling in words, and where the panel fought."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from newsletter.rendering.view import ComparisonView, IssueView, TakeView, ToolView, Verdict

# Where the readers' vote and the panel are this many points apart, the mail says so; of fewer votes
# the next one might tell otherwise.
QUARREL_POINTS = 25
QUARREL_VOTES = 20
WORDS_A_MINUTE = 230
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Ruling(StrEnum):
    """What the panel's figures come to, said honestly."""

    SHIP = "ship"  # one tool leads, and at least half the panel ships it
    SPLIT = "split"  # a tie
    SHIP_BOTH = "ship both"  # everybody ships both
    SKIP_BOTH = "skip both"  # neither convinces half the panel


@dataclass(frozen=True, slots=True)
class Headline:
    """The verdict of one comparison. `first` is the winner, or the first tool named on a tie."""

    ruling: Ruling
    first: ToolView
    second: ToolView

    @property
    def words(self) -> tuple[str, str]:
        """The word before each tool in the table of verdicts."""
        return _TABLE_WORDS[self.ruling]

    @property
    def level(self) -> bool:
        """Neither tool stands behind the other."""
        return self.first.panel == self.second.panel

    @property
    def sentence(self) -> str:
        """The verdict as a heading, without a full stop."""
        return _SENTENCES[self.ruling].format(first=self.first.name, second=self.second.name)

    @property
    def in_figures(self) -> str:
        """The verdict with the panel's figures, as a sentence."""
        names = (isolated(self.first.name), isolated(self.second.name))
        said = _SENTENCES[self.ruling].format(first=names[0], second=names[1])
        return f"{said}, {self.first.panel}% to {self.second.panel}%."

    @property
    def short(self) -> str:
        """The verdict without the tool it was measured against, for a subject."""
        if self.ruling is Ruling.SHIP:
            return f"Ship {self.first.name}"
        return _SHORT_TIES[self.ruling]


_TABLE_WORDS = {
    Ruling.SHIP: ("Ship", "over"),
    Ruling.SPLIT: ("Split", "with"),
    Ruling.SHIP_BOTH: ("Ship", "and"),
    Ruling.SKIP_BOTH: ("Skip", "and"),
}
_SENTENCES = {
    Ruling.SHIP: "Ship {first} over {second}",
    Ruling.SPLIT: "Split: {first} level with {second}",
    Ruling.SHIP_BOTH: "Ship both {first} and {second}",
    Ruling.SKIP_BOTH: "Skip both {first} and {second}",
}
_SHORT_TIES = {
    Ruling.SPLIT: "The panel splits down the middle",
    Ruling.SHIP_BOTH: "The panel would ship both",
    Ruling.SKIP_BOTH: "The panel would skip both",
}


def headline(comparison: ComparisonView) -> Headline:
    left, right = comparison.tools
    first, second = (comparison.winner or left), (comparison.loser or right)
    if first.panel < 50:
        return Headline(Ruling.SKIP_BOTH, first, second)
    if first.panel > second.panel:
        return Headline(Ruling.SHIP, first, second)
    ruling = Ruling.SHIP_BOTH if first.panel == 100 else Ruling.SPLIT
    return Headline(ruling, first, second)


_ENDINGS = {
    Ruling.SHIP: "winner",
    Ruling.SPLIT: "split panel",
    Ruling.SHIP_BOTH: "double ship",
    Ruling.SKIP_BOTH: "double skip",
}


@dataclass(frozen=True, slots=True)
class Quote:
    """One take and the tool it is about."""

    tool: ToolView
    take: TakeView


@dataclass(frozen=True, slots=True)
class Clash:
    """The two takes that disagree most. `reviewer` is set where one reviewer split the tools."""

    reviewer: str
    question: str
    quotes: tuple[Quote, Quote]


def scorecard(comparison: ComparisonView) -> tuple[tuple[Quote, Quote], ...]:
    """Each reviewer on both tools, winner first."""
    said = headline(comparison)
    return tuple(
        (Quote(said.first, one), Quote(said.second, other))
        for one, other in zip(said.first.takes, said.second.takes, strict=True)
    )


def splits(comparison: ComparisonView) -> tuple[str, ...]:
    """Who would ship one tool and not the other, a sentence a tool; none where all agree."""
    said = headline(comparison)
    pairs = scorecard(comparison)
    if len({(one.take.verdict, other.take.verdict) for one, other in pairs}) == 1:
        return ()
    return tuple(
        _stopped(f"{listed(names)} would ship only {isolated(tool.name)}")
        for place, tool in enumerate((said.first, said.second))
        if (names := _loyal_to(pairs, place))
    )


def _loyal_to(pairs: tuple[tuple[Quote, Quote], ...], place: int) -> tuple[str, ...]:
    """Reviewers who ship the tool at `place` (0 or 1) of the pair and skip the other."""
    return tuple(
        pair[place].take.reviewer
        for pair in pairs
        if pair[place].take.verdict is Verdict.SHIP and pair[1 - place].take.verdict is Verdict.SKIP
    )


def clash(comparison: ComparisonView) -> Clash:
    """The reviewer who split the tools; else a ship and a skip of two; else the first reviewer."""
    pairs = scorecard(comparison)
    for one, other in pairs:
        if one.take.verdict is not other.take.verdict:
            return Clash(one.take.reviewer, one.take.question, (one, other))
    for one, _ in pairs:
        for _, other in pairs:
            if one.take.verdict is not other.take.verdict:
                return Clash("", "", (one, other))
    one, other = pairs[0]
    return Clash(one.take.reviewer, one.take.question, (one, other))


def quarrels(comparison: ComparisonView) -> tuple[str, ...]:
    """Where readers and panel are far apart, a sentence a tool."""
    said = headline(comparison)
    return tuple(
        f"Readers disagree on {isolated(tool.name)}: {tool.community.percent}% would ship it, "
        f"the panel says {tool.panel}%."
        for tool in (said.first, said.second)
        if tool.community is not None
        and tool.community.total >= QUARREL_VOTES
        and abs(tool.community.percent - tool.panel) >= QUARREL_POINTS
    )


def mark_row(tool: ToolView) -> str:
    """The panel's marks in plain text, one a reviewer: `■■□□`."""
    return "".join("■" if take.verdict is Verdict.SHIP else "□" for take in tool.takes)


def isolated(name: str) -> str:
    """`name` for the middle of a sentence: one written from right to left takes no figure along.

    Between FIRST STRONG ISOLATE and its end (UAX 9), "on NAME: 82%" keeps its order.
    """
    is_mixed = any(unicodedata.bidirectional(char) in ("R", "AL") for char in name)
    return f"\u2068{name}\u2069" if is_mixed else name


def count(number: int, noun: str) -> str:
    """`one match-up`, `five match-ups`, `13 votes`."""
    word = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{word} {noun}" if number == 1 else f"{word} {noun}s"


def _stopped(sentence: str) -> str:
    """With a full stop, but not a second one behind `Co.`"""
    return sentence if sentence.endswith(".") else f"{sentence}."


def listed(names: tuple[str, ...]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def opening(view: IssueView) -> str:
    """The intro of an issue whose editor wrote none: how many match-ups, and how they ended."""
    rulings = [headline(comparison).ruling for comparison in view.comparisons]
    ended = tuple(
        count(rulings.count(ruling), noun) for ruling, noun in _ENDINGS.items() if ruling in rulings
    )
    return f"{count(len(rulings), 'match-up').capitalize()}: {listed(ended)}."


def reviewers(view: IssueView) -> tuple[str, ...]:
    """The panel, in the order of its marks."""
    return tuple(take.reviewer for take in view.comparisons[0].tools[0].takes)


def reading_minutes(view: IssueView) -> int:
    """Whole minutes to read the mail, at least one."""
    words = len((view.intro or "").split())
    for place, comparison in enumerate(view.comparisons):
        takes = [quote.take for pair in scorecard(comparison) for quote in pair]
        shown = takes if place == 0 else [quote.take for quote in clash(comparison).quotes]
        words += 40 + len(comparison.verdict.split())
        words += sum(len(take.excerpt.split()) for take in shown)
    if view.heard is not None:
        words += sum(len(one.title.split()) + 20 for one in view.heard.comparisons)
    for change in view.changes:
        told = (change.title, change.was, change.now, *(one.text for one in change.corrections))
        words += sum(len(part.split()) for part in told)
    return max(1, round(words / WORDS_A_MINUTE))
