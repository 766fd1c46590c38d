"""One SMTP connection as a machine that does no I/O: bytes in, bytes out, letters settled.

The caller moves the bytes and keeps the time; this module knows RFC 5321 and its extensions SIZE
(1870), PIPELINING (2920), STARTTLS (3207), AUTH PLAIN and LOGIN (4954), SMTPUTF8 (6531) and
8BITMIME (6152). With PIPELINING, the end of one letter and the whole envelope of the next travel in
one write, so at most one final dot is without its reply at any time.

A letter is settled as uncertain only where any octet of its final dot left us and no reply came.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_letters import Letter, Offer, fault_of, mail_command, stuffed
from newsletter.providers.smtp_replies import (
    GarbledReplyError,
    Meaning,
    Reply,
    ReplyReader,
    Step,
    described,
    meaning,
)

MAX_LETTERS: Final = 500  # on one connection; servers have limits of their own and end it rudely
_CRLF = b"\r\n"
_NO_ANSWER_TO_DOT = "the connection was lost before the server answered for the message"

# What to do about a refusal that no other connection would be spared.
_HINTS: Final[Mapping[Step, str]] = {
    Step.AUTH_PLAIN: "check user and password in the SMTP URL; nothing of this batch was marked",
    Step.AUTH_LOGIN: "check user and password in the SMTP URL; nothing of this batch was marked",
    Step.USER: "check user and password in the SMTP URL; nothing of this batch was marked",
    Step.PASSWORD: "check user and password in the SMTP URL; nothing of this batch was marked",
    Step.STARTTLS: "use smtps:// if the server has it, or ask whoever runs the server",
    Step.MAIL: "see that the server lets this user send as NEWSLETTER_FROM",
}
_HINT = "see that the server accepts mail from this machine, then run the same command again"


class Phase(Enum):
    """How far a connection is."""

    OPENING = "greeting, extensions, TLS, sign-in"
    HANDSHAKE = "STARTTLS was granted: the caller wraps the connection now"
    READY = "takes letters"
    OVER = "nothing more is read or written"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to the server. starttls: TLS is asked for, and required, after EHLO."""

    helo: str
    sender: str
    starttls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a letter; outcome None: it reached nobody for certain, and may go again."""

    letter: Letter
    outcome: Outcome | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a connection ended. is_final: another connection would end in the same way."""

    what: str
    hint: str = _HINT
    is_final: bool = False


@dataclass(slots=True)
class _Turn:
    """A letter on its way. dot_at: where in the stream its final dot stands, once queued."""

    letter: Letter
    dot_at: int = -1
    is_open: bool = False  # MAIL was granted, so a refusal leaves a transaction behind
    is_settled: bool = False


