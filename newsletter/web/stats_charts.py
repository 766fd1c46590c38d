"""The charts of the pages of figures: which numbers are drawn, and as what.

Solid is human or ship, hollow unknown or skip, hatched machine, on every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from newsletter import wording
from newsletter.rendering import charts
from newsletter.rendering.charts import Bar, Column, Fill, Part, Range
from newsletter.tracking.figures import (
    ComparisonFigure,
    IssueFigures,
    Labelled,
    ListFigures,
    MonthFigure,
    Share,
    VoteFigure,
)

LABELS = charts.legend((Fill.SOLID, "human"), (Fill.HOLLOW, "unknown"), (Fill.HATCHED, "machine"))
VERDICTS = charts.legend((Fill.SOLID, "ship"), (Fill.HOLLOW, "skip"))
MOVES = charts.legend((Fill.SOLID, "came"), (Fill.HOLLOW, "went"))


@dataclass(frozen=True, slots=True)
class IssueCharts:
    """votes: by the comparison's slug."""

    fall: Markup
    loads: Markup
    clicks: Markup
    links: Markup
    clients: Markup
    votes: Mapping[str, Markup]
    earlier_loads: Markup
    earlier_clicks: Markup


@dataclass(frozen=True, slots=True)
class ListCharts:
    growth: Markup
    moves: Markup


def issue_charts(figures: IssueFigures) -> IssueCharts:
    hours = wording.stretches(figures)
    return IssueCharts(
        fall=_fall(figures),
        loads=charts.columns(
            "loads",
            "Readers who loaded images, by hours after sending",
            [Column(one.name, _labelled(one.loads)) for one in hours],
        ),
        clicks=charts.columns(
            "clicks",
            "Readers who followed a link, by hours after sending",
            [Column(one.name, _labelled(one.clicks)) for one in hours],
        ),
        links=charts.bars(
            "links",
            "Readers who followed each link",
            [Bar(wording.link_name(link), _labelled(link.readers)) for link in figures.links],
        ),
        clients=charts.bars(
            "clients",
            "Readers by mail program",
            [Bar(one.name, (Part(one.readers, "readers", Fill.SOLID),)) for one in figures.clients],
        ),
        votes={one.slug: _votes(n, one) for n, one in enumerate(figures.comparisons)},
        earlier_loads=_earlier("earlier-loads", "Images loaded by people", figures, "loads"),
        earlier_clicks=_earlier("earlier-clicks", "Clicked by people", figures, "clicks"),
    )


def list_charts(figures: ListFigures) -> ListCharts:
    return ListCharts(
        growth=charts.columns(
            "growth",
            "Readers on the list at the end of each month",
            [
                Column(month_name(one.month), (Part(one.active_at_end, "on the list", Fill.SOLID),))
                for one in figures.months
            ],
        ),
        moves=charts.columns(
            "moves", "Who came and who went, by month", [_moves(one) for one in figures.months]
        ),
    )


def month_name(month: date) -> str:
    """`Nov 2026`, which stays on one line."""
    return f"{month:%b}\u00a0{month:%Y}"


def came(month: MonthFigure) -> int:
    return month.confirmed + month.returned


def went(month: MonthFigure) -> int:
    return month.unsubscribed + month.suppressed + month.erased


def _moves(one: MonthFigure) -> Column:
    return Column(
        month_name(one.month),
        (Part(came(one), "came", Fill.SOLID),),
        (Part(went(one), "went", Fill.HOLLOW),),
    )


def _fall(figures: IssueFigures) -> Markup:
    fall = figures.waterfall
    rows = [Bar("Reached", (Part(fall.reached, "readers", Fill.SOLID),))]
    if figures.is_tracked:
        rows += [
            Bar("Image loads", _labelled(fall.loads)),
            Bar("Clicks", _labelled(fall.clicks)),
        ]
    voted = Part(fall.voters, "voted", Fill.SOLID), Part(fall.suspects, "suspect", Fill.HATCHED)
    rows.append(Bar("Votes", voted))
    return charts.bars(
        "fall", "How far the issue got with its readers", rows, full=sum(fall.states.values())
    )


def _labelled(readers: Labelled) -> tuple[Part, ...]:
    return (
        Part(readers.human, "human", Fill.SOLID),
        Part(readers.unknown, "unknown", Fill.HOLLOW),
        Part(readers.machine, "machine", Fill.HATCHED),
    )


def _votes(n: int, comparison: ComparisonFigure) -> Markup:
    rows = [bar for vote in comparison.votes for bar in _vote_bars(vote)]
    return charts.bars(f"votes-{n}", f"Votes on {comparison.title}", rows, full=0)


def _vote_bars(vote: VoteFigure) -> tuple[Bar, Bar, Bar]:
    return (
        Bar(
            f"Panel, {vote.tool}",
            _ship_or_skip(vote.panel_percent, 100 - vote.panel_percent, "per cent "),
        ),
        Bar(f"Readers, {vote.tool}", _ship_or_skip(vote.ship, vote.skip)),
        Bar(f"Visitors, {vote.tool}", _ship_or_skip(vote.visitors_ship, vote.visitors_skip)),
    )


def _ship_or_skip(ship: int, skip: int, unit: str = "") -> tuple[Part, Part]:
    return Part(ship, f"{unit}ship", Fill.SOLID), Part(skip, f"{unit}skip", Fill.HOLLOW)


def _earlier(key: str, title: str, figures: IssueFigures, rate: str) -> Markup:
    """This issue's rate beside those of the ones before it, each with its interval."""
    shares = [(figures.ref, wording.share(figures, rate), Fill.SOLID)]
    shares += [(one.ref, getattr(one, rate), Fill.HOLLOW) for one in figures.earlier]
    rows = [_range(name, share, fill) for name, share, fill in shares if share.of]
    return charts.ranges(key, f"{title}, issue by issue", rows)


def _range(name: str, share: Share, fill: Fill) -> Range:
    told = f"{wording.percent(share.rate)}, interval {wording.interval(share)}"
    low, high = share.interval
    return Range(name, share.rate or 0.0, low, high, told, fill)
