"""An SMTP server for rehearsals: RFC 5321 with PIPELINING, and CHUNKING (RFC 3030) where wanted.

It accepts every message, but for the faults it was told to make: `faults.OVER_SMTP`.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from newsletter.rehearsal.faults import Fault, Faults
from newsletter.rehearsal.stage import MAX_MESSAGE_OCTETS, Fate, Serve, hang_up, say_no_more, serve
from newsletter.rehearsal.stage_log import ACCEPTED, LogWriter

EXTENSIONS: Final = ("PIPELINING", f"SIZE {MAX_MESSAGE_OCTETS}", "8BITMIME", "ENHANCEDSTATUSCODES")
_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>\r\n]+)>", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"<([^<>]*)>")
_END = b"\r\n.\r\n"


def run(folder: str, faults: str, seed: int, chunking: bool) -> None:
    """Serves until SIGTERM, in a process of its own."""
    fate = Fate(Faults.parse(faults), seed)
    extensions = (*EXTENSIONS, "CHUNKING") if chunking else EXTENSIONS

    def talks(log: LogWriter) -> Serve:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _Talk(reader, writer, log, fate, extensions).hold()

        return talk

    serve(Path(folder), talks)


class _HangUpError(Exception):
    """The connection ends here, with nothing more said."""


class _Talk:
    """One connection: a transaction at a time."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        log: LogWriter,
        fate: Fate,
        extensions: tuple[str, ...],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log
        self._fate = fate
        self._extensions = extensions
        self._reset()

    def _reset(self) -> None:
        self._has_sender = False
        self._recipient = ""
        self._fault: Fault | None = None
        self._attempt = 0
        self._chunks: list[bytes] = []

    async def hold(self) -> None:
        """Until either side ends it."""
        try:
            self._say("220 stage.example.com ESMTP")
            while line := await self._reader.readline():
                verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                if not await self._obey(verb.upper(), rest):
                    return
        except _HangUpError:
            hang_up(self._writer)

    def _say(self, *lines: str) -> None:
        marked = [f"{line[:3]}-{line[4:]}\r\n" for line in lines[:-1]] + [f"{lines[-1]}\r\n"]
        self._writer.write("".join(marked).encode())

    async def _obey(self, verb: str, rest: str) -> bool:
        """Carries a command out; whether to go on."""
        match verb:
            case "EHLO":
                self._reset()
                self._say("250 stage.example.com", *(f"250 {one}" for one in self._extensions))
            case "HELO" | "RSET" | "NOOP":
                self._reset()
                self._say("250 2.0.0 Ok")
            case "MAIL":
                self._mail()
            case "RCPT":
                return self._rcpt(rest)
            case "DATA":
                await self._data()
            case "BDAT" if "CHUNKING" in self._extensions:
                await self._bdat(rest)
            case "QUIT":
                self._say("221 2.0.0 Bye")
                return False
            case _:
                self._say("500 5.5.2 Command not known")
        return True

    def _mail(self) -> None:
        if self._has_sender:
            self._say("503 5.5.1 Nested MAIL")
            return
        self._reset()
        self._has_sender = True
        self._say("250 2.1.0 Ok")

    def _rcpt(self, rest: str) -> bool:
        address = _ADDRESS.search(rest)
        if not self._has_sender or self._recipient or address is None:
            self._say("503 5.5.1 One MAIL, then one RCPT")
            return True
        reader = address[1]
        self._fault, self._attempt = self._fate.draw(reader)
        match self._fault:
            case Fault.TOO_MANY:
                self._note(self._fault, "", reader)
                self._say("421 4.7.0 Too many messages, try again later")
                return False
            case Fault.BOUNCE:
                self._note(self._fault, "", reader)
                self._say("550 5.1.1 No such mailbox")
            case Fault.LATER if self._fate.coin(reader, self._attempt):
                self._note(self._fault, "", reader)
                self._say("451 4.2.1 Mailbox busy, try again later")
            case _:
                self._recipient = reader
                self._say("250 2.1.5 Ok")
        return True

    async def _data(self) -> None:
        if not self._recipient:
            self._say("554 5.5.1 No valid recipient")
            return
        self._say("354 Go on")
        message = await self._reader.readuntil(_END)
        await self._keep(message.removesuffix(_END[2:]).replace(b"\r\n..", b"\r\n."))

    async def _bdat(self, rest: str) -> None:
        """RFC 3030: the octets follow the command at once, whatever the answer will be."""
        size, _, last = rest.partition(" ")
        if not size.isdecimal() or int(size) > MAX_MESSAGE_OCTETS:
            raise _HangUpError  # what follows cannot be told from commands any more
        octets = await self._reader.readexactly(int(size))
        is_last = last.strip().upper() == "LAST"
        if not self._recipient:
            self._say("554 5.5.1 No valid recipient")
            return
        self._chunks.append(octets)
        if is_last:
            await self._keep(b"".join(self._chunks))
        else:
            self._say("250 2.0.0 Ok")

    async def _keep(self, message: bytes) -> None:
        """A whole message came: accepted, or what its fate says."""
        found = _MESSAGE_ID.search(message.partition(b"\r\n\r\n")[0] + b"\r\n")
        message_id = found[1].decode("ascii", "replace") if found else ""
        reader, fault, attempt = self._recipient, self._fault, self._attempt
        self._reset()
        if fault is not None:
            self._note(fault, message_id, reader)
        match fault:
            case Fault.LATER:
                self._say("451 4.3.0 Not now, try again later")
                return
            case Fault.REFUSED:
                self._say("554 5.7.1 Message refused")
                return
            case Fault.DROP if self._fate.coin(reader, attempt):
                raise _HangUpError
            case Fault.SLOW:
                await self._fate.pause(reader, attempt)
        self._note(ACCEPTED, message_id, reader)
        if fault is Fault.DROP:
            raise _HangUpError
        if fault is Fault.TIMEOUT:
            await say_no_more(self._reader)
            raise _HangUpError
        self._say("250 2.0.0 Ok: queued")

    def _note(self, what: str, message_id: str, reader: str) -> None:
        self._log.write(what, [(message_id, reader)])
