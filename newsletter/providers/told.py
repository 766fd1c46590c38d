"""What providers tell of messages afterwards, in one shape whoever tells it.

What arrives is read, never trusted to be well made: an element that is broken, or says what we have
no word for, is kept as unknown and costs no other. No address is kept: whose message it is about is
told by what we signed ourselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, NamedTuple

MAX_ID_CHARACTERS: Final = 120
MAX_WORD_CHARACTERS: Final = 40
MAX_DETAIL_CHARACTERS: Final = 500
MAX_RAW_CHARACTERS: Final = 2_000
MAX_ELEMENTS: Final = 10_000  # of one body

_MAX_LOOKED_AT: Final = 4 * MAX_RAW_CHARACTERS
_MAX_DEPTH: Final = 20  # what lies deeper is not kept

_EARLIEST_S: Final = 946_684_800  # the year 2000: before it nobody told anything
_LATEST_S: Final = 4_102_444_800  # the year 2100
_NUMBERS: Final = (int, float)
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_ADDRESS = re.compile(r"[^\s<>()\[\]{}\"',;:]{1,320}@[^\s<>()\[\]{}\"',;:=]{1,255}")
# An address as it stands in a link (bob%40example.org, or encoded twice), and as a return path has
# it (bob=example.org). Of names of parameters, as in `header.from=example.org`, what follows says
# who sent, and is kept.
_WRITTEN_OTHERWISE = re.compile(
    r"(?<![\w.%+~!#$*-])[\w.%+~!#$*-]{1,320}?%(?:25)*40[^\s<>()\[\]{}\"',;:=&?/]{1,255}"
    r"|(?<![\w.%+~!#$*-])(?!(?:[disbaq]|ip|mx|rua|ruf|host|helo|from|mailfrom|domain|server|client|zone|list|url)=)"
    r"(?!(?:header|smtp|policy|body)\.\w+=)"
    r"[\w.%+~!#$*-]{1,320}=(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]+",
    re.IGNORECASE,
)
_NOT_KEPT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# A text that is never closed ends with the body: from each place there is one way on, so the time
# is in proportion to the length.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
# Who the reader is and where they are, by the names providers give it.
_PERSONAL: Final = frozenset({"email", "ip", "useragent", "user_agent", "recipient", "agent"})
_ESCAPED = re.compile(r"\\+u00([0-7][0-9a-fA-F])", re.ASCII)
_PERSONAL_MEMBER = re.compile(
    r'"\s*(?:' + "|".join(sorted(_PERSONAL)) + r""")\s*"\s*:\s*(?:"(?:[^"\\]|\\.)*+"?|[^,}\]]*)""",
    re.IGNORECASE | re.DOTALL,
)
_NETWORK = re.compile(
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![0-9a-f:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}",
    re.ASCII | re.IGNORECASE,
)


class Kind(StrEnum):
    """What became of a message, in our words."""

    PROCESSED = "processed"  # the provider has it, and will try
    DELIVERED = "delivered"  # the mailbox's server took it
    DEFERRED = "deferred"  # not yet: the provider goes on trying
    BOUNCED = "bounced"  # refused; its code and words say why
    INVALID = "invalid"  # refused, and the provider says that there is no such mailbox
    BLOCKED = "blocked"  # refused for what was sent or by whom, or given up: it may pass
    DROPPED = "dropped"  # never tried by the provider, for the reason given
    COMPLAINED = "complained"  # its reader called it spam
    UNSUBSCRIBED = "unsubscribed"  # its reader left by a way of the provider's
    RESUBSCRIBED = "resubscribed"  # told the provider that they want it again: to us, nothing
    OPENED = "opened"  # the provider's own pixel: kept, never counted
    CLICKED = "clicked"  # the provider's own links: kept, never counted
    UNKNOWN = "unknown"  # kept raw


class ProviderEvent(NamedTuple):
    """One fact told by a provider. A named tuple: made a thousand at a time.

    event_id: the provider's own. twin: stands for message, instant and what is said of it, for ids
    that change on a retry; for all that it says where one of these is missing. word: the provider's
    own name of it. at: None where it gives no instant, or an impossible one. mark: `<local part of
    our Message-ID>.<key>`, message_id: a whole Message-ID, token: one of ours that names a
    delivery; each "" where not given, and none of them proven yet. request_id: of the request it
    left in. code: enhanced status (RFC 3463). detail: the server's or the provider's words. raw:
    the event as JSON where its kind is unknown.
    """

    event_id: str
    twin: str
    kind: Kind
    word: str
    at: datetime | None
    mark: str = ""
    message_id: str = ""
    token: str = ""
    request_id: str = ""
    code: str = ""
    detail: str = ""
    raw: str = ""


class TooManyError(ValueError):
    """More than MAX_ELEMENTS at once."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of an array that cannot be read by itself."""

    text: str


