"""The whole life of a reader, through the pages and the outbox, read as a story."""

from __future__ import annotations

import email
import json
import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from publication import finished, store
from served import ONE_CLICK, Served, id_of, served
from web_forms import forms

from newsletter import desk, dossier, pipeline, readers
from newsletter.delivery import proof
from newsletter.editorial import issues
from newsletter.letters import drain_system_mail
from subscribers import consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow

PRIYA = "priya@example.com"
NEW = "priya.new@example.org"
WAIT_S = 3  # as long as a person takes over a form, at the least


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "home") as one:
        yield one


class Reader:
    """Somebody with a mailbox and a browser: reads mail, follows links, fills in forms."""

    def __init__(self, site: Served) -> None:
        self.site = site
        self.seen: set[Path] = set()

    def mail(self, address: str = PRIYA) -> dict[str, EmailMessage]:
        """What came since the last look, by the first part of its Message-ID."""
        drain_system_mail(self.site.app)
        found = {}
        for path in sorted((self.site.app.home / "outbox").rglob("*.eml")):
            message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
            if path not in self.seen and message["To"].addresses[0].addr_spec == address:
                self.seen.add(path)
                found[path.name.partition(".")[0]] = message
        return found

    def follow(self, message: EmailMessage, door: str) -> str:
        """The link of the mail that leads to this door; looking at its page changes nothing."""
        part = message.get_body(("plain",))
        assert part is not None
        (path,) = set(re.findall(rf"/{door}/[A-Za-z0-9_-]+", str(part.get_content())))
        before = self.site.state()
        assert self.site.get(path).status_code == 200
        assert self.site.state() == before
        return str(path)

    def send(self, page: str, action: str, **filled: str) -> Any:
        """Fills in the form of the page that goes to `action`, and sends it after a while."""
        do = filled.get("do", "")
        (form,) = [one for one in forms(page) if one.action == action and do in one.buttons]
        self.site.clock.forward(seconds=WAIT_S)
        return self.site.client.post(action, data=form.fields | filled)


def shown(site: Served, address: str = PRIYA) -> dict[str, Any]:
    return dossier.show(site.app, address)


def issue_goes_out(site: Served, title: str) -> dict[str, Any]:
    store(site.app, finished(title))
    pipeline.plan(site.app)
    pipeline.approve(site.app, "latest", by="the editor")
    account = pipeline.send(site.app, "latest").proof.to_dict()
    assert account["holds"]
    return account


