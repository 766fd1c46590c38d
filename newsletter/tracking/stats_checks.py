"""Whether an issue's figures agree with each other. They come from several statements: a mistake in
one of them, or rows that are lost, shows here and not on a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.errors import LedgerError
from newsletter.tracking.figures import (
    ComparisonFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
)
from newsletter.tracking.stats_audience import MAX_DOMAINS
from newsletter.tracking.stats_sql import REACHED


def verified(figures: IssueFigures, *, frozen: int | None) -> IssueFigures:
    """The same figures. frozen: the candidates counted when the audience was frozen, if it was.

    Raises LedgerError, naming every sum that does not agree.
    """
    found = list(disagreements(figures, frozen=frozen))
    if found:
        raise LedgerError(
            f"the figures of {figures.ref} do not add up: {'; '.join(found)}",
            hint=f"see `newsletter issue proof {figures.ref}`, then `newsletter db check`",
        )
    return figures


def disagreements(figures: IssueFigures, *, frozen: int | None) -> Iterator[str]:
    """A sentence for every sum that does not agree."""
    yield from _of_audience(figures, frozen)
    yield from _of_readers(figures)


def _of_audience(figures: IssueFigures, frozen: int | None) -> Iterator[str]:
    fall = figures.waterfall
    excluded, sent = sum(fall.excluded.values()), sum(fall.states.values())
    if fall.candidates != (frozen or 0):
        yield f"{frozen or 0} candidates were frozen, {fall.candidates} have a delivery"
    if fall.candidates != excluded + sent:
        yield f"{fall.candidates} candidates are not {excluded} excluded and {sent} others"
    reached = sum(fall.states.get(state, 0) for state in REACHED)
    if fall.reached != reached:
        yield f"{fall.reached} were reached, by their states {reached}"
    domains = figures.domains
    if len(domains) > MAX_DOMAINS + 1:
        yield f"{len(domains)} mailbox domains stand by themselves"
    for what, whole, parts in (
        ("in the audience", sent, [one.audience for one in domains]),
        ("reached", fall.reached, [one.reached for one in domains]),
        ("delivered to", fall.delivered or 0, [one.delivered or 0 for one in domains]),
        ("complaints", fall.complained, [one.complained.count for one in domains]),
    ):
        if whole != sum(parts):
            yield f"{whole} {what}, by mailbox domain {sum(parts)}"


def _of_readers(figures: IssueFigures) -> Iterator[str]:
    fall = figures.waterfall
    tracked = fall.reached - figures.untracked_readers
    for what, count, most in (
        ("were delivered to", fall.delivered or 0, fall.reached),
        ("loaded images", fall.loads.total, tracked),
        ("clicked", fall.clicks.total, tracked),
        ("voted", fall.voters + fall.suspects, fall.reached),
        ("unsubscribed", fall.unsubscribed, fall.reached),
        ("complained", fall.complained, fall.reached),
    ):
        if count > most:
            yield f"{count} {what}, of {most} who could"
    clients = sum(one.readers for one in figures.clients)
    if clients != fall.loads.total:
        yield f"{fall.loads.total} loaded images, by mail program {clients}"
    yield from _of_hours("loaded images", fall.loads, [hour.loads for hour in figures.hours])
    yield from _of_hours("clicked", fall.clicks, [hour.clicks for hour in figures.hours])
    parts: tuple[LinkFigure | ComparisonFigure, ...] = (*figures.links, *figures.comparisons)
    for part in parts:
        if part.readers.total > fall.clicks.total or part.readers.human > fall.clicks.human:
            yield f"{part.readers.total} followed one link, {fall.clicks.total} followed any"


def _of_hours(what: str, whole: Labelled, hours: list[Labelled]) -> Iterator[str]:
    """Hours end after three days: the rest is in none of them."""
    for label in ("human", "unknown", "machine"):
        most, found = getattr(whole, label), sum(getattr(hour, label) for hour in hours)
        if found > most:
            yield f"{most} {label} readers {what}, in its first hours {found}"
