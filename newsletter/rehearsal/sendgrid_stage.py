"""SendGrid's `POST /v3/mail/send` for rehearsals: faults as in `faults.OVER_SENDGRID`.

A request at a time on a connection, as the official client does it.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from newsletter.rehearsal.faults import Fault, Faults
from newsletter.rehearsal.stage import Fate, Serve, hang_up, say_no_more, serve
from newsletter.rehearsal.stage_log import ACCEPTED, LogWriter

Message = tuple[str, str]  # its id, its reader's address


@dataclass(frozen=True, slots=True)
class _Answer:
    """status 0: none at all. hangs: it is awaited in vain."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    hangs: bool = False


_HANG_UP = _Answer(0)
_NEVER = _Answer(0, hangs=True)


def run(folder: str, faults: str, seed: int) -> None:
    """Serves until SIGTERM, in a process of its own."""
    fate = Fate(Faults.parse(faults), seed)
    numbers = count(1)

    def talks(log: LogWriter) -> Serve:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            payload = await _read(reader)
            answer = await _Request(next(numbers), payload, log, fate).meet()
            if answer.hangs:
                await say_no_more(reader)
            if answer.status:
                writer.write(_written(answer))
                await writer.drain()
            else:
                hang_up(writer)

        return talk

    serve(Path(folder), talks)


async def _read(reader: asyncio.StreamReader) -> Any:
    """The JSON of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return json.loads(await reader.readexactly(int(lengths[0].partition(b":")[2])))


def _written(answer: _Answer) -> bytes:
    headers = (*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close"))
    lines = (f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {answer.status} stage\r\n{''.join(lines)}\r\n".encode() + answer.body


class _Request:
    """One request and its fate. It is known by its first message: a retry is its next attempt."""

    def __init__(self, number: int, payload: Any, log: LogWriter, fate: Fate) -> None:
        self._number = number
        self._log = log
        self._fate = fate
        self._messages = [_message(one) for one in payload["personalizations"]]

    async def meet(self) -> _Answer:
        """What is answered; what was accepted is in the log by then."""
        bounce = self._bounce()
        if bounce is not None:
            return bounce
        key = self._messages[0][0]
        fault, attempt = self._fate.draw(f"request of {key}")
        coin = self._fate.coin(key, attempt)
        if fault is not None:
            self._note(fault)
        match fault:
            case Fault.TOO_MANY:
                reset = str(int(time.time()) + 1) if coin else "1"
                return _Answer(429, (("X-RateLimit-Reset", reset),), _error("too many requests"))
            case Fault.LATER:
                return _Answer(503)
            case Fault.REFUSED:
                return self._broken(key, attempt, accepts=coin)
            case Fault.DROP if coin:
                return _HANG_UP
            case Fault.SLOW:
                await self._fate.pause(key, attempt)
        self._note(ACCEPTED)
        if fault is Fault.DROP:
            return _HANG_UP
        if fault is Fault.TIMEOUT:
            return _NEVER
        return _Answer(202, (("X-Message-Id", f"stage-{self._number}"),))

    def _broken(self, key: str, attempt: int, *, accepts: bool) -> _Answer:
        if accepts:
            self._note(ACCEPTED)
        return _Answer(500 if self._fate.coin(f"status of {key}", attempt) else 502)

    def _bounce(self) -> _Answer | None:
        """The first address that does not exist is named, and nothing is accepted."""
        for index, (message_id, reader) in enumerate(self._messages):
            if self._fate.is_bounce(reader):
                self._log.write(Fault.BOUNCE, [(message_id, reader)], request=self._number)
                field = f"personalizations.{index}.to.0.email"
                return _Answer(400, body=_error("Does not contain a valid address.", field))
        return None

    def _note(self, what: str) -> None:
        self._log.write(what, self._messages, request=self._number)


def _message(personalization: Any) -> Message:
    (to,) = personalization["to"]
    return personalization["headers"]["Message-ID"].strip("<>"), to["email"]


def _error(message: str, field: str | None = None) -> bytes:
    return json.dumps({"errors": [{"message": message, "field": field, "help": None}]}).encode()
