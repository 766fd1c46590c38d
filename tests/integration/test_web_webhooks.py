"""The addresses providers post to: who is believed, what is answered, and when."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from inbound_home import copied, delivery, reader
from publication import MONDAY, at, open_home
from sendgrid_events_fake import PATH, Signer, as_body, life, told
from sendgrid_vectors import NODE, PYTHON, Vector
from sqlalchemy import event as on
from told_home import column, mark, say

from newsletter.app import App
from newsletter.errors import SettingsError
from newsletter.providers import standard_webhooks
from newsletter.providers.sendgrid_events import SIGNATURE, TIMESTAMP
from newsletter.store import engine as store_engine
from newsletter.web import webhooks
from newsletter.web.app import create_app
from newsletter.web.webhooks import EVENTS, MAX_BODY_BYTES

pytestmark = pytest.mark.slow

SIGNER, STRANGER = Signer(), Signer()
SECRET, OLDER = standard_webhooks.new_secret(), standard_webhooks.new_secret()

VECTORS = pytest.mark.parametrize("vector", [PYTHON, NODE], ids=["python", "node"])

RSA = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu"
    "KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ=="
)


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    settings = {"sendgrid_webhook_key": SIGNER.public, "webhook_secrets": (SECRET, OLDER)}
    app = copied(issues_home, tmp_path / "home", **settings)
    yield app
    app.engine.dispose()


@pytest.fixture
def client(app: App) -> Iterator[TestClient]:
    with TestClient(create_app(app)) as one:
        yield one


def post(client: TestClient, app: App, *events: Any, age_s: float = 0) -> int:
    body = as_body(*events)
    signed = SIGNER.headers(body, app.clock() - timedelta(seconds=age_s))
    return int(client.post(PATH, content=body, headers=signed).status_code)


def known(app: App) -> int:
    (count,) = column(app, "SELECT count(*) FROM provider_event")
    return int(count)


@VECTORS
def test_a_published_vector_is_believed_and_a_hundred_mutations_of_it_are_not(
    issues_home: Path, tmp_path: Path, vector: Vector
) -> None:
    key, signature, timestamp, body = vector
    then = datetime.fromtimestamp(int(timestamp), UTC)
    app = at(copied(issues_home, tmp_path / "home", sendgrid_webhook_key=key), then)
    signed = {SIGNATURE: signature, TIMESTAMP: timestamp}
    answers = set()
    with TestClient(create_app(app)) as client:
        for headers, sent in mutations(signed, body):
            answer = client.post(PATH, content=sent, headers=headers)
            answers.add((answer.status_code, answer.text, str(sorted(answer.headers.items()))))
        assert {answer[:2] for answer in answers} == {(403, "the signature does not hold\n")}
        assert len(answers) == 1
        assert known(app) == 0
        assert client.post(PATH, content=body, headers=signed).status_code == 204
    assert known(app) == body.count(b"sg_event_id")
    app.engine.dispose()


def mutations(signed: dict[str, str], body: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """A hundred: the body, the signature and the timestamp, each spoilt in many ways."""
    chance = random.Random(7)
    for _ in range(45):
        changed = bytearray(body)
        changed[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        yield signed, bytes(changed)
    signature, timestamp = signed[SIGNATURE], signed[TIMESTAMP]
    for place in range(0, len(signature) - 2, 3):
        swapped = "A" if signature[place] != "A" else "B"
        spoilt = signature[:place] + swapped + signature[place + 1 :]
        yield signed | {SIGNATURE: spoilt}, body
    for other in (
        "", " ", "0", "é".encode(), "nonsense", signature[:-4], signature + "AAAA", signature[4:],
        signature.rstrip("=") + "?=", signature.replace("+", "-").replace("/", "_") + "~",
    ):  # fmt: skip
        yield signed | {SIGNATURE: other}, body
    for other in (
        "", "0", timestamp + "0", timestamp[:-1], f" {timestamp}.", f"+{timestamp}", "-1",
        f"{int(timestamp) + 1}", f"{int(timestamp) - 1}", f"{timestamp}.0", "1e9", "٣" * 3,
    ):  # fmt: skip
        yield signed | {TIMESTAMP: other.encode()}, body
    for sent in (
        b"",
        body.strip(),
        body + b" ",
        b"\xef\xbb\xbf" + body,
        body.replace(b"\r\n", b"\n"),
    ):
        yield signed, sent
    yield {SIGNATURE: signature}, body
    yield {TIMESTAMP: timestamp}, body
    yield {}, body


@VECTORS
def test_there_are_a_hundred_mutations_and_each_is_one(
    vector: Vector,
) -> None:
    _key, signature, timestamp, body = vector
    signed = {SIGNATURE: signature, TIMESTAMP: timestamp}
    made = list(mutations(signed, body))
    assert len(made) >= 100
    assert all((headers, sent) != (signed, body) for headers, sent in made)


def test_events_move_their_delivery_and_are_answered_once_they_are_kept(
    app: App, client: TestClient
) -> None:
    assert post(client, app, *life(mark(app, 1), MONDAY)) == 204
    assert delivery(app, 1)[0] == "submitted"  # the newest issue: nothing was told of it
    assert column(app, "SELECT state FROM delivery WHERE issue_id=1 AND subscriber_id=1") == [
        "delivered"
    ]
    assert known(app) == 5


def test_the_same_post_again_changes_nothing(app: App, client: TestClient) -> None:
    events = [*life(mark(app, 1), MONDAY), say(app, 2, "spamreport"), say(app, 3, "bounce")]
    for _ in range(3):
        assert post(client, app, *events) == 204
    assert known(app) == len(events)
    assert reader(app, 2) == ("unsubscribed", "complaint")
    left = "SELECT count(*) FROM consent_record WHERE action='unsubscribed'"
    assert column(app, left) == [1]


@pytest.mark.parametrize(("age_s", "status"), [(599, 204), (601, 403), (-599, 204), (-601, 403)])
def test_a_signature_is_believed_for_ten_minutes(
    app: App, client: TestClient, age_s: int, status: int
) -> None:
    assert post(client, app, say(app, 1, "delivered"), age_s=age_s) == status


def test_how_long_is_a_setting(issues_home: Path, tmp_path: Path) -> None:
    settings = {"sendgrid_webhook_key": SIGNER.pem, "webhook_freshness_minutes": 1}
    app = copied(issues_home, tmp_path / "home", **settings)
    with TestClient(create_app(app)) as client:
        assert post(client, app, age_s=61) == 403
        assert post(client, app, age_s=59) == 204
    app.engine.dispose()


def test_another_key_is_a_strangers(app: App, client: TestClient) -> None:
    body = as_body(say(app, 1, "spamreport"))
    signed = STRANGER.headers(body, app.clock())
    assert client.post(PATH, content=body, headers=signed).status_code == 403
    assert reader(app, 1) == ("active", None)


@pytest.mark.parametrize("path", [PATH, EVENTS])
def test_without_a_key_there_is_no_such_address(
    issues_home: Path, tmp_path: Path, path: str
) -> None:
    app = copied(issues_home, tmp_path / "home")
    body = as_body(say(app, 1, "spamreport"))
    with TestClient(create_app(app)) as client:
        for headers in ({}, SIGNER.headers(body, app.clock())):
            assert client.post(path, content=body, headers=headers).status_code == 404
    assert known(app) == 0
    app.engine.dispose()


@pytest.mark.parametrize(
    "settings",
    [
        {"sendgrid_webhook_key": "nonsense"},
        {"sendgrid_webhook_key": "AAAA"},
        {"sendgrid_webhook_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"},
        {"sendgrid_webhook_key": RSA},
        {"webhook_secrets": ("whsec_c2hvcnQ=",)},
    ],
)
def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path, settings: Any) -> None:
    app = open_home(tmp_path / "home", **settings)
    with pytest.raises(SettingsError, match=r"webhook"):
        create_app(app)
    app.engine.dispose()


def test_two_megabytes_are_read_and_no_more(app: App, client: TestClient) -> None:
    body = as_body({"event": "x", "filler": "y" * (MAX_BODY_BYTES - 200)})
    assert len(body) < MAX_BODY_BYTES
    signed = SIGNER.headers(body, app.clock())
    assert client.post(PATH, content=body, headers=signed).status_code == 204
    more = body + b" " * 300
    signed = SIGNER.headers(more, app.clock())
    assert client.post(PATH, content=more, headers=signed).status_code == 413

    def in_pieces() -> Iterator[bytes]:  # without a stated length
        yield more[:1_000_000]
        yield more[1_000_000:]

    assert client.post(PATH, content=in_pieces(), headers=signed).status_code == 413


def test_ten_thousand_events_are_read_at_once_and_no_more(app: App, client: TestClient) -> None:
    for count, status in ((10_000, 204), (10_001, 413)):
        body = b"[" + b",".join([b"0"] * count) + b"]"
        signed = SIGNER.headers(body, app.clock())
        assert client.post(PATH, content=body, headers=signed).status_code == status


def test_other_pages_still_take_no_more_than_a_form(client: TestClient) -> None:
    assert client.post("/subscribe", data={"email": "x" * 70_000}).status_code == 413


def test_what_is_signed_and_no_array_is_refused_as_such(app: App, client: TestClient) -> None:
    signed = SIGNER.headers(b"null", app.clock())
    assert client.post(PATH, content=b"null", headers=signed).status_code == 400


def test_get_and_head_are_not_answered(client: TestClient) -> None:
    assert client.get(PATH).status_code == 405
    assert client.head(EVENTS).status_code == 405


def test_while_the_database_is_locked_it_is_503_and_the_retry_is_taken(
    app: App, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_engine, "BUSY_TIMEOUT_MS", 20)
    app.engine.dispose()
    holder = sqlite3.connect(app.home / "newsletter.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    event = say(app, 1, "spamreport")
    assert post(client, app, event) == 503
    holder.execute("ROLLBACK")
    holder.close()
    assert reader(app, 1) == ("active", None)
    assert post(client, app, event) == 204
    assert reader(app, 1) == ("unsubscribed", "complaint")


def test_a_full_disk_keeps_nothing_half_and_asks_for_a_retry(app: App, client: TestClient) -> None:
    with app.engine.connect() as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
    full = f"PRAGMA max_page_count = {pages}"
    app.engine.dispose()
    on.listen(app.engine, "connect", lambda one, _record: one.execute(full))
    events = [
        told("open", mark(app, 1), MONDAY, event_id=f"e{n}", message=f"m{n}") for n in range(900)
    ]
    before = known(app)
    assert post(client, app, say(app, 1, "spamreport"), *events) == 503
    assert (known(app), reader(app, 1)) == (before, ("active", None))


def test_killed_between_commit_and_answer_the_retry_is_harmless(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is committed, the answer never leaves; SendGrid tells it again."""

    class KilledError(BaseException):
        pass

    take = webhooks.feedback.take

    def then_killed(*given: Any) -> None:
        take(*given)
        raise KilledError

    events = [*life(mark(app, 1), MONDAY), say(app, 2, "spamreport"), say(app, 3, "dropped")]
    monkeypatch.setattr(webhooks.feedback, "take", then_killed)
    with pytest.raises(BaseException), TestClient(create_app(app)) as client:  # noqa: B017, PT011
        post(client, app, *events)
    after_the_kill = known(app), reader(app, 2), reader(app, 3), delivery(app, 1)
    assert after_the_kill[0] == len(events)
    monkeypatch.setattr(webhooks.feedback, "take", take)
    with TestClient(create_app(app)) as client:
        assert post(client, app, *events) == 204
    assert (known(app), reader(app, 2), reader(app, 3), delivery(app, 1)) == after_the_kill


