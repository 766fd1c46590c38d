"""The octets a session wants to send, counted from the first one of the connection."""

from __future__ import annotations

from typing import Final

_NOTHING: Final = memoryview(b"")


class Stream:
    """What is queued, what of it was written, and how far the server may have read."""

    def __init__(self) -> None:
        self._queue: list[bytes] = []
        self._current = _NOTHING
        self.queued = self.written = self.exposed = 0  # octets, ever

    @property
    def is_empty(self) -> bool:
        return self.written == self.queued

    def write(self, data: bytes) -> None:
        self._queue.append(data)
        self.queued += len(data)

    def view(self) -> memoryview:
        """What is to be written next; the same octets until `wrote` says they are gone."""
        if not self._current and self._queue:
            self._current = memoryview(b"".join(self._queue))
            self._queue.clear()
        return self._current

    def exposing(self, count: int) -> None:
        """The next `count` octets are about to leave, and may do so whatever is reported (TLS)."""
        self.exposed = max(self.exposed, self.written + count)

    def wrote(self, count: int) -> None:
        """The next `count` octets have left."""
        self.exposing(count)
        self.written += count
        self._current = self._current[count:]

    def cut(self) -> None:
        """Forgets what was not exposed. What was must still be offered again: TLS insists."""
        whole = self.view()
        self._current = whole[: self.exposed - self.written]
        self._queue.clear()
        self.queued = self.exposed
