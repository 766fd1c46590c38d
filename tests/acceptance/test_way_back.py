"""What the demo's messages lead back to: clicks, the public archive; and their headers."""

from __future__ import annotations

import email
import html as markup
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from newsletter import pipeline
from newsletter.app import App, build_app
from newsletter.settings import load_settings
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow

ONCE_PER_MESSAGE = ("from", "to", "subject", "date", "message-id", "list-unsubscribe", "list-id")
TOKENS = re.compile(r"/(o|c|unsubscribe|preferences|vote)/[A-Za-z0-9_-]{20,}")


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
    """A home that the demo made."""
    folder = tmp_path_factory.mktemp("demo") / "home"
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


def _addresses_in(message: EmailMessage) -> set[str]:
    html = message.get_body(("html",)).get_content()
    found = set(re.findall(r'(?:href|src)="(https?://[^"]+)"', html))
    plain = message.get_body(("plain",)).get_content()
    assert len(found) > 5
    return found | set(re.findall(r"https?://\S+", plain))


def _without_tokens(body: str) -> str:
    return TOKENS.sub(r"/\1/TOKEN", "\n".join(body.splitlines())).strip()


def _without_greeting(body: str, reader: str) -> str:
    for name in (f" {markup.escape(reader)}", f" {reader}"):
        body = body.replace(f"Hello{name},", "Hello,").replace(f"Hi{name},", "Hi,")
    return body.strip()
