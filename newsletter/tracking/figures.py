"""An issue's figures, and the list's, as plain values: what pages, files and reports show.

Every count is of readers, not of requests: a reader who loads a mail ten times counts once, under
the best that is known of them (human before unknown before machine).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from math import sqrt

Z_95 = 1.959963984540054  # the normal quantile of a two-sided interval of 95 %
MANY_COMPLAINTS, TOO_MANY_COMPLAINTS = 0.001, 0.003
STAYED = ("excluded", "planned", "failed")  # states of a delivery of which nothing left us
ALARM_FROM = 1_000  # messages: of fewer, two complaints are above either limit


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with what the denominator is in words: `readers it was delivered to`."""

    count: int
    of: int
    of_what: str

    @property
    def rate(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of 95 % (JASA 22, 1927); (0, 1) of nothing."""
        if not self.of:
            return 0.0, 1.0
        share, squared = self.count / self.of, Z_95 * Z_95
        centre = share + squared / (2 * self.of)
        spread = Z_95 * sqrt(share * (1 - share) / self.of + squared / (4 * self.of * self.of))
        scale = 1 + squared / self.of
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Readers by the best label of what they did; they add up to all who did it."""

    human: int = 0
    unknown: int = 0
    machine: int = 0

    @property
    def total(self) -> int:
        return self.human + self.unknown + self.machine


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Everybody the issue was for, and how far it got with each. The sums agree.

    candidates = sum(excluded) + sum(states). states: of delivery, without `excluded`. reached: the
    provider took the message and no mailbox is known to have refused it. delivered: None where the
    provider tells nothing of it.
    """

    candidates: int
    excluded: Mapping[str, int]
    states: Mapping[str, int]
    reached: int
    delivered: int | None
    loads: Labelled
    clicks: Labelled
    voters: int
    suspects: int  # readers whose votes are kept apart
    unsubscribed: int
    complained: int

    @property
    def handed_over(self) -> int:
        """What may have left us, whatever became of it."""
        return sum(count for state, count in self.states.items() if state not in STAYED)


@dataclass(frozen=True, slots=True)
class LinkFigure:
    n: int
    label: str
    url: str
    comparison: str  # the slug it belongs to, or ""
    readers: Labelled


@dataclass(frozen=True, slots=True)
class VoteFigure:
    """What the panel, the readers and the page's visitors say of one tool."""

    tool: str  # its name
    panel_percent: int
    ship: int  # verified readers
    skip: int
    suspect: int
    visitors_ship: int
    visitors_skip: int


@dataclass(frozen=True, slots=True)
class ComparisonFigure:
    slug: str
    title: str
    readers: Labelled  # who followed any of its links
    votes: tuple[VoteFigure, ...]


@dataclass(frozen=True, slots=True)
class HourFigure:
    """Readers whose first of a kind fell into this hour since the first message left (0: first).

    The first of their best label: whose mail a machine loaded at once, and they opened it in the
    evening, loaded it in the evening.
    """

    hour: int
    loads: Labelled
    clicks: Labelled


@dataclass(frozen=True, slots=True)
class ClientFigure:
    """A mail program, told from agents; readers whose best load it was."""

    name: str
    readers: int


class Alarm(StrEnum):
    """Gmail's limits of complaints a delivered message (sender guidelines, 2024): keep below the
    one, never reach the other.
    """

    NONE = ""
    HIGH = "0.1 % or more"
    TOO_HIGH = "0.3 % or more"

    @classmethod
    def of(cls, complained: Share) -> Alarm:
        """None of few messages or of one complaint: one person is no rate."""
        rate = complained.rate
        if rate is None or complained.of < ALARM_FROM or complained.count < 2:
            return cls.NONE
        if rate >= TOO_MANY_COMPLAINTS:
            return cls.TOO_HIGH
        return cls.HIGH if rate >= MANY_COMPLAINTS else cls.NONE


@dataclass(frozen=True, slots=True)
class DomainFigure:
    """Deliverability at one mailbox domain; what is left beyond the largest is `other`."""

    domain: str
    audience: int  # without the excluded
    reached: int
    delivered: int | None
    deferred: int
    bounced: int
    complained: Share
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class EarlierFigure:
    """One of the publication's own earlier issues, for comparison."""

    ref: str
    sent_at: datetime
    reached: int
    loads: Share  # human
    clicks: Share  # human
    voters: Share
    unsubscribed: Share
    complained: Share


@dataclass(frozen=True, slots=True)
class IssueFigures:
    """Everything there is to say about one issue, as of an instant."""

    ref: str
    week: str
    kind: str
    subject: str
    sent_at: datetime | None  # when it was frozen
    computed_at: datetime
    is_sealed: bool
    is_tracked: bool
    untracked_readers: int  # reached, with tracking off: no load and no click of theirs counts
    unlabelled: int  # events of readers nobody has looked at yet; they count as unknown
    probes: int  # requests by HEAD: never a load, never a click
    waterfall: Waterfall
    rates: Mapping[str, Share]  # loads, clicks, voters, unsubscribed, complained, bounced
    rules: Mapping[str, int]  # events by the rule that labelled them: `machine_apple` -> 812
    links: tuple[LinkFigure, ...]
    comparisons: tuple[ComparisonFigure, ...]
    hours: tuple[HourFigure, ...]  # 0 to 71, then no more
    clients: tuple[ClientFigure, ...]
    domains: tuple[DomainFigure, ...]
    earlier: tuple[EarlierFigure, ...]  # newest first
    # In no count: events of readers who had their data erased since, and readers who loaded or
    # clicked though a mailbox refused the mail, or who have turned tracking off.
    erased_events: int = 0
    strays: int = 0

    @property
    def alarm(self) -> Alarm:
        """Of complaints about the whole issue."""
        return Alarm.of(self.rates["complained"])


@dataclass(frozen=True, slots=True)
class MonthFigure:
    """The list in one month: who came, who went, how many were there at its end.

    There is who confirmed, has not left and is not suppressed; a pause is no leaving. At its end =
    at the end of the month before + confirmed + returned - unsubscribed - suppressed - erased.
    """

    month: date  # its first day, UTC
    confirmed: int  # for the first time
    returned: int  # after they had left, or once nothing stood against their address any more
    unsubscribed: int
    suppressed: int  # by bounces, a complaint or an operator
    erased: int
    active_at_end: int


@dataclass(frozen=True, slots=True)
class CohortFigure:
    """Everybody confirmed in one month, and what became of them by now."""

    month: date
    confirmed: int
    active: int  # there, as a month's figure has it
    seen: int  # gave a human sign of life in the last 30 days


@dataclass(frozen=True, slots=True)
class ListFigures:
    computed_at: datetime
    statuses: Mapping[str, int]  # of everybody on record; `suppressed` are in no other
    months: tuple[MonthFigure, ...]  # oldest first
    cohorts: tuple[CohortFigure, ...]
