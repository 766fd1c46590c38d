"""The main job, end to end: from a file to readers' mailboxes and back, as a new user runs it."""

from __future__ import annotations

import email
import html as markup
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from newsletter import pipeline
from newsletter.app import App, build_app
from newsletter.editorial import content, library
from newsletter.settings import load_settings
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow

READERS = 100
CLIP_BYTES = 102_400
ONCE_PER_MESSAGE = ("from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-id")
TOKENS = re.compile(r"/(o|c|unsubscribe)/[A-Za-z0-9_-]{20,}")
AUDIENCE_TABLES = ("subscriber", "consent_record", "suppression")


def _demo(home: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NEWSLETTER_")}
    return subprocess.run(
        [sys.executable, "-m", "newsletter", "demo", "--home", str(home)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that the demo made, twice over: the second run is as good as the first."""
    folder = tmp_path_factory.mktemp("demo") / "home"
    for _ in range(2):
        ran = _demo(folder)
        assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def app(home: Path) -> App:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
            patch.delenv(name)
        return build_app(load_settings(home=home))


@pytest.fixture(scope="module")
def site(app: App) -> Iterator[TestClient]:
    with TestClient(create_app(app), base_url=app.publication.url) as client:
        yield client


@pytest.fixture(scope="module")
def messages(home: Path) -> list[EmailMessage]:
    (folder,) = [path for path in (home / "outbox").iterdir() if path.name != "system"]
    return [
        email.message_from_bytes(path.read_bytes(), policy=modern)
        for path in sorted(folder.glob("*.eml"))
    ]


def test_every_reader_has_exactly_one_message_and_the_proof_holds(
    app: App, messages: list[EmailMessage]
) -> None:
    assert len(messages) == len({message["to"] for message in messages}) == READERS
    assert len({message["message-id"] for message in messages}) == READERS
    account = pipeline.prove(app, "latest").to_dict()
    assert account["candidates"] == account["states"]["submitted"] == READERS
    assert (account["holds"], account["complete"]) == (True, True)
    assert (account["duplicates"], account["unexplained"]) == (0, 0)


def test_every_message_parses_strictly_with_each_header_once(messages: list[EmailMessage]) -> None:
    for message in messages:
        assert [part.defects for part in message.walk() if part.defects] == []
        assert message.get_content_type() == "multipart/alternative"
        parts = [part.get_content_type() for part in message.iter_parts()]
        assert parts == ["text/plain", "text/html"]
        for part in message.iter_parts():
            assert part["content-transfer-encoding"] == "quoted-printable"
        for header in ONCE_PER_MESSAGE:
            assert len(message.get_all(header, [])) == 1, header
        assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
        assert "=?" not in message["list-unsubscribe"]


def test_both_parts_show_the_seeds_verdict_and_stay_under_the_clip(
    messages: list[EmailMessage],
) -> None:
    for message in messages:
        plain, html = (part.get_content() for part in message.iter_parts())
        for part in (plain, _visible(html)):
            said = " ".join(part.split())
            for words in (
                "Claude Haiku Open Weights",
                "Mistral 8B Instruct v3",
                "50%",
                "100%",
                "No votes yet",
            ):
                assert words in said
        assert len(html.encode()) < CLIP_BYTES


def test_messages_differ_between_readers_only_in_their_slots(home: Path, app: App) -> None:
    bodies = set()
    for path in (home / "outbox").glob("2*/*.eml"):
        message = email.message_from_bytes(path.read_bytes(), policy=modern)
        reader = str(message["to"].addresses[0].display_name)
        for part in message.iter_parts():
            body = re.sub(
                r"/(o|c|unsubscribe)/[A-Za-z0-9_-]{20,}", r"/\1/TOKEN", part.get_content()
            )
            bodies.add(_without_greeting(body, reader))
    assert len(bodies) == 2  # one text, one HTML


def test_following_every_link_of_a_mail_changes_no_reader(
    app: App, site: TestClient, messages: list[EmailMessage]
) -> None:
    before = _audience(app)
    for address in _addresses_in(messages[0]):
        for method in ("HEAD", "GET"):
            answer = site.request(method, address, follow_redirects=False)
            assert answer.status_code < 400, (method, address, answer.text)
    assert _audience(app) == before


def test_clicks_lead_to_the_full_comparison(
    app: App, site: TestClient, messages: list[EmailMessage]
) -> None:
    pages = set()
    for address in _addresses_in(messages[0]):
        if "/c/" in address:
            answer = site.get(address, follow_redirects=False)
            assert answer.status_code == 302
            pages.add(urlsplit(answer.headers["location"]).path)
    assert "/comparisons/claude-haiku-open-weights-vs-mistral-8b-instruct-v3" in pages


def test_one_click_unsubscribes_and_the_next_proof_says_why(
    app: App, site: TestClient, messages: list[EmailMessage]
) -> None:
    (address,) = re.findall(r"<(https?://[^>]+)>", messages[3]["list-unsubscribe"])
    for _ in range(2):  # mail programs repeat themselves
        answer = site.post(address, data={"List-Unsubscribe": "One-Click"}, follow_redirects=False)
        assert (answer.status_code, answer.cookies) == (200, {})
    seed = content.load_all(app.content_dir)[0]
    with app.session() as session:
        library.import_comparisons(
            session, [_renamed(seed, "Another Left vs Another Right")], now=app.clock()
        )
    pipeline.plan(app)
    pipeline.approve(app, "latest", by="the editor")
    account = pipeline.send(app, "latest").proof.to_dict()
    assert account["candidates"] == READERS
    assert account["excluded"] == {"unsubscribed": 1}
    assert account["states"]["submitted"] == READERS - 1
    assert (account["holds"], account["complete"]) == (True, True)


def test_the_public_archive_shows_the_same_issue_with_no_readers_token(
    app: App, site: TestClient, messages: list[EmailMessage]
) -> None:
    with app.session(readonly=True) as session:
        first = pipeline.issues.all_issues(session)[-1]
    archived = site.get(f"/issues/{first.slug}").text
    html = messages[0].get_body(("html",)).get_content()
    assert _without_tokens(archived) == _without_greeting(
        _without_tokens(html), str(messages[0]["to"].addresses[0].display_name)
    )


def test_the_demo_says_in_json_what_it_made(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "newsletter", "demo", "--home", str(tmp_path / "h"), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ran.stdout)["proof"]["complete"] is True


def _visible(html: str) -> str:
    """The words a reader sees: no style, no tags."""
    without_head = re.sub(r"(?s)<(style|title)[^>]*>.*?</\1>", "", html)
    return re.sub(r"<[^>]+>", " ", without_head).replace("&nbsp;", " ")


def _addresses_in(message: EmailMessage) -> set[str]:
    html = message.get_body(("html",)).get_content()
    found = set(re.findall(r'(?:href|src)="(https?://[^"]+)"', html))
    plain = message.get_body(("plain",)).get_content()
    assert len(found) > 5
    return found | set(re.findall(r"https?://\S+", plain))


def _audience(app: App) -> list[object]:
    with app.session(readonly=True) as session:
        return [
            tuple(row)
            for table in AUDIENCE_TABLES
            for row in session.execute(text(f"SELECT * FROM {table} ORDER BY id"))
        ]


def _without_tokens(body: str) -> str:
    return TOKENS.sub(r"/\1/TOKEN", "\n".join(body.splitlines())).strip()


def _without_greeting(body: str, reader: str) -> str:
    for name in (f" {markup.escape(reader)}", f" {reader}"):
        body = body.replace(f"Hello{name},", "Hello,").replace(f"Hi{name},", "Hi,")
    return body.strip()


def _renamed(comparison: content.Comparison, title: str) -> content.Comparison:
    return replace(comparison, title=title)
