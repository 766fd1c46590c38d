"""What the demo's invented readers do with their mail, machines among them, over a day.

Nothing is put into a table by hand: hits go through the log, votes and leavings through the
functions of the pages, and everything is labelled and counted as real readers' doings are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlmodel import Session

    from newsletter.app import App
    from newsletter.editorial.issues import IssueDetails
    from newsletter.tracking.hitlog import Hit

A_DAY: Final = timedelta(hours=26)  # the mail left that long ago: the first report is due
SEED: Final = 48

PREFETCH = "Mozilla/5.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.5.0"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Win64; x64; Microsoft Outlook 16.0)"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"
)
LAPTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/143.0.0.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True)
class Habit:
    """How one kind of reader's mail is fetched, and how many in a hundred of them follow a link."""

    weight: int
    agent: str
    is_prefetched: bool
    followers: int


HABITS: Final = (
    Habit(34, PREFETCH, is_prefetched=True, followers=30),
    Habit(26, GMAIL, is_prefetched=False, followers=45),
    Habit(12, THUNDERBIRD, is_prefetched=False, followers=40),
    Habit(10, OUTLOOK, is_prefetched=False, followers=40),
)
SCANNED: Final = 7  # in a hundred: a scanner fetches everything at once
VOTERS: Final = 45  # of a hundred who followed a link
LEAVERS: Final = 1  # of a hundred readers


def react(app: App, issue: IssueDetails) -> None:
    """A day of invented readers' doings with an issue that is out; the caller lets it be counted.

    `app.clock` says when the day is over.
    """
    from newsletter.tracking.hitlog import HitLog, line_of

    with app.session(readonly=True) as session:
        people = _reached(session, issue.id)
        links = _links(session, issue.id)
    chance = Random(SEED)  # noqa: S311  (invented behaviour, the same every time)
    log = HitLog(app.home)
    try:
        for reader in people:
            hits = list(_hits(chance, reader, issue, links))
            for hit in hits:
                log.append(line_of(hit))
            if any(hit.link for hit in hits) and chance.random() * 100 < VOTERS:
                _vote(app, chance, reader, issue, after=hits[-1].at)
            elif chance.random() * 100 < LEAVERS:
                _leave(app, reader, issue)
    finally:
        log.close()


def _hits(chance: Random, reader: int, issue: IssueDetails, links: Sequence[int]) -> Iterator[Hit]:
    sent_at = issue.frozen_at or issue.slot_at
    if chance.random() * 100 < SCANNED:
        yield from _scan(reader, issue, links, sent_at)
    habit = chance.choices([*HABITS, None], weights=[*(one.weight for one in HABITS), 18], k=1)[0]
    if habit is None:
        return
    read_at = sent_at + timedelta(minutes=5 + chance.expovariate(1 / 300) % (60 * 25))
    fetched_at = sent_at + timedelta(seconds=chance.uniform(20, 240))
    loaded_at = fetched_at if habit.is_prefetched else read_at
    yield _hit(reader, issue, None, loaded_at, habit.agent)
    if chance.random() * 100 >= habit.followers:
        return
    agent = PHONE if habit.is_prefetched or chance.random() < 0.4 else LAPTOP
    for number in chance.sample(list(links), k=chance.choice((1, 1, 1, 2, 3))):
        read_at += timedelta(seconds=chance.uniform(20, 180))
        yield _hit(reader, issue, number, read_at, agent)


def _scan(
    reader: int, issue: IssueDetails, links: Sequence[int], sent_at: datetime
) -> Iterator[Hit]:
    """Everything within three seconds of its arrival, as a company's gateway does."""
    at = sent_at + timedelta(seconds=2)
    for number in links:
        at += timedelta(milliseconds=90)
        yield _hit(reader, issue, number, at, LAPTOP)


def _hit(reader: int, issue: IssueDetails, link: int | None, at: datetime, agent: str) -> Hit:
    from newsletter.tracking.events import EventKind
    from newsletter.tracking.hitlog import Hit

    kind = EventKind.IMAGE_LOAD if link is None else EventKind.CLICK
    return Hit(kind, issue.id, reader, link, at, "GET", agent, "192.0.2.0/24")


def _vote(app: App, chance: Random, reader: int, issue: IssueDetails, *, after: datetime) -> None:
    from newsletter.editorial import votes
    from newsletter.editorial.library import load_revision
    from newsletter.rendering.view import Verdict

    at = min(after + timedelta(minutes=1), app.clock())
    with app.session() as session:
        slug = chance.choice(issue.items)
        for name, panel in zip(
            load_revision(session, slug).tool_slugs, load_revision(session, slug).panel, strict=True
        ):
            question = votes.ask(session, issue_id=issue.id, slug=slug, tool=name)
            # Readers lean the panel's way, and not all of them.
            ships = chance.random() * 100 < 20 + 0.6 * (panel or 0)
            votes.cast(
                session,
                question,
                Verdict.SHIP if ships else Verdict.SKIP,
                subscriber_id=reader,
                issue_id=issue.id,
                at=at,
                agent=PHONE,
                network="192.0.2.0/24",
            )
            at += timedelta(seconds=15)


def _leave(app: App, reader: int, issue: IssueDetails) -> None:
    from newsletter import readers
    from newsletter.tokens import DeliveryToken

    readers.leave(
        app,
        DeliveryToken(issue.id, reader),
        source=readers.BY_PAGE,
        network="192.0.2.1",
        agent=LAPTOP,
    )


def _reached(session: Session, issue_id: int) -> list[int]:
    from sqlmodel import col, select

    from newsletter.store.models import Delivery
    from newsletter.store.states import DeliveryState

    query = select(Delivery.subscriber_id).where(
        Delivery.issue_id == issue_id, Delivery.state == DeliveryState.SUBMITTED
    )
    return list(session.exec(query.order_by(col(Delivery.subscriber_id))))


def _links(session: Session, issue_id: int) -> list[int]:
    from sqlmodel import col, select

    from newsletter.store.models import IssueLink

    query = select(IssueLink.n).where(IssueLink.issue_id == issue_id, IssueLink.label != "canary")
    return list(session.exec(query.order_by(col(IssueLink.n))))
