"""What one mail about our mail says, and whatever in it may lead to the message it is about.

Pure: octets in, a Report out, whatever the octets are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from typing import Final

from newsletter.inbound import mime, status, wording
from newsletter.inbound.mime import Headers, Part
from newsletter.inbound.status import Action
from subscribers import bounces
from subscribers.policy import Verdict

MAX_REASON_CHARACTERS: Final = 300
_MAX_CLUES: Final = 20

_ADDRESS = re.compile(r"[^\s<>()\[\]\",;:=]{1,320}@[^\s<>()\[\]\",;:=]{1,320}")
_MESSAGE_ID = re.compile(
    r"^[> \t]*(?:X-)?(?:Original-)?Message-ID[ \t]*:\s*<?([^\s<>]{3,250})>?",
    re.MULTILINE | re.IGNORECASE,
)
_REFERENCE = re.compile(r"<([^\s<>]{3,250})>")
_BY_ITSELF = re.compile(
    r"^(?:auto(?:matic|mated)?[ -]?(?:reply|response|matische antwort)|out of (?:the )?office"
    r"|abwesenheits|r[eé]ponse automatique|respuesta autom[aá]tica|vacation)",
    re.IGNORECASE,
)
_AUTO_HEADERS = ("x-autoreply", "x-autorespond", "x-auto-response-suppress-reply")
_ADDRESSED = ("x-original-to", "delivered-to", "envelope-to", "x-envelope-to", "to", "cc")


class Kind(StrEnum):
    """What sort of mail it is."""

    BOUNCE = "bounce"  # a delivery failed
    DELAY = "delay"  # a server goes on trying
    DELIVERY = "delivery"  # a server says that it delivered
    COMPLAINT = "complaint"  # an abuse report
    FEEDBACK = "feedback"  # another report in that form: no complaint
    AUTO_REPLY = "auto_reply"  # written by a machine for somebody who is away
    UNSUBSCRIBE = "unsubscribe"  # somebody asks to be taken off the list
    UNKNOWN = "unknown"  # nothing of this, or nothing that could be told


@dataclass(frozen=True, slots=True)
class Ours:
    """How our own addresses look. Empty where there is none."""

    bounces_to: str = ""
    unsubscribe_mailto: str = ""
    public_url: str = ""


@dataclass(frozen=True, slots=True)
class Clues:
    """What may lead to a delivery; all of it is a stranger's word until it is verified."""

    bounce_tokens: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()
    unsubscribe_tokens: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """code: an enhanced status code, or "". reason: words without any address, cut at 300."""

    kind: Kind
    verdict: Verdict
    code: str = ""
    reason: str = ""
    clues: Clues = Clues()


def digest(raw: bytes) -> str:
    """The same for one mail whichever way it came: line ends and the file around it do not count.

    Of a mail over `mime.MAX_OCTETS`, its beginning counts.
    """
    return sha256(mime.with_plain_ends(raw).rstrip()).hexdigest()


def read_report(raw: bytes, ours: Ours) -> Report:
    """Never raises: what cannot be told is UNKNOWN and unclassified."""
    found = mime.parts(raw)
    if not found:
        return Report(Kind.UNKNOWN, Verdict.UNCLASSIFIED, reason="an empty mail")
    headers = found[0].headers
    if feedback := status.find_feedback(found):
        return _of_feedback(feedback, _clues(found, ours))
    if told := status.find_status(found):
        return _of_status(told, _clues(found, ours, told.recipients))
    text = next((part.text for part in found if part.text.strip() and not part.is_returned), "")
    if words := wording.read_words(headers, text):
        named = headers.every("x-failed-recipients")
        return _of_words(words, _clues(found, ours, [one for n in named for one in n.split(",")]))
    return _of_a_letter(headers, found, ours)


def redacted(words: str) -> str:
    """A server's words without the addresses in them, on one line."""
    return " ".join(_ADDRESS.sub("[address]", words).split())[:MAX_REASON_CHARACTERS]


def _of_feedback(feedback: str, clues: Clues) -> Report:
    if feedback == "abuse":
        return Report(Kind.COMPLAINT, Verdict.COMPLAINT, reason="called spam", clues=clues)
    return Report(Kind.FEEDBACK, Verdict.NONE, reason=f"feedback of type {feedback}", clues=clues)


def _of_status(told: status.Status, clues: Clues) -> Report:
    reason = redacted(told.words)
    if told.action is Action.FAILED:
        verdict = bounces.verdict_of(told.code, _ADDRESS.sub("", told.words))
        return Report(Kind.BOUNCE, verdict, told.code, reason, clues)
    kind = Kind.DELAY if told.action is Action.DELAYED else Kind.DELIVERY
    return Report(kind, Verdict.NONE, told.code, reason, clues)


