"""Figures in words: the sentences and the rows that pages and reports show of them.

What is not known is a dash with its reason, never a nought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from newsletter.plurals import counted
from newsletter.rendering.view import CORRECTION, WEEKLY
from newsletter.tracking.figures import (
    Alarm,
    DomainFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    Share,
    Waterfall,
)
from newsletter.tracking.links import CANARY
from newsletter.tracking.rules import RULES

DASH = "—"
SMALLEST = 0.00005  # of a rate that is shown as more than nothing
STRETCH_H = 3  # hours that are shown together

REACHED = "readers it reached"
NOT_TOLD = "the provider tells nothing of it"
NOT_TRACKED = "tracking was off for this issue"
NO_AUDIENCE = "it has not gone out yet"

RATES: Mapping[str, str] = {
    "loads": "Images loaded by people",
    "clicks": "Clicked by people",
    "voters": "Voted",
    "unsubscribed": "Left the list",
    "complained": "Called it spam",
    "bounced": "Bounced",
}
TRACKED = frozenset({"loads", "clicks"})  # not known of an issue without tracking

_CANDIDATES: Mapping[str, str] = {
    WEEKLY: "everyone ever confirmed and not erased",
    CORRECTION: "everyone who may have got the issue it corrects",
}
_NOT_REACHED: Mapping[str, str] = {
    "planned": "not sent yet",
    "attempting": "being handed over",
    "uncertain": "nobody knows yet whether they have it",
    "failed": "the provider refused it for good",
    "bounced": "the mailbox refused it",
}
_COMPLAINTS_LIMITS: Mapping[Alarm, str] = {
    Alarm.HIGH: "at or above the 0.1% that Gmail asks senders to stay under",
    Alarm.TOO_HIGH: "at or above 0.3%, from where Gmail turns mail away",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to see first. is_alarm: somebody has to act."""

    words: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the waterfall. depth: 1 for a part of the step above it; count None: not known."""

    name: str
    count: int | None
    note: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some hours after the first message left: `0–3 h`."""

    name: str
    loads: Labelled
    clicks: Labelled


def number(count: int | None) -> str:
    """`1,234`; a dash for what is not known."""
    return DASH if count is None else f"{count:,}"


def percent(rate: float | None) -> str:
    """`12.3%`, `0.08%`, `0%`; a dash where there is none."""
    if rate is None:
        return DASH
    if rate < SMALLEST:
        return "0%"
    digits = 0 if rate == 1 else 2 if rate < 0.01 else 1
    return f"{100 * rate:.{digits}f}%"


def interval(share: Share) -> str:
    """`10.9 to 13.4%`; a dash of nothing, of which nothing can be said."""
    if not share.of:
        return DASH
    low, high = share.interval
    return f"{percent(low).rstrip('%')} to {percent(high)}"


def out_of(share: Share) -> str:
    """`62 of 900 readers it was delivered to`."""
    return f"{share.count:,} of {share.of:,} {share.of_what}"


def summary(figures: IssueFigures) -> str:
    """The issue in two sentences."""
    fall = figures.waterfall
    if not fall.candidates:
        return f"There is nothing to count: {NO_AUDIENCE}."
    left_out = sum(fall.excluded.values())
    reached = f"It reached {fall.reached:,} of {counted(fall.candidates, 'candidate')}"
    first = f"{reached}; {left_out:,} were left out." if left_out else f"{reached}."
    return f"{first} {_what_they_did(figures)}"


def _what_they_did(figures: IssueFigures) -> str:
    fall = figures.waterfall
    ends = (
        f"{fall.voters:,} voted, {fall.unsubscribed:,} left the list "
        f"and {fall.complained:,} called it spam."
    )
    if not figures.is_tracked:
        return f"Nobody looked whether images were loaded or links followed; {ends}"
    return (
        f"{counted(fall.loads.human, 'person', 'people')} loaded its images and "
        f"{fall.clicks.human:,} followed a link; {ends}"
    )


