"""What SendGrid's answers mean: a table of statuses, and its own words made fit to be kept.

Sources: "Responses" and "Errors" in Twilio's reference of the v3 API. A rate limit's reset has been
seen as an instant and as seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

MAX_WORDS_CHARACTERS: Final = 200
MAX_PAUSE_S: Final = 60.0
FIRST_INSTANT: Final = 1_000_000_000  # a reset from here on is an instant (2001), not seconds


class Meaning(Enum):
    """What follows from an answer, or from its absence."""

    TAKEN = "it has all messages of the request"
    LATER = "it has none of them and takes them after a pause"
    AT_FAULT = "it has none of them: one or more are at fault"
    NO_ENTRY = "the key or the sender is not accepted; nobody's message is at fault"
    NOT_THERE = "what answers is not SendGrid's API; nobody's message is at fault"
    NOT_REACHED = "the request did not go out whole, so it has none of them"
    UNANSWERED = "the request went out and nothing says what became of it"


BY_STATUS: Final[Mapping[int, Meaning]] = {
    200: Meaning.TAKEN,  # the sandbox
    202: Meaning.TAKEN,
    400: Meaning.AT_FAULT,
    401: Meaning.NO_ENTRY,
    403: Meaning.NO_ENTRY,
    408: Meaning.UNANSWERED,
    413: Meaning.AT_FAULT,
    429: Meaning.LATER,
    500: Meaning.UNANSWERED,
    502: Meaning.UNANSWERED,
    503: Meaning.LATER,
    504: Meaning.UNANSWERED,
}

# What a request says once for all readers. A fault named here is the mailing's.
_OF_THE_MAILING: Final = frozenset(
    {"from", "reply_to", "subject", "content", "tracking_settings", "mail_settings"}
)
_PLACE = re.compile(r"personalizations[.\[](\d{1,4})\]?[.](\w+)")
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"']*(?:@|%40)[^\s<>()\[\],;:\"']+", re.IGNORECASE)
_KEY = re.compile(r"SG\.[\w.-]+")
_MESSAGE_ID = re.compile(r"[\w.=+-]{1,100}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing SendGrid found at fault.

    index: of the personalization it named, or None. is_address: whether it is that one's address.
    is_common: whether it is something the request says once for all.
    """

    words: str
    index: int | None = None
    is_address: bool = False
    is_common: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, understood. words: SendGrid's own, or ours where it said none.

    reset: its `X-RateLimit-Reset`. message_id: its `X-Message-Id`.
    """

    meaning: Meaning
    words: str
    faults: tuple[Fault, ...] = ()
    reset: str = ""
    message_id: str = ""


def reply(status: int, headers: Mapping[str, str], body: bytes, *, secret: str) -> Reply:
    """An HTTP answer understood. secret: the API key, never to be shown."""
    meaning = meaning_of(status)
    faults = faults_in(body, secret=secret) if meaning is not Meaning.TAKEN else ()
    message_id = headers.get("X-Message-Id") or ""
    return Reply(
        meaning,
        words="; ".join([f"SendGrid answered {status}", *(fault.words for fault in faults[:1])]),
        faults=faults,
        reset=headers.get("X-RateLimit-Reset") or "",
        message_id=message_id if _MESSAGE_ID.fullmatch(message_id) else "",
    )


def meaning_of(status: int) -> Meaning:
    """By the table; an unknown redirect or refusal is somebody else's, all else is no answer."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    return Meaning.NOT_THERE if 300 <= status < 500 else Meaning.UNANSWERED


def faults_in(body: bytes, *, secret: str) -> tuple[Fault, ...]:
    """`{"errors": [{"message", "field", "help"}]}`, read with distrust."""
    try:
        errors = json.loads(body)["errors"]
        return tuple(_fault(error, secret) for error in errors if isinstance(error, dict))
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _fault(error: Mapping[str, Any], secret: str) -> Fault:
    field = str(error.get("field") or "")
    words = fit_words(str(error.get("message") or "no reason given"), secret=secret)
    place = _PLACE.match(field)
    if place is not None:
        return Fault(words, int(place[1]), is_address=place[2] == "to")
    return Fault(words, is_common=re.split(r"[.\[]", field)[0] in _OF_THE_MAILING)


def fit_words(words: str, *, secret: str) -> str:
    """Words on one line, without addresses and keys, cut to `MAX_WORDS_CHARACTERS`."""
    hidden = words.replace(secret, "[key]") if secret else words
    hidden = _ADDRESS.sub("[address]", _KEY.sub("[key]", hidden))
    shown = _CONTROLS.sub(" ", hidden).strip()
    return shown if len(shown) <= MAX_WORDS_CHARACTERS else f"{shown[: MAX_WORDS_CHARACTERS - 1]}…"


def pause_s(reset: str, *, now: float, attempt: int) -> float:
    """Seconds to wait before the next attempt: at least 1, at most `MAX_PAUSE_S`.

    reset: of the answer, or "". now: seconds since 1970. attempt: from 0, of the one answered.
    """
    if not re.fullmatch(r"[0-9]{1,12}", reset.strip()):
        return min(2.0**attempt, MAX_PAUSE_S)
    value = int(reset)
    seconds = value - now if value >= FIRST_INSTANT else value
    return min(max(float(seconds), 1.0), MAX_PAUSE_S)
