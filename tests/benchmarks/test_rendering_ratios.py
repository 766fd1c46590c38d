"""Rendering once and splicing per reader, beside the naive way, in one run.

Absolute figures drift fourfold on a shared machine: they are printed, and only ratios asserted.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from timing import best_seconds

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the views by hand live there

import issue_views as views

from newsletter.rendering.message import compile_message
from newsletter.rendering.render import Renderer
from newsletter.rendering.slots import neutral, neutral_text

pytestmark = pytest.mark.slow

DATE = datetime(2026, 11, 24, 9, tzinfo=UTC)
TOKEN = "AQcAAAAHAAAAAAAAAAGk9f3k2l1m0n9o8p7q6r5s4t"
SLOTS = {"delivery": TOKEN, "unsubscribe": TOKEN, "preferences": TOKEN, "vote": TOKEN}
SLOTS["name"] = " Priya"
WAY_OUT = f"{views.PUBLICATION.url}/unsubscribe/{TOKEN}"


def test_a_splice_costs_far_less_than_a_message_by_the_standard_library(
    capsys: pytest.CaptureFixture[str],
) -> None:
    renderer = Renderer()
    view = views.issue_view()
    rendered = renderer.issue(view)
    compiled = compile_message(
        rendered, views.PUBLICATION, date=DATE, kind="weekly", week="2026-W48", issue_id=7
    )

    def spliced() -> bytes:
        return compiled.splice(
            address="priya@example.com",
            name="Priya",
            message_id="7.0a1b2c3d4e5f@verdicts.example.com",
            slots=SLOTS,
            unsubscribe_url=WAY_OUT,
        )

    def naive() -> bytes:
        message = EmailMessage(policy=policy.SMTP)
        message["To"] = "Priya <priya@example.com>"
        message["From"] = views.PUBLICATION.sender
        message["Subject"] = rendered.subject
        message.set_content(neutral_text(rendered.text, SLOTS), cte="quoted-printable")
        html = neutral(rendered.html, SLOTS)
        message.add_alternative(html, subtype="html", cte="quoted-printable")
        return message.as_bytes()

    once = best_seconds(lambda: renderer.issue(view, checked=False), 10)
    with_gate = best_seconds(lambda: renderer.issue(view), 10)
    splice = best_seconds(spliced, 2_000)
    standard = best_seconds(naive, 10)
    with capsys.disabled():
        print(
            f"\n  render once: {once * 1e3:.1f} ms (goal 60), {with_gate * 1e3:.1f} with the gate"
            f"\n  splice: {splice * 1e6:.1f} us a reader (goal 30)"
            f"\n  naive ways a reader: EmailMessage {standard * 1e6:,.0f} us,"
            f" ratio {standard / splice:,.0f}; a render each, ratio {once / splice:,.0f}"
        )
    assert standard / splice > 20
    assert once / splice > 200
