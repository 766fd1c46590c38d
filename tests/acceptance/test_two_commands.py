"""The main job as a newcomer does it: the demo, its messages, and the way back from a mailbox."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from command_line import Newsletter, commands

ROOT = Path(__file__).parents[2]
SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"
WEEK = "2026-W48"
NOW = "2026-11-23T12:00:00Z"
STRICT = email.policy.default.clone(raise_on_defect=True)
MAX_HTML_BYTES = 102_400
READERS = 100

pytestmark = pytest.mark.slow


class Home:
    """A home in which the program is run as a person runs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.environment = {
            **os.environ,
            "NEWSLETTER_HOME": str(path),
            "NEWSLETTER_NOW": NOW,
            "NEWSLETTER_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
        }

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "newsletter", *arguments],
            cwd=ROOT,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def ask(self, *arguments: str, **more: str) -> dict[str, object]:
        ran = self.run(*arguments, "--json", **more)
        assert ran.returncode == 0, ran.stderr
        answer = json.loads(ran.stdout)
        assert isinstance(answer, dict)
        return answer

    def files(self, folder: str = WEEK) -> list[Path]:
        return sorted((self.path / "outbox" / folder).glob("*.eml"))

    def facts_about_readers(self) -> list[tuple[object, ...]]:
        """Everything a scanner must not be able to change."""
        tables = ("subscriber", "consent_record", "suppression", "delivery", "issue")
        with sqlite3.connect(self.path / "newsletter.db") as database:
            return [
                row
                for table in tables
                for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
            ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("two") / "home")
    ran = made.run("demo")
    assert ran.returncode == 0, ran.stderr
    assert "The account holds, and nothing is open." in ran.stdout
    assert "Open next:" in ran.stdout
    assert max(map(len, ran.stdout.replace(str(made.path), "var").splitlines())) <= 80
    return made


@pytest.fixture(scope="module")
def served(home: Home) -> Iterator[Home]:
    """The same home with its pages served."""
    server = subprocess.Popen(
        [sys.executable, "-m", "newsletter", "serve", "--no-scheduler", "--port", str(home.port)],
        cwd=ROOT,
        env=home.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert "serving" in server.stdout.readline()
    yield home
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=20)
    assert server.returncode == 0


