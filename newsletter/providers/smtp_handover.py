"""One call of the SMTP provider: letters spread over connections until each is answered for."""

from __future__ import annotations

import selectors
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from newsletter.errors import NewsletterError, TransientError
from newsletter.providers.base import AttemptLog, Envelope, Mailing, Outcome, Receipt
from newsletter.providers.smtp_flight import Settled
from newsletter.providers.smtp_letters import Letter
from newsletter.providers.smtp_opening import Failure, Phase
from newsletter.providers.smtp_url import Target
from newsletter.providers.smtp_wire import Wire, reason

MAX_RETRIES: Final = 2  # of a letter whose connection was lost before its final dot left us
MAX_OPENINGS: Final = 2  # connections in a row that never got as far as taking a letter
MIN_UNCLEAR: Final = 2  # connections in a row that left letters uncertain (or all, if more)
MAX_FEED_S: Final = 60.0  # of handing over new letters in one call: it must end within a lease
_HINT = "see that the server is up and reachable, then run the same command again"


class Lines(Protocol):
    """Where connections come from and go back to: the provider."""

    target: Target
    connections: int
    timeout_s: float

    def open_wire(self) -> Wire: ...

    def keep_wire(self, wire: Wire) -> None: ...


class HandOver:
    """The state of one call."""

    def __init__(
        self, lines: Lines, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> None:
        self._lines = lines
        self._mailing = mailing
        self._log = log
        self._log_trouble: TransientError | None = None
        self._said: set[int] = set()  # keys the log was told of
        self._waiting = deque(envelopes)
        self._on_wire: dict[int, Envelope] = {}
        self._retries: Counter[int] = Counter()
        self._wires: dict[int, Wire] = {}  # by file descriptor
        self._ready: list[Receipt] = []
        self._openings = 0  # failed ones in a row
        self._is_turned_away = False  # one connection was not granted beside the others
        self._losses = 0  # connections lost in a row, with no letter answered in between
        self._unclear = 0  # connections in a row that left letters uncertain
        self._stopped: Failure | None = None
        self._feed_until = time.monotonic() + MAX_FEED_S

    def receipts(self) -> Iterator[Receipt]:
        """A receipt for each envelope. Raises TransientError for those without one.

        What was heard is told before anything more is said: what was attempted and has no receipt
        is never more than what the connections carry.
        """
        self._selector = selectors.DefaultSelector()
        try:
            while self._on_wire or (self._waiting and not self._stopped):
                self._speak()
                yield from self._take_ready()
                if self._on_wire or (self._waiting and not self._stopped):
                    self._listen()
                yield from self._take_ready()
            if self._waiting:
                raise self._trouble()
        finally:
            self._release()

    def _take_ready(self) -> list[Receipt]:
        ready, self._ready = self._ready, []
        return ready

    def _trouble(self) -> TransientError:
        if self._log_trouble is not None:
            return self._log_trouble
        stopped = self._stopped or Failure("the server took no more")
        where = f"{self._lines.target.host}:{self._lines.target.port}"
        return TransientError(f"SMTP server {where}: {stopped.what}", hint=stopped.hint)

    # Connections.

    def _staff(self) -> None:
        """As many connections as there are letters for, within what the server grants."""
        wanted = min(self._lines.connections, len(self._waiting) + len(self._on_wire))
        while len(self._wires) < wanted and not self._stopped and self._may_dial():
            try:
                wire = self._lines.open_wire()
            except OSError as error:
                self._is_turned_away = True
                if not self._wires:
                    self._stop(Failure(f"cannot be reached: {reason(error)}", _HINT))
                return
            self._wires[wire.fd] = wire
            self._selector.register(wire.fd, selectors.EVENT_READ)

    def _may_dial(self) -> bool:
        # A server that turned one connection away grants us those we have, and no more.
        return not self._is_turned_away or not self._wires

    def _speak(self) -> None:
        """Writes whatever can be written without waiting."""
        self._staff()
        for wire in list(self._wires.values()):
            self._feed(wire)
            try:
                wire.flush(self._say)
            except TransientError as error:
                self._log_trouble = self._log_trouble or error
                wire.session.fall_silent("the attempt could not be recorded")
            self._settle(wire)

    def _say(self, keys: Sequence[int]) -> None:
        """Tells the log which letters are complete with the next write. Raises TransientError."""
        if self._log_trouble is not None:  # for one connection, so for all
            raise self._log_trouble
        fresh = [key for key in keys if key not in self._said]
        if fresh:
            self._log.attempting(fresh)
            self._said.update(fresh)

    def _feed(self, wire: Wire) -> None:
        while self._waiting and wire.session.is_free and not self._stopped:
            if time.monotonic() > self._feed_until:
                self._stop(Failure(f"is slow: the rest was not begun within {MAX_FEED_S:.0f} s"))
                return
            envelope = self._waiting.popleft()
            try:
                message = self._mailing.splice(envelope)
            except NewsletterError as error:  # of this one reader: no message can be made
                self._ready.append(Receipt(envelope.key, Outcome.FAILED, error.what))
                continue
            self._on_wire[envelope.key] = envelope
            letter = Letter(
                envelope.key, envelope.address, envelope.message_id, message, envelope.bounce_to
            )
            wire.session.begin(letter)
            wire.alive_at = time.monotonic()

    def _watch(self, wire: Wire) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wire.wants_write else 0)
        if self._selector.get_key(wire.fd).events != events:
            self._selector.modify(wire.fd, events)

    def _listen(self) -> None:
        """Until a server says something, takes something, or has been silent for too long."""
        timeout_s = self._lines.timeout_s
        now = time.monotonic()
        deadlines = [
            deadline for wire in self._wires.values() if (deadline := wire.deadline(timeout_s))
        ]
        patience_s = max(0.0, min(deadlines) - now) if deadlines else 0.0
        for key, events in self._selector.select(patience_s):
            if events & selectors.EVENT_READ:
                wire = self._wires[key.fd]
                wire.read(timeout_s)
                self._settle(wire)
        # What was late before we looked is late; dialling meanwhile was not the server's delay.
        for wire in list(self._wires.values()):
            deadline = wire.deadline(timeout_s)
            if deadline is not None and deadline <= now + patience_s <= time.monotonic():
                wire.session.give_up(f"no answer within {timeout_s:g} s")
                self._settle(wire)

    def _drop(self, wire: Wire) -> None:
        """A connection is over: what that says about the next one."""
        self._forget(wire)
        wire.close()
        failure = wire.session.failure or Failure("the connection ended")
        if wire.session.was_ready:
            self._losses += 1
        else:
            self._openings += 1
            self._is_turned_away = True
        no_more = not self._wires and self._openings >= MAX_OPENINGS
        too_many = self._losses > self._lines.connections + MAX_RETRIES
        too_unclear = self._unclear >= max(MIN_UNCLEAR, self._lines.connections)
        if failure.is_final or no_more or too_many or too_unclear:
            self._stop(failure)

    def _forget(self, wire: Wire) -> None:
        self._selector.unregister(wire.fd)
        del self._wires[wire.fd]

    def _stop(self, failure: Failure) -> None:
        self._stopped = self._stopped or failure

    def _release(self) -> None:
        """Keeps the connections on which all is said; the others end, whatever they carry."""
        for wire in self._wires.values():
            if wire.session.is_idle:
                self._lines.keep_wire(wire)
            else:
                wire.close()
        self._wires.clear()
        self._selector.close()

    # Letters.

    def _settle(self, wire: Wire) -> None:
        """Takes over what the session has settled, and parts with it where it is at its end."""
        unanswered = False
        returned = []
        for settled in wire.session.take_settled():
            envelope = self._on_wire.pop(settled.letter.key)
            if settled.outcome is None:
                returned.append(envelope)
            else:
                self._answer(settled, settled.outcome)
                unanswered = unanswered or settled.outcome is Outcome.UNCERTAIN
        self._unclear += unanswered
        self._give_back(returned, wire)
        if wire.session.phase is Phase.OVER:
            self._drop(wire)
        elif wire.session.is_worn and not wire.session.is_busy:
            self._forget(wire)
            wire.quit()
        else:
            self._watch(wire)

    def _answer(self, settled: Settled, outcome: Outcome) -> None:
        self._ready.append(Receipt(settled.letter.key, outcome, settled.detail))
        if outcome is not Outcome.UNCERTAIN:
            self._losses = self._openings = self._unclear = 0

    def _give_back(self, envelopes: Sequence[Envelope], wire: Wire) -> None:
        """They reached nobody: again on another connection, or in a later call.

        Only the first counts as tried: what was queued behind it had no part in what went wrong.
        """
        failure = wire.session.failure
        self._waiting.extendleft(reversed(envelopes))
        if not envelopes or (failure and failure.is_final):
            return
        first = envelopes[0]
        self._retries[first.key] += 1
        if self._retries[first.key] > MAX_RETRIES:
            self._waiting.popleft()
            why = failure.what if failure else "the connection ended"
            self._ready.append(Receipt(first.key, Outcome.DEFERRED, why))
