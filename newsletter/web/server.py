"""Serves the site with uvicorn until a signal asks it to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from newsletter.app import App
from newsletter.errors import SettingsError
from newsletter.web.app import Scheduler, create_app
from newsletter.web.wire import OneWriteProtocol

GRACE_S = 3  # for answers under way once a signal came
BACKLOG = 512
MAX_PORT = 65_535


def serve(
    app: App,
    *,
    host: str,
    port: int,
    scheduler: Scheduler | None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM, then finishes what is under way and returns.

    port 0 takes any free one; `on_ready` is told the address. Raises SettingsError where the port
    is taken or may not be used: before the scheduler starts.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            create_app(app, lifespan_scheduler=scheduler),
            http=OneWriteProtocol,
            lifespan="on",
            log_level="warning",
            access_log=False,  # its lines would hold readers' tokens and addresses
            proxy_headers=False,  # a forwarding header must not change who connected
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        with _signals_end_here():
            _Server(config, on_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_ready and sockets:
            self._on_ready(_address(sockets[0]))


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    if not 0 <= port <= MAX_PORT:
        raise SettingsError(
            f"cannot serve on {host} port {port}: there is no such port",
            hint=f"choose one from 1 to {MAX_PORT} with --port, or 0 for any free one",
        )
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot serve on {host} port {port}: {error.strerror}",
            hint="stop the program that has the port, or choose another with --port",
        ) from None
    with listener:
        # Accepted sockets inherit it. asyncio sets it itself only where the protocol number is
        # known, which `create_server` leaves at 0: an answer's body would then wait 40 ms for the
        # acknowledgement of its head (Nagle's algorithm and delayed ACK).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


@contextmanager
def _signals_end_here() -> Iterator[None]:
    """uvicorn raises a caught signal again once it has stopped: here it has done its work."""
    before = {
        caught: signal.signal(caught, lambda _number, _frame: None)
        for caught in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
