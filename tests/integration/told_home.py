"""Four issues that went out to four readers, and what a provider tells of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from inbound_home import SETTINGS, change, envelope, sent_home
from publication import MONDAY, open_home
from sendgrid_events_fake import as_body, mark_of, told
from sqlalchemy import text
from sqlmodel import Session

from newsletter import feedback, mailings
from newsletter.app import App
from newsletter.delivery import feedback as ledger
from newsletter.delivery.feedback import TakenIn
from newsletter.providers import sendgrid_events

READERS, ISSUES = (1, 2, 3, 4), (1, 2, 3, 4)
TOLD_AT = MONDAY + timedelta(minutes=1)
# All that follows from events; not when we heard of it, nor in whose words an address was barred.
OUTCOME = (
    "SELECT issue_id, subscriber_id, state, reason, submitted_at, delivered_at FROM delivery",
    "SELECT address_key, reason FROM suppression WHERE lifted_at IS NULL ORDER BY 1",
    "SELECT id, status FROM subscriber",
    "SELECT subscriber_id, soft_bounces, soft_bounced_issue FROM engagement",
    "SELECT subscriber_id, action, count(*) FROM consent_record GROUP BY 1, 2",
    "SELECT kind, count(*) FROM provider_event GROUP BY 1",
    "SELECT subscriber_id, kind, count(*) FROM event GROUP BY 1, 2",
    "SELECT issue_id, subscriber_id FROM to_classify",
    "SELECT id, state FROM issue",
)


def home_of_issues(home: Path) -> Path:
    """Four weekly issues; of the second every delivery is uncertain, and some were clicked."""
    sent_home(home)
    app = open_home(home, **SETTINGS)
    for number in ISSUES[1:]:
        week = f"2026-W{47 + number}"
        next_issue(app, number, week)
    change(app, "UPDATE delivery SET submitted_at = changed_at WHERE issue_id <> 2")
    change(app, "UPDATE delivery SET state = 'uncertain', reason = 'no answer' WHERE issue_id = 2")
    change(
        app,
        "INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)"
        " SELECT issue_id, subscriber_id, 'click', changed_at, 'GET', '', '' FROM delivery"
        " WHERE subscriber_id IN (1, 3)",
    )
    app.engine.dispose()
    return home


def next_issue(app: App, number: int, week: str) -> None:
    change(
        app,
        "INSERT INTO issue (id, kind, week, slot_at, state, reason, wanted, choices, samples,"
        " planned_at, audience, is_tracked) SELECT :id, kind, :week, slot_at, 'sending', '',"
        " wanted, choices, samples, planned_at, audience, is_tracked FROM issue WHERE id = 1",
        id=number,
        week=week,
    )
    change(
        app,
        "INSERT INTO delivery (issue_id, subscriber_id, state, reason, attempts, changed_at,"
        " receipt) SELECT :id, subscriber_id, 'submitted', '', 1, changed_at, ''"
        " FROM delivery WHERE issue_id = 1",
        id=number,
    )


def mark(app: App, subscriber_id: int, issue_id: int = 1) -> str:
    """The `nl_delivery` of a reader's copy."""
    if issue_id == 1:
        return mark_of(envelope(app, subscriber_id))
    slug = f"2026-w{47 + issue_id}"
    made = mailings.message_id_maker(app, issue_id, slug)(subscriber_id)
    return f"{made.partition('@')[0]}.{subscriber_id}"


def say(app: App, subscriber_id: int, word: str, issue_id: int = 1, **more: Any) -> dict[str, Any]:
    """An event about a reader's copy; after_s: so long after TOLD_AT."""
    at = TOLD_AT + timedelta(seconds=more.pop("after_s", 0))
    return told(word, mark(app, subscriber_id, issue_id), at, **more)


def take(app: App, *events: Any) -> TakenIn:
    return feedback.take(app, "sendgrid", sendgrid_events.read_events(as_body(*events)))


def outcome_of(app: App, calls: Iterable[Sequence[Any]]) -> list[list[tuple[Any, ...]]]:
    """What follows from these calls in this order; then all is as before."""
    now = app.clock()
    with Session(app.engine) as session:
        for call in calls:
            events = sendgrid_events.read_events(as_body(*call))
            traced = feedback.trace(app, session, events)
            done = ledger.take_in(session, "sendgrid", traced, now)
            feedback._follow_up(session, done, now)
        found = [sorted(map(tuple, session.execute(text(query))), key=str) for query in OUTCOME]
        session.rollback()
    return found


def column(app: App, query: str, **values: Any) -> list[Any]:
    with app.session(readonly=True) as session:
        return list(session.execute(text(query), values).scalars())
