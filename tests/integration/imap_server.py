"""An IMAP server on loopback that knows what `imaplib` says to read a folder; mails in memory."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Self

from smtp_server import CERTIFICATE

_FETCH = re.compile(r"(\d+) \(UID BODY\.PEEK\[\]<0\.(\d+)>\)")


@dataclass
class ImapServer:
    """mails: octets by uid. refuse: the first command word that is answered with NO."""

    mails: dict[int, bytes]
    user: str = "ann"
    password: str = "se@cret/word"
    refuse: str = ""
    tls: bool = False
    seen: set[int] = field(default_factory=set)
    folder: str = ""

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        scheme, host = ("imaps", "localhost") if self.tls else ("imap", "127.0.0.1")
        return f"{scheme}://ann:se%40cret%2Fword@{host}:{self.port}/Bounces"

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._converse(self._secured(connection))
                except OSError:  # a client that did not like the certificate, or went away
                    continue

    def _secured(self, connection: socket.socket) -> socket.socket:
        if not self.tls:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        return context.wrap_socket(connection, server_side=True)

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as talk:
            talk.write(b"* OK ready\r\n")
            talk.flush()
            while line := talk.readline().decode().strip():
                tag, _, command = line.partition(" ")
                talk.write(self._answer(tag, command))
                talk.flush()
                if command == "LOGOUT":
                    break

    def _answer(self, tag: str, command: str) -> bytes:
        word = command.removeprefix("UID ").partition(" ")[0]
        if word == self.refuse:
            return f"{tag} NO not {self.password}\r\n".encode()
        untagged = b""
        rest = command.partition(f"{word} ")[2]
        match word:
            case "CAPABILITY":
                untagged = b"* CAPABILITY IMAP4rev1\r\n"
            case "LOGIN" if self.password not in rest or not rest.startswith(self.user):
                return f"{tag} NO wrong\r\n".encode()
            case "SELECT":
                self.folder = rest
                untagged = b"* %d EXISTS\r\n" % len(self.mails)
            case "SEARCH":
                left = sorted(set(self.mails) - self.seen)
                untagged = f"* SEARCH {' '.join(map(str, left))}\r\n".encode()
            case "FETCH":
                untagged = self._fetched(rest)
            case "STORE":
                self.seen.add(int(rest.partition(" ")[0]))
        return untagged + f"{tag} OK done\r\n".encode()

    def _fetched(self, rest: str) -> bytes:
        found = _FETCH.fullmatch(rest)
        assert found, rest
        raw = self.mails.get(int(found[1]), b"")[: int(found[2])]
        return b"* 1 FETCH (UID %s BODY[]<0> {%d}\r\n%s)\r\n" % (found[1].encode(), len(raw), raw)
