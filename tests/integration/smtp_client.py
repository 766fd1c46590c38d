"""The client's side of the SMTP tests: a provider, messages to send, what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from postroom import CONTENT, FOLDER

from newsletter.errors import TransientError
from newsletter.providers.base import Envelope, Mailing, Outcome, Receipt
from newsletter.providers.smtp import Smtp

SENDER = "news@example.com"
PLAIN_TURNS = ("SIZE 10240000",)


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


def hand_over(provider: Smtp, given: Sequence[Envelope]) -> tuple[list[Receipt], str]:
    """The receipts, and the error that ended the call if one did."""
    receipts = []
    try:
        for receipt in provider.submit(mailing(), given):
            receipts.append(receipt)
    except TransientError as error:
        return receipts, str(error)
    return receipts, ""


def outcomes(receipts: Sequence[Receipt]) -> dict[int, Outcome]:
    assert len({receipt.key for receipt in receipts}) == len(receipts), "answered for twice"
    return {receipt.key: receipt.outcome for receipt in receipts}
