"""How fast the SMTP provider hands over 40 KB messages, beside smtplib, in one run.

The sink is a process of its own on the other core. Absolute figures drift with the machine and are
printed for orientation; the ratio is what to watch.
"""

from __future__ import annotations

import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from newsletter.providers.base import Content, Envelope, Mailing, Outcome
from newsletter.providers.smtp import Smtp

SINK = Path(__file__).with_name("smtp_sink.py")
SENDER = "news@example.com"
WIRE_SIZE = 250  # messages a call, as the sender makes them
CONNECTIONS = 10
# Far away a message costs one round trip pipelined and four in turns, so 4 is the most to be had.
GOAL, MOST_FAR_AWAY = 3.0, 4.0
ROUNDS = 5
BODY = b"".join(b'<td style=3D"padding:0 8px">%d%%</td> four of four\r\n' % n for n in range(770))
CONTENT = Content(
    sender=SENDER,
    reply_to="",
    subject="",
    html="",
    text="",
    headers={},
    tokens=lambda envelope: {},
    own_headers=lambda envelope: {},
)


def envelopes(count: int) -> list[Envelope]:
    return [
        Envelope(n, f"reader{n}@example.com", "", f"w48.{n}@example.com", {}) for n in range(count)
    ]


def splice(envelope: Envelope) -> bytes:
    own = f"Message-ID: <{envelope.message_id}>\r\nTo: {envelope.address}\r\n\r\n"
    return own.encode() + BODY


@contextmanager
def sink(messages: int, delay_s: float = 0.0) -> Iterator[int]:
    """Its port; it must have taken exactly that many messages in the end."""
    command = [sys.executable, str(SINK), str(delay_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        assert int(process.stdout.readline()) == messages


def ours_s(port: int, given: Sequence[Envelope], connections: int) -> float:
    """Seconds to hand them over as the sender does, connecting included."""
    provider = Smtp.from_url(
        f"smtp://127.0.0.1:{port}?tls=none", sender=SENDER, connections=connections, helo="here"
    )
    mailing = Mailing("2026-W48", splice, CONTENT)
    started = time.perf_counter()
    taken = 0
    for start in range(0, len(given), WIRE_SIZE):
        for receipt in provider.submit(mailing, given[start : start + WIRE_SIZE]):
            taken += receipt.outcome is Outcome.SUBMITTED
    elapsed_s = time.perf_counter() - started
    provider.close()
    assert taken == len(given)
    return elapsed_s


def smtplib_s(port: int, given: Sequence[Envelope], connections: int = 1) -> float:
    """The same with the standard library, each connection kept open in a thread of its own."""

    def send(some: Sequence[Envelope]) -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="here") as client:
            for envelope in some:
                client.sendmail(SENDER, [envelope.address], splice(envelope))

    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(send, [given[n::connections] for n in range(connections)]))
    return time.perf_counter() - started


def test_handing_over_beside_the_standard_library(capsys: pytest.CaptureFixture[str]) -> None:
    many, few = envelopes(3_000), envelopes(600)
    with sink(ROUNDS * (len(many) + len(few))) as port:
        ours, theirs = [], []
        for _ in range(ROUNDS):  # in turns, so that whatever drifts does so for both
            ours.append(ours_s(port, many, 4) / len(many))
            theirs.append(smtplib_s(port, few) / len(few))
    ratio = median(slow / fast for slow, fast in zip(theirs, ours, strict=True))
    with capsys.disabled():
        print(
            f"\n  {len(splice(many[0])) / 1000:.0f} KB messages by SMTP, 4 connections:"
            f" {1 / median(ours):,.0f} a second; smtplib kept open: {1 / median(theirs):,.0f};"
            f" ratio {ratio:.1f} (goal {GOAL:.0f})"
        )


def test_handing_over_far_away_beside_as_many_connections_in_turns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = envelopes(500)
    with sink(2 * len(given), delay_s=0.010) as port:
        ours = ours_s(port, given, CONNECTIONS) / len(given)
        theirs = smtplib_s(port, given, CONNECTIONS) / len(given)
    with capsys.disabled():
        print(
            f"\n  at 10 ms a round trip, {CONNECTIONS} connections: {1 / ours:,.0f} a second;"
            f" smtplib in as many threads: {1 / theirs:,.0f};"
            f" ratio {theirs / ours:.1f} (at most {MOST_FAR_AWAY:.0f} with DATA)"
        )
