"""Test sends: the very mail to a few known mailboxes; its links harm and count nobody."""

from __future__ import annotations

import email
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog
from publication import SLOT, WEEK, at, finished, open_home, outbox, readers, store
from pydantic import SecretStr
from sendgrid_fake import Act, FakeSendGrid, error
from served import ONE_CLICK, Served, copied, served
from smtp_server import Answer, SmtpServer, Talk

from newsletter import cli, control, mailings, pipeline, trials
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.errors import RefusedError, SettingsError, TransientError
from newsletter.providers.base import Outcome
from newsletter.rendering.slots import neutral, neutral_text
from newsletter.trials import MOST, Trial
from subscribers import suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

ANN, BOB = "ann@example.org", "bob@example.org"
KEY = "SG.trials"
WHO_SENDS: dict[str, Any] = {
    "from_": "Verdicts <news@example.com>",
    "postal_address": "1 Example Street, Sampleton",
    "list_id": "verdicts.example.com",
}


@pytest.fixture(scope="module")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned issue and two readers; copy it, never write to it."""
    app = open_home(tmp_path_factory.mktemp("planned") / "home")
    store(app, finished("Left vs Right"))
    readers(app, 2)
    pipeline.plan(app)
    app.engine.dispose()
    return app.home


class Opener(Protocol):
    """Opens the test's own copy of the planned home, with settings to order."""

    def __call__(self, **settings: Any) -> App: ...


@pytest.fixture
def opened(planned_home: Path, tmp_path: Path) -> Opener:
    home = copied(planned_home, tmp_path)
    return lambda **settings: open_home(home, **settings)


@pytest.fixture
def app(opened: Opener) -> App:
    return opened()


def tried(app: App, *to: str, run: str = "run1") -> Trial:
    return trials.send(app, WEEK, to, run=run)


def messages(app: App) -> list[EmailMessage]:
    files = outbox(app, "test")
    return [email.message_from_bytes(one.read_bytes(), policy=modern) for one in files]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def everything(app: App) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with app.engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
            for (name,) in names.all()
        }


def test_a_test_is_the_issue_to_the_letter_but_for_its_subject(app: App) -> None:
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
        render = issues.rendered(session, issue.id)
    trial = tried(app, ANN)
    (message,) = messages(app)
    assert message["Subject"] == trial.subject == f"[Test] {render.subject}"
    nobody = mailings.public_slots(app, issue.id)
    assert body(message, "html").strip() == neutral(render.html, nobody).strip()
    assert body(message, "plain").strip() == neutral_text(render.text, nobody).strip()
    assert (trial.sha256, trial.is_as_shown) == (render.sha256, True)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert ":test:" in message["Feedback-ID"]


@pytest.mark.parametrize("state", ["planned", "approved", "sent", "cancelled"])
def test_a_test_changes_nothing_whatever_the_state_of_the_issue(app: App, state: str) -> None:
    if state in ("approved", "sent"):
        pipeline.approve(app, WEEK, by="the editor")
    if state == "sent":
        pipeline.send(app, WEEK)
    if state == "cancelled":
        control.cancel(app, WEEK, by="the editor")
    before = everything(app)
    assert tried(app, ANN, BOB).is_taken
    assert everything(app) == before
    assert len(outbox(app, "test")) == 2
    assert len(outbox(app)) == (2 if state == "sent" else 0)


def test_an_issue_goes_as_it_renders_now_and_keeps_its_approval(app: App) -> None:
    pipeline.approve(app, WEEK, by="the editor")
    moved = replace(app, publication=replace(app.publication, name="Another Name"))
    trial = tried(moved, ANN)
    assert not trial.is_as_shown
    assert "Another Name" in body(messages(app)[0], "html")
    with app.session(readonly=True) as session:
        assert issues.find(session, WEEK).standing_approval is not None


def test_an_issue_that_went_out_is_tested_as_it_went_out(app: App) -> None:
    pipeline.approve(app, WEEK, by="the editor")
    pipeline.send(app, WEEK)
    moved = replace(app, publication=replace(app.publication, name="Another Name"))
    assert tried(at(moved, SLOT), ANN).is_as_shown
    (message,) = messages(app)
    assert "Another Name" not in body(message, "html")
    assert message["Date"].datetime == SLOT  # of the test: an old date is sorted out of sight


