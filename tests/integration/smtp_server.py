"""A loopback SMTP server that obeys RFC 5321, and breaks off, stalls or babbles where it is told.

It answers a command by its verb (the greeting is "", the end of a message ".", that of a chunk
"BDAT") and keeps a log of the messages it accepted: the truth the tests hold the client to.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

CERTIFICATE = Path(__file__).with_name("smtp_loopback.pem")
EXTENSIONS = ("PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES")
CHUNKED = (*EXTENSIONS, "CHUNKING")
USER, PASSWORD = "news", "p:w/d@1"


@dataclass(frozen=True)
class Hangup:
    """Close after sending `first`; the command is not carried out, unless `after` says so."""

    first: bytes = b""
    after: bool = False  # the command is carried out, and only its reply is missing
    beneath: bytes = b""  # sent after `first`, past TLS


Answer = str | bytes | Hangup | None  # None: as the RFC has it; bytes: sent as they are
Script = Callable[["Talk", str, str], Answer]


def as_it_should(talk: Talk, verb: str, line: str) -> Answer:
    return None


@dataclass
class Accepted:
    sender: str
    recipients: list[str]
    message: bytes


@dataclass
class Talk:
    """One connection: its number, from 0, and where its transaction is."""

    number: int
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    is_private: bool = False
    is_signed_in: bool = False
    pending: bytes = b""
    chunk: bytes = b""

    def reset(self) -> None:
        self.sender, self.recipients = None, []


class SmtpServer:
    """Listens while it is entered."""

    def __init__(
        self,
        script: Script = as_it_should,
        *,
        host: str = "127.0.0.1",
        extensions: Sequence[str] = EXTENSIONS,
        implicit_tls: bool = False,
        needs_auth: bool = False,
    ) -> None:
        self.accepted: list[Accepted] = []
        self.commands: list[str] = []
        self.talks: list[Talk] = []
        self.reads: list[bytes] = []
        self._host = host
        self._script = script
        self._extensions = extensions
        self._implicit_tls = implicit_tls
        self._needs_auth = needs_auth
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(CERTIFICATE)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self._host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    @property
    def readers(self) -> list[str]:
        """Who was accepted, a recipient each time."""
        return [one for accepted in self.accepted for one in accepted.recipients]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            talk = Talk(len(self.talks))
            self.talks.append(talk)
            self._start(self._serve, connection, talk)

    def _serve(self, connection: socket.socket, talk: Talk) -> None:
        try:
            if self._implicit_tls:
                connection = self._secure(connection, talk)
            self._converse(connection, talk)
        except OSError:
            pass
        finally:
            connection.close()

    def _secure(self, connection: socket.socket, talk: Talk) -> socket.socket:
        connection = self._tls.wrap_socket(connection, server_side=True)
        self._open.append(connection)
        talk.is_private = True
        return connection

    def _converse(self, connection: socket.socket, talk: Talk) -> None:
        verb, line = "", ""
        while True:
            answer = self._script(talk, verb, line)
            if isinstance(answer, Hangup):
                if answer.after:
                    self._carry_out(talk, verb, line)
                connection.sendall(answer.first)
                os.write(connection.fileno(), answer.beneath)
                return
            said = self._carry_out(talk, verb, line) if answer is None else answer
            if verb == ".":
                talk.reset()  # granted or refused, the transaction is over
            connection.sendall(said if isinstance(said, bytes) else f"{said}\r\n".encode())
            code = said[:3] if isinstance(said, str) else said[:3].decode("ascii", "replace")
            if code in ("221", "421") and isinstance(said, str):
                return
            if verb == "STARTTLS" and code == "220":
                connection = self._secure(connection, talk)
                talk.pending = b""
            line = ""
            if verb == "DATA" and code == "354":
                verb, line = ".", self._message(connection, talk)
            elif code == "334":
                verb, line = "answer", self._line(connection, talk)
            else:
                line = self._line(connection, talk)
                verb = line.split(" ")[0].upper()
                self.commands.append(line)
                if verb == "BDAT" and "CHUNKING" in self._extensions:
                    talk.chunk = self._octets(connection, talk, int(line.split()[1]))

    def _carry_out(self, talk: Talk, verb: str, line: str) -> str:
        match verb:
            case "":
                return "220 loopback ESMTP"
            case "EHLO":
                talk.reset()
                offered = [e for e in self._extensions if e != "STARTTLS" or not talk.is_private]
                lines = ["loopback", *offered]
                shown = [f"250-{one}" for one in lines[:-1]] + [f"250 {lines[-1]}"]
                return "\r\n".join(shown)
            case "HELO" | "RSET":
                talk.reset()
                return "250 2.0.0 Ok"
            case "STARTTLS":
                return "220 2.0.0 Go ahead"
            case "AUTH" | "answer":
                return self._sign_in(talk, line)
            case "MAIL":
                if self._needs_auth and not talk.is_signed_in:
                    return "530 5.7.0 Authentication required"
                if talk.sender is not None:
                    return "503 5.5.1 Nested MAIL"
                talk.sender = line
                return "250 2.1.0 Ok"
            case "RCPT":
                if talk.sender is None:
                    return "503 5.5.1 MAIL first"
                talk.recipients.append(line.partition("<")[2].rpartition(">")[0])
                return "250 2.1.5 Ok"
            case "DATA":
                return "354 Go on" if talk.recipients else "503 5.5.1 RCPT first"
            case ".":
                return self._keep(talk, line.encode("latin-1"))
            case "BDAT" if "CHUNKING" in self._extensions:
                # Refused, it leaves the transaction open: only RSET ends that (RFC 3030, 2).
                return self._keep(talk, talk.chunk) if talk.recipients else "503 5.5.1 RCPT first"
            case "QUIT":
                return "221 2.0.0 Bye"
            case _:
                return "500 5.5.2 What?"

    def _keep(self, talk: Talk, message: bytes) -> str:
        sender, recipients = talk.sender or "", talk.recipients
        talk.reset()
        if not recipients:
            return "554 5.5.1 No valid recipients"
        self.accepted.append(Accepted(sender, recipients, message))
        return f"250 2.0.0 Ok: queued as Q{len(self.accepted)}"

    def _sign_in(self, talk: Talk, line: str) -> str:
        plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        user = base64.b64encode(USER.encode()).decode()
        password = base64.b64encode(PASSWORD.encode()).decode()
        match line:
            case "AUTH LOGIN":
                return "334 VXNlcm5hbWU6"
            case _ if line == user:
                return "334 UGFzc3dvcmQ6"
            case _ if line in (password, f"AUTH PLAIN {plain}"):
                talk.is_signed_in = True
                return "235 2.7.0 Welcome"
            case _:
                return f"535 5.7.8 Not {USER} with that {PASSWORD}"

    def _line(self, connection: socket.socket, talk: Talk) -> str:
        return self._until(connection, talk, b"\r\n").decode("utf-8", "replace")

    def _message(self, connection: socket.socket, talk: Talk) -> str:
        """A message without its dots; one that is only a dot has no line before it."""
        lines = []
        while (line := self._until(connection, talk, b"\r\n")) != b".":
            lines.append(line.removeprefix(b".") + b"\r\n")
        return b"".join(lines).decode("latin-1")

    def _octets(self, connection: socket.socket, talk: Talk, count: int) -> bytes:
        while len(talk.pending) < count:
            self._more(connection, talk)
        found, talk.pending = talk.pending[:count], talk.pending[count:]
        return found

    def _until(self, connection: socket.socket, talk: Talk, end: bytes) -> bytes:
        while end not in talk.pending:
            self._more(connection, talk)
        found, _, talk.pending = talk.pending.partition(end)
        return found

    def _more(self, connection: socket.socket, talk: Talk) -> None:
        data = connection.recv(65_536)
        if not data:
            raise ConnectionError
        self.reads.append(data)
        talk.pending += data
