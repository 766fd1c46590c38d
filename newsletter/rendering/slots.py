"""Slots: the few places where one reader's mail differs from another's.

A template writes a slot as an alphanumeric placeholder, the only spelling that survives Jinja,
MJML, premailer and every attribute unharmed. HTML and text use different placeholders, because
their values are escaped differently. A part is compiled once into quoted-printable segments; a
reader's values are encoded and put between them, which costs microseconds.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

SOFT_BREAK = b"=\r\n"
# Greeting names come from sign-up forms and lists: one line, no controls, not endless.
MAX_NAME_CHARACTERS = 60

_PLAIN = re.compile(r"[A-EG-Za-z0-9_][A-Za-z0-9_-]{0,71}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# RFC 2045: all but printable ASCII, and `=` itself; blanks only where they would end a line.
_QUOTED = {code: f"={code:02X}" for code in range(256) if not 32 <= code <= 126 or code == 61}
del _QUOTED[ord("\n")], _QUOTED[ord("\t")]
_BLANK_AT_END = re.compile(r"[ \t](?=\n|\Z)")
# 75 octets and the `=` of a soft break are a line of 76; an `=XX` is never cut.
_FOLD = re.compile(r".{1,75}(?<!=)(?<!=[0-9A-F])")
# Dots (SMTP) and `From ` (mbox) at the start of a line have been mangled on the way before now.
_DELICATE = re.compile(r"^(?:\.*F(?=rom )|\.+)", re.MULTILINE)


class Slot(StrEnum):
    """What differs between readers."""

    DELIVERY = "delivery"  # token of one issue for one reader, in pixel and click addresses
    UNSUBSCRIBE = "unsubscribe"  # token of the unsubscribe address
    PREFERENCES = "preferences"  # token of the page of a reader's own choices
    VOTE = "vote"  # token of ship or skip, through this issue
    CONFIRM = "confirm"  # token of a sign-up's confirmation address
    MOVE = "move"  # token of a change of address, for one of its two mailboxes
    DATA = "data"  # token of the page of all that is held on a reader
    NAME = "name"  # what follows "Hello": "" or a space and a name


HTML_PLACEHOLDERS: Mapping[Slot, str] = {slot: f"zqH{slot.value}7zq" for slot in Slot}
TEXT_PLACEHOLDERS: Mapping[Slot, str] = {slot: f"zqT{slot.value}7zq" for slot in Slot}
_IN_HTML = {slot.value: token for slot, token in HTML_PLACEHOLDERS.items()}
_IN_TEXT = {slot.value: token for slot, token in TEXT_PLACEHOLDERS.items()}

_SLOT_OF = {
    token: slot for table in (HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS) for slot, token in table.items()
}
PLACEHOLDER = re.compile("|".join(_SLOT_OF))


def greeting(name: str) -> str:
    """The value of the NAME slot: `" Priya"`, or `""` where no name is known.

    The text around it reads well both ways: "Hello," and "Hello Priya,".
    """
    shown = " ".join(_CONTROLS.sub(" ", name).split())
    return f" {shown[:MAX_NAME_CHARACTERS].rstrip()}" if shown else ""


def escape_html(value: str) -> str:
    return html.escape(escape_text(value), quote=True)


def escape_text(value: str) -> str:
    # Nothing printable is a control: most values are spared the search, which costs ten times that.
    return value if value.isprintable() else _CONTROLS.sub(" ", value)


def replacements(values: Mapping[str, str]) -> dict[str, str]:
    """What each placeholder becomes for one reader, in HTML and in text, for plain replacing."""
    shown = {}
    for slot, value in values.items():
        plain = escape_text(value)
        shown[_IN_TEXT[slot]] = plain
        shown[_IN_HTML[slot]] = html.escape(plain, quote=True)
    return shown


def neutral(rendered_html: str, values: Mapping[str, str]) -> str:
    """The same HTML with the given values, escaped: for the archive and for previews.

    Slots without a value become empty.
    """
    return _replace(rendered_html, values, escape_html)


def neutral_text(rendered_text: str, values: Mapping[str, str]) -> str:
    """The text part with the given values; slots without one become empty."""
    return _replace(rendered_text, values, escape_text)


def _replace(part: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    return PLACEHOLDER.sub(lambda match: escape(values.get(_SLOT_OF[match[0]], "")), part)


@dataclass(frozen=True, slots=True)
class CompiledPart:
    """A body part in quoted-printable, cut at its slots.

    segments: static bytes, one more than there are slots. slots: what stands between them.
    escape: how a value is written in this part.
    """

    segments: tuple[bytes, ...]
    slots: tuple[Slot, ...]
    escape: Callable[[str], str]

    def encode(self, value: str) -> bytes:
        """A value's own quoted-printable chunk, soft break included; empty for nothing."""
        escaped = self.escape(value)
        if _PLAIN.fullmatch(escaped):
            return escaped.encode("ascii") + SOFT_BREAK
        return encode_chunk(escaped)

    def places(self, slot: Slot) -> tuple[int, ...]:
        """Where the slot stands in `pieces`."""
        return tuple(2 * index + 1 for index, one in enumerate(self.slots) if one is slot)

    def pieces(self) -> list[bytes]:
        """Segments with room for a chunk between each two: what a reader's part is joined from."""
        spaced = [b""] * (2 * len(self.segments) - 1)
        spaced[::2] = self.segments
        return spaced


def compile_part(part: str, escape: Callable[[str], str]) -> CompiledPart:
    """Cuts a rendered part at its placeholders and encodes what stays the same for all."""
    segments: list[bytes] = []
    slots: list[Slot] = []
    end = 0
    for match in PLACEHOLDER.finditer(part):
        segments.append(encode_chunk(part[end : match.start()]))
        slots.append(_SLOT_OF[match[0]])
        end = match.end()
    segments.append(encode_chunk(part[end:], last=True))
    return CompiledPart(tuple(segments), tuple(slots), escape)


def encode_chunk(text: str, *, last: bool = False) -> bytes:
    """Quoted-printable of a piece of text, ready to be followed by another piece.

    Lines are at most 76 octets; line ends are CRLF. A chunk closes with a soft break unless it
    already ends its line or is the last of its part, which always ends its line. Written out here
    because `binascii.b2a_qp` lets a line that ends in a blank grow to 78.
    """
    raw = text.replace("\r\n", "\n").replace("\r", "\n").encode().decode("latin-1")
    quoted = _BLANK_AT_END.sub(lambda match: f"={ord(match[0]):02X}", raw.translate(_QUOTED))
    folded = "\n".join("=\n".join(_FOLD.findall(line)) for line in quoted.split("\n"))
    guarded = _DELICATE.sub(_guard, folded)
    if guarded and not guarded.endswith("\n"):
        guarded += "\n" if last else "=\n"
    return guarded.replace("\n", "\r\n").encode("ascii")


def _guard(match: re.Match[str]) -> str:
    """Delicate first characters as `=XX`, each with a soft break, so that no line grows longer."""
    return "".join(f"={ord(octet):02X}=\n" for octet in match[0])
