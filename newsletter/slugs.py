"""Names as they stand in addresses: lower-case ASCII with hyphens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Latin letters that Unicode does not take apart into a plain one and a mark.
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
)


def slug_of(title: str) -> str:
    """`title` in lower-case ASCII with hyphens; what has no ASCII form is left out.

    Empty where nothing is left (a title without one Latin letter or digit).
    """
    plain = unicodedata.normalize("NFKD", title.lower().translate(_LETTERS))
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"['’]", "", plain)
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def tool_slugs(names: Sequence[str]) -> tuple[str, ...]:
    """A slug for each tool of a comparison, in their order; none is empty, no two are alike.

    `C` and `C++` are `c` and `c-2`; a name without one Latin letter is `tool-1` or `tool-2`.
    """
    found: list[str] = []
    for place, name in enumerate(names, 1):
        plain = slug_of(name) or f"tool-{place}"
        while plain in found:
            plain = f"{plain}-{place}"
        found.append(plain)
    return tuple(found)
