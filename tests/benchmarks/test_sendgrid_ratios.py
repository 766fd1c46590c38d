"""Readers a second handed to SendGrid, beside the library's own helper objects, in one run.

Against a fake on loopback in this very process, so both sides share one core. Absolute figures
drift with the machine: they are printed, and only the ratio is asserted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # the fake lives there

from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import (
    Content as MailContent,
)
from sendgrid.helpers.mail import CustomArg, From, Header, Mail, Personalization, Substitution, To
from sendgrid_fake import FakeSendGrid

from newsletter.providers.base import Content, Envelope, Mailing, Outcome
from newsletter.providers.sendgrid import SendGrid
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot, replacements

pytestmark = pytest.mark.slow

KEY = "SG.benchmark"
READERS, REQUEST, GOAL_PER_S = 10_000, 1_000, 50_000
TOKEN = "AQcAAAAHAAAAAAAAAAGk9f3k2l1m0n9o8p7q6r5s4t"
SLOTS = (Slot.DELIVERY, Slot.UNSUBSCRIBE, Slot.PREFERENCES, Slot.NAME)
CONTENT = Content(
    sender="Weekly Verdicts <verdicts@example.com>",
    reply_to="",
    subject="Ship or skip",
    html="".join(HTML_PLACEHOLDERS[slot] for slot in SLOTS) + "<td>Ship it: 50%</td>\n" * 1_800,
    text="".join(TEXT_PLACEHOLDERS[slot] for slot in SLOTS) + "Ship it\n" * 250,
    headers={"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Feedback-ID": "a:b:c:dddd1"},
    tokens=lambda one: one.slots,
    own_headers=lambda one: {"List-Unsubscribe": f"<https://example.com/unsubscribe/{TOKEN}>"},
)


VALUES = dict.fromkeys(SLOTS, TOKEN) | {Slot.NAME: " Priya"}


def envelopes(slots: Mapping[str, str]) -> list[Envelope]:
    return [
        Envelope(n, f"reader{n}@example.com", "Priya", f"2026-w48.{n:016x}@example.com", slots)
        for n in range(READERS)
    ]


def hand_over(
    url: str, readers: Sequence[Envelope], at_once: int, content: Content = CONTENT
) -> None:
    provider = SendGrid(KEY, base_url=url)
    mailing = Mailing("2026-W48", lambda _: b"", content)
    for start in range(0, len(readers), at_once):
        receipts = list(provider.submit(mailing, readers[start : start + at_once]))
        assert all(one.outcome is Outcome.SUBMITTED for one in receipts)


def hand_over_by_helpers(url: str, readers: Sequence[Envelope]) -> None:
    """As the library's documentation does it, with the same content."""
    api = SendGridAPIClient(KEY, host=url)
    api.client.timeout = 10
    for start in range(0, len(readers), REQUEST):
        mail = Mail(from_email=From("verdicts@example.com", "Weekly Verdicts"), subject="Ship")
        mail.add_content(MailContent("text/plain", CONTENT.text))
        mail.add_content(MailContent("text/html", CONTENT.html))
        for one in readers[start : start + REQUEST]:
            person = Personalization()
            person.add_to(To(one.address, one.name))
            for name, value in {**CONTENT.headers, **CONTENT.own_headers(one)}.items():
                person.add_header(Header(name, value))
            for name, value in CONTENT.tokens(one).items():
                person.add_substitution(Substitution(name, value))
            person.add_custom_arg(CustomArg("nl_delivery", one.message_id))
            mail.add_personalization(person)
        assert api.send(mail).status_code == 202


def per_second(act: Callable[[], None], runs: int = 3) -> float:
    best = float("inf")
    for _ in range(runs):
        start = perf_counter()
        act()
        best = min(best, perf_counter() - start)
    return READERS / best


def test_plain_dicts_hand_over_far_more_readers_a_second_than_the_helper_objects(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    readers, plain = envelopes(replacements(VALUES)), envelopes(VALUES)
    escaping = replace(CONTENT, tokens=lambda one: replacements(one.slots))
    with FakeSendGrid(keys={KEY}, looks=False) as fake:
        ours = per_second(lambda: hand_over(fake.url, readers, REQUEST))
        small = per_second(lambda: hand_over(fake.url, readers, 250))
        whole = per_second(lambda: hand_over(fake.url, plain, REQUEST, escaping))
        helpers = per_second(lambda: hand_over_by_helpers(fake.url, readers))
    with capsys.disabled():
        print(
            f"\n  SendGrid, 40 KB of content, by {REQUEST:,}: {ours:,.0f} readers/s"
            f" (goal {GOAL_PER_S:,}); by 250: {small:,.0f};"
            f" with slots escaped on the way: {whole:,.0f}"
            f"\n  beside the library's helper objects, {helpers:,.0f}: ratio {ours / helpers:.1f}"
        )
    assert ours > helpers
