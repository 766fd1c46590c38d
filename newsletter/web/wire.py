"""An answer leaves in one write: its head does not go ahead of its body.

uvicorn writes the two one after the other, which is two system calls and two packets an answer: for
a pixel or a small page a third of all it costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

MOST_KEPT_BYTES: Final = 64 * 1024  # then they leave at once


class OneWriteProtocol(asyncio.Protocol):
    """uvicorn's own protocol, on a transport that joins what is written in one turn."""

    _joining: JoiningTransport

    def __init__(self, **given: Any) -> None:
        self._inner = AutoHTTPProtocol(**given)

    def connection_made(self, transport: Any) -> None:  # uvloop's is no asyncio.Transport
        self._joining = JoiningTransport(transport, asyncio.get_running_loop().call_soon)
        self._inner.connection_made(self._joining)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Who has said all may still be listening; the loop closes the transport after this."""
        self._joining.let_go()
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class JoiningTransport(asyncio.Transport):
    """Keeps what is written until the event loop's next turn, then writes it at once."""

    def __init__(
        self, transport: asyncio.Transport, call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        super().__init__()
        self._transport = transport
        self._call_soon = call_soon
        self._kept: list[bytes] = []
        self._kept_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._kept:
            self._call_soon(self.let_go)
        self._kept.append(bytes(data))
        self._kept_bytes += len(data)
        if self._kept_bytes > MOST_KEPT_BYTES:
            self.let_go()

    def let_go(self) -> None:
        """Writes what is kept now, unless the connection is closing."""
        kept, self._kept, self._kept_bytes = self._kept, [], 0
        if kept and not self._transport.is_closing():
            self._transport.write(b"".join(kept))

    def close(self) -> None:
        self.let_go()
        self._transport.close()

    def abort(self) -> None:
        self._kept.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._kept_bytes + self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.let_go()
        self._transport.set_protocol(protocol)
