"""The letters that are on their way over one connection, and what became of each."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_letters import Letter

_NO_ANSWER = "the connection was lost before the server answered for the message"


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a letter; outcome None: it reached nobody for certain, and may go again."""

    letter: Letter
    outcome: Outcome | None
    detail: str = ""


@dataclass(slots=True, eq=False)
class Turn:
    """A letter on its way, until the last reply to it."""

    letter: Letter
    last_at: int = -1  # where in the stream the octet stands without which nobody has it
    is_open: bool = False  # MAIL was granted, so a refusal leaves a transaction behind
    is_settled: bool = False

    def may_be_taken(self, exposed: int) -> bool:
        """Whether it may be with the server, once that many octets of the stream may have left."""
        return 0 <= self.last_at < exposed


class Flight:
    """Turns in the order of their last replies. A letter is settled once; the first word counts."""

    def __init__(self) -> None:
        self._turns: deque[Turn] = deque()
        self._settled: list[Settled] = []

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def is_settled(self) -> bool:
        """Whether no answer is awaited that would tell us anything."""
        return all(turn.is_settled for turn in self._turns)

    def add(self, letter: Letter) -> Turn:
        turn = Turn(letter)
        self._turns.append(turn)
        return turn

    def leave(self) -> None:
        """The first turn has had its last reply."""
        self._turns.popleft()

    def settle(self, turn: Turn, outcome: Outcome | None, detail: str = "") -> None:
        if not turn.is_settled:
            turn.is_settled = True
            self._settled.append(Settled(turn.letter, outcome, detail))

    def refuse(self, letter: Letter, why: str) -> None:
        """It never sets out."""
        self._settled.append(Settled(letter, Outcome.FAILED, why))

    def take_settled(self) -> list[Settled]:
        settled, self._settled = self._settled, []
        return settled

    def completed(self, start: int, end: int) -> list[int]:
        """Keys of the unsettled letters whose deciding octet stands in that part of the stream."""
        return [
            turn.letter.key
            for turn in self._turns
            if start <= turn.last_at < end and not turn.is_settled
        ]

    def give_back(self, exposed: int) -> None:
        """Nothing more is written: what has not left may go again."""
        for turn in self._turns:
            if not turn.may_be_taken(exposed):
                self.settle(turn, None)

    def end(self, exposed: int, why: str) -> None:
        """Nothing more is heard: each is settled by itself."""
        self.give_back(exposed)
        for turn in self._turns:
            self.settle(turn, Outcome.UNCERTAIN, f"{_NO_ANSWER} ({why})")
        self._turns.clear()
