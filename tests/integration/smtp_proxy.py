"""A line to a server that is cut after so many octets, in one direction or the other."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing is a reset, as after a lost route


class CutLine:
    """Listens while it is entered; only its first connection is cut, the others go through."""

    def __init__(self, port: int, *, cut_at: int, upwards: bool, rudely: bool) -> None:
        self._port = port
        self._cut_at = cut_at
        self._upwards = upwards
        self._rudely = rudely
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        limit = self._cut_at
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open += [client, server]
            self._start(self._carry, client, server, limit if self._upwards else None)
            self._start(self._carry, server, client, None if self._upwards else limit)
            limit = None

    def _carry(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        """Octets from one to the other, until the limit or the end of either."""
        carried = 0
        with suppress(OSError):
            while limit is None or carried < limit:
                room = 65_536 if limit is None else min(65_536, limit - carried)
                if not (data := source.recv(room)):
                    break
                target.sendall(data)
                carried += len(data)
        for one in (source, target):
            with suppress(OSError):
                if self._rudely and limit is not None:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                one.shutdown(socket.SHUT_RDWR)
