"""The start of an SMTP connection, from the greeting to the sign-in, as a machine without I/O.

RFC 5321 (EHLO, HELO), STARTTLS (3207), AUTH PLAIN and LOGIN (4954).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from newsletter.providers.smtp_letters import Offer
from newsletter.providers.smtp_replies import Meaning, Reply, Step, described

_SIGN_IN = "check user and password in the SMTP URL; nothing of this batch was marked"
# What to do about a refusal that no other connection would be spared.
_HINTS: Final[Mapping[Step, str]] = {
    Step.AUTH_PLAIN: _SIGN_IN,
    Step.AUTH_LOGIN: _SIGN_IN,
    Step.USER: _SIGN_IN,
    Step.PASSWORD: _SIGN_IN,
    Step.STARTTLS: "use smtps:// if the server has it, or ask whoever runs the server",
}
HINT: Final = "see that the server accepts mail from this machine, then run the same command again"


class Phase(Enum):
    """How far a connection is."""

    OPENING = "greeting, extensions, TLS, sign-in"
    HANDSHAKE = "STARTTLS was granted: the caller wraps the connection now"
    READY = "takes letters"
    LISTENING = "says nothing more; what it said may still be answered"
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
class Failure:
    """Why a connection ended. is_final: another connection would end in the same way."""

    what: str
    hint: str = HINT
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A line to send, and what its reply will be for."""

    step: Step
    line: bytes = field(repr=False)


class Opening:
    """What to say next, until the connection takes letters."""

    def __init__(self, identity: Identity) -> None:
        self.offer = Offer()
        self._identity = identity
        self._is_private = not identity.starttls

    def tls_started(self) -> Command:
        """What the server offered before counts no more (RFC 3207, 4.2)."""
        self._is_private = True
        self.offer = Offer()
        return self._hello()

    def next(self, step: Step, reply: Reply, says: Meaning) -> Command | Phase | Failure:
        """What follows from the reply to `step`."""
        if says is not Meaning.GO:
            return self._refused(step, reply, says)
        match step:
            case Step.GREETING:
                return self._hello()
            case Step.EHLO | Step.HELO:
                self.offer = Offer.read(reply) if step is Step.EHLO else Offer()
                return self._sign_in() if self._is_private else self._start_tls()
            case Step.STARTTLS:
                return Phase.HANDSHAKE
            case Step.AUTH_LOGIN:
                return Command(Step.USER, _base64(self._identity.user))
            case Step.USER:
                return Command(Step.PASSWORD, _base64(self._identity.password))
            case _:
                return Phase.READY

    def _refused(self, step: Step, reply: Reply, says: Meaning) -> Command | Failure:
        if step is Step.EHLO and says is Meaning.STOP:
            return Command(Step.HELO, b"HELO " + self._identity.helo.encode())
        # The text after a refused sign-in may quote what was sent: its codes must do.
        is_sign_in = _HINTS.get(step) == _SIGN_IN
        text = f"{reply.code} {reply.enhanced}".strip() if is_sign_in else described(reply)
        is_final = says is Meaning.STOP and step in _HINTS
        return Failure(f"the server refused {step}: {text}", _HINTS.get(step, HINT), is_final)

    def _hello(self) -> Command:
        return Command(Step.EHLO, b"EHLO " + self._identity.helo.encode())

    def _start_tls(self) -> Command | Failure:
        if "STARTTLS" not in self.offer:
            hint = "use smtps:// if the server has it; ?tls=none sends mail readable to all"
            return Failure("the server offers no STARTTLS", hint, is_final=True)
        return Command(Step.STARTTLS, b"STARTTLS")

    def _sign_in(self) -> Command | Phase | Failure:
        user, password = self._identity.user, self._identity.password
        offered = self.offer.get("AUTH", "").upper().split()
        if not user:
            return Phase.READY
        if "PLAIN" in offered:
            return Command(Step.AUTH_PLAIN, b"AUTH PLAIN " + _base64(f"\0{user}\0{password}"))
        if "LOGIN" in offered:
            return Command(Step.AUTH_LOGIN, b"AUTH LOGIN")
        hint = "leave user and password out of the SMTP URL, or use another port or server"
        return Failure("the server offers neither AUTH PLAIN nor LOGIN", hint, is_final=True)


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode())
