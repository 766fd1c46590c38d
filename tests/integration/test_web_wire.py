"""How answers leave: in one write each, whole, in order, and however large."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from newsletter.web.wire import MOST_KEPT_BYTES, JoiningTransport, OneWriteProtocol

pytestmark = pytest.mark.slow

LARGE = b"x" * 3_000_000


class Wire(asyncio.Transport):
    """What would leave, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


class Loop:
    """Remembers what is to be done in the next turn."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_soon(self, work: Callable[[], None]) -> None:
        self.later.append(work)

    def turn(self) -> None:
        now, self.later = self.later, []
        for work in now:
            work()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def transport(wire: Wire, loop: Loop) -> JoiningTransport:
    return JoiningTransport(wire, loop.call_soon)


def test_what_is_written_in_one_turn_leaves_in_one_write(
    transport: JoiningTransport, wire: Wire, loop: Loop
) -> None:
    transport.write(b"head ")
    transport.write(memoryview(b"body"))
    assert wire.writes == []
    loop.turn()
    transport.write(b"next")
    loop.turn()
    loop.turn()
    assert wire.writes == [b"head body", b"next"]


def test_much_is_not_kept(transport: JoiningTransport, wire: Wire, loop: Loop) -> None:
    half = b"x" * (MOST_KEPT_BYTES // 2 + 1)
    for _ in range(3):
        transport.write(half)
    assert wire.writes == [half * 2]
    loop.turn()
    assert wire.writes == [half * 2, half]


def test_closing_lets_everything_go_first(
    transport: JoiningTransport, wire: Wire, loop: Loop
) -> None:
    transport.write(b"the last words")
    transport.close()
    assert wire.writes == [b"the last words"]
    loop.turn()
    assert wire.is_closed


def test_a_connection_that_is_gone_is_written_to_no_more(
    transport: JoiningTransport, wire: Wire, loop: Loop
) -> None:
    transport.write(b"too late")
    wire.close()
    loop.turn()
    assert wire.writes == []


async def site(scope: Any, _receive: Any, send: Any) -> None:
    """`/large` in pieces, anything else its own path."""
    pieces = [LARGE[:1_000_000]] * 3 if scope["path"] == "/large" else [scope["path"].encode()]
    length = str(sum(map(len, pieces))).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture(scope="module", params=LOOPS)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            site, http=OneWriteProtocol, loop=request.param, lifespan="off", log_level="warning"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def asked(line: socket.socket, *paths: str) -> None:
    line.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths))


def test_head_and_body_arrive_together(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        for number in range(20):
            asked(line, f"/{number}")
            assert line.recv(65_536).endswith(f"\r\n\r\n/{number}".encode())


def test_answers_to_requests_sent_at_once_come_in_their_order(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        asked(line, "/one", "/two", "/three")
        heard = b""
        while not heard.endswith(b"/three"):
            heard += line.recv(65_536)
    assert heard.index(b"/one") < heard.index(b"/two") < heard.index(b"/three")


def test_a_large_answer_arrives_whole_at_a_slow_reader(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        asked(line, "/large")
        heard = line.recv(1_000)
        time.sleep(0.2)
        while not heard.endswith(b"\r\n\r\n" + LARGE):
            heard += line.recv(1_000_000)


def test_who_has_said_all_and_still_listens_is_answered(port: int) -> None:
    for number in range(50):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
            asked(line, f"/{number}")
            line.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: line.recv(65_536), b"")).endswith(f"/{number}".encode())
