"""System mails to readers: one thing said, in both parts, with links of the reader's own."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import issue_views as views
import pytest

from newsletter.rendering.message import compile_message
from newsletter.rendering.render import Renderer
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.view import SystemMailView

RENDERER = Renderer()
URL = views.PUBLICATION.url
TO_READERS = (
    "confirm",
    "welcome",
    "already_subscribed",
    "preferences_link",
    "goodbye",
    "move_from",
    "move_to",
    "own_data",
    "still_there",
)
DOORS = {
    Slot.CONFIRM: "confirm",
    Slot.PREFERENCES: "preferences",
    Slot.UNSUBSCRIBE: "unsubscribe",
    Slot.MOVE: "address",
    Slot.DATA: "your-data",
}
OWN_PAGES = {
    "confirm": {Slot.CONFIRM},
    "welcome": {Slot.PREFERENCES, Slot.UNSUBSCRIBE},
    "already_subscribed": {Slot.PREFERENCES, Slot.UNSUBSCRIBE},
    "preferences_link": {Slot.PREFERENCES},
    "goodbye": set(),
    "move_from": {Slot.MOVE},
    "move_to": {Slot.MOVE},
    "own_data": {Slot.DATA},
    "still_there": {Slot.PREFERENCES, Slot.UNSUBSCRIBE},
}


@pytest.mark.parametrize("kind", TO_READERS)
def test_a_mail_leads_to_just_the_pages_it_speaks_of_in_both_parts(kind: str) -> None:
    mail = RENDERER.system(views.system_view(kind))
    for slot, door in DOORS.items():
        is_there = slot in OWN_PAGES[kind]
        assert (f'href="{URL}/{door}/{HTML_PLACEHOLDERS[slot]}"' in mail.html) is is_there
        assert (f"\n{URL}/{door}/{TEXT_PLACEHOLDERS[slot]}\n" in mail.text) is is_there


@pytest.mark.parametrize("kind", TO_READERS)
def test_a_mail_passes_every_check_and_says_why_it_came(kind: str) -> None:
    mail = RENDERER.system(views.system_view(kind))
    assert mail.findings == ()
    for part in (re.sub(r"<[^>]*>", " ", mail.html), mail.text):
        shown = " ".join(part.split())
        assert "You get this" in shown
        assert views.PUBLICATION.postal_address in shown
    assert max(len(line) for line in mail.text.splitlines() if "://" not in line) <= 72


@pytest.mark.parametrize("kind", TO_READERS)
def test_a_mail_is_one_to_one_and_not_of_the_list(kind: str) -> None:
    compiled = compile_message(
        RENDERER.system(views.system_view(kind)),
        views.PUBLICATION,
        date=datetime(2026, 11, 24, 9, tzinfo=UTC),
        kind=kind,
    )
    raw = compiled.splice(
        address="reader@example.com",
        name="",
        message_id="one@example.com",
        slots=dict.fromkeys(Slot, "t" * 32),
    )
    head = raw.partition(b"\r\n\r\n")[0]
    assert b"Auto-Submitted: auto-generated" in head
    assert b"List-" not in head


def test_a_welcome_says_when_the_next_issue_comes_and_where_the_latest_is() -> None:
    mail = RENDERER.system(views.system_view("welcome"))
    facts = views.SYSTEM_FACTS["welcome"]
    for value in facts.values():
        assert value in " ".join(mail.text.split())
    assert f'href="{facts["issue_url"]}"' in mail.html


def test_before_the_first_issue_a_welcome_offers_none_to_read() -> None:
    facts = views.SYSTEM_FACTS["welcome"] | {"issue_url": "", "issue_subject": ""}
    mail = RENDERER.system(SystemMailView("welcome", views.PUBLICATION, facts))
    assert mail.findings == ()
    assert "latest" not in mail.text
    assert "latest" not in mail.html


def test_a_hostile_subject_in_a_welcome_stays_text() -> None:
    facts = views.SYSTEM_FACTS["welcome"] | {"issue_subject": "</mj-text><b>{{ 7*7 }}</b>"}
    mail = RENDERER.system(SystemMailView("welcome", views.PUBLICATION, facts))
    assert "&lt;/mj-text&gt;&lt;b&gt;{{ 7*7 }}&lt;/b&gt;" in mail.html
    assert "</mj-text><b>{{ 7*7 }}</b>" in mail.text


@pytest.mark.parametrize("kind", TO_READERS)
def test_a_mail_from_right_to_left_is_mirrored(kind: str) -> None:
    hebrew = replace(views.PUBLICATION, language="he")
    mail = RENDERER.system(replace(views.system_view(kind), publication=hebrew))
    assert 'dir="rtl"' in mail.html
    assert "direction:ltr" not in mail.html
    assert "text-align:right" in mail.html
