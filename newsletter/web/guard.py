"""What holds for every answer: security headers, a bound on what is sent, no traceback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_log = structlog.get_logger(__name__)


class Guard:
    """The outermost layer of ours; `broken` makes the page shown for a fault of our own.

    page_policy: what an answer's page may load and run, where the answer does not say itself.
    larger_bodies: bytes by path, for those that take more than a form.
    """

    def __init__(
        self,
        app: ASGIApp,
        broken: Callable[[Request], Response],
        page_policy: str = PAGE_POLICY,
        larger_bodies: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._app = app
        self._broken = broken
        self._headers = {**HEADERS, "Content-Security-Policy": page_policy}
        self._larger_bodies = larger_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, self._headers, is_head=scope["method"] == "HEAD")
        try:
            most = self._larger_bodies.get(scope["path"], MAX_BODY_BYTES)
            await self._app(scope, _bounded(receive, Headers(scope=scope), most), answer.send)
        except Exception as error:
            _log_fault(scope, error)
            if answer.started:
                raise
            await self._broken(Request(scope))(scope, receive, answer.send)


class _Answer:
    """Adds the headers an answer lacks, and leaves out the body of an answer to HEAD."""

    def __init__(self, send: Send, headers: Mapping[str, str], *, is_head: bool) -> None:
        self._send = send
        self._headers = headers
        self._is_head = is_head
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)


def _bounded(receive: Receive, headers: Headers, most: int) -> Receive:
    """Stops reading a body past `most` bytes, whether its length was stated or not."""
    stated = headers.get("content-length", "0")
    is_too_long = stated.isascii() and stated.isdigit() and int(stated[:12]) > most
    received = 0

    async def bounded() -> Message:
        nonlocal received
        if is_too_long:
            raise HTTPException(413)
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413)
        return message

    return bounded


def _log_fault(scope: Scope, error: Exception) -> None:
    # Neither the path (it may hold a token) nor the message (it may hold an address) is logged.
    route: Any = scope.get("route")
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    _log.error(
        "page_failed",
        route=getattr(route, "path", None),
        error=type(error).__name__,
        place=f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else None,
    )