def notices(figures: IssueFigures) -> list[Notice]:
    """What to see before any figure: alarms first, then what is missing from them."""
    return [*_alarms(figures), *_gaps(figures)]


def complaints(figures: IssueFigures) -> Iterator[str]:
    """A sentence for the whole and for each mailbox domain where there are too many."""
    if "complained" in figures.rates and figures.alarm:
        said = _complaints(figures.rates["complained"], figures.alarm)
        yield f"Complaints: {said}."
    for domain in figures.domains:
        if domain.alarm:
            said = _complaints(domain.complained, domain.alarm)
            yield f"Complaints at {domain.domain}: {said}."


def _alarms(figures: IssueFigures) -> Iterator[Notice]:
    for said in complaints(figures):
        yield Notice(said, is_alarm=True)
    if uncertain := figures.waterfall.states.get("uncertain", 0):
        held = counted(uncertain, "delivery is", "deliveries are")
        settle = f"newsletter issue settle {figures.ref}"
        yield Notice(f"{held} uncertain and not sent again; {settle} settles that.", is_alarm=True)


def _complaints(complained: Share, alarm: Alarm) -> str:
    return f"{percent(complained.rate)} ({out_of(complained)}), {_COMPLAINTS_LIMITS[alarm]}"


def _gaps(figures: IssueFigures) -> Iterator[Notice]:
    states = figures.waterfall.states
    waiting = states.get("planned", 0) + states.get("attempting", 0)
    if waiting:
        yield Notice(f"It is still going out: {counted(waiting, 'reader')} to go.")
    if not figures.is_tracked:
        yield Notice("Tracking was off for this issue: image loads and clicks are not known.")
    elif figures.untracked_readers:
        whose = counted(figures.untracked_readers, "reader has", "readers have")
        yield Notice(f"{whose} tracking off: what they load and follow is not known.")
    if figures.unlabelled:
        events = counted(figures.unlabelled, "event counts", "events count")
        yield Notice(f"{events} as unknown: nobody has looked at them yet.")
    if figures.strays:
        whose = counted(figures.strays, "reader", "readers")
        yield Notice(
            f"In no count: {whose} who loaded or clicked though a mailbox refused the mail, "
            "or who have turned tracking off since."
        )
    if figures.erased_events:
        events = counted(figures.erased_events, "event")
        yield Notice(f"In no count: {events} of readers who had their data erased since.")
    if figures.waterfall.delivered is None and figures.waterfall.candidates:
        yield Notice(f"How many were delivered is not known: {NOT_TOLD}.")
    if figures.is_sealed:
        yield Notice("The events behind these figures were folded away: they stand for good.")


def waterfall(figures: IssueFigures) -> list[Step]:
    """Everybody the issue was for, step by step; each step's parts add up to it."""
    fall = figures.waterfall
    candidates = Step("Candidates", fall.candidates, _CANDIDATES.get(figures.kind, ""))
    return [candidates, *_audience(fall), *_reached(fall), *_deeds(figures)]


def _audience(fall: Waterfall) -> Iterator[Step]:
    yield Step("Left out", sum(fall.excluded.values()), "candidates it was not sent to")
    for reason, count in _largest_first(fall.excluded):
        yield Step(reason or "no reason on record", count, depth=1)
    yield Step("To get it", sum(fall.states.values()), "candidates less those left out")


def _reached(fall: Waterfall) -> Iterator[Step]:
    rest = sum(fall.states.values()) - fall.reached
    for state, note in _NOT_REACHED.items():
        if count := fall.states.get(state, 0):
            rest -= count
            yield Step(state, count, note, depth=1)
    if rest:
        yield Step("otherwise not reached", rest, depth=1)
    note = "the provider took it, and no mailbox is known to have refused it"
    yield Step("reached", fall.reached, note, depth=1)
    told = "the provider says that the mailbox took it" if fall.delivered is not None else NOT_TOLD
    yield Step("Delivered", fall.delivered, told)


