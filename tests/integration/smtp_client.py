"""The client's side of the SMTP tests: a provider, messages to send, what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from smtp_server import CHUNKED, EXTENSIONS, Answer, Script, SmtpServer, Talk

from newsletter.errors import TransientError
from newsletter.providers.base import AttemptLog, Content, Envelope, Mailing, Outcome, Receipt
from newsletter.providers.smtp import Smtp

SENDER = "news@example.com"
PLAIN_TURNS = ("SIZE 10240000",)
FOLDER = "2026-W48"
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

WAYS = pytest.mark.parametrize(
    "extensions", [EXTENSIONS, PLAIN_TURNS, CHUNKED], ids=["pipelined", "in turns", "chunked"]
)


def for_reader(number: int, verb: str, answer: Answer) -> Script:
    """Answers so to that verb in reader `number`'s transaction."""

    def script(talk: Talk, said: str, line: str) -> Answer:
        address = f"reader{number}@example.com"
        if said == verb == "RCPT":
            return answer if f"<{address}>" in line else None
        return answer if said == verb and address in talk.recipients else None

    return script


def splice(envelope: Envelope) -> bytes:
    return (
        f"Message-ID: <{envelope.message_id}>\r\n\r\n.a line with a dot\r\n..\r\nend\r\n"
    ).encode()


def mailing() -> Mailing:
    return Mailing(FOLDER, splice, CONTENT)


def envelopes(count: int, first: int = 1) -> list[Envelope]:
    return [
        Envelope(n, f"reader{n}@example.com", "", f"w48.{n}@example.com", {})
        for n in range(first, first + count)
    ]


@contextmanager
def smtp(url: str, *, connections: int = 1, timeout_s: float = 10.0) -> Iterator[Smtp]:
    provider = Smtp.from_url(
        url, sender=SENDER, connections=connections, helo="here.example.com", timeout_s=timeout_s
    )
    try:
        yield provider
    finally:
        provider.close()


class Recorder:
    """A log of attempts that holds on to each call, and fails from call `fails_at` on (from 1)."""

    def __init__(self, fails_at: int = 0) -> None:
        self.calls: list[list[int]] = []
        self.failures = 0
        self._fails_at = fails_at

    def attempting(self, keys: Sequence[int]) -> None:
        if self._fails_at and len(self.calls) + 1 >= self._fails_at:
            self.failures += 1
            raise TransientError("the journal's disk is full", hint="make room")
        assert keys, "a call about nothing"
        self.calls.append(list(keys))

    def request(self, keys: Sequence[int]) -> str:
        raise AssertionError("SMTP has no requests")

    @property
    def attempted(self) -> list[int]:
        return [key for call in self.calls for key in call]


def hand_over(
    provider: Smtp, given: Sequence[Envelope], log: AttemptLog | None = None
) -> tuple[list[Receipt], str]:
    """The receipts, and the error that ended the call if one did.

    Without a log of the caller's, ours is held to the contract: each key said at most once, and
    nothing that needed an attempt answered without one.
    """
    ours = Recorder()
    receipts = []
    try:
        for receipt in provider.submit(mailing(), given, log or ours):
            receipts.append(receipt)
            if log is None and receipt.outcome in (Outcome.SUBMITTED, Outcome.UNCERTAIN):
                assert receipt.key in ours.attempted
            assert len(ours.attempted) == len(set(ours.attempted))
    except TransientError as error:
        return receipts, str(error)
    return receipts, ""


def outcomes(receipts: Sequence[Receipt]) -> dict[int, Outcome]:
    assert len({receipt.key for receipt in receipts}) == len(receipts), "answered for twice"
    return {receipt.key: receipt.outcome for receipt in receipts}


def check_account(
    server: SmtpServer,
    given: Sequence[Envelope],
    receipts: Sequence[Receipt],
    error: str,
    again: Sequence[Receipt],
) -> None:
    """The client's account against the server's own log."""
    taken = Counter(server.readers)
    found = outcomes(receipts)
    found.update(outcomes(again))
    assert not taken or max(taken.values()) == 1
    assert error or len(receipts) == len(given)
    for envelope in given:
        outcome = found.get(envelope.key, Outcome.DEFERRED)
        if outcome is not Outcome.UNCERTAIN:
            assert (outcome is Outcome.SUBMITTED) == (envelope.address in taken)
