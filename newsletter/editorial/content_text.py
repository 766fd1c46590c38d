"""What a piece of an editor's text may hold: the rules that every field shares. Pure."""

from __future__ import annotations

import re
import unicodedata

EXCERPT_CHARS = 160
QUOTE_CHARS = 4_000

# Embeddings, overrides and isolates: they make text read otherwise than it is stored. The marks
# U+200E, U+200F and U+061C only settle direction; right-to-left text needs them.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’»)\]]*\Z")
_CUT_SHORT = re.compile(r"(?:\.{2,}|…)[\"'”’»)\]]*\Z")


def forbidden_character(text: str) -> str | None:
    """The first character of `text` that no field may hold, named for people; None: all is well."""
    for char in text:
        if char in _BIDI:
            return f"U+{ord(char):04X}, a hidden change of reading direction"
        if char == "\ufeff":
            return "U+FEFF, an invisible byte-order mark"
        category = unicodedata.category(char)
        if category in {"Cc", "Zl", "Zp"}:
            return f"U+{ord(char):04X}, a control character"
        if category == "Cs" or (category == "Cn" and _is_noncharacter(ord(char))):
            return f"U+{ord(char):04X}, which is no character"
    return None


def _is_noncharacter(point: int) -> bool:
    return point & 0xFFFE == 0xFFFE or 0xFDD0 <= point <= 0xFDEF


def sentence_fault(text: str) -> str | None:
    """Why `text` does not end as a sentence; None where it does."""
    if _CUT_SHORT.search(text):
        return "is cut short by dots"
    if not _SENTENCE_END.search(text):
        return "does not end as a sentence"
    return None


def is_quoted(text: str) -> bool:
    """Does one pair of quotation marks go round the whole of `text`?"""
    if len(text) < 2:
        return False
    inner = text[1:-1]
    return (text[0] == "“" and text[-1] == "”" and not set("“”") & set(inner)) or (
        text[0] == text[-1] == '"' and '"' not in inner
    )


def shown(value: object, *, most: int = 60) -> str:
    """`value` in a message: on one line, printable on any terminal, not longer than `most`."""
    text = str(value)
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text if text.isprintable() else ascii(text)[1:-1]
