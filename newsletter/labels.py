"""Events get their labels: as they come, by the tick; or all of history again, by an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.delivery import engagement
from newsletter.delivery.proof import RESEND
from newsletter.editorial import judging
from newsletter.editorial.issues import called
from newsletter.errors import NotFoundError
from newsletter.store.feedback import Event
from newsletter.store.models import Issue
from newsletter.store.turns import never, turns
from newsletter.tracking import classify, snapshots
from newsletter.tracking.agents import client_of
from newsletter.tracking.classify import Done
from newsletter.tracking.rules import RULES_VERSION
from subscribers import consent
from subscribers.address import EmailAddress

STEPS = 100  # a tick: labels for what 50,000 readers did


def take_in(app: App, *, should_stop: Callable[[], bool] = never) -> Iterator[str]:
    """A part of the tick: labels what is due, hears of people, counts silence behind them.

    After the hit log was taken in. It says so where more is due than one tick can do. should_stop:
    asked between its transactions.
    """
    for _ in turns(STEPS, should_stop=should_stop):
        with app.session() as session:
            done = _look(session, app)
        if done.taken < classify.AT_ONCE:
            return
    with app.session(readonly=True) as session:
        waiting = classify.waiting(session)
    if waiting:
        yield f"readers whose doings wait for a label: {waiting}"


def label_due(app: App) -> Done:
    """Labels all that is due now."""
    total = Done()
    for _ in turns():
        with app.session() as session:
            done = _look(session, app)
        if not done.taken:
            break
        total.add(done)
    return total


def label_again(app: App, *, all_of_it: bool = False) -> Iterator[Done]:
    """Looks at history again, readers in order, a step a transaction; the sum after each.

    all_of_it: also where the labels are by these very rules.
    """
    total, after_id = Done(), 0
    before_version = None if all_of_it else RULES_VERSION
    for _ in turns():
        with app.session() as session:
            done = engagement.take_in_again(
                session, after_id=after_id, before_version=before_version
            )
            _judge_votes(session, done)
            for issue_id in done.issues:
                snapshots.outdate(session, issue_id)
        if done.after_id is None:
            return
        after_id = done.after_id
        total.add(done)
        yield total


def _look(session: Session, app: App) -> Done:
    done = engagement.take_in(session, now=app.clock())
    _judge_votes(session, done)
    return done


def _judge_votes(session: Session, done: Done) -> None:
    for subscriber_id in done.voters:
        judging.judge_again(session, subscriber_id)


def of_reader(app: App, email: str) -> list[dict[str, Any]]:
    """What a reader did with their mail, oldest first, with the label of each and why.

    Raises NotFoundError, AddressError.
    """
    with app.session(readonly=True) as session:
        query = (
            select(Event, Issue.kind, Issue.week)
            .join(Issue, col(Issue.id) == Event.issue_id, isouter=True)
            .where(Event.subscriber_id == _reader(session, email))
            .order_by(col(Event.at), col(Event.id))
        )
        return [
            {
                "issue": called(kind, week) if kind else "",
                "at": event.at,
                "kind": event.kind,
                "link": event.link,
                "method": event.method,
                "program": "" if event.kind == RESEND else client_of(event.agent),
                "network": event.network,
                "label": event.label,
                "rule": event.rule,
                "rules": event.rules,
            }
            for event, kind, week in session.exec(query)
        ]


def _reader(session: Session, email: str) -> int:
    address = EmailAddress.parse(email)
    reader = consent.find(session, address)
    if reader is None:
        raise NotFoundError(
            f"{address.given} is not on the list", hint="see `newsletter subscribers list`"
        )
    return reader.id or 0