def _deeds(figures: IssueFigures) -> Iterator[Step]:
    fall = figures.waterfall
    for name, what in (("Image loads", fall.loads), ("Clicks", fall.clicks)):
        if not figures.is_tracked:
            yield Step(name, None, NOT_TRACKED)
            continue
        yield Step(name, what.total, "readers, each once, by the best that is known")
        yield Step("human", what.human, "signs of a person, by a rule", depth=1)
        yield Step("unknown", what.unknown, "nothing speaks for either", depth=1)
        yield Step("machine", what.machine, "prefetched or scanned, by a rule", depth=1)
    yield Step("Voted", fall.voters, "readers whose vote counts")
    yield Step("Votes kept apart", fall.suspects, "readers whose votes look like a machine's")
    yield Step("Left the list", fall.unsubscribed, "from this issue")
    yield Step("Called it spam", fall.complained, "told by the provider or by a report")


def share(figures: IssueFigures, key: str) -> Share:
    """One of the issue's rates; of nothing where it is not known."""
    if key in TRACKED and not figures.is_tracked:
        return Share(0, 0, REACHED)
    return figures.rates.get(key, Share(0, 0, REACHED))


def rates(figures: IssueFigures) -> list[tuple[str, str, str, str]]:
    """Name, rate, interval, and what the rate is of."""
    return [
        (name, DASH, DASH, NOT_TRACKED)
        if key in TRACKED and not figures.is_tracked
        else _rate(name, figures.rates[key])
        for key, name in RATES.items()
        if key in figures.rates
    ]


def _rate(name: str, share: Share) -> tuple[str, str, str, str]:
    of_what = out_of(share) if share.of else f"there are no {share.of_what}"
    return name, percent(share.rate), interval(share), of_what


def stretches(figures: IssueFigures) -> list[Stretch]:
    """The hours after sending, some together, up to the last in which anything happened."""
    together: dict[int, tuple[Labelled, Labelled]] = {}
    for one in figures.hours:
        loads, clicks = together.get(one.hour // STRETCH_H, (Labelled(), Labelled()))
        together[one.hour // STRETCH_H] = (_sum(loads, one.loads), _sum(clicks, one.clicks))
    busy = [n for n, (loads, clicks) in together.items() if loads.total or clicks.total]
    nothing = Labelled(), Labelled()
    return [
        Stretch(f"{n * STRETCH_H}–{(n + 1) * STRETCH_H} h", *together.get(n, nothing))
        for n in range(max(busy, default=-1) + 1)
    ]


def rules(figures: IssueFigures) -> list[tuple[str, str, str, int]]:
    """Name, label, why, and how many events: the rules that said so, the busiest first."""
    known = {rule.name: rule for rule in RULES}
    return [
        (name, str(known[name].label), known[name].why.replace("`", ""), count)
        if name in known
        else (name, DASH, "a rule of an earlier version", count)
        for name, count in _largest_first(figures.rules)
    ]


def link_name(link: LinkFigure) -> str:
    """What a link is called, in the mail or by its address."""
    return "a link that no person sees" if link.label == CANARY else link.label or link.url


def domain_note(domain: DomainFigure) -> str:
    """Its complaints as a rate, with the alarm where there is one."""
    said = percent(domain.complained.rate)
    return f"{said}, {domain.alarm.replace(' %', '%')}" if domain.alarm else said


def instant(at: datetime | None) -> str:
    """`24 November 2026, 09:00 UTC`."""
    return DASH if at is None else f"{at.day} {at:%B %Y, %H:%M} {at.tzname()}"


def day(at: datetime | None) -> str:
    """`24 Nov 2026`."""
    return DASH if at is None else f"{at.day} {at:%b %Y}"


def _sum(one: Labelled, other: Labelled) -> Labelled:
    return Labelled(
        one.human + other.human, one.unknown + other.unknown, one.machine + other.machine
    )


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(_there(counts.items()), key=lambda pair: (-pair[1], pair[0]))


def _there(pairs: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    return (pair for pair in pairs if pair[1])