def plain(client: TestClient, app: App, body: Any, *, secret: str = SECRET) -> int:
    content = json.dumps(body).encode()
    key = standard_webhooks.read_secret(secret)
    signed = standard_webhooks.sign(key, message_id="msg_1", at=app.clock(), body=content)
    return int(client.post(EVENTS, content=content, headers=signed).status_code)


def message_id(app: App, subscriber_id: int) -> str:
    return mark(app, subscriber_id).rpartition(".")[0] + "@verdicts.example"


@pytest.mark.parametrize("secret", [SECRET, OLDER], ids=["newest", "older"])
def test_another_providers_events_are_taken_in_our_words(
    app: App, client: TestClient, secret: str
) -> None:
    when = "2026-11-23T10:00:00Z"
    by_id = {"id": "1", "type": "delivered", "time": when, "message_id": message_id(app, 1)}
    token = app.keyring.bounce(1, 2)
    by_token = {"id": "2", "type": "bounced", "time": when, "delivery": token, "code": "5.1.1"}
    forged = by_id | {"id": "3", "message_id": "<2026-w48.000@verdicts.example>"}
    clicked = app.keyring.delivery(1, 3)
    complained = {"id": "4", "type": "complained", "time": when, "delivery": clicked}
    assert plain(client, app, [by_id, by_token, forged, complained], secret=secret) == 204
    states = "SELECT state FROM delivery WHERE issue_id = 1 ORDER BY subscriber_id"
    assert column(app, states) == ["delivered", "bounced", "complained", "submitted"]
    assert reader(app, 2) == ("active", "hard_bounce")
    assert column(app, "SELECT subscriber_id FROM provider_event ORDER BY event_id") == [
        1,
        2,
        None,
        3,
    ]


def test_one_plain_event_alone_is_enough(app: App, client: TestClient) -> None:
    assert plain(client, app, {"type": "unsubscribed", "delivery": app.keyring.bounce(1, 4)}) == 204
    assert reader(app, 4) == ("unsubscribed", None)


def test_a_strangers_plain_events_are_refused(app: App, client: TestClient) -> None:
    stranger = standard_webhooks.new_secret()
    event = {"type": "unsubscribed", "delivery": app.keyring.bounce(1, 4)}
    assert plain(client, app, event, secret=stranger) == 403
    assert reader(app, 4) == ("active", None)


def test_no_answer_and_no_log_names_a_reader(
    app: App, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = say(app, 1, "reincarnated", reason="reader1@example.com is back")
    assert post(client, app, odd, say(app, 2, "bounce", reason="<reader2@example.com> gone")) == 204
    printed = capsys.readouterr()
    assert "@" not in printed.out + printed.err
    kept = column(app, "SELECT raw || detail || word || event_id FROM provider_event")
    assert all("reader" not in one for one in kept)
