"""A provider that speaks SMTP: several pipelined connections, served by the calling thread.

What the wire cannot tell is uncertain, one message at a time: a connection that is lost leaves at
most WINDOW messages without an answer (one, where the server has no CHUNKING), and never touches
what other connections carry. Whatever was not handed over for certain is tried again on another
connection, then left for a later call.
"""

from __future__ import annotations

import re
import ssl
import weakref
from collections.abc import Iterator, Sequence
from typing import Final, Self

from newsletter.errors import SettingsError
from newsletter.providers.base import AttemptLog, Envelope, Evidence, Mailing, Receipt
from newsletter.providers.smtp_core import MAX_LETTERS, Session
from newsletter.providers.smtp_handover import HandOver
from newsletter.providers.smtp_letters import is_address
from newsletter.providers.smtp_opening import Identity
from newsletter.providers.smtp_url import Target, Tls, parse_url
from newsletter.providers.smtp_wire import Rack, Wire, dial

MAX_CONNECTIONS: Final = 100
AT_ONCE: Final = 250  # some seconds of a slow server's time, so a call ends well within a lease
_HELO = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[A-Za-z0-9.:]{2,64}\]")


class Smtp:
    """Sends through one server. It keeps connections between calls; forked, it makes its own."""

    name = "smtp"
    at_once = AT_ONCE

    def __init__(
        self,
        target: Target,
        identity: Identity,
        *,
        connections: int,
        timeout_s: float,
        max_letters: int = MAX_LETTERS,
    ) -> None:
        self.target = target
        self.connections = connections
        self.timeout_s = timeout_s
        self._identity = identity
        self._max_letters = max_letters
        self._tls = _trust(target.tls)
        self._rack = Rack()
        # Sockets that only the garbage collector closes make it complain.
        weakref.finalize(self, self._rack.close)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        sender: str,
        connections: int = 4,
        helo: str,
        timeout_s: float = 30.0,
    ) -> Self:
        """A provider for `smtp://user:password@host:587?tls=starttls` and its other forms.

        sender: the bare address of MAIL FROM. helo: our host's name, or [an address].
        timeout_s: how long a server may be silent; twice that after a message. Raises
        SettingsError, without any part of the URL.
        """
        target = parse_url(url)
        _check(sender, connections, helo, timeout_s)
        starttls = target.tls is Tls.STARTTLS
        identity = Identity(helo, sender, starttls, target.user, target.password)
        return cls(target, identity, connections=connections, timeout_s=timeout_s)

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        """Hands the messages over and yields a receipt as each is answered for.

        Unanswered at any time, of what `log` was told: at most WINDOW messages a connection. Raises
        TransientError when the rest was taken by nobody: no connection, a refused sign-in, a server
        that is too slow or hangs up again and again, a log that cannot be kept.
        """
        return HandOver(self, mailing, envelopes, log).receipts()

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> dict[int, Evidence]:
        """Unknown for all: SMTP has no way to ask."""
        return {envelope.key: Evidence.UNKNOWN for envelope in envelopes}

    def open_wire(self) -> Wire:
        """A connection kept from before, or a new one. Raises OSError."""
        return self._rack.take() or dial(self.target, self._session, self._tls, self.timeout_s)

    def keep_wire(self, wire: Wire) -> None:
        """Keeps an idle connection for the next call."""
        self._rack.put(wire)

    def close(self) -> None:
        """Takes leave of the server; the next call dials again."""
        self._rack.close()

    def _session(self) -> Session:
        return Session(self._identity, max_letters=self._max_letters)


def _trust(tls: Tls) -> ssl.SSLContext:
    """Whom TLS trusts: without TLS nobody, since reading this system's authorities takes 30 ms."""
    if tls is Tls.NONE:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()


def _check(sender: str, connections: int, helo: str, timeout_s: float) -> None:
    if not (sender.isascii() and is_address(sender)):
        raise SettingsError(
            "the sender for SMTP is no bare ASCII address",
            hint="set NEWSLETTER_FROM to an address such as news@example.com",
        )
    if not _HELO.fullmatch(helo):
        raise SettingsError(
            "the name for EHLO is no host name", hint="give this machine's full name"
        )
    if not 1 <= connections <= MAX_CONNECTIONS or not timeout_s > 0:
        raise SettingsError(
            f"SMTP needs 1 to {MAX_CONNECTIONS} connections and a time-out above 0 s",
            hint="leave them out for 4 connections and 30 s",
        )
