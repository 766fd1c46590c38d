"""A whole issue by way of SendGrid: the ledger's account against what our SendGrid has taken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import postroom
import publication
import pytest
from sqlalchemy import Engine
from sqlmodel import select

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the schema lives there

import sendgrid_schema
from sendgrid_fake import Act, FakeSendGrid

from newsletter import mailings, pipeline
from newsletter.editorial import issues
from newsletter.providers.base import Unlogged
from newsletter.providers.sendgrid import SendGrid
from newsletter.rendering.slots import PLACEHOLDER
from newsletter.store.engine import session_on
from newsletter.store.models import Request
from subscribers.audience import Reader

KEY = "SG.delivery"
REQUEST = SendGrid.at_once
READERS = 3 * REQUEST + 10


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSendGrid]:
    monkeypatch.setenv("no_proxy", "*")
    with FakeSendGrid(keys={KEY}) as fake:
        yield fake


def provider(fake: FakeSendGrid, *, timeout_s: float = 30) -> SendGrid:
    return SendGrid(KEY, base_url=fake.url, timeout_s=timeout_s, sleep=lambda _: None)


@pytest.mark.slow
def test_each_reader_is_accounted_for_whatever_sendgrid_does(
    database: Engine, fake: FakeSendGrid
) -> None:
    issue_id = postroom.frozen_issue(database, READERS)
    bad = 2 * REQUEST + 7
    fake.unnamed_bad = {f"reader{bad}@example.com"}
    fake.script += [
        Act(429, (("X-RateLimit-Reset", "1"),)),
        Act(202, (("X-Message-Id", "first"),), accepts=True),
        Act(hangs=True, accepts=True),
    ]
    while postroom.deliver(database, issue_id, provider(fake, timeout_s=2)).remaining:
        assert len(fake.payloads) < 50
    told = list(postroom.states(database, issue_id).values())
    assert told.count("uncertain") == REQUEST
    assert told.count("submitted") == READERS - REQUEST - 1
    assert postroom.states(database, issue_id)[bad] == "failed"
    others = [f"reader{n}@example.com" for n in range(1, READERS + 1) if n != bad]
    assert sorted(fake.accepted) == sorted(others)
    proof = postroom.prove(database, issue_id)
    assert proof.holds
    assert proof.duplicates == 0


def test_the_request_in_doubt_is_kept_with_its_readers_and_no_other(
    database: Engine, fake: FakeSendGrid
) -> None:
    issue_id = postroom.frozen_issue(database, REQUEST + 10)
    kept: list[bool] = []

    def is_kept(payload: Any) -> None:
        kept.append(payload["custom_args"]["nl_request"] in _requests(database))

    fake.witness = is_kept
    fake.script.append(Act(502, accepts=True))
    while postroom.deliver(database, issue_id, provider(fake)).remaining:
        assert len(fake.payloads) < 10
    assert kept == [True, True]
    in_doubt = [id_ for id_, s in postroom.states(database, issue_id).items() if s == "uncertain"]
    (named,) = {one["nl_request"] for one in fake.arguments[:REQUEST]}
    assert _requests(database) == {named: in_doubt}


def _requests(engine: Engine) -> dict[str, list[int]]:
    with session_on(engine, readonly=True) as session:
        return {one.id: one.subscriber_ids for one in session.exec(select(Request))}


def test_a_refused_key_keeps_everybody_for_the_next_run(
    database: Engine, fake: FakeSendGrid
) -> None:
    issue_id = postroom.frozen_issue(database, 20)
    fake.keys = set()
    progress = postroom.deliver(database, issue_id, provider(fake))
    assert "401" in progress.stopped
    assert set(postroom.states(database, issue_id).values()) == {"planned"}
    fake.keys = {KEY}
    postroom.deliver(
        database, issue_id, provider(fake), clock=lambda: postroom.NOW + timedelta(hours=1)
    )
    assert set(postroom.states(database, issue_id).values()) == {"submitted"}
    assert len(fake.accepted) == len(set(fake.accepted)) == 20


def test_a_real_issue_comes_out_of_sendgrids_replacing_as_it_was_meant(
    tmp_path: Path, fake: FakeSendGrid
) -> None:
    app = publication.open_home(tmp_path / "home")
    publication.store(app, publication.finished("Left vs Right"))
    publication.readers(app, 1)
    pipeline.plan(app)
    with app.session(readonly=True) as session:
        issue = issues.find(session, publication.WEEK)
        mailing = mailings.issue_mailing(app, issue, issues.rendered(session, issue.id))
    make = mailings.envelope_maker(app, issue)
    envelopes = [make(Reader(n, f"r{n}@example.com", "Ann <&> Bob")) for n in (1, 2)]
    list(provider(fake).submit(mailing, envelopes, Unlogged()))
    [payload] = fake.payloads
    assert sendgrid_schema.faults(payload) == []
    text, html = (one["value"] for one in payload["content"])
    for one in payload["personalizations"]:
        for token, value in one["substitutions"].items():
            text, html = text.replace(token, value), html.replace(token, value)
        assert one["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Hello Ann <&> Bob" in text
    assert "Hello Ann &lt;&amp;&gt; Bob" in html
    assert not PLACEHOLDER.search(text)
    assert fake.marks == [f"{one.message_id.partition('@')[0]}.{one.key}" for one in envelopes]
