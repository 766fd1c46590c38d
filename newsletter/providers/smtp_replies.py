"""What an SMTP server says: its replies read from bytes, and what each means at each step.

RFC 5321 (replies), RFC 3463 (enhanced codes). Nothing here sends, waits or raises a provider's
errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from newsletter.providers.base import Outcome

MAX_LINE_BYTES: Final = 4_096  # RFC 5321 says 512; some servers do not know
MAX_LINES: Final = 256
MAX_TEXT_CHARACTERS: Final = 200

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)")
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']*(?:@|%40|=40)[^\s<>()\[\],;:\"']+", re.IGNORECASE)
_SHORTEST_NAME = 3  # characters of a local part that is looked for on its own


class GarbledReplyError(ValueError):
    """These bytes are no SMTP reply. Stays within the SMTP modules."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code and the text of each of its lines."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """All lines in one, printable, without the code."""
        joined = b" ".join(self.lines).decode("utf-8", "replace")
        return _CONTROLS.sub(" ", joined).strip()

    @property
    def enhanced(self) -> str:
        """`5.1.1`, or "" where the server gives none."""
        match = _ENHANCED.match(self.text)
        return match[0] if match else ""


class ReplyReader:
    """Replies out of a stream of bytes, however it was cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self._code = b""
        self._lines: list[bytes] = []

    @property
    def has_rest(self) -> bool:
        """Whether something was received that is not a whole reply yet."""
        return bool(self._buffer or self._lines)

    def read(self, data: bytes) -> Iterator[Reply]:
        """Each reply as soon as it is whole. Raises GarbledReplyError after those before it."""
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            reply = self._add(line.removesuffix(b"\r"))
            if reply is not None:
                yield reply
        if len(self._buffer) > MAX_LINE_BYTES + 1:  # with its CR
            raise GarbledReplyError("a line without an end")

    def _add(self, line: bytes) -> Reply | None:
        match = _LINE.fullmatch(line)
        if match is None or len(line) > MAX_LINE_BYTES or len(self._lines) >= MAX_LINES:
            raise GarbledReplyError("no SMTP reply")
        code, separator, text = match.groups()
        if self._lines and code != self._code:
            raise GarbledReplyError("a reply whose lines have different codes")
        self._code = code
        self._lines.append(text or b"")
        if separator == b"-":
            return None
        lines, self._lines = tuple(self._lines), []
        return Reply(int(code), lines)


class Step(StrEnum):
    """What a reply is awaited for."""

    GREETING = "the connection"
    EHLO = "EHLO"
    HELO = "HELO"
    STARTTLS = "STARTTLS"
    AUTH_PLAIN = "AUTH PLAIN"
    AUTH_LOGIN = "AUTH LOGIN"
    USER = "the user's name"
    PASSWORD = "the password"  # noqa: S105  (the name of a step)
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "the message"
    BDAT = "BDAT"
    EMPTY_DOT = "an empty message"  # where DATA was granted after the recipient was refused


class Meaning(Enum):
    """What to make of a reply."""

    GO = "granted"
    LATER = "not now, perhaps later"
    NEVER = "refused for good, this message or its recipient"
    STOP = "refused for a reason an operator must see to, whatever the message"
    CLOSING = "the server closes the connection"
    BROKEN = "no possible answer at this step: we and the server are out of step"


# The first digit that grants a step; any other below 4 is no answer to it.
GRANTED: Final[Mapping[Step, int]] = {
    Step.GREETING: 2,
    Step.EHLO: 2,
    Step.HELO: 2,
    Step.STARTTLS: 2,
    Step.AUTH_PLAIN: 2,
    Step.AUTH_LOGIN: 3,
    Step.USER: 3,
    Step.PASSWORD: 2,
    Step.RSET: 2,
    Step.MAIL: 2,
    Step.RCPT: 2,
    Step.DATA: 3,
    Step.DOT: 2,
    Step.BDAT: 2,
    Step.EMPTY_DOT: 2,
}
# Refusals of one message; every other 5xx to MAIL is about the sender, so about all messages.
_OF_THE_MESSAGE: Final = frozenset({"5.2.3", "5.3.4", "5.6.7"})
_TOO_LARGE: Final = 552
_NEEDS_AUTH: Final = frozenset({530, 535, 538})
_CLOSING: Final = 421
_BAD_SEQUENCE: Final = 503
_UNKNOWN_COMMAND: Final = frozenset({500, 502})
_ABOUT_ONE_MESSAGE: Final = frozenset({Step.RCPT, Step.DATA, Step.DOT, Step.BDAT, Step.EMPTY_DOT})
# After the message, a refusal of its recipient: the address (5.1) or the mailbox (5.2), but not
# the message's length (5.2.3).
_OF_THE_RECIPIENT: Final = re.compile(r"5\.1\.\d+|5\.2\.(?!3$)\d+")


def meaning(step: Step, reply: Reply) -> Meaning:
    """What `reply` means as the answer to `step`."""
    family = reply.code // 100
    if reply.code == _CLOSING:
        return Meaning.CLOSING
    if family == GRANTED[step]:
        return Meaning.GO
    if reply.code == _BAD_SEQUENCE and step is Step.MAIL:
        return Meaning.BROKEN  # it believes an earlier letter is not over
    if reply.code in _UNKNOWN_COMMAND and step is Step.BDAT:
        return Meaning.BROKEN  # it offered BDAT and reads the message as commands
    if family == 4:
        return Meaning.LATER
    if family == 5:
        return Meaning.NEVER if _is_about_one_message(step, reply) else Meaning.STOP
    return Meaning.BROKEN


def outcome_of(step: Step, reply: Reply, says: Meaning) -> Outcome:
    """What a refusal, LATER or NEVER, makes of the letter it was given for."""
    if says is Meaning.LATER:
        return Outcome.DEFERRED
    is_final_word = step in _ABOUT_ONE_MESSAGE and _OF_THE_RECIPIENT.fullmatch(reply.enhanced)
    return Outcome.BOUNCED if step is Step.RCPT or is_final_word else Outcome.FAILED


def _is_about_one_message(step: Step, reply: Reply) -> bool:
    if reply.code in _NEEDS_AUTH:
        return False
    if step is Step.MAIL:
        return reply.code == _TOO_LARGE or reply.enhanced in _OF_THE_MESSAGE
    return step in _ABOUT_ONE_MESSAGE


def described(reply: Reply, *, address: str = "") -> str:
    """`550 5.1.1 No such user`, at most 200 characters of text, without any address in it."""
    # Cut before the search, too: a server's megabyte is no text to look for addresses in.
    text = redacted(reply.text[: MAX_TEXT_CHARACTERS * 4], address=address)
    return f"{reply.code} {text[:MAX_TEXT_CHARACTERS]}".rstrip()


def redacted(text: str, *, address: str = "") -> str:
    """`text` with `(address)` for whatever looks like one, and for the reader's own name in it."""
    local_part = address.rpartition("@")[0]
    text = _ADDRESS.sub("(address)", text)
    # Looked for first: a pattern of its own for every reader costs more than all the rest.
    if len(local_part) >= _SHORTEST_NAME and local_part.lower() in text.lower():
        own = rf"(?<!\w){re.escape(local_part)}(?!\w)"
        text = re.sub(own, "(address)", text, flags=re.IGNORECASE)
    return text