@pytest.fixture
def ask(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    """Runs further commands in that home, in this process."""
    for name in ("NEWSLETTER_HOME", "NEWSLETTER_NOW", "NEWSLETTER_PUBLIC_URL"):
        monkeypatch.setenv(name, home.environment[name])
    yield from commands(monkeypatch, capfd)


def _message(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=STRICT)
    assert isinstance(message, EmailMessage)
    return message


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def _unsubscribe_url(message: EmailMessage) -> str:
    found = re.search(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"]))
    assert found is not None
    return found[1]


def _reader_of(message: EmailMessage) -> str:
    return str(message["To"].addresses[0].addr_spec)


def test_every_reader_has_one_message_that_parses_strictly(home: Home) -> None:
    messages = [_message(path) for path in home.files()]
    assert len({_reader_of(message) for message in messages}) == len(messages) == READERS
    assert len({message["Message-ID"] for message in messages}) == READERS
    for message in messages:
        kinds = [part.get_content_type() for part in message.iter_parts()]
        assert kinds == ["text/plain", "text/html"]
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_each_message_says_what_the_panel_and_the_community_say(home: Home) -> None:
    for path in home.files()[:5]:
        message = _message(path)
        html = _part(message, "html")
        assert len(html.encode()) < MAX_HTML_BYTES
        for part in (html, _part(message, "plain")):
            for words in ("Claude Haiku Open Weights", "Mistral 8B Instruct v3", "50%", "100%"):
                assert words in part
            assert "No votes yet" in part


def test_messages_differ_between_readers_only_in_their_slots(home: Home) -> None:
    left, right = (_message(path) for path in home.files()[:2])
    for kind in ("plain", "html"):
        assert _neutral(_part(left, kind)) == _neutral(_part(right, kind))


def _neutral(text: str) -> str:
    """Without tokens and the name."""
    text = re.sub(r"(/(?:c|o|unsubscribe|preferences|vote)/)[\w-]{30,}", r"\1TOKEN", text)
    return re.sub(r"Hello[^,<]*,", "Hello,", text)


def test_the_proof_holds_and_every_reader_can_be_asked_about(home: Home, ask: Newsletter) -> None:
    account = ask("issue", "proof", WEEK, "--json").json
    assert account["candidates"] == READERS
    assert account["holds"] is account["complete"] is True
    assert (account["duplicates"], account["unexplained"], account["excluded"]) == (0, 0, {})
    reader = ask("subscribers", "show", _reader_of(_message(home.files()[0])), "--json").json
    assert reader["status"] == "active"
    assert reader["deliveries"] == [{"issue": WEEK, "state": "submitted", "reason": ""}]


def test_everybody_confirmed_by_mail_first_and_was_welcomed(home: Home) -> None:
    kinds = [path.name.partition(".")[0] for path in home.files("system")]
    assert {kind: kinds.count(kind) for kind in kinds} == {"confirm": READERS, "welcome": READERS}


def test_sending_again_adds_no_message(home: Home, ask: Newsletter) -> None:
    before = home.files()
    assert ask("issue", "send", WEEK).code == 0
    assert home.files() == before


def test_no_link_in_a_mail_changes_anything_when_it_is_followed(served: Home) -> None:
    message = _message(served.files()[1])
    links = set(
        re.findall(rf"http://127\.0\.0\.1:{served.port}[^\s\"'<>)]*", _part(message, "html"))
    )
    links |= set(re.findall(rf"http://127\.0\.0\.1:{served.port}\S*", _part(message, "plain")))
    links.add(_unsubscribe_url(message))
    assert len(links) > 3
    before = served.facts_about_readers()
    for link in links:
        for method in ("HEAD", "GET"):
            request = urllib.request.Request(link.replace("&amp;", "&"), method=method)
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200, link
    assert served.facts_about_readers() == before


def test_a_reader_who_left_in_one_click_is_excluded_from_the_next_issue_with_the_reason(
    served: Home, ask: Newsletter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = _message(served.files()[0])
    for _twice in range(2):
        request = urllib.request.Request(
            _unsubscribe_url(message), data=b"List-Unsubscribe=One-Click", method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
    monkeypatch.setenv("NEWSLETTER_CONTENT_DIR", str(_one_more_comparison(tmp_path)))
    assert ask("content", "import", "--json").json["new"]
    monkeypatch.delenv("NEWSLETTER_CONTENT_DIR")
    week = str(ask("issue", "plan", "--json").json["week"])
    assert ask("issue", "approve", week).code == 0
    account = ask("issue", "send", week, "--json").json
    assert account["excluded"] == {"unsubscribed": 1}
    reader = ask("subscribers", "show", _reader_of(message), "--json").json
    assert reader["status"] == "unsubscribed"
    deliveries = reader["deliveries"]
    assert isinstance(deliveries, list)
    assert deliveries[0] == {"issue": week, "state": "excluded", "reason": "unsubscribed"}


def _one_more_comparison(folder: Path) -> Path:
    """The content folder with a copy of the seed's comparison under other names."""
    content = shutil.copytree(ROOT / "content", folder / "content")
    text = (content / "comparisons" / f"{SEED}.md").read_text(encoding="utf-8")
    text = text.replace("Claude Haiku Open Weights", "Left Tool")
    text = text.replace("Mistral 8B Instruct v3", "Right Tool")
    (content / "comparisons" / "left-tool-vs-right-tool.md").write_text(text, encoding="utf-8")
    return content


def test_a_second_demo_is_as_good_as_the_first_and_wipes_only_its_own_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for readers in (3, 2):
        told = home.ask("demo", "--subscribers", str(readers))
        assert told["messages"] == len(home.files()) == readers
    theirs = tmp_path / "theirs" / "letter.txt"
    theirs.parent.mkdir()
    theirs.write_text("dear")
    refused = home.run("demo", "--home", str(theirs.parent))
    assert refused.returncode == 1
    assert "will not be wiped" in refused.stderr
    assert [path.name for path in theirs.parent.iterdir()] == ["letter.txt"]


def test_the_demo_keeps_away_from_the_database_of_this_environment(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    real = tmp_path / "real.db"
    home.ask("demo", "--subscribers", "1", NEWSLETTER_DATABASE_URL=f"sqlite:///{real}")
    assert not real.exists()
    assert (home.path / "newsletter.db").is_file()


def test_the_demo_serves_when_asked_and_ends_on_a_signal(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    demo = subprocess.Popen(
        [sys.executable, "-m", "newsletter", "demo", "--serve", "--subscribers", "1"],
        cwd=ROOT,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    said = next((line for line in demo.stdout if line.startswith("serving")), "")
    assert f":{home.port} " in said
    with urllib.request.urlopen(f"http://127.0.0.1:{home.port}/issues/{WEEK.lower()}") as page:
        assert page.status == 200
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=20)
    assert demo.returncode == 0