def test_each_run_has_message_ids_of_its_own(app: App) -> None:
    first, second = tried(app, ANN, BOB, run="a1"), tried(app, ANN, BOB, run="b2")
    ids = [one.message_id for trial in (first, second) for one in trial.tried]
    assert len(set(ids)) == len(outbox(app, "test")) == 4
    assert {str(message["Message-ID"]) for message in messages(app)} == {f"<{id_}>" for id_ in ids}


def test_the_seeds_get_every_test_and_nobody_gets_it_twice(opened: Opener) -> None:
    app = opened(seeds=(f"Bob B <{BOB}>", "carol@example.org"))
    trial = tried(app, ANN, "Bob@Example.ORG", ANN)
    assert [one.address for one in trial.tried] == [ANN, "Bob@example.org", "carol@example.org"]
    assert [one.address for one in tried(app, run="run2").tried] == [BOB, "carol@example.org"]
    named = [str(message["To"]) for message in messages(app)]
    assert f"Bob B <{BOB}>" in named


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ([ANN, "nobody"], "address 2 of 2"),
        (["ann@example.org, bob@example.org"], "address 1 of 1"),
        (["Ann\r\nBcc: x <ann@example.org>", BOB], "address 1 of 2"),
        (["j\u00f6rg@example.org"], "SMTPUTF8"),
        ([""], "address 1 of 1"),
        ([], "somebody to go to"),
        ([f"r{n}@example.org" for n in range(MOST + 1)], f"at most {MOST}"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_before_anything_is_sent(
    app: App, to: list[str], said: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        tried(app, *to)
    assert said in str(refused.value)
    assert "example.org" not in str(refused.value)
    assert outbox(app, "test") == []


def test_a_bad_seed_is_named_as_one(opened: Opener) -> None:
    app = opened(seeds=(BOB, "Ann <ann@-.example.org>"))
    with pytest.raises(RefusedError, match="seed 2 of NEWSLETTER_SEEDS"):
        tried(app, ANN)
    assert outbox(app, "test") == []


def test_who_must_not_be_written_to_gets_no_test_either(app: App) -> None:
    with app.session() as session:
        key = EmailAddress.parse(BOB).key
        why = SuppressionReason.COMPLAINT
        suppression.suppress(session, key, why, detail="", now=app.clock())
    with pytest.raises(RefusedError, match=r"b…@example.org must not be written to: complaint"):
        tried(app, ANN, BOB)
    assert outbox(app, "test") == []


@pytest.mark.parametrize("is_sent", [False, True], ids=["planned", "sent"])
def test_whatever_is_done_with_its_links_harms_nobody_and_counts_nothing(
    app: App, is_sent: bool
) -> None:
    if is_sent:
        pipeline.approve(app, WEEK, by="the editor")
        pipeline.send(app, WEEK)
    tried(app, ANN)
    (message,) = messages(app)
    found = body(message, "html") + body(message, "plain") + str(message["List-Unsubscribe"])
    paths = set(re.findall(rf"{re.escape(app.publication.url)}(/[\w./-]+)", found))
    before = everything(app)
    with served(app.home) as site:
        answers = {path: _use(site, path) for path in paths}
    assert everything(app) == before
    kinds = {path.split("/")[1]: codes for path, codes in answers.items()}
    assert kinds["o"][0] == 200
    assert kinds["c"][0] == 302
    assert kinds["unsubscribe"] == (200, 400)
    assert kinds["preferences"] == (200, 400)
    assert all(codes[0] == 302 for path, codes in answers.items() if path.startswith("/c/"))


def _use(site: Served, path: str) -> tuple[int, int]:
    """What a reader, a scanner and a mail program's one-click do; GET's and POST's status."""
    site.client.head(path)
    got = site.get(path, headers={"User-Agent": "Mozilla/5.0"}).status_code
    pressed = {"do": "leave", "shown": site.stamp(), **ONE_CLICK}
    return got, site.client.post(path, data=pressed).status_code


def test_over_smtp_each_address_is_told_apart(opened: Opener) -> None:
    def refuses_bob(_talk: Talk, verb: str, line: str) -> Answer:
        return "550 5.1.1 no such user" if verb == "RCPT" and BOB in line else None

    with SmtpServer(refuses_bob) as server:
        app = opened(**WHO_SENDS, provider="smtp", smtp_url=SecretStr(server.url))
        trial = tried(app, ANN, BOB)
    assert server.readers == [ANN]
    ann, bob = trial.tried
    assert ann.is_taken
    assert bob.outcome in (Outcome.BOUNCED, Outcome.FAILED)
    assert "5.1.1" in bob.detail
    assert not trial.is_taken
    message = email.message_from_bytes(server.accepted[0].message, policy=modern)
    assert str(message["Subject"]).startswith("[Test] ")


def sendgrid(opened: Opener, url: str) -> App:
    return opened(
        **WHO_SENDS,
        provider="sendgrid",
        sendgrid_api_key=SecretStr(KEY),
        sendgrid_url=url,
    )


def test_through_sendgrid_a_test_is_no_readers_and_no_request_of_an_issue(opened: Opener) -> None:
    with FakeSendGrid(keys={KEY}) as fake:
        app = sendgrid(opened, fake.url)
        trial = tried(app, ANN, BOB)
    assert trial.is_taken
    assert fake.accepted == [ANN, BOB]
    assert all(set(one) == {"nl_delivery"} for one in fake.arguments)
    assert [mark.rpartition(".")[2] for mark in fake.marks] == ["-1", "-2"]
    assert fake.payloads[0]["subject"].startswith("[Test] ")


def test_what_sendgrid_says_is_said_for_whom_it_was_said(opened: Opener) -> None:
    with FakeSendGrid(keys={KEY}) as fake:
        app = sendgrid(opened, fake.url)
        fake.bad = {ANN}
        fake.script += [
            Act(400, body=error("Does not contain a valid address.", "personalizations.0.to.0")),
            Act(502),
        ]
        trial = tried(app, ANN, BOB)
        assert [one.outcome for one in trial.tried] == [Outcome.FAILED, Outcome.UNCERTAIN]
        assert isinstance(trial.trouble, TransientError)
        fake.keys = set()
        with pytest.raises(TransientError, match="NEWSLETTER_SENDGRID_API_KEY"):
            tried(app, ANN, run="run2")


def test_a_provider_without_its_settings_is_refused_first(opened: Opener) -> None:
    app = opened(provider="smtp")
    with pytest.raises(SettingsError, match="NEWSLETTER_SMTP_URL"):
        tried(app, ANN)


@pytest.fixture
def home(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    app.engine.dispose()
    monkeypatch.setenv("NEWSLETTER_HOME", str(app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("no_proxy", "*")
    yield app.home
    structlog.reset_defaults()


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["newsletter", "issue", "test", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


def test_the_command_says_a_line_an_address(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "latest", "--to", ANN, "--to", BOB) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("2026-W48 by way of outbox: [Test] ")
    assert [line.split("\t")[:2] for line in lines] == [[ANN, "submitted"], [BOB, "submitted"]]
    assert command(monkeypatch, "latest", "--to", ANN, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["issue"], told["taken"], told["as_shown"]) == (WEEK, True, True)
    assert [one["address"] for one in told["messages"]] == [ANN]
    assert len(list((home / "outbox" / "test").glob("*.eml"))) == 3


def test_the_command_ends_with_1_where_a_message_was_not_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, WEEK, "--to", ANN, "--to", "nobody") == 1
    assert "address 2 of 2" in capsys.readouterr().err
    with FakeSendGrid(keys={KEY}) as fake:
        for name, value in {
            "FROM": "news@example.com", "POSTAL_ADDRESS": "1 Example Street",
            "LIST_ID": "verdicts.example.com", "PROVIDER": "sendgrid",
            "SENDGRID_URL": fake.url, "SENDGRID_API_KEY": KEY,
        }.items():  # fmt: skip
            monkeypatch.setenv(f"NEWSLETTER_{name}", value)
        fake.unnamed_bad = {BOB}
        assert command(monkeypatch, WEEK, "--to", ANN, "--to", BOB) == 1
        said = capsys.readouterr().out
        assert f"{ANN}\tsubmitted" in said
        assert f"{BOB}\tfailed\tSendGrid answered 400; Bad Request" in said
        assert "Templates or settings have changed" in said
        fake.unnamed_bad, fake.bad = set(), {BOB}
        fake.script += [Act(400, body=error("no", "personalizations.1.to.0.email")), Act(500)]
        assert command(monkeypatch, WEEK, "--to", ANN, "--to", BOB) == 1
        captured = capsys.readouterr()
        assert f"{ANN}\tuncertain" in captured.out
        assert "error: SendGrid answered 500" in captured.err
