"""An editor's own words: how long they may be, and how they are kept."""

from __future__ import annotations

import re

from newsletter.errors import RefusedError

# Far over what any inbox shows; what is longer was pasted by mistake, and takes long to lay out.
MOST_CHARACTERS = {"subject": 500, "preheader": 500, "intro": 5_000, "text": 5_000}
_PARAGRAPHS = ("intro", "text")
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")  # of a pasted subject: a header has one line


def kept(field: str, said: str) -> str | None:
    """What is stored of it; None for nothing. Raises RefusedError where it is far too long."""
    most = MOST_CHARACTERS[field]
    if len(said) > most:
        raise RefusedError(
            f"the {field} has {len(said):,} characters",
            hint=f"shorten it to {most:,} at most",
        )
    words = said if field in _PARAGRAPHS else _LINE_BREAK.sub(" ", said)
    return words.strip() or None
