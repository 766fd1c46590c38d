"""Bounces of the old kind, for people to read: what can be recognised of them.

Sure signs first: Exim's header and qmail's first words. Else the sender must be a mail system
itself, and the text must say that a delivery failed; an absent colleague's answer does neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from newsletter.inbound.mime import Headers
from subscribers import bounces

_SYSTEMS = re.compile(
    r"(?:^|<|\s)(?:mailer-daemon|mail-?daemon|postmaster|mail\.?delivery|mailsystem|mdaemon"
    r"|microsoftexchange[0-9a-f]*|bounces?|noreply-mailer)\b[^@\s]{0,40}@"
    r"|mail delivery (?:sub)?system",
    re.IGNORECASE,
)
_SURE = re.compile(r"^Hi\. This is the [\w.-]{1,60} (?:qmail-send )?program", re.MULTILINE)
_FAILED = re.compile(
    r"could not be delivered|couldn['’]t be delivered|wasn['’]t delivered|was not delivered"
    r"|undeliverable|unable to deliver|not able to deliver|delivery (?:has )?failed|failed delivery"
    r"|delivery failure|failure notice|permanent (?:fatal )?error|returned to sender"
    r"|returned mail|did not reach|address not found|non.?delivery|nicht zugestellt"
    r"|unzustellbar|non remis|no se ha podido entregar|non [eè] stato recapitato",
    re.IGNORECASE,
)
_WAITS = re.compile(
    r"\bdelayed\b|\bdelay\b|still (?:be )?(?:trying|retried)|will (?:keep|be) (?:re)?try"
    r"|do not need to (?:re)?send|temporary problem|\bwarning\b",
    re.IGNORECASE,
)
# Where what was sent begins, in the words of several makers.
_COPY = re.compile(
    r"^\W{0,8}(?:this is a copy of|below this line is a copy|original message|the header of the"
    r"|message header|returned message|unsent message|begin original|copy of the message"
    r"|forwarded message|original headers)",
    re.MULTILINE | re.IGNORECASE,
)
_REPLY = re.compile(r"(?<![\d.])[45]\d\d[ -](?=\D)|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_MAX_CHARACTERS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Told:
    """What such a bounce tells. code: "" where it gives none."""

    waits: bool
    code: str
    words: str


def read_words(headers: Headers, text: str) -> Told | None:
    """None for a mail that is no bounce, or none that can be told from a letter."""
    told = before_the_copy(text)
    subject = headers.first("subject")
    sure = bool(headers.first("x-failed-recipients") or _SURE.search(told))
    if not sure:
        by_system = any(map(_SYSTEMS.search, headers.every("from", "sender")))
        if not (by_system and (_FAILED.search(told) or _FAILED.search(subject))):
            return None
    words = _reply_lines(told) or told
    waits = bool(_WAITS.search(subject)) and not _FAILED.search(subject)
    return Told(waits, bounces.code_in(words), words)


def before_the_copy(text: str) -> str:
    """The report's own words: not those of the mail it returns."""
    text = text[:_MAX_CHARACTERS]
    copy = _COPY.search(text)
    return text[: copy.start()] if copy else text


def _reply_lines(text: str) -> str:
    """The lines that hold a server's answer, each with the next: replies are folded."""
    lines = text.splitlines()
    at = [n for n, line in enumerate(lines) if _REPLY.search(line)][:5]
    return "\n".join("\n".join(lines[n : n + 2]) for n in at)
