"""What SendGrid's `POST /v3/mail/send` is given, within its documented limits.

The helper objects of the library would cost three times as much a reader, and `to_emails` with
several addresses shows readers to each other. Here each reader is a personalization of their own,
written as JSON at once: the content goes over once a request with its tokens in it, and SendGrid
replaces them as raw text. Limits: "Mail Send" and its "Errors" in Twilio's API reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parseaddr
from json.encoder import encode_basestring_ascii
from typing import Any, Final, NamedTuple, Self

from newsletter.errors import PermanentError, TransientError
from newsletter.providers.base import Content, Envelope

MAX_RECIPIENTS: Final = 1_000  # a request, and as many personalizations
MAX_REQUEST_BYTES: Final = 30_000_000  # "under 30 MB": the smaller of the two megabytes
MAX_SUBSTITUTION_BYTES: Final = 10_000  # a personalization, names and values
MAX_NAME_CHARACTERS: Final = 120
MAX_REQUEST_ID_CHARACTERS: Final = 100
# "You may not override the following headers."
RESERVED_HEADERS: Final = frozenset(
    {
        "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type",
        "content-transfer-encoding", "to", "from", "subject", "reply-to", "cc", "bcc",
    }
)  # fmt: skip

# Its own tracking: our links are signed, and a list that is left through SendGrid is left unknown
# to us.
_NO_TRACKING: Final = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}
_UNSAFE_NAME = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"\\<>]|=\?')
_FOLD = re.compile(r"[\r\n]+[ \t]*")

_quoted: Final = encode_basestring_ascii  # what `json.dumps` writes a text with, in C

Json = dict[str, Any]


class Part(NamedTuple):
    """One reader's share of a request: their personalization as JSON, in ASCII.

    A named tuple: made for every reader, at a third of what a frozen dataclass costs.
    """

    key: int
    address: str
    personalization: str


def delivery_mark(envelope: Envelope) -> str:
    """The `nl_delivery` of an envelope: its Message-ID's local part and key, joined by a dot.

    It comes back in every event about the message. No address in it: SendGrid stores custom
    arguments unprotected.
    """
    return f"{envelope.message_id.partition('@')[0]}.{envelope.key}"


def unfolded(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as SendGrid takes them, each on one line.

    Raises TransientError where it would refuse the mailing for one of them.
    """
    if not RESERVED_HEADERS.isdisjoint(map(str.lower, headers)):
        reserved = [name for name in headers if name.lower() in RESERVED_HEADERS]
        raise TransientError(
            f"SendGrid writes {', '.join(reserved)} itself and refuses a message that brings it",
            hint="take the header out of the mailing: it is a fault of the program",
        )
    return {
        name: value if value.isprintable() else _FOLD.sub(" ", value)
        for name, value in headers.items()
    }


def part(content: Content, shared: str, envelope: Envelope) -> Part:
    """One reader's share. shared: `members` of the `unfolded` headers of the same content.

    All headers stand here, not some at the top: a personalization's replace the request's. Our
    own Message-ID is among them, since it is not reserved: a bounce then names it, and it is the
    same on a later attempt. Raises PermanentError where this one reader's does not fit.
    """
    substitutions = content.tokens(envelope)
    if 4 * len("".join((*substitutions, *substitutions.values()))) >= MAX_SUBSTITUTION_BYTES:
        _refuse_too_large(substitutions)  # perhaps: UTF-8 makes at most 4 bytes of one
    own = unfolded(content.own_headers(envelope))
    own["Message-ID"] = f"<{envelope.message_id}>"
    between = "," if shared else ""
    personalization = (
        f'{{"to":[{{{members(_mailbox(envelope.name, envelope.address))}}}],'
        f'"headers":{{{shared}{between}{members(own)}}},'
        f'"substitutions":{{{members(substitutions)}}},'
        f'"custom_args":{{"nl_delivery":{_quoted(delivery_mark(envelope))}}}}}'
    )
    return Part(envelope.key, envelope.address, personalization)


