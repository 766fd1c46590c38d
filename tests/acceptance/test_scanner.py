"""A mail scanner that opens every link of every mail, runs scripts and presses buttons.

At once: it changes no subscriber, by plain HTTP or in a browser, because every form that comes back
within 2 seconds is shown again. (A mail program's one-click address is exempt, as RFC 8058 demands:
it is in a header and no link of a mail, and a scanner that posts what the header says is, to us,
the reader's mail program.)

Patiently, waiting 3 seconds before it presses, a scanner that sends each form as it came can do
this, and no more:

- confirm a sign-up whose confirmation mail it opened. That page has one button and no tick, because
  every question at the door costs readers; it takes nothing, and the welcome mail has the way out;
- have the link to one's own data mailed, to the mailbox it scans, once in 24 hours;
- refuse a change of address: nothing moves;
- vote ship and skip within ten seconds, which is kept apart and believed of nobody;
- fetch the file of one's own data, which its own mailbox asked for, and which changes nothing.

It takes nobody off the list, moves nobody and erases nobody: those forms want a tick in a box that
comes unticked. The forms of choices come filled in with what stands. A scanner that ticks boxes as
well, and waits, is a person as far as a page can tell.
"""

from __future__ import annotations

import email
import html
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from publication import open_home, planned_and_approved
from publication import readers as add_readers
from served import Clock, Served, id_of, served
from sqlalchemy import text
from web_forms import forms

from newsletter import dossier, own_page, pipeline, readers
from newsletter.letters import drain_system_mail
from newsletter.web.app import create_app
from subscribers.address import EmailAddress

pytestmark = pytest.mark.slow

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WAITING = "waiting@example.com"
STAYS = "reader1@example.com"
# Everything about subscribers; `system_mail` stands apart, because a button may ask for a mail.
KEPT = (
    "subscriber",
    "consent_record",
    "suppression",
    "address_change",
    "subscriber_topic",
    "delivery",
)
# Ticks every box, types an address where one is asked for, presses the first button.
PRESS = """n => { const form = document.forms[n];
  for (const box of form.querySelectorAll("[type=checkbox]")) box.checked = true;
  for (const box of form.querySelectorAll("[type=email]")) box.value = "s@example.org";
  form.querySelector("button").click(); }"""
LINK = re.compile(r"https?://[^\s\"'<>]+")


def mails_of_every_kind(site: Served) -> None:
    """An issue, a sign-up that waits, links that were asked for, a change of address, a welcome."""
    site.sign_up(WAITING)
    site.sign_up("welcomed@example.com")
    token = site.app.keyring.confirm(id_of(site, "welcomed@example.com"), site.clock())
    readers.confirm(site.app, token, source="test", network="")
    own_page.send_preferences_link(site.app, EmailAddress.parse(STAYS))
    own_page.send_data_link(site.app, EmailAddress.parse(STAYS))
    own_page.ask_to_move(site.app, id_of(site, STAYS), "moving@example.org")
    drain_system_mail(site.app)


def links(site: Served) -> list[str]:
    """Every address in every mail of the outbox, in HTML and in text, each once."""
    found: dict[str, None] = {}
    for path in sorted((site.app.home / "outbox").rglob("*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        for part in message.walk():
            if part.get_content_maintype() == "text":
                found |= dict.fromkeys(map(html.unescape, LINK.findall(part.get_content())))
    return list(found)


def door(url: str) -> str:
    """The first part of an address's path."""
    return urlsplit(url).path.strip("/").partition("/")[0]


def scan(site: Served, *, waits_s: float) -> int:
    """Opens every link of every mail and sends every form it finds; how many it sent."""
    sent = 0
    for url in links(site):
        parts = urlsplit(url)
        if parts.hostname != "127.0.0.1":
            continue
        site.client.head(parts.path)
        answer = site.client.get(parts.path)
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        for n, form in enumerate(forms(answer.text)):
            for button in form.buttons:  # each from a page just shown
                fresh = list(forms(site.client.get(parts.path).text))[n:]
                site.clock.forward(seconds=waits_s)
                for one in fresh[:1]:
                    site.client.post(one.action, data=one.fields | {"do": button})
                    sent += 1
    return sent


def kept(site: Served) -> dict[str, list[tuple[Any, ...]]]:
    return {table: site.rows(table) for table in KEPT}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    make(tmp_path / "home")
    with served(tmp_path / "home") as one:
        mails_of_every_kind(one)
        yield one


def make(home: Path, **settings: Any) -> None:
    app = open_home(home, **settings)
    pipeline.import_content(app, samples=True)
    add_readers(app, 2)
    planned_and_approved(app)
    pipeline.send(app, "latest")
    app.engine.dispose()


def test_a_scanner_that_presses_every_button_at_once_changes_no_subscriber(site: Served) -> None:
    before = kept(site), site.rows("system_mail")
    doors = set(map(door, links(site)))
    assert {"confirm", "unsubscribe", "preferences", "address", "your-data", "c", "o"} <= doors
    assert scan(site, waits_s=0) > 15
    assert scan(site, waits_s=1.9) > 15
    assert (kept(site), site.rows("system_mail")) == before
    assert believed_votes(site) == 0
    assert site.rows("vote")


def believed_votes(site: Served) -> int:
    with site.app.engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM vote WHERE suspicion = ''"))
        return int(found.scalar_one())


def test_a_patient_scanner_confirms_and_refuses_and_no_more(site: Served) -> None:
    before = kept(site)
    people = {row[0]: row for row in before["subscriber"]}
    assert scan(site, waits_s=3) > 15
    after = kept(site)
    changed = [row[0] for row in after["subscriber"] if row != people.get(row[0])]
    assert changed == [id_of(site, WAITING)]
    assert dossier.show(site.app, WAITING)["status"] == "active"
    news = after["consent_record"][len(before["consent_record"]) :]
    assert [row[2] for row in news] == ["confirmed"]
    assert [bool(row[7]) for row in after["address_change"]] == [True]
    assert dossier.show(site.app, STAYS)["status"] == "active"
    assert believed_votes(site) == 0
    for table in ("suppression", "subscriber_topic", "delivery"):
        assert after[table] == before[table]


@pytest.fixture
def chromium() -> Iterator[Any]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Served]:
    """The site on a real socket, its clock standing still, so that nothing is ever patient."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        home = tmp_path / "home"
        make(home, public_url=url)
        clock = Clock()
        app = replace(open_home(home, public_url=url), clock=clock)
        with served(home, public_url=url) as one:
            mails_of_every_kind(one)
            server = uvicorn.Server(uvicorn.Config(create_app(app), log_level="warning"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            yield one
            server.should_exit = True
            thread.join()
        app.engine.dispose()


@pytest.mark.browser
def test_a_scanner_in_a_browser_that_ticks_and_presses_changes_no_subscriber(
    listening: Served, chromium: Any
) -> None:
    before = kept(listening)
    page = chromium.new_page()
    pressed = 0
    doors = ("confirm", "unsubscribe", "preferences", "address", "your-data")
    for url in links(listening):
        if door(url) not in doors:
            continue
        page.goto(url, wait_until="load")
        for n in range(page.locator("form").count()):
            page.goto(url, wait_until="load")
            with page.expect_navigation(wait_until="load"):
                page.evaluate(PRESS, n)
            pressed += 1
    page.close()
    assert pressed > 8
    assert kept(listening) == before
