"""What the templates see: plain frozen values, derived figures included, no behaviour to hide."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from newsletter.slugs import tool_slugs
from newsletter.theme import Theme

WEEKLY, CORRECTION = "weekly", "correction"  # kinds of issue, folders of their templates


class Verdict(StrEnum):
    SHIP = "ship"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class VoteView:
    """The community's vote for one tool; there is none (None on the tool) until someone voted."""

    ship: int
    skip: int

    @property
    def total(self) -> int:
        return self.ship + self.skip

    @property
    def percent(self) -> int:
        """Ship share in whole per cent, 0 to 100, half rounded up."""
        return percent(self.ship, self.total)


@dataclass(frozen=True, slots=True)
class TakeView:
    """One reviewer on one tool."""

    reviewer: str  # "The Skeptic"
    question: str  # what this reviewer always asks: "What kills it?"
    verdict: Verdict
    quote: str  # to the letter, without quotation marks
    excerpt: str  # edited, at most 160 characters, ends as a sentence


@dataclass(frozen=True, slots=True)
class ToolView:
    """One of the two tools."""

    name: str
    category: str
    tagline: str
    description: str
    entry_price: str  # "Free", "$12/mo"
    price_note: str  # "research licence only", or ""
    community: VoteView | None
    takes: tuple[TakeView, ...]  # in the order of the reviewers

    @property
    def ships(self) -> int:
        return sum(take.verdict is Verdict.SHIP for take in self.takes)

    @property
    def panel(self) -> int:
        """Panel ship per cent, 0 to 100."""
        return percent(self.ships, len(self.takes))


@dataclass(frozen=True, slots=True)
class CorrectionView:
    """What was put right after publication, and the day it was."""

    on: date
    text: str  # at most 200 characters, ends as a sentence


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """Two tools side by side, and what the panel made of them."""

    slug: str
    title: str
    deck: str
    verdict: str  # the editor's one-sentence reason, ends as a sentence
    url: str  # the full page, absolute
    prices_as_of: date
    sample: bool
    tools: tuple[ToolView, ToolView]
    corrections: tuple[CorrectionView, ...] = ()  # every one, oldest first

    @property
    def tool_slugs(self) -> tuple[str, str]:
        """How the tools are called in addresses; in their order."""
        left, right = tool_slugs([tool.name for tool in self.tools])
        return left, right

    def slug_of(self, tool: ToolView) -> str:
        """How one of the two is called in addresses."""
        return self.tool_slugs[next(n for n, one in enumerate(self.tools) if one is tool)]

    @property
    def winner(self) -> ToolView | None:
        """The tool the panel would rather ship; None on a tie."""
        left, right = self.tools
        if left.panel == right.panel:
            return None
        return left if left.panel > right.panel else right

    @property
    def loser(self) -> ToolView | None:
        winner = self.winner
        return None if winner is None else next(t for t in self.tools if t is not winner)

    @property
    def gap(self) -> int:
        """Panel gap in percentage points, 0 to 100."""
        return abs(self.tools[0].panel - self.tools[1].panel)


@dataclass(frozen=True, slots=True)
class ChangeView:
    """What is different now about a comparison that readers got in an earlier issue.

    was, now: the verdict with its figures, as sentences; both "" where the verdict stands.
    corrections: only those no issue has told yet.
    """

    slug: str
    title: str
    url: str  # the full page, absolute
    day: date  # of the issue that had it
    was: str = ""
    now: str = ""
    corrections: tuple[CorrectionView, ...] = ()


@dataclass(frozen=True, slots=True)
class HeardToolView:
    """What panel and readers said of a tool; community: None until a reader voted on it."""

    name: str
    panel: int  # ship per cent
    community: VoteView | None


@dataclass(frozen=True, slots=True)
class HeardComparisonView:
    """A comparison of the issue before, on which readers voted; the winner first."""

    title: str
    url: str  # the full page, absolute
    tools: tuple[HeardToolView, HeardToolView]


@dataclass(frozen=True, slots=True)
class HeardView:
    """How readers answered the issue before. Counted once, so that an issue stays as it was seen.

    comparisons: those with a reader's vote that is believed, in their issue's order.
    """

    issue: int  # the id of the issue before
    day: date  # of its slot
    counted_on: date
    comparisons: tuple[HeardComparisonView, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """Who sends: the same for every issue."""

    name: str
    url: str  # public base, no trailing slash
    sender: str  # an address, or a name and an address: `Weekly <news@example.com>`
    postal_address: str
    list_id: str  # `verdicts.example.com`
    reply_to: str = ""
    unsubscribe_mailto: str = ""
    language: str = "en"  # BCP 47
    theme: Theme = field(default_factory=Theme)


@dataclass(frozen=True, slots=True)
class PageView:
    """A page of ours to read on."""

    title: str
    url: str  # absolute


@dataclass(frozen=True, slots=True)
class CorrectedView:
    """The issue that a correction puts right."""

    subject: str
    day: date  # of its slot
    pages: tuple[PageView, ...]  # of its comparisons, the lead first


@dataclass(frozen=True, slots=True)
class IssueView:
    """One week's issue, ready to be rendered; `comparisons[0]` is the lead, and there is one.

    Of a correction there is none: it has `corrected` instead, and says in `intro` what is right;
    its `archive_url` leads to the issue it corrects.
    """

    id: int
    week: str  # 2026-W48
    slug: str  # 2026-w48
    day: date  # of the slot, on the publication's calendar
    publication: Publication
    comparisons: tuple[ComparisonView, ...]
    archive_url: str
    subject: str | None = None  # an editor's; None: written by the template
    preheader: str | None = None
    intro: str | None = None
    changes: tuple[ChangeView, ...] = ()  # since the issue before, each told once
    corrected: CorrectedView | None = None
    heard: HeardView | None = None  # None: there was no issue before

    @property
    def kind(self) -> str:
        return WEEKLY if self.corrected is None else CORRECTION


@dataclass(frozen=True, slots=True)
class SystemMailView:
    """A mail about one thing to one person; `facts` are the template's own."""

    kind: str
    publication: Publication
    facts: dict[str, str] = field(default_factory=dict)


def percent(part: int, whole: int) -> int:
    """`part` of `whole` in whole per cent, half rounded up; 0 of 0 is 0."""
    return (200 * part + whole) // (2 * whole) if whole else 0