def test_a_readers_life(site: Served) -> None:
    priya = Reader(site)

    # She signs up on the front page; nothing but one mail comes of it.
    page = priya.send(site.get("/").text, "/subscribe", email=PRIYA)
    assert "Check your inbox" in page.text
    assert shown(site)["status"] == "pending"

    # The mail leads to a page with a button, and the button makes her a reader.
    link = priya.follow(priya.mail()["confirm"], "confirm")
    assert "You are on the list" in priya.send(site.get(link).text, link).text
    agreed = shown(site)["consent"][-1]
    assert (agreed["action"], agreed["wording"]) == ("confirmed", readers.FORM_WORDING)
    assert agreed["network"] == "127.0.0.0/24"

    # She is welcomed, and gets the week's issue.
    assert set(priya.mail()) == {"welcome"}
    assert issue_goes_out(site, "First vs Second")["states"]["submitted"] == 1
    issue = priya.mail()["2026-w48"]

    # From its footer she reaches her page: a name, a pause with an end, nothing counted.
    own = priya.follow(issue, "preferences")
    page = priya.send(
        site.get(own).text, own, do="save", name="Priya", mail="paused", until="2026-12-10"
    )
    assert "Your mail is paused until 2026-12-10" in page.text
    assert shown(site)["status"] == "paused"
    site.clock.forward(days=7)
    assert issue_goes_out(site, "Third vs Fourth")["excluded"] == {"paused": 1}
    site.clock.forward(days=7)
    with site.app.session() as session:
        assert consent.resume_due(session, site.clock()) == 0
        site.clock.forward(days=4)
        assert consent.resume_due(session, site.clock()) == 1
    assert shown(site)["status"] == "active"

    # She moves to another address: both mailboxes agree, and only then is it done.
    priya.send(site.get(own).text, own, do="move", email=NEW)
    old_end = priya.follow(priya.mail()["move_from"], "address")
    new_end = priya.follow(priya.mail(NEW)["move_to"], "address")
    waiting = priya.send(site.get(old_end).text, old_end, do="agree", sure="yes")
    assert "Agreed, on this side" in waiting.text
    assert shown(site)["status"] == "active"
    moved = priya.send(site.get(new_end).text, new_end, do="agree", sure="yes")
    assert "Your mail has moved" in moved.text
    assert shown(site, NEW)["name"] == "Priya"

    # She leaves by mistake, says why, and takes it back.
    leave = priya.follow(issue, "unsubscribe")
    page = priya.send(site.get(leave).text, leave, sure="yes", why="too_often", words="Every week!")
    assert shown(site, NEW)["status"] == "unsubscribed"
    (undo,) = {one.action for one in forms(page.text) if "/undo/" in one.action}
    assert "still on the list" in priya.send(page.text, undo).text
    assert shown(site, NEW)["status"] == "active"
    assert priya.mail(NEW) == {}

    # She leaves for good, by her mail program's button, and comes back by signing up again.
    assert site.client.post(leave, data=ONE_CLICK).status_code == 200
    assert shown(site, NEW)["status"] == "unsubscribed"
    assert set(priya.mail(NEW)) == {"goodbye"}
    site.clock.forward(days=2)
    comes_back(priya)

    # She calls an issue spam: nothing goes to her, and only her own double opt-in lifts that.
    key = EmailAddress.parse(NEW).key
    with site.app.session() as session:
        suppression.suppress(
            session, key, SuppressionReason.COMPLAINT, detail="abuse", now=site.clock()
        )
    assert issue_goes_out(site, "Fifth vs Sixth")["excluded"] == {"suppressed: complaint": 1}
    added = desk.add(
        site.app, NEW, "", consent_text="on paper", given_on="2026-11-01", by="an operator"
    )
    assert added == "kept_suppressed"
    site.clock.forward(days=2)
    comes_back(priya)
    assert shown(site, NEW)["suppressed"] is None

    # She fetches all we hold on her, and has it erased.
    number = id_of(site, NEW)
    ask = priya.send(site.get("/your-data").text, "/your-data", email=NEW)
    assert "Check your inbox" in ask.text
    data = priya.follow(priya.mail(NEW)["own_data"], "your-data")
    held = json.loads(priya.send(site.get(data).text, data, do="fetch").text)
    assert held["profile"]["address"] == NEW
    assert [one["issue"] for one in held["deliveries"]][:1] == ["2026-W48"]
    assert {"address_changed", "returned"} <= {one["action"] for one in held["consent"]}
    assert "erased" in priya.send(site.get(data).text, data, do="erase", sure="yes").text

    # Nobody knows who she was; what went out still adds up; nobody puts her back but herself.
    everything = json.dumps(
        [site.state(), site.rows("event"), site.rows("address_change")], default=str
    )
    assert "priya" not in everything.lower()
    with site.app.session(readonly=True) as session:
        first = proof.prove(session, issues.find(session, "2026-W48").id).to_dict()
    assert (first["holds"], first["states"]["submitted"]) == (True, 1)
    again = desk.add(
        site.app, NEW, "", consent_text="on paper", given_on="2026-11-01", by="an operator"
    )
    assert again == "kept_suppressed"
    site.clock.forward(days=2)
    comes_back(priya)
    assert id_of(site, NEW) != number


def comes_back(priya: Reader) -> None:
    """By a double opt-in, as anybody."""
    priya.mail(NEW)
    priya.send(priya.site.get("/").text, "/subscribe", email=NEW)
    link = priya.follow(priya.mail(NEW)["confirm"], "confirm")
    assert "You are on the list" in priya.send(priya.site.get(link).text, link).text
    assert shown(priya.site, NEW)["status"] == "active"