def members(values: Mapping[str, str]) -> str:
    """What stands between the braces of a JSON object of texts."""
    return ",".join([f"{_quoted(name)}:{_quoted(value)}" for name, value in values.items()])


def _refuse_too_large(substitutions: Mapping[str, str]) -> None:
    size_bytes = len("".join((*substitutions, *substitutions.values())).encode())
    if size_bytes >= MAX_SUBSTITUTION_BYTES:
        raise PermanentError(
            f"what differs for this reader is {size_bytes:,} bytes; SendGrid takes less than "
            f"{MAX_SUBSTITUTION_BYTES:,}"
        )


def frame(content: Content, *, request: str = "", sandbox: bool = False) -> Json:
    """What a request says once for all. sandbox: SendGrid checks it and sends nothing.

    request: its id of at most `MAX_REQUEST_ID_CHARACTERS`, which comes back in the events of each
    of its messages: SendGrid joins the custom arguments of a request and of a reader. "": none.
    """
    whole: Json = {
        "from": _mailbox(*parseaddr(content.sender)),
        "subject": content.subject,
        "content": [
            {"type": "text/plain", "value": content.text},
            {"type": "text/html", "value": content.html},
        ],
        "tracking_settings": _NO_TRACKING,
    }
    if request:
        whole["custom_args"] = {"nl_request": request}
    if content.reply_to:
        whole["reply_to"] = _mailbox(*parseaddr(content.reply_to))
    if sandbox:
        whole["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return whole


class Wired(bytes):
    """A request as it goes over the wire.

    The official client takes what encodes itself, and writes all of it into a line for its log
    before it asks whether anybody reads that: hidden, it costs nothing and names no reader.
    """

    def encode(self, _encoding: str) -> Self:
        return self

    def __format__(self, _spec: str) -> str:
        return f"[{len(self):,} bytes]"


def wired(whole: Json, parts: Iterable[Part]) -> Wired:
    """A whole request. whole: its `frame`."""
    people = ",".join([one.personalization for one in parts])
    rest = json.dumps(whole).removeprefix("{")
    return Wired(f'{{"personalizations":[{people}],{rest}'.encode("ascii"))


def requests(parts: Sequence[Part], *, bare_bytes: int) -> Iterator[list[Part]]:
    """Cuts parts into requests within the limits. bare_bytes: of a request without any part.

    An address that comes twice waits for the next request, as one repeated address makes SendGrid
    refuse them all. A part too large for any request goes alone: SendGrid has the word.
    """
    waiting = list(parts)
    while waiting:
        request, waiting = _first_request(waiting, MAX_REQUEST_BYTES - bare_bytes)
        yield request


def _first_request(parts: Sequence[Part], room_bytes: int) -> tuple[list[Part], list[Part]]:
    """The parts of the next request, and those that wait."""
    taken: list[Part] = []
    repeated: list[Part] = []
    addresses: set[str] = set()
    for index, one in enumerate(parts):
        address = one.address.lower()
        if address in addresses:
            repeated.append(one)
            continue
        room_bytes -= len(one.personalization) + 1
        if taken and (len(taken) == MAX_RECIPIENTS or room_bytes <= 0):
            return taken, repeated + list(parts[index:])
        addresses.add(address)
        taken.append(one)
    return taken, repeated


def _mailbox(name: str, address: str) -> dict[str, str]:
    """A name that could not stand in a header is left out.

    With a comma or semicolon it is quoted: SendGrid writes it into the header as it is.
    """
    shown = "" if not name or _UNSAFE_NAME.search(name) else " ".join(name.split())
    if not shown or len(shown) > MAX_NAME_CHARACTERS:
        return {"email": address}
    return {"email": address, "name": f'"{shown}"' if "," in shown or ";" in shown else shown}
