"""Header lines written by hand where Python's own policy would harm them.

`email` turns a long List-Unsubscribe into an encoded-word, and mail programs then show no button;
and on Python 3.11 a crafted encoded-word in a subject became a header of its own. So list headers
are literal, and nothing that could start a header enters any of them.
"""

from __future__ import annotations

import base64
import re
from email import policy
from email.headerregistry import Address
from email.utils import parseaddr
from urllib.parse import quote

from newsletter.errors import RefusedError, TemplateError
from newsletter.rendering.view import Publication

CRLF = b"\r\n"
LINE_CHARACTERS = 76
MAX_DISPLAY_CHARACTERS = 120

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|=\?")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_ENCODED_WORD_BYTES = 42  # becomes 56 characters of base64 between `=?utf-8?b?` and `?=`


def refuse_unsafe(value: str, what: str) -> str:
    """`value` as it is. Raises RefusedError for control characters and for `=?`."""
    if _UNSAFE.search(value):
        raise RefusedError(
            f"{what} holds a control character or '=?', which could hide another header",
            hint="write it in plain words",
        )
    return value


def wire_address(address: str) -> str:
    """An address fit for an envelope: ASCII, nothing to break out of. Raises RefusedError."""
    if not _ADDRESS.fullmatch(address) or "=?" in address or len(address) > 320:
        raise RefusedError(
            "an address is not in its wire form (ASCII, its domain in IDNA)",
            hint="addresses with other letters before the @ need SMTPUTF8, which is not offered",
        )
    return address


def mailbox(name: str, address: str, *, bare: bool = True) -> str:
    """`phrase <address>`. A name that could not stand in a header is left out.

    bare: without a name the address stands without angle brackets.
    """
    shown = " ".join(name.split()) if not _UNSAFE.search(name) else ""
    if not shown or len(shown) > MAX_DISPLAY_CHARACTERS:
        return address if bare else f"<{address}>"
    if _ATOMS.fullmatch(shown):
        phrase = shown
    elif shown.isascii():
        phrase = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        phrase = "\r\n ".join(_encoded_words(shown))
    # The last line of the phrase and the address, each within its line.
    apart = "\r\n " if len(phrase) + len(address) > LINE_CHARACTERS - 8 else " "
    return f"{phrase}{apart}<{address}>"


def _encoded_words(text: str) -> list[str]:
    """RFC 2047 words, never cutting a character in two."""
    words, piece = [], b""
    for character in text:
        octets = character.encode()
        if len(piece) + len(octets) > _ENCODED_WORD_BYTES:
            words.append(piece)
            piece = b""
        piece += octets
    return [f"=?utf-8?b?{base64.b64encode(one).decode()}?=" for one in (*words, piece)]


def sender_line(publication: Publication) -> bytes:
    """The From header. Raises RefusedError where the sender is no address."""
    return _address_line("From", publication.sender)


def reply_to_line(publication: Publication) -> bytes:
    return _address_line("Reply-To", publication.reply_to)


def subject_line(subject: str) -> bytes:
    """The Subject header, in encoded words where it must be."""
    return _registry("Subject", refuse_unsafe(subject, "the subject"))


def mailto(address: str) -> str:
    """The unsubscribe address as `mailto:...`; "" for none. Raises RefusedError for no address."""
    if not address:
        return ""
    spec = wire_address(parseaddr(refuse_unsafe(address, "the unsubscribe address"))[1])
    return f"mailto:{quote(spec, safe='@')}"  # RFC 6068: an & or = would begin another field


def list_id_line(publication: Publication) -> bytes:
    """`List-Id: phrase <label.domain>`; the phrase only where it is plain ASCII."""
    refuse_unsafe(publication.list_id, "the list id")
    name = refuse_unsafe(publication.name, "the publication's name")
    phrase = name if name.isascii() else ""
    return literal("List-Id", mailbox(phrase, publication.list_id, bare=False))


def feedback_id_line(publication: Publication, *, issue_id: int, week: str, kind: str) -> bytes:
    """`Feedback-ID: issue:week:kind:SenderId`: the same for all readers of an issue."""
    domain = publication.list_id or parseaddr(publication.sender)[1].rpartition("@")[2]
    sender_id = re.sub(r"[^a-z0-9]", "", domain.lower())[:15].ljust(5, "0")
    return literal("Feedback-ID", f"issue{issue_id}:{week}:{kind}:{sender_id}")


def literal(name: str, value: str) -> bytes:
    """A header written to the letter; it folds only where its value has a line end already."""
    return f"{name}: {value}".encode("ascii") + CRLF


def _address_line(name: str, text: str) -> bytes:
    display, spec = parseaddr(refuse_unsafe(text, f"the {name} address"))
    try:
        address = Address(display, addr_spec=spec)
    except (ValueError, IndexError) as error:
        raise _no_address(name, text) from error
    if not address.domain:
        raise _no_address(name, text)
    return _registry(name, str(address))


def _no_address(name: str, text: str) -> RefusedError:
    return RefusedError(
        f"the {name} address {text!r} is not an address",
        hint="write `Weekly AI Tool Verdicts <news@example.com>` in the settings",
    )


def _registry(name: str, value: str) -> bytes:
    """A header through Python's header registry."""
    try:
        folded = policy.SMTP.header_factory(name, value).fold(policy=policy.SMTP)
        return str(folded).encode("ascii")
    except (ValueError, UnicodeError) as error:
        raise TemplateError(
            f"the {name} header cannot be written: {error}",
            hint="shorten it, or leave out unusual characters",
        ) from error
