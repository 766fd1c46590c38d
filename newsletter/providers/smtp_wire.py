"""Sockets and TLS under an SMTP session: dialling, moving bytes, keeping an idle connection.

Dialling and the TLS handshake block, up to a time-out; everything after does not.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

from newsletter.providers.smtp_core import Session
from newsletter.providers.smtp_opening import Phase
from newsletter.providers.smtp_replies import Step
from newsletter.providers.smtp_url import Target, Tls

MAX_DIAL_S: Final = 10.0
MESSAGE_PATIENCE: Final = (
    2  # times the time-out: a server scans the whole message before it answers
)
MAX_IDLE_S: Final = 20.0  # unused between two calls; many servers hang up after 30 to 300
_AFTER_A_MESSAGE = (Step.DOT, Step.BDAT)
_READ_BYTES = 16_384
_TLS_RECORD_BYTES = 16_384  # the most one record holds: what left us of it is all or nothing


class Wire:
    """A connection and its session; `on_change` is called when it wants to write, or no longer."""

    def __init__(
        self, connection: socket.socket, session: Session, target: Target, tls: ssl.SSLContext
    ) -> None:
        self.session = session
        self.fd = connection.fileno()
        self.wants_write = False
        self.idle_since = 0.0
        self._socket = connection
        self._host = target.host
        self._tls = tls
        self._replies_seen = 0
        self.alive_at = time.monotonic()  # the last whole reply, or the last bytes written

    def read(self, timeout_s: float) -> None:
        """Takes what has come. The session knows afterwards, whatever it was."""
        try:
            self._read()
            if self.session.phase is Phase.HANDSHAKE:
                self._shake_hands(timeout_s)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError as error:
            self.session.closed(f"the connection broke: {reason(error)}")
        if self.session.replies != self._replies_seen:
            self._replies_seen = self.session.replies
            self.alive_at = time.monotonic()

    def flush(self, say: Callable[[Sequence[int]], None]) -> None:
        """Writes what can be written without waiting.

        `say` hears beforehand of the letters that a write may complete; what it raises is raised
        here, and nothing of that write has left then.
        """
        session = self.session
        self.wants_write = False
        try:
            while session.phase is not Phase.OVER and (view := session.outgoing()):
                if isinstance(self._socket, ssl.SSLSocket):
                    view = view[:_TLS_RECORD_BYTES]
                if keys := session.completed_by(len(view)):
                    say(keys)
                session.wrote(self._send(view))
                self.alive_at = time.monotonic()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            self.wants_write = True
        except OSError as error:
            # What the server said before it hung up may still be there, and counts.
            self.read(0.0)
            session.closed(f"the connection broke: {reason(error)}")

    def deadline(self, timeout_s: float) -> float | None:
        """When the server has been silent for too long; None while nothing is expected of it."""
        awaited = self.session.awaits
        if awaited is None and not self.wants_write:
            return None
        return self.alive_at + timeout_s * (MESSAGE_PATIENCE if awaited in _AFTER_A_MESSAGE else 1)

    def is_stale(self) -> bool:
        """Whether an idle connection was closed, or spoken on, or is too old to trust."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0)) or time.monotonic() - self.idle_since > MAX_IDLE_S

    def quit(self) -> None:
        """Takes leave, as far as that can be done without waiting, and closes."""
        try:
            if self.session.is_idle:
                self.session.quit()
                self._send(self.session.outgoing())
        except OSError:  # it was going anyway
            pass
        finally:
            self.close()

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        while True:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                self.session.closed("the server hung up")
                return
            self.session.receive(data)
            if self.session.phase in (Phase.HANDSHAKE, Phase.OVER):
                return
            if not isinstance(self._socket, ssl.SSLSocket):
                return  # the selector says when there is more; TLS keeps some to itself

    def _send(self, view: memoryview) -> int:
        if isinstance(self._socket, ssl.SSLSocket):
            # OpenSSL may have sent a part, or all, of a record that it asks us to offer again.
            self.session.exposing(len(view))
        return self._socket.send(view)

    def _shake_hands(self, timeout_s: float) -> None:
        self._socket = secured(self._socket, self._tls, self._host, timeout_s)
        self.session.tls_started()


class Rack:
    """Connections between two calls of one provider; another process never uses them."""

    def __init__(self) -> None:
        self._wires: list[Wire] = []
        self._pid = os.getpid()

    def take(self) -> Wire | None:
        """A connection that is still good, if there is one."""
        self._leave_to_the_parent()
        while self._wires:
            wire = self._wires.pop()
            if not wire.is_stale():
                wire.alive_at = time.monotonic()
                return wire
            wire.quit()
        return None

    def put(self, wire: Wire) -> None:
        self._leave_to_the_parent()
        wire.idle_since = time.monotonic()
        self._wires.append(wire)

    def close(self) -> None:
        """Takes leave of every server."""
        self._leave_to_the_parent()
        while self._wires:
            self._wires.pop().quit()

    def _leave_to_the_parent(self) -> None:
        """After a fork, connections belong to the other process: closed here without a word."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            while self._wires:
                self._wires.pop().close()


def dial(
    target: Target, new_session: Callable[[], Session], tls: ssl.SSLContext, timeout_s: float
) -> Wire:
    """A connection, in TLS from the start where the target says so. Raises OSError."""
    connection = socket.create_connection(
        (target.host, target.port), timeout=min(timeout_s, MAX_DIAL_S)
    )
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.tls is Tls.IMPLICIT:
            connection = secured(connection, tls, target.host, timeout_s)
        connection.setblocking(False)
        return Wire(connection, new_session(), target, tls)
    except BaseException:
        connection.close()
        raise


def secured(
    connection: socket.socket, tls: ssl.SSLContext, host: str, timeout_s: float
) -> ssl.SSLSocket:
    """The connection in TLS, its certificate checked. Raises OSError; it is closed then."""
    connection.settimeout(min(timeout_s, MAX_DIAL_S))
    wrapped = tls.wrap_socket(connection, server_hostname=host)
    wrapped.setblocking(False)
    return wrapped


def reason(error: OSError) -> str:
    """What happened, for a log: no address of a reader ever enters a connection's error."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'no reason given'}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or type(error).__name__
