"""Figures as a terminal shows them: plain lines of at most 80 columns, no colour.

The words are those of pages and reports (`newsletter.wording`); what a table cuts off is whole in
JSON and CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from newsletter import wording
from newsletter.plurals import counted
from newsletter.tracking.figures import (
    ComparisonFigure,
    DomainFigure,
    EarlierFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    ListFigures,
    Share,
    VoteFigure,
)
from newsletter.tracking.links import CANARY
from newsletter.wording import DASH, day, instant, number, percent

WIDTH = 80
MAX_REASONS = 12  # of a table that could go on; JSON has the rest
MAX_MONTHS = 13

_BY_LABEL = ("human", "unknown", "machine")


def issue_lines(figures: IssueFigures) -> Iterator[str]:
    """The report of an issue, the waterfall first; alarms before everything."""
    yield from _wrapped(f"Issue {figures.ref}: {figures.subject}")
    yield f"sent {instant(figures.sent_at)}; as of {instant(figures.computed_at)}"
    for notice in wording.notices(figures):
        yield from _wrapped(f"{'ALARM' if notice.is_alarm else 'note'}: {notice.words}", "  ")
    yield from _section("Who it was for, and how far it got", _waterfall(figures))
    yield from _section(
        "Rates, with the interval that holds the truth 95 times in 100", _rates(figures)
    )
    yield from _section("Comparisons: panel against community", _comparisons(figures.comparisons))
    yield from _section("Links: readers who followed them", _links(figures.links))
    yield from _section("Hours after the first message left", _hours(figures))
    yield from _section("Mail programs of those who loaded images", _clients(figures))
    yield from _section("Mailbox domains", _domains(figures.domains))
    yield from _section("Earlier issues: human readers, of those reached", _earlier(figures))
    yield from _section("Events by the rule that labelled them", _rules(figures))
    yield from _section("In no count", _left_aside(figures))


def list_lines(figures: ListFigures) -> Iterator[str]:
    """The report of the list: who is on it, how it grew, what became of each month's readers."""
    yield f"The list as of {instant(figures.computed_at)}"
    largest = sorted(figures.statuses.items(), key=lambda item: (-item[1], item[0]))
    yield from _section("On record", _table(("", "readers"), [(n, f"{c:,}") for n, c in largest]))
    months = figures.months[-MAX_MONTHS:]
    yield from _section(
        "Month by month",
        _table(
            ("month", "came", "returned", "left", "suppressed", "erased", "at its end"),
            [
                (
                    *(f"{one.month:%Y-%m}", f"{one.confirmed:,}", f"{one.returned:,}"),
                    *(f"{one.unsubscribed:,}", f"{one.suppressed:,}", f"{one.erased:,}"),
                    f"{one.active_at_end:,}",
                )
                for one in months
            ],
        ),
    )
    yield from _section(
        "Those who came in a month, and what became of them",
        _table(
            ("month", "came", "there now", "", "seen in 30 days", ""),
            [
                (
                    *(f"{one.month:%Y-%m}", f"{one.confirmed:,}", f"{one.active:,}"),
                    percent(Share(one.active, one.confirmed, "").rate),
                    *(f"{one.seen:,}", percent(Share(one.seen, one.confirmed, "").rate)),
                )
                for one in figures.cohorts[-MAX_MONTHS:]
            ],
        ),
    )


def _waterfall(figures: IssueFigures) -> Iterator[str]:
    for step in wording.waterfall(figures):
        name = f"{'  ' * step.depth}{step.name}"
        line = f"{_cut(name, 26):<26} {number(step.count):>11}"
        yield from _wrapped(f"{line}  {step.note}".rstrip(), " " * 40)


def _rates(figures: IssueFigures) -> Iterator[str]:
    for name, rate, interval, of_what in wording.rates(figures):
        said = rate if interval == DASH else f"{rate} ({interval.replace(' to ', '-')})"
        yield from _wrapped(f"{name:<23} {said:<18} {of_what}", " " * 43)


def _comparisons(comparisons: Sequence[ComparisonFigure]) -> Iterator[str]:
    for place, one in enumerate(comparisons):
        if place:
            yield ""
        yield from _wrapped(one.title)
        yield f"  followed: {_said(one.readers)}"
        yield from (
            f"  {line}"
            for line in _table(
                ("", "panel", "readers", "ship", "skip", "apart", "visitors"),
                [_vote_cells(vote) for vote in one.votes],
            )
        )


def _vote_cells(vote: VoteFigure) -> tuple[str, ...]:
    readers = Share(vote.ship, vote.ship + vote.skip, "")
    visitors = Share(vote.visitors_ship, vote.visitors_ship + vote.visitors_skip, "")
    return (
        _cut(vote.tool, 28),
        f"{vote.panel_percent}%",
        percent(readers.rate),
        f"{vote.ship:,}",
        f"{vote.skip:,}",
        f"{vote.suspect:,}",
        f"{percent(visitors.rate)} of {visitors.of:,}" if visitors.of else DASH,
    )


