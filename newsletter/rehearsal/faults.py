"""What goes wrong on purpose: a small language (`429=1%,drop=0.5%`) and a seeded choice.

The same seed makes the same choice again for the same message and attempt, whatever else happens
in between, so a rehearsal can be repeated.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self

from newsletter.errors import RefusedError

NONE: Final = "none"
_RATE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?|\.\d{1,4})%")
_HUNDRED: Final = Decimal(100)
_HINT = f"write it as 429=1%,drop=0.5%, or `{NONE}`; of "


class Fault(StrEnum):
    """A kind of fault, as it is written."""

    TOO_MANY = "429"
    LATER = "4xx"
    REFUSED = "5xx"
    BOUNCE = "bounce"
    TIMEOUT = "timeout"
    SLOW = "slow"
    DROP = "drop"


# What the stage does instead of a plain yes, a message at a time.
OVER_SMTP: Final[Mapping[Fault, str]] = {
    Fault.TOO_MANY: "421 to the recipient, and the connection ends",
    Fault.LATER: "451 to the recipient or to the message: not now",
    Fault.REFUSED: "554 to the message: never",
    Fault.BOUNCE: "550 5.1.1 to the recipient, at every attempt",
    Fault.TIMEOUT: "accepts the message, and never answers",
    Fault.SLOW: "answers after 50 to 200 ms",
    Fault.DROP: "hangs up in the place of the answer: before accepting, or after",
}
# A request at a time, but BOUNCE, which is a reader's.
OVER_SENDGRID: Final[Mapping[Fault, str]] = {
    Fault.TOO_MANY: "429 with its reset as an instant, or as seconds",
    Fault.LATER: "503: not now",
    Fault.REFUSED: "500 or 502, with the messages accepted, or not",
    Fault.BOUNCE: "400 naming the reader's address, at every attempt",
    Fault.TIMEOUT: "accepts the messages, and never answers",
    Fault.SLOW: "answers after 50 to 200 ms",
    Fault.DROP: "hangs up in the place of the answer: before accepting, or after",
}
# Those after which a sender cannot know what became of a message. Over SMTP, 421 ends a connection
# on which later messages may be under way already.
UNANSWERED: Final[Mapping[str, frozenset[Fault]]] = {
    "smtp": frozenset({Fault.TOO_MANY, Fault.TIMEOUT, Fault.DROP}),
    "sendgrid": frozenset({Fault.REFUSED, Fault.TIMEOUT, Fault.DROP}),
}


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of each kind among messages or requests, in per cent; at most 100 together."""

    shares: Mapping[Fault, Decimal]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Faults as written. Raises RefusedError, pointing at the word that cannot be read."""
        if text.strip().lower() == NONE:
            return cls({})
        shares: dict[Fault, Decimal] = {}
        start = 0
        for word in text.split(","):
            fault, share = _read(text, start, word)
            if fault in shares:
                raise _unreadable(text, start, word, f"{fault} is there twice")
            shares[fault] = share
            if sum(shares.values()) > _HUNDRED:
                raise _unreadable(text, start, word, "with this one they are more than 100%")
            start += len(word) + 1
        return cls(shares)

    def __str__(self) -> str:
        written = (f"{fault}={_shown(share)}%" for fault, share in self.shares.items())
        return ",".join(written) or NONE

    def choose(self, seed: int, key: str, attempt: int) -> Fault | None:
        """The fault of one attempt at `key`; None: it goes well.

        A bounce is a reader's, whatever the attempt.
        """
        if self.is_bounce(seed, key):
            return Fault.BOUNCE
        drawn = chance(seed, "fault", key, attempt) * 100
        for fault, share in self.shares.items():
            if fault is not Fault.BOUNCE:
                drawn -= float(share)
                if drawn < 0:
                    return fault
        return None

    def is_bounce(self, seed: int, key: str) -> bool:
        """Whether this reader's mailbox does not exist."""
        return chance(seed, "bounce", key) * 100 < float(self.shares.get(Fault.BOUNCE, 0))


def chance(seed: int, *what: object) -> float:
    """A number from 0 up to 1, the same for the same arguments on every machine."""
    drawn = hashlib.blake2b(repr((seed, *map(str, what))).encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / 2**64


def _read(text: str, start: int, word: str) -> tuple[Fault, Decimal]:
    name, equals, rate = (part.strip() for part in word.partition("="))
    known = {str(fault): fault for fault in Fault}
    if name.lower() not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]}?" if near else ""
        what = f"there is no fault {name!r}{meant}" if name else "a fault is missing"
        raise _unreadable(text, start, word, what)
    match = _RATE.fullmatch(rate)
    if not equals or match is None or Decimal(match[1]) > _HUNDRED:
        what = f"{name} needs a share from 0% to 100%, such as {name}=1%"
        raise _unreadable(text, start, word, what)
    return known[name.lower()], Decimal(match[1])


def _unreadable(text: str, start: int, word: str, what: str) -> RefusedError:
    blanks = len(word) - len(word.lstrip())
    marks = "^" * max(1, len(word.strip()))
    pointed = f"{text}\n{' ' * (start + blanks)}{marks}"
    return RefusedError(
        f"the faults cannot be read: {what}\n{pointed}", hint=_HINT + ", ".join(Fault)
    )


def _shown(share: Decimal) -> str:
    return f"{share.normalize():f}"
