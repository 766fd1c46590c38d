"""An issue and what its readers did, written down by hand: rows for the tests of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from newsletter.store.feedback import Event, ProviderEvent, Vote
from newsletter.store.models import (
    Comparison,
    Delivery,
    Issue,
    IssueItem,
    IssueLink,
)
from newsletter.tracking.figures import IssueFigures
from newsletter.tracking.stats import About, measure
from subscribers.models import Subscriber

SENT = datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)
NOW = SENT + timedelta(days=8)
WEEK = "2026-W48"
IPHONE = "Mozilla/5.0"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"


@dataclass(frozen=True, slots=True)
class Did:
    """One thing a reader did, `after` the first message left. method: HEAD for a probe."""

    reader: int | None
    kind: str = "image_load"
    label: str = "human"
    after: timedelta = timedelta(hours=1)
    link: int | None = None
    agent: str = THUNDERBIRD
    method: str = "GET"

    def event(self, issue_id: int) -> Event:
        return Event(
            issue_id=issue_id,
            subscriber_id=self.reader,
            kind=self.kind,
            link=self.link,
            at=SENT + self.after,
            method=self.method,
            agent=self.agent,
            network="198.51.100.0/24",
            label=self.label,
            rule=f"{self.label}_rule" if self.label else "",
            rules=1 if self.label else 0,
        )


def issue(
    session: Session,
    states: Sequence[str],
    *,
    week: str = WEEK,
    tracked: bool = True,
    domains: Sequence[str] = ("example.com",),
    delivered_at: bool = False,
) -> int:
    """An issue frozen for as many readers as there are states, their ids from 1 on; its id.

    An excluded one is so for being unsubscribed. domains: in turns.
    """
    row = Issue(
        week=week,
        slot_at=SENT,
        state="done",
        planned_at=SENT,
        frozen_at=SENT,
        candidates=len(states),
        is_tracked=tracked,
    )
    session.add(row)
    session.flush()
    assert row.id is not None
    for reader, state in enumerate(states, 1):
        subscriber(session, reader, domain=domains[(reader - 1) % len(domains)])
        session.add(_delivery(row.id, reader, state, told=delivered_at))
    session.flush()
    return row.id


def subscriber(session: Session, id_: int, *, domain: str = "example.com") -> None:
    if session.get(Subscriber, id_) is not None:
        return
    address = f"reader{id_}@{domain}"
    session.add(
        Subscriber(
            id=id_,
            address=address,
            address_key=address,
            status="active",
            created_at=SENT - timedelta(days=60),
            confirmed_at=SENT - timedelta(days=60),
        )
    )
    session.flush()


def _delivery(issue_id: int, reader: int, state: str, *, told: bool) -> Delivery:
    went_out = state not in ("excluded", "planned", "failed")
    return Delivery(
        issue_id=issue_id,
        subscriber_id=reader,
        state=state,
        reason="unsubscribed" if state == "excluded" else "",
        changed_at=SENT,
        submitted_at=SENT if went_out else None,
        delivered_at=SENT if told and state == "delivered" else None,
    )


def did(session: Session, issue_id: int, *what: Did) -> None:
    session.add_all([one.event(issue_id) for one in what])
    session.flush()


def links(session: Session, issue_id: int, *urls: str) -> None:
    for n, url in enumerate(urls, 1):
        session.add(IssueLink(issue_id=issue_id, n=n, url=url, label=f"Link {n}"))
    session.flush()


def vote(
    session: Session, issue_id: int, reader: int, *, comparison_id: int = 1, suspicion: str = ""
) -> None:
    if session.get(Comparison, comparison_id) is None:
        session.add(Comparison(id=comparison_id, slug=f"c{comparison_id}", state="published"))
        session.flush()
        session.add(
            IssueItem(issue_id=issue_id, position=0, comparison_id=comparison_id, revision=1)
        )
    session.add(
        Vote(
            comparison_id=comparison_id,
            tool="a",
            subscriber_id=reader,
            issue_id=issue_id,
            verdict="ship",
            at=SENT,
            suspicion=suspicion,
        )
    )
    session.flush()


def told(session: Session, issue_id: int, reader: int, kind: str) -> None:
    """A provider's event, as it stands on record once it was followed."""
    session.add(
        ProviderEvent(
            provider="sendgrid",
            event_id=f"{kind}{reader}",
            twin=f"{kind}{reader}",
            kind=kind,
            at=SENT,
            received_at=SENT,
            issue_id=issue_id,
            subscriber_id=reader,
        )
    )
    session.flush()


def figures(session: Session, issue_id: int) -> IssueFigures:
    row = session.get(Issue, issue_id)
    assert row is not None
    about = About(
        id=issue_id,
        ref=row.week,
        week=row.week,
        kind=row.kind,
        subject="Ship it",
        sent_at=row.frozen_at,
        frozen=row.candidates,
        is_tracked=row.is_tracked,
    )
    return measure(session, about, now=NOW)
