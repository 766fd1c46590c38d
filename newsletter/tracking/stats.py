"""An issue's figures, counted from facts: deliveries, events, votes.

Every count is of readers. A reader is human where anything they did is, else unknown, else machine;
an event nobody has looked at yet is unknown. What a reader did whose mailbox refused the mail, who
turned tracking off, or who had their data erased is in no count, and told apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session

from newsletter.tracking import stats_sql as sql
from newsletter.tracking.agents import client_of
from newsletter.tracking.figures import (
    ClientFigure,
    ComparisonFigure,
    EarlierFigure,
    HourFigure,
    IssueFigures,
    Labelled,
    LinkFigure,
    Share,
    VoteFigure,
    Waterfall,
)
from newsletter.tracking.stats_audience import (
    REACHED_READERS,
    TRACKED_READERS,
    Audience,
    audience_of,
)
from newsletter.tracking.stats_checks import verified

HOURS = 72
_COMPARISON = re.compile(r"/comparisons/([a-z0-9-]+)/?$")  # whatever the site's own path is


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison of the issue, with what others know of it."""

    slug: str
    title: str
    votes: tuple[VoteFigure, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an issue without counting. frozen: candidates when it was frozen."""

    id: int
    ref: str
    week: str
    kind: str
    subject: str
    sent_at: datetime | None
    frozen: int | None
    is_tracked: bool
    comparisons: Sequence[Judged] = ()
    earlier: tuple[EarlierFigure, ...] = ()


@dataclass(frozen=True, slots=True)
class _Done:
    """What readers did, as gathered."""

    loads: Labelled
    clicks: Labelled
    hours: tuple[HourFigure, ...]
    clients: tuple[ClientFigure, ...]
    links: tuple[LinkFigure, ...]
    followed: Mapping[str, Labelled]  # by comparison
    strays: int


def measure(session: Session, about: About, *, now: datetime) -> IssueFigures:
    """Counts everything in one transaction; some seconds for a million readers.

    Raises LedgerError where sums do not agree.
    """
    session.flush()
    where = {"issue_id": about.id}
    audience = audience_of(session.execute(sql.AUDIENCE, where))
    begins = audience.first_at or about.sent_at or now
    done = _what_readers_did(session, about.id, begins, is_tracked=about.is_tracked)
    events = session.execute(sql.EVENTS, where).all()
    voters, suspects = session.execute(sql.VOTERS, where).one()
    fall = Waterfall(
        candidates=audience.candidates,
        excluded=audience.excluded,
        states=audience.states,
        reached=audience.reached,
        delivered=audience.delivered,
        loads=done.loads,
        clicks=done.clicks,
        voters=voters,
        suspects=suspects,
        unsubscribed=session.execute(sql.UNSUBSCRIBED, where).scalar_one(),
        complained=audience.complained.count,
    )
    untracked = audience.untracked if about.is_tracked else audience.reached
    figures = IssueFigures(
        ref=about.ref,
        week=about.week,
        kind=about.kind,
        subject=about.subject,
        sent_at=about.sent_at,
        computed_at=now,
        is_sealed=False,
        is_tracked=about.is_tracked,
        untracked_readers=untracked,
        unlabelled=sum(row.unlabelled for row in events),
        probes=sum(row.probes for row in events),
        waterfall=fall,
        rates=_rates(fall, audience, untracked),
        rules={row.rule: row.events for row in sorted(events, key=_by_size) if row.rule},
        links=done.links,
        comparisons=tuple(
            ComparisonFigure(
                one.slug, one.title, done.followed.get(one.slug, Labelled()), one.votes
            )
            for one in about.comparisons
        ),
        hours=done.hours,
        clients=done.clients,
        domains=audience.domains(),
        earlier=about.earlier,
        erased_events=sum(row.erased for row in events),
        strays=done.strays,
    )
    return verified(figures, frozen=about.frozen)


def as_earlier(figures: IssueFigures) -> EarlierFigure | None:
    """The figures of an issue as a later one shows them; None where nothing of it was sent."""
    if figures.sent_at is None or not figures.waterfall.handed_over:
        return None
    rates = figures.rates
    return EarlierFigure(
        ref=figures.ref,
        sent_at=figures.sent_at,
        reached=figures.waterfall.reached,
        loads=rates["loads"],
        clicks=rates["clicks"],
        voters=rates["voters"],
        unsubscribed=rates["unsubscribed"],
        complained=rates["complained"],
    )


def comparison_of(url: str) -> str:
    """The slug of the comparison whose page `url` is; "" for any other page."""
    try:
        found = _COMPARISON.search(urlsplit(url).path)
    except ValueError:
        return ""
    return found[1] if found else ""


def _rates(fall: Waterfall, audience: Audience, untracked: int) -> dict[str, Share]:
    tracked = fall.reached - untracked
    tracked_words = TRACKED_READERS if untracked else REACHED_READERS
    return {
        "loads": Share(fall.loads.human, tracked, tracked_words),
        "clicks": Share(fall.clicks.human, tracked, tracked_words),
        "voters": Share(fall.voters, fall.reached, REACHED_READERS),
        "unsubscribed": Share(fall.unsubscribed, fall.reached, REACHED_READERS),
        "complained": audience.complained,
        "bounced": audience.bounced,
    }


def _what_readers_did(
    session: Session, issue_id: int, begins: datetime, *, is_tracked: bool
) -> _Done:
    """Gathers and counts. Of an issue that was not tracked nothing counts, whatever there is."""
    for statement in (*sql.MAKE, *(sql.FILL if is_tracked else ())):
        session.execute(statement, {"issue_id": issue_id})
    loads = session.execute(sql.LOAD_MINUTES).all()
    clicks = session.execute(sql.CLICK_MINUTES).all()
    links = _links(session, issue_id)
    done = _Done(
        loads=_by_label(loads),
        clicks=_by_label(clicks),
        hours=_hours(loads, clicks, begins),
        clients=_clients(session),
        links=links,
        followed=_followed(session, links),
        strays=session.execute(sql.STRAYS).scalar_one(),
    )
    for statement in sql.DROP:
        session.execute(statement)
    return done


def _by_label(minutes: Iterable[Any]) -> Labelled:
    counts: Counter[str] = Counter()
    for minute, readers in minutes:
        counts[minute[0]] += readers
    return _labelled(counts)


def _links(session: Session, issue_id: int) -> tuple[LinkFigure, ...]:
    counts: dict[int, Counter[str]] = {}
    for link, best, readers in session.execute(sql.LINK_READERS):
        counts.setdefault(link, Counter())[best] += readers
    return tuple(
        LinkFigure(
            n=row.n,
            label=row.label,
            url=row.url,
            comparison=comparison_of(row.url),
            readers=_labelled(counts.get(row.n, Counter())),
        )
        for row in session.execute(sql.LINKS, {"issue_id": issue_id})
    )


def _followed(session: Session, links: Iterable[LinkFigure]) -> dict[str, Labelled]:
    numbers: dict[str, list[int]] = {}
    for link in links:
        if link.comparison:
            numbers.setdefault(link.comparison, []).append(link.n)
    found = {}
    for slug, theirs in numbers.items():
        rows = session.execute(sql.READERS_OF_LINKS, {"links": theirs})
        found[slug] = _labelled(Counter({row.best: row.readers for row in rows}))
    return found


def _hours(loads: Iterable[Any], clicks: Iterable[Any], begins: datetime) -> tuple[HourFigure, ...]:
    """Up to the last hour in which anybody did anything, none after the third day."""
    loaded, clicked = _by_hour(loads, begins), _by_hour(clicks, begins)
    last = max((*loaded, *clicked), default=-1)
    return tuple(
        HourFigure(
            hour,
            _labelled(loaded.get(hour, Counter())),
            _labelled(clicked.get(hour, Counter())),
        )
        for hour in range(last + 1)
    )


def _by_hour(minutes: Iterable[Any], begins: datetime) -> dict[int, Counter[str]]:
    """Hour 0 begins with the minute of the first message, and takes in clocks that run behind."""
    start = begins.astimezone(UTC).replace(second=0, microsecond=0)
    hours: dict[int, Counter[str]] = {}
    for minute, readers in minutes:
        best, at = minute[0], datetime.fromisoformat(minute[1:]).replace(tzinfo=UTC)
        hour = max(0, int((at - start).total_seconds() // 3_600))
        if hour < HOURS:
            hours.setdefault(hour, Counter())[best] += readers
    return hours


def _clients(session: Session) -> tuple[ClientFigure, ...]:
    counts: Counter[str] = Counter()
    for agent, readers in session.execute(sql.AGENTS):
        counts[client_of(agent)] += readers
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ClientFigure(name, readers) for name, readers in ordered)


def _labelled(counts: Counter[str]) -> Labelled:
    return Labelled(
        human=counts[sql.HUMAN], unknown=counts[sql.UNKNOWN], machine=counts[sql.MACHINE]
    )


def _by_size(row: Any) -> tuple[int, str]:
    return -row.events, row.rule
