"""Readers a second handed to SendGrid, beside the library's own helper objects, in one run.

Against a fake on loopback in this very process, so both sides share one core; what it spent is
counted, so that neighbours on the machine and a slow disk do not decide. Figures drift even so:
they are printed, and only the ratio is asserted. Once with slots made beforehand, and once with all
a real issue needs: its own bytes and tokens, each reader's slots escaped, their headers checked,
and every request put on record in a store on the disk.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # the fake lives there

import publication
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import (
    Content as MailContent,
)
from sendgrid.helpers.mail import CustomArg, From, Header, Mail, Personalization, Substitution, To
from sendgrid_fake import FakeSendGrid
from sqlalchemy import text

from newsletter import mailings, pipeline
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.providers.base import AttemptLog, Content, Envelope, Mailing, Outcome, Unlogged
from newsletter.providers.sendgrid import SendGrid
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot, replacements
from subscribers.audience import Reader

pytestmark = pytest.mark.slow

KEY = "SG.benchmark"
READERS, REQUEST, GOAL_PER_S = 10_000, SendGrid.at_once, 50_000
ON_RECORD = text(
    "INSERT INTO request (id, issue_id, batch_id, made_at, subscriber_ids)"
    " SELECT :id, issue_id, id, :now, :keys FROM batch"
)
TOKEN = "AQcAAAAHAAAAAAAAAAGk9f3k2l1m0n9o8p7q6r5s4t"
SLOTS = (Slot.DELIVERY, Slot.UNSUBSCRIBE, Slot.PREFERENCES, Slot.VOTE, Slot.NAME)
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
    url: str,
    readers: Sequence[Envelope],
    at_once: int,
    mailing: Mailing,
    log: AttemptLog,
) -> None:
    provider = SendGrid(KEY, base_url=url)
    for start in range(0, len(readers), at_once):
        receipts = list(provider.submit(mailing, readers[start : start + at_once], log))
        assert all(one.outcome is Outcome.SUBMITTED for one in receipts)


class StoreLog(Unlogged):
    """Puts each request on record as the ledger does: a row, and a commit that reaches the disk."""

    def __init__(self, app: App) -> None:
        self._app = app

    def request(self, keys: Sequence[int]) -> str:
        made = f"1.1.1.{secrets.token_hex(8)}"
        with self._app.session() as session:
            row = {"id": made, "keys": json.dumps(list(keys)), "now": str(self._app.clock())}
            session.connection().execute(ON_RECORD, row)
        return made


def real_issue(home: Path) -> tuple[App, Mailing, list[Envelope]]:
    """An issue of today's templates, and its envelopes."""
    app = publication.open_home(home)
    pipeline.import_content(app, samples=True)
    publication.readers(app, 1)  # for a batch that requests may belong to
    pipeline.plan(app, samples=True)
    pipeline.freeze(app, pipeline.approve(app, "latest", by="the editor"))
    with app.session(readonly=True) as session:
        issue = issues.find(session, "latest")
        mailing = mailings.issue_mailing(app, issue, issues.rendered(session, issue.id))
    make = mailings.envelope_maker(app, issue)
    readers = (Reader(n, f"reader{n}@example.com", "Priya") for n in range(1, READERS + 1))
    return app, mailing, [make(reader) for reader in readers]


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


@dataclass(frozen=True)
class Rate:
    """Readers in a second of one core, both sides together; and by the clock on the wall."""

    a_core: float
    by_the_clock: float

    def __str__(self) -> str:
        return f"{self.a_core:,.0f} ({self.by_the_clock:,.0f} by the clock)"


def rate(act: Callable[[], None], runs: int = 4) -> Rate:
    """The best of several runs."""
    spent = []
    for _ in range(runs):
        cpu, clock = process_time(), perf_counter()
        act()
        spent.append((process_time() - cpu, perf_counter() - clock))
    best_cpu, best_clock = (min(times) for times in zip(*spent, strict=True))
    return Rate(READERS / best_cpu, READERS / best_clock)


def test_json_written_at_once_hands_over_far_more_readers_a_second_than_the_helper_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    readers = envelopes(replacements(VALUES))
    app, issue, real = real_issue(tmp_path / "home")
    bare, unlogged = Mailing("2026-W48", lambda _: b"", CONTENT), Unlogged()
    with FakeSendGrid(keys={KEY}, looks=False) as fake:
        ours = rate(lambda: hand_over(fake.url, readers, REQUEST, bare, unlogged))
        small = rate(lambda: hand_over(fake.url, readers, 250, bare, unlogged))
        whole = rate(lambda: hand_over(fake.url, real, REQUEST, issue, StoreLog(app)))
        helpers = rate(lambda: hand_over_by_helpers(fake.url, readers))
    size_bytes = len(issue.content.html.encode()) + len(issue.content.text.encode())
    with capsys.disabled():
        print(
            f"\n  SendGrid, readers a second of one core (goal {GOAL_PER_S:,}):"
            f"\n  40 KB of content, slots made beforehand, by {REQUEST:,}: {ours}; by 250: {small}"
            f"\n  a real issue of {size_bytes / 1e3:,.0f} KB, with all that belongs to it: {whole}"
            f"\n  the library's helper objects: {helpers}; beside them"
            f" {ours.a_core / helpers.a_core:.1f} and {whole.a_core / helpers.a_core:.1f}"
        )
    assert ours.a_core > helpers.a_core
    assert whole.a_core > helpers.a_core
