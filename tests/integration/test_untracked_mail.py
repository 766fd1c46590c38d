"""Who is not tracked gets the issue without pixel and with plain links, whoever hands it over."""

from __future__ import annotations

import email
import json
import re
import sys
from collections.abc import Iterable
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any

import pytest
from publication import WEEK, finished, open_home, outbox, readers, store
from pydantic import SecretStr
from sendgrid_fake import Act, FakeSendGrid, error
from served import copied, served
from smtp_server import SmtpServer
from sqlalchemy import update
from sqlmodel import col, select

from newsletter import cli, corrections, mailings, pipeline, trials
from newsletter.app import App
from newsletter.bundled import bundled
from newsletter.editorial import approvals, issues
from newsletter.editorial.issues import IssueDetails
from newsletter.editorial.planning import Changes
from newsletter.errors import ApprovalError, RefusedError
from newsletter.providers.base import Outcome
from newsletter.rendering.links import CANARY
from newsletter.rendering.slots import PLACEHOLDER
from newsletter.rendering.untracked import untracked
from newsletter.store.models import Delivery
from subscribers.models import Subscriber

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

KEY = "SG.untracked"
QUIET = "reader2@example.com"
WHO_SENDS: dict[str, Any] = {
    "from_": "Verdicts <news@example.com>",
    "postal_address": "1 Example Street, Sampleton",
    "list_id": "verdicts.example.com",
}
COUNTING = re.compile(r"/c/[A-Za-z0-9_-]{20,}/\d|/o/[A-Za-z0-9_-]{20,}\.gif")


@pytest.fixture(scope="module")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned issue and three readers, of whom one is not tracked; copy it, never write to it."""
    app = open_home(tmp_path_factory.mktemp("planned") / "home")
    store(app, finished("Left vs Right"))
    readers(app, 3)
    with app.session() as session:
        statement = update(Subscriber).where(col(Subscriber.address) == QUIET)
        session.execute(statement.values(is_tracked=False))
    pipeline.plan(app)
    app.engine.dispose()
    return app.home


@pytest.fixture
def home(planned_home: Path, tmp_path: Path) -> Path:
    return copied(planned_home, tmp_path)


def sent(app: App) -> None:
    pipeline.render(app, WEEK)  # the sender's settings are in it
    pipeline.approve(app, WEEK, by="the editor")
    assert pipeline.send(app, WEEK).proof.complete


def in_outbox(app: App, folder: str = WEEK) -> list[EmailMessage]:
    return parsed(one.read_bytes() for one in outbox(app, folder))


def parsed(raw: Iterable[bytes]) -> list[EmailMessage]:
    return [email.message_from_bytes(one, policy=modern) for one in raw]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def is_counted(message: EmailMessage) -> bool:
    """Whether reading it can be counted; both parts agree, and the way out is there in any case."""
    html, text = body(message, "html"), body(message, "plain")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert str(message["List-Unsubscribe"]).count("/unsubscribe/") == 1
    for part in (html, text):
        assert "/unsubscribe/" in part
        assert "/comparisons/left-vs-right" in part or COUNTING.search(part)
        assert not PLACEHOLDER.search(part)
    counted = {bool(COUNTING.search(part)) for part in (html, text)}
    assert len(counted) == 1
    return counted.pop()


def counted(messages: list[EmailMessage]) -> dict[str, bool]:
    return {one["To"].addresses[0].addr_spec: is_counted(one) for one in messages}


def stored(app: App) -> tuple[IssueDetails, issues.StoredRender]:
    with app.session(readonly=True) as session:
        issue = issues.find(session, WEEK)
        return issue, issues.rendered(session, issue.id)


def only_quiet(messages: dict[str, bool]) -> bool:
    return len(messages) == 3 and [to for to, is_one in messages.items() if not is_one] == [QUIET]


def test_only_the_untracked_reader_gets_plain_links(home: Path) -> None:
    app = open_home(home)
    sent(app)
    assert only_quiet(counted(in_outbox(app)))
    assert stored(app)[0].is_tracked


def test_by_smtp_each_reader_gets_their_own_form_in_one_hand_over(home: Path) -> None:
    with SmtpServer() as server:
        app = open_home(home, provider="smtp", smtp_url=SecretStr(server.url), **WHO_SENDS)
        sent(app)
        assert only_quiet(counted(parsed(one.message for one in server.accepted)))


def test_by_sendgrid_each_form_is_a_request_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with FakeSendGrid(keys={KEY}) as fake:
        app = open_home(
            home,
            provider="sendgrid",
            sendgrid_api_key=SecretStr(KEY),
            sendgrid_url=fake.url,
            **WHO_SENDS,
        )
        sent(app)
        assert len(fake.payloads) == 2
        for payload in fake.payloads:
            texts = " ".join(one["value"] for one in payload["content"])
            to = {one["to"][0]["email"] for one in payload["personalizations"]}
            assert (QUIET in to) == (len(to) == 1) == ("/c/" not in texts) == ("/o/" not in texts)
    assert len(set(fake.marks)) == 3


def test_a_refusal_by_sendgrid_stays_within_its_form(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halves keep the content of what was halved; the second form is not touched by it."""
    monkeypatch.setenv("no_proxy", "*")
    with FakeSendGrid(keys={KEY}) as fake:
        fake.script.append(Act(400, body=error("Bad Request")))
        fake.unnamed_bad = {"reader1@example.com"}
        app = open_home(
            home,
            provider="sendgrid",
            sendgrid_api_key=SecretStr(KEY),
            sendgrid_url=fake.url,
            **WHO_SENDS,
        )
        sent(app)
        with app.session(readonly=True) as session:
            rows = {one.subscriber_id: one.state for one in session.exec(select(Delivery))}
    assert rows == {1: Outcome.FAILED, 2: Outcome.SUBMITTED, 3: Outcome.SUBMITTED}
    assert sorted(fake.accepted) == [QUIET, "reader3@example.com"]
    forms = {
        one["to"][0]["email"]: "/c/" in payload["content"][0]["value"]
        for payload in fake.payloads
        for one in payload["personalizations"]
    }
    assert forms == {"reader1@example.com": True, QUIET: False, "reader3@example.com": True}