def _links(links: Iterable[LinkFigure]) -> Iterator[str]:
    rows = [(f"{one.n}", _cut(one.label or one.url, 40), *_by_label(one.readers)) for one in links]
    return _table(("", "link", *_BY_LABEL), rows, texts=2)


def _link_name(link: LinkFigure) -> str:
    return "(canary: no person sees it)" if link.label == CANARY else link.label or link.url


def _hours(figures: IssueFigures) -> Iterator[str]:
    stretches = wording.stretches(figures)
    if not stretches:
        return
    header, *rows = _table(
        ("", *_BY_LABEL, "", *_BY_LABEL),
        [
            (one.name, *_by_label(one.loads), "", *_by_label(one.clicks))
            for one in stretches
            if one.loads.total or one.clicks.total
        ],
    )
    middle = header.index(_BY_LABEL[-1]) + len(_BY_LABEL[-1])
    yield f"{'image loads':>{middle}}{'clicks':>{len(header) - middle}}"
    yield from (header, *rows)


def _clients(figures: IssueFigures) -> Iterator[str]:
    loads = figures.waterfall.loads.total
    return _table(
        ("", "readers", ""),
        [
            (one.name, f"{one.readers:,}", percent(Share(one.readers, loads, "").rate))
            for one in figures.clients[:MAX_REASONS]
        ],
    )


def _domains(domains: Sequence[DomainFigure]) -> Iterator[str]:
    return _table(
        ("", "to get it", "reached", "delivered", "bounced", "complaints"),
        [
            (
                _cut(one.domain, 24),
                *(f"{one.audience:,}", f"{one.reached:,}", number(one.delivered)),
                *(f"{one.bounced:,}", f"{one.complained.count:,}: {wording.domain_note(one)}"),
            )
            for one in domains
        ],
    )


def _earlier(figures: IssueFigures) -> Iterator[str]:
    if not figures.earlier or figures.sent_at is None:
        return iter(())
    rows = [_earlier_cells(one) for one in figures.earlier]
    this = ("this one", day(figures.sent_at), f"{figures.waterfall.reached:,}")
    shares = [wording.share(figures, key) for key in ("loads", "clicks", "voters", "unsubscribed")]
    rows.insert(0, (*this, *(percent(one.rate) for one in shares)))
    return _table(("", "sent", "reached", "images", "clicks", "voted", "left"), rows, texts=2)


def _earlier_cells(one: EarlierFigure) -> tuple[str, ...]:
    shares = (one.loads, one.clicks, one.voters, one.unsubscribed)
    return (one.ref, day(one.sent_at), f"{one.reached:,}", *(percent(s.rate) for s in shares))


def _rules(figures: IssueFigures) -> Iterator[str]:
    for name, label, why, events in wording.rules(figures):
        yield from _wrapped(f"{name:<18} {label:<8} {events:>9,}  {why}", " " * 39)


def _left_aside(figures: IssueFigures) -> Iterator[str]:
    for count, one, many in (
        (figures.probes, "request by HEAD", "requests by HEAD"),
        (figures.strays, "reader whose mail was refused, or whose tracking is off", ""),
        (figures.erased_events, "event of an erased reader", "events of erased readers"),
    ):
        if count:
            plural = many or one.replace("reader", "readers", 1)
            yield counted(count, one, plural)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Nothing at all where there is nothing to show."""
    shown = [f"  {line}".rstrip() for line in lines]
    if shown:
        yield ""
        yield title
        yield from shown


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1
) -> Iterator[str]:
    """Columns as wide as their cells; the first `texts` to the left, numbers to the right."""
    if not rows:
        return
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    for row in (columns, *rows):
        cells = [
            f"{cell:<{width}}" if place < texts else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _by_label(readers: Labelled) -> tuple[str, ...]:
    return f"{readers.human:,}", f"{readers.unknown:,}", f"{readers.machine:,}"


def _said(readers: Labelled) -> str:
    return ", ".join(
        f"{count} {label}" for count, label in zip(_by_label(readers), _BY_LABEL, strict=True)
    )


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else f"{words[: width - 1]}…"


def _wrapped(words: str, indent: str = "  ") -> Iterator[str]:
    """Lines that fit, broken at blanks; runs of blanks stay, they are columns."""
    line, room = words, WIDTH - 2
    while len(line) > room:
        at = line.rfind(" ", len(indent) + 1, room + 1)
        if at < 0:
            break
        yield line[:at].rstrip()
        line = indent + line[at + 1 :]
    yield line.rstrip()
