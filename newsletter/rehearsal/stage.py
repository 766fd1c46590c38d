"""What both stages share: a folder with the log and the port, faults chosen by a seed."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from newsletter.rehearsal.faults import Fault, Faults, chance
from newsletter.rehearsal.stage_log import LogWriter

LOG: Final = "stage.log"
PORT: Final = "port"
MAX_MESSAGE_OCTETS: Final = 50_000_000
_SLOW_FROM_S, _SLOW_TO_S = 0.05, 0.2

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Fate:
    """Decides what becomes of each attempt; one for all connections of a stage."""

    faults: Faults
    seed: int
    _attempts: Counter[str] = field(default_factory=Counter)

    def draw(self, key: str) -> tuple[Fault | None, int]:
        """The fault of the next attempt at `key`, and the attempt's number from 0."""
        attempt = self._attempts[key]
        self._attempts[key] += 1
        return self.faults.choose(self.seed, key, attempt), attempt

    def is_bounce(self, reader: str) -> bool:
        return self.faults.is_bounce(self.seed, reader)

    def coin(self, key: str, attempt: int) -> bool:
        """Heads or tails, for faults of two sorts."""
        return chance(self.seed, "coin", key, attempt) < 0.5

    async def pause(self, key: str, attempt: int) -> None:
        """A slow server's time to think."""
        share = chance(self.seed, "pause", key, attempt)
        await asyncio.sleep(_SLOW_FROM_S + share * (_SLOW_TO_S - _SLOW_FROM_S))


class _Whole(asyncio.StreamReader):
    """Reads what came before a connection broke, too: the server has it, whoever is dead."""

    def set_exception(self, exc: Exception) -> None:
        self.feed_eof()


def serve(folder: Path, talk: Callable[[LogWriter], Serve]) -> None:
    """Listens on loopback; the port is in `folder` by then.

    SIGTERM ends it once every connection has ended by itself.
    """
    asyncio.run(_serve(folder, talk(LogWriter(folder / LOG))))


async def _serve(folder: Path, talk: Serve) -> None:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A sender that was killed hangs up anywhere.
        with suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    loop = asyncio.get_running_loop()
    open_: set[asyncio.Task[Any]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(one(reader, writer))
        open_.add(task)
        task.add_done_callback(open_.discard)

    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(
        lambda: asyncio.StreamReaderProtocol(_Whole(limit=MAX_MESSAGE_OCTETS, loop=loop), begin),
        "127.0.0.1",
        0,
        backlog=256,
    )
    draft = folder / f"{PORT}.part"
    draft.write_text(str(server.sockets[0].getsockname()[1]), encoding="ascii")
    draft.rename(folder / PORT)
    await over.wait()
    server.close()
    if open_:  # what killed senders left in the connections is still taken, and counts
        await asyncio.wait(open_)


def hang_up(writer: asyncio.StreamWriter) -> None:
    """At once, whatever the other side still sends."""
    writer.transport.abort()


async def say_no_more(reader: asyncio.StreamReader) -> None:
    """Until the other side gives up."""
    while await reader.read(65_536):
        pass
