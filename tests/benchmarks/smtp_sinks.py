"""Where the SMTP benchmarks send to, and what they send: our sink, Postfix's, and our provider."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.cli import toolbox
from newsletter.providers.base import Content, Envelope, Mailing, Outcome, Unlogged
from newsletter.providers.smtp import Smtp

SINK = Path(__file__).with_name("smtp_sink.py")
SENDER = "news@example.com"
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
def sink(messages: int, delay_s: float = 0.0, *, chunking: bool = False) -> Iterator[int]:
    """Its port; it must have taken exactly that many messages in the end."""
    command = [sys.executable, str(SINK), str(delay_s), *(["chunking"] if chunking else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()
        assert int(process.stdout.readline()) == messages


@contextmanager
def postfix_sink() -> Iterator[int]:
    """The port of Postfix's own sink, which offers PIPELINING and no CHUNKING."""
    if not toolbox.postfix_programs_are_there():
        pytest.fail("not unpacked: tests/tools/postfix; `python3 -m newsletter test` gets it")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it will not run as root
    command = toolbox.postfix_command("smtp-sink", *user, f"127.0.0.1:{port}", "100")
    with subprocess.Popen(command, env=toolbox.postfix_environment()) as process:
        try:
            _await(port)
            yield port
        finally:
            process.terminate()


def postfix_source_s(port: int, count: int, *options: str) -> float:
    """Seconds for Postfix's own source, with 10 sessions and messages as large as ours."""
    size = str(len(splice(envelopes(1)[0])))
    command = toolbox.postfix_command("smtp-source", "-s", "10", "-l", size, "-m", str(count))
    started = time.perf_counter()
    subprocess.run(
        [*command, *options, f"127.0.0.1:{port}"], env=toolbox.postfix_environment(), check=True
    )
    return time.perf_counter() - started


def ours_s(port: int, given: Sequence[Envelope], connections: int) -> float:
    """Seconds to hand them over as the sender does, connecting included."""
    provider = Smtp.from_url(
        f"smtp://127.0.0.1:{port}?tls=none", sender=SENDER, connections=connections, helo="here"
    )
    mailing = Mailing("2026-W48", splice, CONTENT)
    started = time.perf_counter()
    taken = 0
    for start in range(0, len(given), provider.at_once):
        some = given[start : start + provider.at_once]
        for receipt in provider.submit(mailing, some, Unlogged()):
            taken += receipt.outcome is Outcome.SUBMITTED
    elapsed_s = time.perf_counter() - started
    provider.close()
    assert taken == len(given)
    return elapsed_s


def _await(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("smtp-sink did not start to listen")