def read_array(body: bytes) -> list[Any]:
    """The elements of a JSON array; an object alone is an array of one.

    One element that is no JSON, too deep or a number too long becomes a `Broken`, and the others
    are read. Raises ValueError where the body is no array at all, TooManyError where it is too long
    a one.
    """
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = list(islice(_one_by_one(text), MAX_ELEMENTS + 1))
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise ValueError("events come as a JSON array")  # noqa: TRY004  (a fault of the body's)
    if len(found) > MAX_ELEMENTS:
        raise TooManyError(f"more than {MAX_ELEMENTS:,} events at once")
    return found


def _one_by_one(text: str) -> Iterator[Any]:
    for piece in _pieces(text):
        try:
            yield json.loads(piece)
        except (ValueError, RecursionError):
            yield Broken(piece)


def _pieces(text: str) -> Iterator[str]:
    """What stands between the commas of the outermost array. Raises ValueError for no array."""
    if not text.startswith("["):
        raise ValueError("events come as a JSON array")
    depth, start = 0, 1
    for found in _BRACKETS.finditer(text):
        sign = found[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
        if depth == 0 or (depth == 1 and sign == ","):
            if piece := text[start : found.start()].strip():
                yield piece
            start = found.end()
        if depth == 0:
            return
    if piece := text[start:].strip():
        yield piece


def unknown(element: Any) -> ProviderEvent:
    """An element nothing can be made of. The same one twice is one."""
    text = element.text if isinstance(element, Broken) else as_json(element)
    known_as = digest(text)
    return ProviderEvent(f"raw:{known_as}", known_as, Kind.UNKNOWN, "", None, raw=raw_of(element))


def raw_of(element: Any) -> str:
    """All it says as JSON, but for who the reader is and where they are."""
    if isinstance(element, Broken):
        plain = _ESCAPED.sub(_unescaped, element.text[:_MAX_LOOKED_AT])
        text = _NETWORK.sub("(network)", _PERSONAL_MEMBER.sub("", plain))
    else:
        text = as_json(_impersonal(element))
    return kept(text, MAX_RAW_CHARACTERS)


def _unescaped(found: re.Match[str]) -> str:
    sign = chr(int(found[1], 16))
    return sign if sign.isprintable() and sign not in '"\\' else " "


def _impersonal(value: Any, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {
            name: _impersonal(one, depth + 1)
            for name, one in value.items()
            if name.strip().lower() not in _PERSONAL
        }
    return [_impersonal(one, depth + 1) for one in value] if isinstance(value, list) else value


def own_id(value: Any) -> str:
    """The provider's id of an event, as it is kept; "" where it is none. Distinct ones stay so."""
    known_as = text_of(value, MAX_ID_CHARACTERS)
    if not isinstance(value, str) or known_as == value:
        return known_as
    return f"long:{digest(value)}" if known_as else ""


def as_json(value: Any) -> str:
    """Written in one way, whatever the order of its members."""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(type(value))


def digest(*parts: str) -> str:
    """32 hexadecimal digits that stand for these texts in this order."""
    whole = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(whole, digest_size=16).hexdigest()


def twin_of(message: str, at: str, said: Sequence[str]) -> str:
    """What stands for a message, an instant in words and what was said of it: 52 letters at most.

    The instant comes first, so that what is told at once stands side by side in the index: by its
    hash alone each of a thousand events would have a page of its own to write.
    """
    return f"{at[:19]}.{digest(message, at, *said)}"


def text_of(value: Any, most: int) -> str:
    """A text or a number as one plain line of at most `most` characters; "" for anything else."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value[:most]
        return _NOT_KEPT.sub(" ", value[: 4 * most]).strip()[:most]
    return str(value)[:most] if is_whole(value) or isinstance(value, float) else ""


def is_whole(value: Any) -> bool:
    """A whole number short enough to be written down."""
    return isinstance(value, int) and not isinstance(value, bool) and -(10**18) < value < 10**18


def kept(words: str, most: int) -> str:
    """Words as they may be kept: no address, no controls, at most `most` characters."""
    plain = text_of(words, 4 * most)
    if "@" in plain:
        plain = _ADDRESS.sub("(address)", plain)
    if "=" in plain or "%" in plain:
        plain = _WRITTEN_OTHERWISE.sub("(address)", plain)
    return plain[:most]


def instant(value: Any) -> datetime | None:
    """Seconds since 1970 as a number or its digits; None for anything else, and before 2000."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        return None
    return _instant(value) if _EARLIEST_S <= value < _LATEST_S else None


@lru_cache(maxsize=4_096)
def _instant(seconds: float) -> datetime:
    # Made once for the thousand events of a second. Whole seconds stay whole.
    return datetime.fromtimestamp(seconds, UTC)