def test_a_publication_that_tracks_nobody_sends_plain_links_to_all(home: Path) -> None:
    app = open_home(home, tracking=False)
    sent(app)
    assert list(counted(in_outbox(app)).values()) == [False] * 3
    assert not stored(app)[0].is_tracked  # for good: its figures depend on it
    assert not mailings.is_tracked(open_home(home), stored(app)[0])


def test_an_issue_that_tracks_nobody_sends_plain_links_to_all_and_so_does_its_correction(
    home: Path,
) -> None:
    app = open_home(home)
    pipeline.edit(app, WEEK, Changes(is_tracked=False))
    sent(app)
    assert list(counted(in_outbox(app)).values()) == [False] * 3
    assert not corrections.correct(app, WEEK, text="A figure was wrong.", subject=None).is_tracked


def test_what_the_untracked_get_follows_from_the_approved_bytes(home: Path) -> None:
    app = open_home(home)
    sent(app)
    issue, render = stored(app)
    assert issue.approval
    assert issue.approval.sha256 == render.sha256
    bare = untracked(render.as_rendered())
    (message,) = [one for one in in_outbox(app) if QUIET in one["To"]]
    assert body(message, "html").split()[:50] == bare.html.split()[:50]
    assert bare == untracked(render.as_rendered())


def test_the_canary_flies_for_nobody_who_is_not_tracked(home: Path) -> None:
    app = open_home(home)
    pipeline.render(app, WEEK)
    tracked = stored(app)[1].as_rendered()
    canary = next(link.n for link in tracked.links if link.label == CANARY)
    bare = untracked(tracked)
    assert tracked.html.count(f'/{canary}"') == 1
    assert tracked.html.count("<a ") - bare.html.count("<a ") == 1
    assert bare.html.count("<a ") == bare.html.count("</a>")
    assert "/vote/" in bare.html


@pytest.mark.parametrize("then", [True, False])
def test_switching_an_issues_tracking_voids_its_approval(home: Path, then: bool) -> None:
    app = open_home(home)
    pipeline.edit(app, WEEK, Changes(is_tracked=not then))
    approved = pipeline.approve(app, WEEK, by="the editor")
    assert approved.approval
    assert ("nobody tracked" in approved.approval.audience) is then
    assert pipeline.edit(app, WEEK, Changes(is_tracked=not then)).standing_approval  # no change
    edited = pipeline.edit(app, WEEK, Changes(is_tracked=then))
    assert edited.approval
    assert edited.approval.void_reason == f"its tracking is now {'on' if then else 'off'}"
    with pytest.raises(ApprovalError):
        pipeline.send(app, WEEK)


