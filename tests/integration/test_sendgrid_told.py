"""An issue by way of SendGrid, and what it tells of it afterwards: from the wire and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from publication import MONDAY, SLOT, at, finished, open_home, planned_and_approved, readers, store
from sendgrid_events_fake import PATH, Signer, as_body, told
from sendgrid_fake import Act, FakeSendGrid
from told_home import column

from newsletter import pipeline
from newsletter.app import App
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow

KEY = "SG.told"
SIGNER = Signer()
STATES = "SELECT state FROM delivery ORDER BY subscriber_id"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSendGrid]:
    monkeypatch.setenv("no_proxy", "*")
    with FakeSendGrid(keys={KEY}) as fake:
        yield fake


@pytest.fixture
def app(fake: FakeSendGrid, tmp_path: Path) -> Iterator[App]:
    settings = {
        "provider": "sendgrid",
        "sendgrid_api_key": KEY,
        "sendgrid_url": fake.url,
        "sendgrid_webhook_key": SIGNER.public,
        "from_": "Verdicts <news@example.com>",
        "postal_address": "1 High Street",
        "list_id": "verdicts.example.com",
    }
    app = open_home(tmp_path / "home", **settings)
    store(app, finished("Left vs Right"))
    readers(app, 3)
    planned_and_approved(app)
    yield at(app, SLOT)
    app.engine.dispose()


def post(app: App, *events: Any) -> int:
    body = as_body(*events)
    with TestClient(create_app(app)) as client:
        answer = client.post(PATH, content=body, headers=SIGNER.headers(body, app.clock()))
    return int(answer.status_code)


def test_what_left_with_a_message_comes_back_and_finds_its_delivery(
    app: App, fake: FakeSendGrid
) -> None:
    pipeline.send(app, "latest")
    assert column(app, STATES) == ["submitted"] * 3
    words = ("delivered", "bounce", "spamreport")
    events = [
        told(word, None, SLOT, event_id=word, message=word, **arguments)
        for word, arguments in zip(words, fake.arguments, strict=True)
    ]
    assert post(app, *events) == 204
    assert sorted(column(app, STATES)) == ["bounced", "complained", "delivered"]
    assert column(app, "SELECT count(*) FROM provider_event WHERE subscriber_id IS NULL") == [0]


def test_one_event_of_a_request_without_an_answer_proves_all_of_it(
    app: App, fake: FakeSendGrid
) -> None:
    fake.script.append(Act(500, accepts=True))
    pipeline.send(app, "latest")
    assert column(app, STATES) == ["uncertain"] * 3
    assert column(app, "SELECT state FROM issue") == ["sending"]
    assert post(app, told("processed", None, MONDAY, **fake.arguments[0])) == 204
    assert column(app, STATES) == ["submitted"] * 3
    assert column(app, "SELECT state FROM issue") == ["done"]
    assert pipeline.prove(app, "latest").complete