class Session:
    """The client's end of one connection."""

    def __init__(self, identity: Identity, *, max_letters: int = MAX_LETTERS) -> None:
        self.phase = Phase.OPENING
        self.failure: Failure | None = None
        self.offer = Offer()
        self.was_ready = False
        self.replies = 0  # received so far: the sign of life a caller's clock looks at
        self._identity = identity
        self._reader = ReplyReader()
        self._awaited: deque[tuple[Step, _Turn | None]] = deque([(Step.GREETING, None)])
        self._script: deque[tuple[Step, bytes, _Turn | None]] = deque()
        self._front: _Turn | None = None  # between MAIL and the reply to DATA
        self._letters_left = max_letters
        self._needs_reset = False
        self._is_private = not identity.starttls
        self._settled: list[Settled] = []
        self._queue: list[bytes] = []
        self._current = memoryview(b"")
        self._queued = self._written = self._exposed = 0  # positions in the stream

    # What the caller asks.

    @property
    def is_free(self) -> bool:
        """Whether `begin` may be called."""
        if self.phase is not Phase.READY or self._front or not self._letters_left:
            return False
        return "PIPELINING" in self.offer or not (self._awaited or self._script)

    @property
    def is_busy(self) -> bool:
        """Whether a letter is on its way."""
        return self._front is not None or any(turn for _, turn in self._awaited)

    @property
    def is_idle(self) -> bool:
        """Whether all is said, on both sides, and another letter could follow."""
        all_written = not self._queue and not self._current
        return self.phase is Phase.READY and not self._awaited and all_written

    @property
    def is_worn(self) -> bool:
        """Whether it has carried as many letters as it may."""
        return not self._letters_left

    @property
    def awaits(self) -> Step | None:
        """What the next reply will be for."""
        return self._awaited[0][0] if self._awaited else None

    def take_settled(self) -> list[Settled]:
        """What was settled since the last call."""
        settled, self._settled = self._settled, []
        return settled

    # Bytes out.

    def outgoing(self) -> memoryview:
        """What is to be written next; the same bytes until `wrote` says they are gone."""
        if not self._current and self._queue:
            self._current = memoryview(b"".join(self._queue))
            self._queue.clear()
        return self._current

    def exposing(self, count: int) -> None:
        """The next `count` octets are about to leave, and may do so whatever is reported (TLS)."""
        self._exposed = max(self._exposed, self._written + count)

    def wrote(self, count: int) -> None:
        """The next `count` octets have left."""
        self.exposing(count)
        self._written += count
        self._current = self._current[count:]

    # Bytes in.

    def receive(self, data: bytes) -> None:
        """Takes what the server sent, in whatever pieces."""
        if self.phase is Phase.HANDSHAKE:
            self._end("the server spoke between STARTTLS and the handshake", is_final=True)
        try:
            for reply in self._reader.read(data):
                if self.phase is Phase.OVER:
                    return
                self._take(reply)
        except GarbledReplyError as error:
            self._end(f"the server sent something that is no SMTP reply ({error})")

    def closed(self, why: str) -> None:
        """The connection is gone, or is given up."""
        self._end(why)

    def tls_started(self) -> None:
        """The handshake succeeded; what the server offered before counts no more (RFC 3207)."""
        self._is_private = True
        self.phase = Phase.OPENING
        self.offer = Offer()
        self._hello()

    def begin(self, letter: Letter) -> None:
        """Sends a letter, or settles it at once where this server cannot take it."""
        fault = fault_of(letter, self.offer)
        if fault:
            self._settled.append(Settled(letter, Outcome.FAILED, fault))
            return
        self._letters_left -= 1
        turn = self._front = _Turn(letter)
        if self._needs_reset:
            self._needs_reset = False
            self._script.append((Step.RSET, b"RSET", None))
        recipient = b"RCPT TO:<%b>" % letter.address.encode()
        command = mail_command(self._identity.sender, letter, self.offer)
        self._script.append((Step.MAIL, command, turn))
        self._script.append((Step.RCPT, recipient, turn))
        self._script.append((Step.DATA, b"DATA", turn))
        self._go_on()

    def quit(self) -> None:
        """Takes leave; only `outgoing` is of interest after that."""
        if self.is_idle:
            self._write(b"QUIT" + _CRLF)
        self.phase = Phase.OVER

    # The machine.

    def _take(self, reply: Reply) -> None:
        self.replies += 1
        if not self._awaited:
            self._end(f"the server said, unasked: {described(reply)}")
            return
        step, turn = self._awaited.popleft()
        says = meaning(step, reply)
        if says is Meaning.BROKEN:
            self._awaited.appendleft((step, turn))  # whatever that was, it answers nothing
            self._end(f"the server's answer to {step} was out of step: {described(reply)}")
        elif says is Meaning.CLOSING and step is not Step.DOT:
            self._end(f"the server closed the connection: {described(reply)}")
        elif turn is not None:
            self._on_turn(step, turn, reply, says)
        elif self.phase is Phase.OPENING:
            self._on_opening(step, reply, says)
        elif says is not Meaning.GO and step is Step.RSET:
            self._end(f"the server refused RSET: {described(reply)}")
        if self.phase is not Phase.OVER:
            self._go_on()

    def _on_turn(self, step: Step, turn: _Turn, reply: Reply, says: Meaning) -> None:
        if says is not Meaning.GO:
            self._refuse(turn, reply, says)
        if self.phase is Phase.OVER:
            return
        if step is Step.MAIL:
            turn.is_open = says is Meaning.GO
        elif step is Step.DATA:
            self._on_data(turn, says)
        elif step is Step.DOT and says is Meaning.GO:
            text = described(reply, address=turn.letter.address)
            self._settle(turn, Outcome.SUBMITTED, f"{turn.letter.message_id} {text}")
        if turn is self._front and turn.is_settled and "PIPELINING" not in self.offer:
            self._script.clear()  # nothing more of a refused letter; pipelined, it is sent already
            self._leave(turn)

    def _on_data(self, turn: _Turn, says: Meaning) -> None:
        if says is not Meaning.GO:
            self._leave(turn)
            return
        self._front = None
        if turn.is_settled:  # RFC 2920, 3.1: DATA granted, though nobody is to receive it
            self._write(b"." + _CRLF)
            self._awaited.append((Step.EMPTY_DOT, None))
            return
        self._write(stuffed(turn.letter.message))
        turn.dot_at = self._queued
        self._write(b"." + _CRLF)
        self._awaited.append((Step.DOT, turn))

    def _leave(self, turn: _Turn) -> None:
        """A refused letter's transaction ends with the RSET before the next one."""
        self._front = None
        self._needs_reset = turn.is_open

    def _refuse(self, turn: _Turn, reply: Reply, says: Meaning) -> None:
        """The first refusal counts; what follows it on the same letter follows from it."""
        text = described(reply, address=turn.letter.address)
        if says is Meaning.STOP and not turn.is_settled:
            self._settle(turn, None)
            hint = _HINTS[Step.MAIL]
            self._end(f"the server refuses our mail: {text}", hint, is_final=True)
            return
        outcome = Outcome.FAILED if says is Meaning.NEVER else Outcome.DEFERRED
        self._settle(turn, outcome, text)
        if says is Meaning.CLOSING:
            # 421 in the place of the answer for a message is an answer: a 4yz reply says that the
            # action did not take place (RFC 5321, 4.2.1).
            self._end(f"the server closed the connection: {text}")

    def _settle(self, turn: _Turn, outcome: Outcome | None, detail: str = "") -> None:
        if not turn.is_settled:
            turn.is_settled = True
            self._settled.append(Settled(turn.letter, outcome, detail))

    def _end(self, what: str, hint: str = _HINT, *, is_final: bool = False) -> None:
        """Settles whatever was on its way, each letter by itself."""
        if self.phase is Phase.OVER:
            return
        self.phase = Phase.OVER
        self.failure = Failure(what, hint, is_final)
        turns = [turn for step, turn in self._awaited if turn and step is Step.DOT]
        for turn in [*turns, self._front]:
            if turn is not None and 0 <= turn.dot_at < self._exposed:
                self._settle(turn, Outcome.UNCERTAIN, f"{_NO_ANSWER_TO_DOT} ({what})")
            elif turn is not None:
                self._settle(turn, None)
        self._front = None
        self._awaited.clear()
        self._script.clear()

    def _go_on(self) -> None:
        """Writes what may be written now: everything with PIPELINING, else one command."""
        while self._script and ("PIPELINING" in self.offer or not self._awaited):
            step, command, turn = self._script.popleft()
            self._ask(step, command, turn)

    def _ask(self, step: Step, command: bytes, turn: _Turn | None = None) -> None:
        self._write(command + _CRLF)
        self._awaited.append((step, turn))

    def _write(self, data: bytes) -> None:
        self._queue.append(data)
        self._queued += len(data)

    # Until the first letter.

    def _on_opening(self, step: Step, reply: Reply, says: Meaning) -> None:
        if says is not Meaning.GO:
            self._on_opening_refused(step, reply, says)
        elif step is Step.GREETING:
            self._hello()
        elif step in (Step.EHLO, Step.HELO):
            self.offer = Offer.read(reply) if step is Step.EHLO else Offer()
            self._sign_in() if self._is_private else self._start_tls()
        elif step is Step.STARTTLS:
            self.phase = Phase.HANDSHAKE
            if self._reader.has_rest:
                self._end("the server spoke between STARTTLS and the handshake", is_final=True)
        elif step is Step.AUTH_LOGIN:
            self._ask(Step.USER, _base64(self._identity.user))
        elif step is Step.USER:
            self._ask(Step.PASSWORD, _base64(self._identity.password))
        else:
            self._be_ready()

    def _on_opening_refused(self, step: Step, reply: Reply, says: Meaning) -> None:
        if step is Step.EHLO and says is Meaning.STOP:
            self._ask(Step.HELO, b"HELO " + self._identity.helo.encode())
            return
        # The text after a refused sign-in may quote what was sent: its codes must do.
        is_sign_in = step in _HINTS and step is not Step.STARTTLS
        text = f"{reply.code} {reply.enhanced}".strip() if is_sign_in else described(reply)
        is_final = says is Meaning.STOP and step in _HINTS
        hint = _HINTS.get(step, _HINT)
        self._end(f"the server refused {step}: {text}", hint, is_final=is_final)

    def _hello(self) -> None:
        self._ask(Step.EHLO, b"EHLO " + self._identity.helo.encode())

    def _start_tls(self) -> None:
        if "STARTTLS" not in self.offer:
            hint = "use smtps:// if the server has it; ?tls=none sends mail readable to all"
            self._end("the server offers no STARTTLS", hint, is_final=True)
            return
        self._ask(Step.STARTTLS, b"STARTTLS")

    def _sign_in(self) -> None:
        user, password = self._identity.user, self._identity.password
        offered = self.offer.get("AUTH", "").upper().split()
        if not user:
            self._be_ready()
        elif "PLAIN" in offered:
            self._ask(Step.AUTH_PLAIN, b"AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        elif "LOGIN" in offered:
            self._ask(Step.AUTH_LOGIN, b"AUTH LOGIN")
        else:
            hint = "leave user and password out of the SMTP URL, or use another port or server"
            self._end("the server offers neither AUTH PLAIN nor LOGIN", hint, is_final=True)

    def _be_ready(self) -> None:
        self.phase, self.was_ready = Phase.READY, True


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())