def test_an_approval_never_covers_another_tracking_even_unvoided(home: Path) -> None:
    app = open_home(home)
    pipeline.approve(app, WEEK, by="the editor")
    with app.session() as session:
        issue = issues.find(session, WEEK)
        issues.row(session, issue.id).is_tracked = False
        session.flush()
        assert "has changed" in approvals.why_void(
            session, issue.id, issue.sha256 or "", tracking=True
        )


def test_an_approval_of_plain_links_is_none_once_the_setting_tracks(home: Path) -> None:
    app = open_home(home, tracking=False)
    assert pipeline.approve(app, WEEK, by="the editor").standing_approval
    tracking = open_home(home, tracking=True)
    with pytest.raises(ApprovalError, match="nobody tracked"):
        pipeline.send(tracking, WEEK)
    assert in_outbox(tracking) == []


def test_an_approval_stands_where_the_setting_tracks_nobody_any_more(home: Path) -> None:
    """Of the same bytes to the same readers, less is kept than was agreed to."""
    pipeline.approve(open_home(home), WEEK, by="the editor")
    app = open_home(home, tracking=False)
    assert pipeline.send(app, WEEK).proof.complete
    assert list(counted(in_outbox(app)).values()) == [False] * 3


def test_a_frozen_issues_tracking_is_settled(home: Path) -> None:
    app = open_home(home)
    sent(app)
    with pytest.raises(RefusedError, match="no longer be changed"):
        pipeline.edit(app, WEEK, Changes(is_tracked=False))


@pytest.mark.parametrize("tracking", [True, False])
def test_a_trial_is_what_a_reader_would_get(home: Path, tracking: bool) -> None:
    app = open_home(home, tracking=tracking)
    assert trials.send(app, WEEK, ["ann@example.org"], run="run1").is_taken
    assert counted(in_outbox(app, "test")) == {"ann@example.org": tracking}


def test_commands_switch_and_show_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEWSLETTER_HOME", str(home))

    def said(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["newsletter", "issue", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code
        return capsys.readouterr().out

    assert "tracking" not in said("show", WEEK)
    assert json.loads(said("edit", WEEK, "--tracking", "off", "--json"))["is_tracked"] is False
    assert "plain links" in said("show", WEEK)
    for switch, is_one in (("off", False), ("on", True)):
        said("edit", WEEK, "--tracking", switch)
        said("render", WEEK, "--out", str(tmp_path / switch))
        message = email.message_from_bytes(
            (tmp_path / switch / "sample.eml").read_bytes(), policy=modern
        )
        assert is_counted(message) is is_one
        html = (tmp_path / switch / "issue.html").read_text()
        assert ("/c/" in html) is ("/o/" in html) is is_one
        assert json.loads((tmp_path / switch / "issue.json").read_text())["tracked"] is is_one
    monkeypatch.setenv("NEWSLETTER_TRACKING", "false")
    assert json.loads(said("show", WEEK, "--json"))["is_tracked"] is False


def test_an_own_template_that_hides_the_token_blocks_approval_and_is_still_shown(
    home: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "email" / "weekly"
    own.mkdir(parents=True)
    usual = (bundled("templates") / "email" / "weekly" / "body.txt").read_text()
    (own / "body.txt").write_text(usual + "\nNumber: {{ addresses.pixel }}\n")
    options: dict[str, Any] = {"templates_dir": own.parents[1], "tracking": False}
    app = open_home(home, **options)
    pipeline.render(app, WEEK)
    with pytest.raises(ApprovalError, match="still has a token"):
        pipeline.approve(app, WEEK, by="the editor")
    app.engine.dispose()
    with served(home, **options) as site:
        assert site.get(f"/studio/issues/{WEEK.lower()}").status_code == 200


@pytest.mark.parametrize("tracking", [True, False])
def test_the_preview_shows_what_readers_get(home: Path, tracking: bool) -> None:
    with served(home, tracking=tracking) as site:
        shown = site.get(f"/studio/issues/{WEEK.lower()}/mail").text
        page = site.get(f"/studio/issues/{WEEK.lower()}").text
    assert bool(COUNTING.search(shown)) is bool(COUNTING.search(page)) is tracking


@pytest.mark.parametrize("tracking", [True, False])
def test_the_archive_shows_what_readers_got(home: Path, tracking: bool) -> None:
    app = open_home(home)
    pipeline.edit(app, WEEK, Changes(is_tracked=tracking))
    sent(app)
    app.engine.dispose()
    with served(home) as site:
        assert bool(COUNTING.search(site.get(f"/issues/{WEEK.lower()}").text)) is tracking
