"""Readers' mail programs at work: many kept-alive connections, each asking one thing at a time.

Plain sockets, so that what asks is fast beside what answers.
"""

from __future__ import annotations

import re
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

LONGEST_WAIT_S = 10.0

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def request(path: str, agent: str, *, method: str = "GET") -> bytes:
    """As an image proxy asks."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"User-Agent: {agent}",
        "Accept: image/webp,image/*,*/*;q=0.8",
        "Accept-Encoding: gzip, deflate",
    )
    return "\r\n".join((*lines, "", "")).encode()


@dataclass
class Told:
    """What became of the requests, by number: how they were answered, and in how many seconds."""

    asked: int = 0
    answers: dict[int, int] = field(default_factory=dict)  # HTTP status
    took_s: list[float] = field(default_factory=list)
    whole_s: float = 0.0

    def percentile(self, share: float) -> float:
        """In seconds."""
        return sorted(self.took_s)[int(len(self.took_s) * share)]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.took_s) / self.whole_s


@dataclass
class _Line:
    """One connection, and what it waits for."""

    socket: socket.socket
    number: int = 0
    asked_at: float = 0.0
    heard: bytes = b""

    def ask(self, number: int, whole: bytes) -> None:
        self.number, self.heard = number, b""
        self.asked_at = perf_counter()
        self.socket.sendall(whole)

    def is_answered(self) -> bool:
        """Hears what has come. Raises ConnectionError where the other end is no more."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionResetError
        self.heard += data
        head = self.heard.find(b"\r\n\r\n") + 2
        length = _LENGTH.search(self.heard, 0, head) if head > 1 else None
        return length is not None and len(self.heard) >= head + 2 + int(length[1])


def load(
    port: int,
    request_of: Callable[[int], bytes],
    *,
    seconds: float,
    connections: int = 32,
    after: Callable[[], None] | None = None,
) -> Told:
    """Asks `request_of(0)`, `request_of(1)`, ... for some seconds.

    after: called when they are over, while answers are under way; without it, those are waited for.
    """
    told = Told()
    with selectors.DefaultSelector() as selector:
        lines = [
            _Line(socket.create_connection(("127.0.0.1", port), timeout=LONGEST_WAIT_S))
            for _ in range(connections)
        ]
        for line in lines:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(line.socket, selectors.EVENT_READ, line)
        start = perf_counter()
        try:
            for line in lines:
                _next(told, line, request_of)
            while perf_counter() < start + seconds:
                _hear(told, selector, request_of)
            told.whole_s = perf_counter() - start
            if after is not None:
                after()
            while selector.get_map():
                _hear(told, selector, None)
        finally:
            for line in lines:
                line.socket.close()
    return told


def _next(told: Told, line: _Line, request_of: Callable[[int], bytes]) -> None:
    number = told.asked
    told.asked += 1
    line.ask(number, request_of(number))


def _hear(
    told: Told, selector: selectors.BaseSelector, request_of: Callable[[int], bytes] | None
) -> None:
    """What has come by now; `request_of` None: nothing more is asked."""
    ready = selector.select(LONGEST_WAIT_S)
    assert ready, "no answer came"
    for key, _ in ready:
        line: _Line = key.data
        try:
            if not line.is_answered():
                continue
            told.took_s.append(perf_counter() - line.asked_at)
            told.answers[line.number] = int(line.heard[9:12])
            if request_of is not None:
                _next(told, line, request_of)
                continue
        except ConnectionError:
            pass
        selector.unregister(line.socket)
