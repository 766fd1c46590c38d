"""One call of the SendGrid provider, with all it said on the way: to the log, to us, over the wire.

Whatever a test is about, `tell` also holds the call to the promises that stand in every case.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sendgrid_fake import FakeSendGrid

from newsletter.errors import TransientError
from newsletter.providers.base import Content, Envelope, Mailing, Outcome, Receipt
from newsletter.providers.sendgrid import SendGrid

KEY = "SG.secret-id.secret-key"
NOW_S = 1_800_000_000.0
CONTENT = Content(
    sender="Weekly Verdicts <verdicts@example.com>",
    reply_to="",
    subject="Ship or skip",
    html="<p>Hello zqHname7zq</p>",
    text="Hello zqTname7zq",
    headers={"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
    tokens=lambda one: {"zqHname7zq": one.slots["name"], "zqTname7zq": one.slots["name"]},
    own_headers=lambda one: {"List-Unsubscribe": f"<https://example.com/u/{one.key}>"},
)

Keys = tuple[int, ...]
# `on record` (by the log), `posted` (read by the fake), `told` (the receipts): request id and keys.
Step = tuple[str, str, Keys]


@dataclass
class Told:
    """What came of one call: receipts, then perhaps an error; and the pauses it made.

    steps: in the order they happened. full_from: the number of the first request the log refuses.
    """

    receipts: list[Receipt] = field(default_factory=list)
    error: TransientError | None = None
    pauses_s: list[float] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    full_from: int = 1_000_000

    def keys(self, outcome: Outcome) -> list[int]:
        return [one.key for one in self.receipts if one.outcome is outcome]

    @property
    def details(self) -> set[str]:
        return {one.detail for one in self.receipts}

    def of(self, kind: str) -> list[tuple[str, Keys]]:
        """The steps of one kind: request id and keys."""
        return [(request, keys) for said, request, keys in self.steps if said == kind]

    def attempting(self, keys: Sequence[int]) -> None:
        raise AssertionError("SendGrid takes messages together")

    def request(self, keys: Sequence[int]) -> str:
        number = len(self.of("on record")) + 1
        if number >= self.full_from:
            raise TransientError("the log is full", hint="free disk space")
        self.steps.append(("on record", f"q{number}", tuple(keys)))
        return f"q{number}"

    def saw(self, payload: Any) -> None:
        """What the fake was posted."""
        request = payload.get("custom_args", {}).get("nl_request", "")
        marks = [one["custom_args"]["nl_delivery"] for one in payload["personalizations"]]
        keys = tuple(int(mark.rpartition(".")[2]) for mark in marks)
        self.steps.append(("posted", request, keys))

    def heard(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)
        self.steps.append(("told", "", (receipt.key,)))

    def check(self) -> None:
        """Nothing leaves that is not on record; nobody is told twice, nothing said of a reader."""
        assert not any(secret in str(self.error) for secret in (KEY, "secret", "reader"))
        assert len({one.key for one in self.receipts}) == len(self.receipts)
        on_record: dict[str, Keys] = {}
        open_keys: set[int] = set()
        for kind, request, keys in self.steps:
            if kind == "on record":
                on_record[request] = keys
                open_keys.update(keys)
            elif kind == "posted":
                assert on_record[request] == keys
            else:
                open_keys.difference_update(keys)
            # A kill at this instant leaves at most one request of readers in doubt.
            assert len(open_keys) <= SendGrid.at_once


def mailing(content: Content = CONTENT, untracked: Content | None = None) -> Mailing:
    def never(_: Envelope) -> bytes:
        raise AssertionError("SendGrid joins mail and reader itself")

    return Mailing("2026-W48", never, content, untracked)


def envelopes(*keys: int) -> list[Envelope]:
    return [
        Envelope(n, address(n), f"Reader {n}", f"2026-w48.m{n}@example.com", {"name": f" {n}"})
        for n in keys
    ]


def address(key: int) -> str:
    return f"reader{key}@example.com"


def tell(
    to: FakeSendGrid | str,
    readers: Sequence[Envelope],
    *,
    content: Content = CONTENT,
    untracked: Content | None = None,
    key: str = KEY,
    timeout_s: float = 5,
    sandbox: bool = False,
    full_from: int = 1_000_000,
) -> Told:
    """One `submit` to its end. to: a fake, or an address."""
    told = Told(full_from=full_from)
    if isinstance(to, FakeSendGrid):
        to.witness = told.saw
    provider = SendGrid(
        key,
        base_url=to if isinstance(to, str) else to.url,
        timeout_s=timeout_s,
        sleep=told.pauses_s.append,
        now=lambda: NOW_S,
        sandbox=sandbox,
    )
    try:
        for receipt in provider.submit(mailing(content, untracked), readers, told):
            told.heard(receipt)
    except TransientError as error:
        told.error = error
    told.check()
    return told


def closed_url() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
