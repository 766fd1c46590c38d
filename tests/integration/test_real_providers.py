"""A whole issue through SMTP and through SendGrid, to servers on loopback."""

from __future__ import annotations

import email
from email.policy import default as modern
from pathlib import Path
from typing import Any

import pytest
from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from pydantic import SecretStr
from sendgrid_fake import FakeSendGrid
from smtp_server import SmtpServer

from newsletter import pipeline
from newsletter import readers as desk
from newsletter.app import App
from newsletter.errors import SettingsError
from newsletter.rendering.slots import PLACEHOLDER
from newsletter.store.states import IssueState
from newsletter.tick import tick

KEY = "SG.an-invented-key"
WHO_SENDS: dict[str, Any] = {
    "from_": "Verdicts <news@example.com>",
    "postal_address": "1 Example Street, Sampleton",
    "list_id": "verdicts.example.com",
}


def _ready(home: Path, **settings: Any) -> tuple[App, list[str]]:
    app = open_home(home, **WHO_SENDS, **settings)
    store(app, finished("Left vs Right"))
    addresses = readers(app, 5)
    planned_and_approved(app)
    return app, addresses


def test_an_issue_goes_out_over_smtp_once_to_each_reader(tmp_path: Path) -> None:
    with SmtpServer() as server:
        app, addresses = _ready(tmp_path, provider="smtp", smtp_url=SecretStr(server.url))
        result = pipeline.send(app, WEEK)
        pipeline.send(app, WEEK)
    assert result.issue.state is IssueState.DONE
    assert sorted(server.readers) == sorted(addresses)
    for accepted in server.accepted:
        message = email.message_from_bytes(accepted.message, policy=modern)
        assert [part.defects for part in message.walk() if part.defects] == []
        assert message["to"].addresses[0].addr_spec in accepted.recipients
        assert "Panel ship" in message.get_body(("plain",)).get_content()


def test_a_sign_up_is_confirmed_over_smtp(tmp_path: Path) -> None:
    with SmtpServer() as server:
        app = open_home(tmp_path, **WHO_SENDS, provider="smtp", smtp_url=SecretStr(server.url))
        desk.sign_up(app, "ann@example.com", source="form", network="")
        tick(app)
    assert server.readers == ["ann@example.com"]
    message = email.message_from_bytes(server.accepted[0].message, policy=modern)
    assert message["auto-submitted"] == "auto-generated"
    assert "/confirm/" in message.get_body(("plain",)).get_content()


def test_an_issue_goes_out_through_sendgrid_once_to_each_reader(tmp_path: Path) -> None:
    with FakeSendGrid(keys={KEY}) as server:
        app, addresses = _ready(
            tmp_path,
            provider="sendgrid",
            sendgrid_api_key=SecretStr(KEY),
            sendgrid_url=server.url,
        )
        result = pipeline.send(app, WEEK)
        pipeline.send(app, WEEK)
    assert result.issue.state is IssueState.DONE
    assert sorted(server.accepted) == sorted(addresses)
    (payload,) = server.payloads
    for one in payload["personalizations"]:
        html = payload["content"][1]["value"]
        for token, value in one["substitutions"].items():
            html = html.replace(token, value)
        assert one["headers"]["List-Unsubscribe"].strip("<>") in html
        assert not PLACEHOLDER.search(html)


def test_a_key_sendgrid_does_not_know_stops_the_run_and_fails_nobody(tmp_path: Path) -> None:
    with FakeSendGrid(keys={KEY}) as server:
        app, _addresses = _ready(
            tmp_path,
            provider="sendgrid",
            sendgrid_api_key=SecretStr("SG.of-somebody-else"),
            sendgrid_url=server.url,
        )
        result = pipeline.send(app, WEEK)
    assert server.accepted == []
    assert result.proof.states["planned"] == 5
    assert "check NEWSLETTER_SENDGRID_API_KEY" in result.stopped
    assert "SG.of" not in result.stopped


@pytest.mark.parametrize("url", ["smtp://user:secret@127.0.0.1:25?tls=maybe", "http://127.0.0.1"])
def test_an_smtp_address_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        open_home(tmp_path, **WHO_SENDS, provider="smtp", smtp_url=SecretStr(url))
    assert "secret" not in str(refused.value)