def _of_words(told: wording.Told, clues: Clues) -> Report:
    reason = redacted(told.words)
    if told.waits:
        return Report(Kind.DELAY, Verdict.NONE, told.code, reason, clues)
    verdict = bounces.verdict_of(told.code, _ADDRESS.sub("", told.words))
    return Report(Kind.BOUNCE, verdict, told.code, reason, clues)


def _of_a_letter(headers: Headers, found: Sequence[Part], ours: Ours) -> Report:
    """A mail that is no report: a wish to leave, an answer by itself, or a letter."""
    tokens = _leaving_tokens(headers, ours)
    if tokens is not None:
        if tokens:
            clues = Clues(unsubscribe_tokens=tokens)
            return Report(Kind.UNSUBSCRIBE, Verdict.LEAVING, clues=clues)
        why = "asks to leave, and its token is missing: see who it is from and take them off"
        return Report(Kind.UNSUBSCRIBE, Verdict.UNCLASSIFIED, reason=why)
    if _is_by_itself(headers):
        return Report(Kind.AUTO_REPLY, Verdict.NONE, clues=_clues(found, ours))
    return Report(Kind.UNKNOWN, Verdict.UNCLASSIFIED, reason="no report that could be told")


def _is_by_itself(headers: Headers) -> bool:
    """RFC 3834, and what machines did before it."""
    submitted = headers.first("auto-submitted").lower()
    return (
        submitted.startswith(("auto-replied", "auto-generated", "auto-notified"))
        or headers.first("precedence").lower() in ("auto_reply", "junk")
        or any(map(headers.first, _AUTO_HEADERS))
        or _BY_ITSELF.match(headers.first("subject")) is not None
    )


def _leaving_tokens(headers: Headers, ours: Ours) -> tuple[str, ...] | None:
    """The tokens of a mail to our address for leaving; None for a mail to another address."""
    local, at, domain = parseaddr(ours.unsubscribe_mailto)[1].rpartition("@")
    if not at:
        return None
    addressed = " ".join(headers.every(*_ADDRESSED))
    pattern = (
        rf"(?<![\w.+-]){re.escape(local)}(?:\+([\w-]{{20,100}}))?@{re.escape(domain)}(?![\w.-])"
    )
    found = re.search(pattern, addressed, re.IGNORECASE)
    if not found:
        return None
    in_subject = re.findall(r"[\w-]{20,100}", headers.first("subject"), re.ASCII)
    return tuple(_few([*filter(None, [found[1]]), *in_subject]))


def _clues(found: Sequence[Part], ours: Ours, recipients: Iterable[str] = ()) -> Clues:
    """Our own headers first: a token there is the server's doing, one below may be quoted."""
    outer = found[0].headers
    below = "\n".join(_below(found))
    ids = [*_MESSAGE_ID.findall(below)]
    for value in outer.every("in-reply-to", "references", "x-original-message-id"):
        ids += _REFERENCE.findall(value)
    named = (one.strip().strip("<>") for one in recipients)
    return Clues(
        bounce_tokens=tuple(_few(_bounce_tokens(f"{outer.as_text()}\n{below}", ours))),
        message_ids=tuple(_few(ids)),
        unsubscribe_tokens=tuple(_few(_page_tokens(below, ours))),
        recipients=tuple(_few(one for one in named if "@" in one)),
    )


def _below(found: Sequence[Part]) -> Iterator[str]:
    for part in found:
        if part.is_returned:
            yield part.headers.as_text()
        yield part.text


def _bounce_tokens(text: str, ours: Ours) -> list[str]:
    local, at, domain = parseaddr(ours.bounces_to)[1].rpartition("@")
    if not at:
        return []
    pattern = rf"(?<![\w.+-]){re.escape(local)}\+([a-z2-7]{{20,56}})@{re.escape(domain)}(?![\w.-])"
    return re.findall(pattern, text, re.IGNORECASE | re.ASCII)


def _page_tokens(text: str, ours: Ours) -> list[str]:
    """Of the List-Unsubscribe header of what was returned."""
    if not ours.public_url:
        return []
    return re.findall(
        rf"{re.escape(ours.public_url)}/unsubscribe/([\w-]{{20,100}})>", text, re.ASCII
    )


def _few(values: Iterable[str]) -> Iterator[str]:
    return islice(dict.fromkeys(values), _MAX_CLUES)
