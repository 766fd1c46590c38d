"""A SendGrid of our own, on loopback: it checks what it gets, and fails in every way on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MOST = 1_000
REFUSED_ADDRESS = "Does not contain a valid address."


@dataclass(frozen=True)
class Act:
    """What to do with one request instead of answering it as SendGrid would.

    accepts: whether its messages are on their way all the same.
    """

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    accepts: bool = False
    hangs: bool = False  # no answer until the fake closes
    drops: str = ""  # the connection: "before" the body was read, or "after"


def error(message: str, field: str | None = None) -> bytes:
    return json.dumps({"errors": [{"message": message, "field": field, "help": None}]}).encode()


class FakeSendGrid:
    """Takes `POST /v3/mail/send`; `script` holds acts for the next requests, one each.

    bad: addresses it refuses and names. unnamed_bad: refuses without saying which. keys: those
    it knows. accepted: the addresses it took, in order; arguments: what the events about each
    would carry. looks: whether it reads what it gets, or only takes it. witness: is told of each
    request once it is read, before it is answered.
    """

    witness: Callable[[Any], None] = staticmethod(lambda _payload: None)

    def __init__(self, *, keys: set[str], looks: bool = True, max_bytes: int = 30_000_000) -> None:
        self.keys = keys
        self.looks = looks
        self.max_bytes = max_bytes
        self.script: deque[Act] = deque()
        self.bad: set[str] = set()
        self.unnamed_bad: set[str] = set()
        self.accepted: list[str] = []
        self.arguments: list[dict[str, str]] = []
        self.payloads: list[Any] = []
        self.connections = 0
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def marks(self) -> list[str]:
        """The nl_delivery of each message it took."""
        return [one["nl_delivery"] for one in self.arguments]

    def take(self, payload: Any) -> None:
        """A personalization's arguments are joined with the request's, and win."""
        shared = payload.get("custom_args", {})
        for one in payload["personalizations"]:
            self.accepted += [to["email"] for to in one["to"]]
            self.arguments.append(shared | one["custom_args"])

    def judge(self, payload: Any) -> Act:
        """As SendGrid would: all of a request, or none of it."""
        people = [to["email"] for one in payload["personalizations"] for to in one["to"]]
        if not 1 <= len(people) <= MOST:
            return Act(400, body=error(f"There is a limit of {MOST} total recipients."))
        if len({one.lower() for one in people}) < len(people):
            return Act(400, body=error("Each unique email address should only be included once."))
        for index, address in enumerate(people):
            if address in self.bad:
                field = f"personalizations.{index}.to.0.email"
                return Act(400, body=error(f"{REFUSED_ADDRESS} {address}", field))
        if self.unnamed_bad & set(people):
            return Act(400, body=error("Bad Request"))
        if payload.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Act(200)
        return Act(202, (("X-Message-Id", f"fake-{len(self.payloads)}"),), accepts=True)


def _handler(fake: FakeSendGrid) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            act = fake.script.popleft() if fake.script else None
            if act is not None and act.drops == "before":
                return self._drop()
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            payload = json.loads(raw) if fake.looks else None
            fake.payloads.append(payload)
            fake.witness(payload)
            act = act or self._usual(raw, payload)
            if act.accepts and payload is not None:
                fake.take(payload)
            if act.hangs:
                fake.closing.wait(30)
            if act.drops == "after" or act.hangs:
                return self._drop()
            return self._answer(act)

        def do_GET(self) -> None:
            """A redirect that is followed comes as a GET."""
            self._answer(Act(202))

        def handle(self) -> None:
            fake.connections += 1
            super().handle()

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _usual(self, raw: bytes, payload: Any) -> Act:
            if self.headers["Authorization"] not in {f"Bearer {key}" for key in fake.keys}:
                return Act(401, body=error("The provided authorization grant is invalid"))
            if self.path != "/v3/mail/send":
                return Act(404, body=error("not found"))
            if self.headers.get_content_type() != "application/json":
                return Act(415, body=error("Content-Type must be application/json"))
            if len(raw) > fake.max_bytes:
                return Act(413, body=error("Payload too large"))
            return fake.judge(payload) if fake.looks else Act(202, (("X-Message-Id", "x"),))

        def _answer(self, act: Act) -> None:
            self.send_response(act.status)
            for name, value in act.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(act.body)))
            self.end_headers()
            self.wfile.write(act.body)

        def _drop(self) -> None:
            """A reset, not a polite end."""
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True

    return Handler
