"""One SMTP connection as a machine that does no I/O: bytes in, bytes out, letters settled.

The caller moves the bytes and keeps the time; this module knows RFC 5321 and its extensions SIZE
(1870), PIPELINING (2920), CHUNKING (3030), SMTPUTF8 (6531) and 8BITMIME (6152). A letter travels in
one of three ways:

- with CHUNKING and PIPELINING, MAIL, RCPT, BDAT and the message in one go, WINDOW letters at once;
- with PIPELINING alone, the end of one letter and the whole envelope of the next in one write, so
  at most one final dot is without its reply at any time;
- in plain turns, one command for one reply.

A letter is settled as uncertain only where it may have left us whole (with DATA: any octet of its
final dot; with BDAT: the last octet of its chunk, as less is no message) and no reply came.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_flight import Flight, Settled, Turn
from newsletter.providers.smtp_letters import Letter, Offer, fault_of, mail_command, stuffed
from newsletter.providers.smtp_opening import HINT, Command, Failure, Identity, Opening, Phase
from newsletter.providers.smtp_replies import (
    GarbledReplyError,
    Meaning,
    Reply,
    ReplyReader,
    Step,
    described,
    meaning,
    outcome_of,
)
from newsletter.providers.smtp_stream import Stream

MAX_LETTERS: Final = 500  # on one connection; servers have limits of their own and end it rudely
# Letters on their way at once with BDAT. Each may be uncertain when the connection is lost, so no
# more than let 10 connections make thousands of letters a second 10 ms away from the server.
WINDOW: Final = 8
_CRLF = b"\r\n"
_SENDER_HINT = "see that the server lets this user send as NEWSLETTER_FROM"


class Session:
    """The client's end of one connection."""

    def __init__(self, identity: Identity, *, max_letters: int = MAX_LETTERS) -> None:
        self.phase = Phase.OPENING
        self.failure: Failure | None = None
        self.was_ready = False
        self.replies = 0  # received so far: the sign of life a caller's clock looks at
        self._identity = identity
        self._opening = Opening(identity)
        self._reader = ReplyReader()
        self._stream = Stream()
        self._awaited: deque[tuple[Step, Turn | None]] = deque([(Step.GREETING, None)])
        self._script: deque[tuple[Step, bytes, Turn | None]] = deque()
        self._flight = Flight()
        self._front: Turn | None = None  # with DATA: between MAIL and the reply to DATA
        self._letters_left = max_letters
        self._needs_reset = False
        self._is_closing = False  # the server said 421
        self._can_pipeline = self._can_chunk = False

    # What the caller asks.

    @property
    def offer(self) -> Offer:
        """What the server offers, as far as it has said."""
        return self._opening.offer

    @property
    def is_free(self) -> bool:
        """Whether `begin` may be called."""
        if self.phase is not Phase.READY or not self._letters_left:
            return False
        if self._can_chunk:
            return len(self._flight) < WINDOW
        return self._front is None and (self._can_pipeline or not (self._awaited or self._script))

    @property
    def is_busy(self) -> bool:
        """Whether a letter is on its way."""
        return len(self._flight) > 0

    @property
    def is_idle(self) -> bool:
        """Whether all is said, on both sides, and another letter could follow."""
        return self.phase is Phase.READY and not self._awaited and self._stream.is_empty

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
        return self._flight.take_settled()

    # Bytes out.

    def outgoing(self) -> memoryview:
        """What is to be written next; the same bytes until `wrote` says they are gone."""
        return self._stream.view()

    def completed_by(self, count: int) -> list[int]:
        """The keys of the letters that somebody may have once the next `count` octets left."""
        return self._flight.completed(self._stream.exposed, self._stream.written + count)

    def exposing(self, count: int) -> None:
        """The next `count` octets are about to leave, and may do so whatever is reported (TLS)."""
        self._stream.exposing(count)

    def wrote(self, count: int) -> None:
        """The next `count` octets have left."""
        self._stream.wrote(count)

    # Bytes in, and the end of them.

    def receive(self, data: bytes) -> None:
        """Takes what the server sent, in whatever pieces."""
        if self.phase is Phase.HANDSHAKE:
            self._end(_spoke_too_early())
        try:
            for reply in self._reader.read(data):
                if self.phase is Phase.OVER:
                    return
                self._take(reply)
        except GarbledReplyError as error:
            self._end(Failure(f"the server sent something that is no SMTP reply ({error})"))

    def closed(self, why: str) -> None:
        """The other side is gone.

        After a 421 that settles the rest: replies come in order, and with that one the server said
        that it carries out nothing more.
        """
        self._end(Failure(why), none_taken=self._is_closing)

    def give_up(self, why: str) -> None:
        """The caller ends it, whatever may still come."""
        self._end(Failure(why))

    def fall_silent(self, why: str) -> None:
        """Writes nothing more. What has not left goes back; the rest may still be answered for."""
        self._fall_silent(Failure(why, is_final=True))

    def tls_started(self) -> None:
        """The handshake succeeded."""
        self.phase = Phase.OPENING
        self._ask(self._opening.tls_started())

    # Letters.

    def begin(self, letter: Letter) -> None:
        """Sends a letter, or settles it at once where this server cannot take it."""
        fault = fault_of(letter, self.offer)
        if fault:
            self._flight.refuse(letter, fault)
            return
        self._letters_left -= 1
        turn = self._flight.add(letter)
        steps: list[tuple[Step, bytes, Turn | None]] = [
            (Step.MAIL, mail_command(self._identity.sender, letter, self.offer), turn),
            (Step.RCPT, b"RCPT TO:<%b>" % letter.address.encode(), turn),
        ]
        if self._needs_reset:
            self._needs_reset = False
            steps.insert(0, (Step.RSET, b"RSET", None))
        if self._can_chunk:
            self._begin_chunk(turn, steps)
            return
        self._front = turn
        self._script.extend(steps)
        self._script.append((Step.DATA, b"DATA", turn))
        self._go_on()

    def _begin_chunk(self, turn: Turn, steps: list[tuple[Step, bytes, Turn | None]]) -> None:
        message = turn.letter.message
        steps.append((Step.BDAT, b"BDAT %d LAST" % len(message), turn))
        self._stream.write(b"".join([line + _CRLF for _, line, _ in steps]))
        self._stream.write(message)
        self._awaited.extend([(step, turn) for step, _, turn in steps])
        turn.last_at = self._stream.queued - 1
        # A BDAT answered by 503 leaves a state that only RSET clears (RFC 3030, 2), and a refused
        # RCPT leaves MAIL open. The next MAIL is on its way before we hear of either, so RSET goes
        # before it: in one write with it, which RFC 2920 allows, that costs no round trip.
        self._needs_reset = True

    def quit(self) -> None:
        """Takes leave; only `outgoing` is of interest after that."""
        if self.is_idle:
            self._stream.write(b"QUIT" + _CRLF)
        self.phase = Phase.OVER

    # The machine.

    def _take(self, reply: Reply) -> None:
        self.replies += 1
        if not self._awaited:
            self._end(Failure(f"the server said, unasked: {described(reply)}"))
            return
        step, turn = self._awaited.popleft()
        says = meaning(step, reply)
        if says is Meaning.BROKEN:  # whatever that was, it answers nothing
            what = f"the server's answer to {step} was out of step: {described(reply)}"
            self._end(Failure(what))
        elif says is Meaning.CLOSING:
            self._on_closing(step, turn, reply)
        elif turn is not None:
            self._on_turn(step, turn, reply, says)
        elif self.phase is Phase.OPENING:
            self._on_opening(step, reply, says)
        elif says is not Meaning.GO and step is Step.RSET:
            self._fall_silent(Failure(f"the server refused RSET: {described(reply)}"))
        if self.phase is Phase.READY:
            self._go_on()
        elif self.phase is Phase.LISTENING:
            self._end_when_all_is_heard()

    def _on_turn(self, step: Step, turn: Turn, reply: Reply, says: Meaning) -> None:
        if says is not Meaning.GO:
            self._refuse(step, turn, reply, says)
        elif step is Step.MAIL:
            turn.is_open = True
        elif step is Step.DOT or step is Step.BDAT:
            text = described(reply, address=turn.letter.address)
            self._flight.settle(turn, Outcome.SUBMITTED, f"{turn.letter.message_id} {text}")
        if step is Step.DOT or step is Step.BDAT:
            self._flight.leave()
            if says is Meaning.GO and not self._flight:
                self._needs_reset = False
        elif self.phase is not Phase.READY:
            return
        elif step is Step.DATA:
            self._on_data(turn, says)
        elif turn is self._front and turn.is_settled and not self._can_pipeline:
            self._script.clear()  # nothing more of a refused letter; pipelined, it is sent already
            self._leave(turn)

    def _on_data(self, turn: Turn, says: Meaning) -> None:
        if says is not Meaning.GO:
            self._leave(turn)
            return
        self._front = None
        if turn.is_settled:  # RFC 2920, 3.1: DATA granted, though nobody is to receive it
            self._flight.leave()
            self._stream.write(b"." + _CRLF)
            self._awaited.append((Step.EMPTY_DOT, None))
            return
        self._stream.write(stuffed(turn.letter.message))
        turn.last_at = self._stream.queued
        self._stream.write(b"." + _CRLF)
        self._awaited.append((Step.DOT, turn))

    def _leave(self, turn: Turn) -> None:
        """A refused letter's transaction ends with the RSET before the next one."""
        self._front = None
        self._flight.leave()
        self._needs_reset = turn.is_open

    def _refuse(self, step: Step, turn: Turn, reply: Reply, says: Meaning) -> None:
        """The first refusal counts; what follows it on the same letter follows from it."""
        if turn.is_settled:
            return
        text = described(reply, address=turn.letter.address)
        if says is Meaning.STOP:
            self._flight.settle(turn, None)
            what = f"the server refuses our mail: {text}"
            self._fall_silent(Failure(what, _SENDER_HINT, is_final=True))
            return
        self._flight.settle(turn, outcome_of(step, reply, says), text)

    def _on_closing(self, step: Step, turn: Turn | None, reply: Reply) -> None:
        """The server says that it hangs up; it may still answer for what it has, so we listen."""
        text = described(reply, address=turn.letter.address if turn else "")
        failure = Failure(f"the server closed the connection: {text}")
        if self.phase is Phase.OPENING:
            self._end(failure)
            return
        if turn is not None and step in (Step.DOT, Step.BDAT):
            # 421 in the place of the answer for a message is an answer: a 4yz reply says that the
            # action did not take place (RFC 5321, 4.2.1).
            self._flight.settle(turn, Outcome.DEFERRED, text)
            self._flight.leave()
        elif turn is not None:
            self._flight.settle(turn, None)
        self._is_closing = True
        self._fall_silent(failure)

    def _fall_silent(self, failure: Failure) -> None:
        if self.phase is Phase.LISTENING:
            return
        if self.phase is not Phase.READY:
            self._end(failure)
            return
        self.phase, self.failure = Phase.LISTENING, failure
        self._script.clear()
        self._stream.cut()
        self._flight.give_back(self._stream.exposed)
        self._end_when_all_is_heard()

    def _end_when_all_is_heard(self) -> None:
        if self.failure and self._flight.is_settled:
            self._end(self.failure)

    def _end(self, failure: Failure, *, none_taken: bool = False) -> None:
        """Settles whatever was on its way, each letter by itself."""
        if self.phase is Phase.OVER:
            return
        self.phase = Phase.OVER
        self.failure = self.failure or failure
        self._flight.end(0 if none_taken else self._stream.exposed, failure.what)
        self._front = None
        self._awaited.clear()
        self._script.clear()

    def _go_on(self) -> None:
        """Writes what may be written now: everything with PIPELINING, else one command."""
        while self._script and (self._can_pipeline or not self._awaited):
            step, line, turn = self._script.popleft()
            self._stream.write(line + _CRLF)
            self._awaited.append((step, turn))

    def _ask(self, command: Command) -> None:
        self._stream.write(command.line + _CRLF)
        self._awaited.append((command.step, None))

    def _on_opening(self, step: Step, reply: Reply, says: Meaning) -> None:
        follows = self._opening.next(step, reply, says)
        if isinstance(follows, Command):
            self._ask(follows)
        elif isinstance(follows, Failure):
            self._end(follows)
        else:
            self.phase = follows
            if follows is Phase.HANDSHAKE and self._reader.has_rest:
                self._end(_spoke_too_early())
            elif follows is Phase.READY:
                self.was_ready = True
                self._can_pipeline = "PIPELINING" in self.offer
                self._can_chunk = self._can_pipeline and "CHUNKING" in self.offer


def _spoke_too_early() -> Failure:
    what = "the server spoke between STARTTLS and the handshake"
    return Failure(what, HINT, is_final=True)
