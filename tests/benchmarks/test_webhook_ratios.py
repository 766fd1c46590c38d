"""What a provider's events cost, from signed bytes to the commit, beside a row object an event.

Absolute figures drift with the machine and are printed for orientation; ratios within one run hold.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from publication import SLOT, at, finished, open_home, planned_and_approved, store
from sendgrid_events_fake import PATH, Signer, as_body, told
from sqlalchemy import text
from sqlmodel import Session, select
from timing import in_turns, seconds

from newsletter import mailings, pipeline
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.providers import sendgrid_events
from newsletter.providers.sendgrid_events import read_key
from newsletter.providers.told import _instant, digest
from newsletter.store.feedback import ProviderEvent
from newsletter.store.models import Delivery
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow

READERS, AT_ONCE, ROUNDS, GOAL, ROW_GOAL = 20_000, 1_000, 5, 20_000, 5
_LIST = text(
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO subscriber (id, address, address_key, name, status, created_at, confirmed_at,
        confirmations_sent)
    SELECT i, 'reader' || i || '@example.com', 'reader' || i || '@example.com', '', 'active',
        '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 1 FROM n
    """
)


def test_a_providers_events_from_the_wire_to_the_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Processed and delivered for all, opened by a third, bounced by one in 250, in five rounds.

    In each round what becomes of a message is told after it left, and who adds a row object an
    event gets one array of these: two rounds of processed, two of delivered, one of opens.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    signer = Signer()
    ours = sent_home(tmp_path / "ours", sendgrid_webhook_key=signer.public)
    theirs = sent_home(tmp_path / "theirs")
    bodies = story(ours)
    cpu_s: list[float] = []
    with TestClient(create_app(ours)) as client:

        def post(some: list[bytes]) -> None:
            headers = [signer.headers(body, ours.clock()) for body in some]
            started_s = process_time()
            for body, signed in zip(some, headers, strict=True):
                assert client.post(PATH, content=body, headers=signed).status_code == 204
            cpu_s.append(process_time() - started_s)

        rounds = iter([bodies[n::ROUNDS] for n in range(ROUNDS)])
        singles = iter([bodies[n] for n in (0, 6, 22, 28, 44)])
        our_s, their_s = in_turns(
            ROUNDS,
            lambda: seconds(partial(post, next(rounds))),
            lambda: seconds(partial(row_an_event, theirs, signer, next(singles))),
        )
    assert states(ours) == {"delivered": READERS - READERS // 250, "bounced": READERS // 250}
    count = sum(len(json.loads(body)) for body in bodies)
    rate, their_rate = count / sum(our_s), AT_ONCE * ROUNDS / sum(their_s)
    cpu_us = sum(cpu_s) / count * 1e6
    with capsys.disabled():
        print(
            f"\n  events of a provider in arrays of {AT_ONCE:,}, signature to commit:"
            f" {rate:,.0f}/s (goal {GOAL:,}), {rate / their_rate:.1f} times a row object an event"
            f" ({their_rate:,.0f}/s); {cpu_us:.0f} us of CPU an event, which alone would be"
            f" {1e6 / cpu_us:,.0f}/s"
        )
    assert rate / their_rate > ROW_GOAL
    ours.engine.dispose()
    theirs.engine.dispose()


def sent_home(home: Path, **settings: Any) -> App:
    app = open_home(home, **settings)
    store(app, finished("Left vs Right"))
    with app.session() as session:
        session.execute(_LIST, {"count": READERS})
    planned_and_approved(app)
    with app.session(readonly=True) as session:
        issue = issues.find(session, "latest")
    pipeline.freeze(app, issue)
    with app.session() as session:
        session.execute(text("UPDATE delivery SET state='submitted', attempts=1"))
    return at(app, SLOT)


def story(app: App) -> list[bytes]:
    """Two hundred messages leave a second, and what becomes of one is told after it."""
    made = mailings.message_id_maker(app, 1, "2026-w48")
    marks = [f"{made(n).partition('@')[0]}.{n}" for n in range(1, READERS + 1)]
    left = [SLOT + timedelta(seconds=n // 200) for n in range(READERS)]
    events = [told("processed", mark, at) for mark, at in zip(marks, left, strict=True)]
    events += [
        told("delivered" if n % 250 else "bounce", mark, at + timedelta(seconds=5))
        for n, (mark, at) in enumerate(zip(marks, left, strict=True))
    ]
    events += [
        told("open", mark, at + timedelta(minutes=5))
        for mark, at in list(zip(marks, left, strict=True))[::3]
    ]
    return [as_body(*events[n : n + AT_ONCE]) for n in range(0, len(events), AT_ONCE)]


def row_an_event(app: App, signer: Signer, body: bytes) -> None:
    """The way of a tutorial: look whether it is known, add an object, change an object."""
    key, signed = read_key(signer.public), signer.headers(body, app.clock())
    assert sendgrid_events.is_signed(
        key, signed, body, now=app.clock(), freshness=timedelta(minutes=10)
    )
    with app.session() as session:
        for told_ in json.loads(body):
            known = select(ProviderEvent.id).where(ProviderEvent.event_id == told_["sg_event_id"])
            if session.exec(known).first() is None:
                _add(session, told_)


def _add(session: Session, told_: dict[str, Any]) -> None:
    subscriber_id = int(told_["nl_delivery"].rpartition(".")[2])
    session.add(
        ProviderEvent(
            provider="sendgrid",
            event_id=told_["sg_event_id"],
            twin=digest(told_["sg_message_id"], told_["event"], str(told_["timestamp"])),
            kind=told_["event"],
            word=told_["event"],
            at=_instant(told_["timestamp"]),
            received_at=SLOT,
            issue_id=1,
            subscriber_id=subscriber_id,
        )
    )
    if told_["event"] == "delivered":
        delivery = session.get_one(Delivery, (1, subscriber_id))
        delivery.state, delivery.delivered_at = "delivered", SLOT
        session.add(delivery)


def states(app: App) -> dict[str, int]:
    with app.session(readonly=True) as session:
        found = session.execute(text("SELECT state, count(*) FROM delivery GROUP BY state"))
        return {row[0]: row[1] for row in found}
