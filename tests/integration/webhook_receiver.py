"""A receiver of webhooks on loopback: it checks each signature, and misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Act:
    """How one call is answered. closes: the connection is reset instead; hangs: no answer at all.

    drips: the answer's head comes a letter at a time, for ever. raw: instead of an HTTP answer.
    """

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    closes: bool = False
    hangs: bool = False
    drips: bool = False
    raw: bytes = b""


@dataclass(frozen=True)
class Call:
    """What came, once it was found to be signed."""

    path: str
    id: str
    at: int
    body: Any = field(compare=False)


class Receiver:
    """Listens while it is entered. secret: of the endpoint it is; "" for one that looks at nothing.

    script: acts for the next calls, one each; then `usual` for all. witness: is told of each call
    before it is answered.
    """

    def __init__(self, *, usual: Act = Act()) -> None:
        self.secret = ""
        self.usual = usual
        self.script: deque[Act] = deque()
        self.calls: list[Call] = []
        self.unsigned: list[str] = []
        self.methods: list[str] = []
        self.cookies: list[str] = []
        self.connections = 0
        self._scheme = "http"
        self.witness: Callable[[], None] = lambda: None
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/hook?key=abc"

    @property
    def kinds(self) -> list[str]:
        return [one.body["type"] for one in self.calls]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def speak_tls(self, context: ssl.SSLContext) -> None:
        """From the next connection on."""
        self._scheme = "https"
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def is_signed(self, headers: Any, body: bytes) -> bool:
        """Written from the specification alone, for it judges what the program writes."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{mac}" in headers["webhook-signature"].split(" ")


def _handler(receiver: Receiver) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.methods.append("POST")
            receiver.cookies += self.headers.get_all("Cookie", [])
            body = self.rfile.read(int(self.headers["Content-Length"]))
            act = receiver.script.popleft() if receiver.script else receiver.usual
            if receiver.secret and not receiver.is_signed(self.headers, body):
                receiver.unsigned.append(self.path)
            receiver.calls.append(
                Call(
                    self.path,
                    self.headers["webhook-id"],
                    int(self.headers["webhook-timestamp"]),
                    json.loads(body),
                )
            )
            receiver.witness()
            if act.hangs:
                receiver.closing.wait(30)
            if act.drips:
                self._drip()
            if act.raw:
                self.wfile.write(act.raw)
                self.close_connection = True
                return
            if act.closes or act.hangs or act.drips:
                self._reset()
                return
            self.send_response(act.status)
            for name, value in act.headers:
                self.send_header(name, value)
            if act.status != 204:
                self.send_header("Content-Length", str(len(act.body)))
            self.end_headers()
            self.wfile.write(act.body)

        def do_GET(self) -> None:
            receiver.methods.append("GET")
            self.send_response(204)
            self.end_headers()

        def handle(self) -> None:
            receiver.connections += 1
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not receiver.closing.wait(0.02):
                self.wfile.write(b"a")

        def _reset(self) -> None:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True

    return Handler
