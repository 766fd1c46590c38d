"""The same mail for who is not tracked: no pixel, no canary, links that lead where they say.

`untracked` is a pure function of the rendered bytes and looks at nothing else, so an approval of
those bytes covers what it makes of them: nobody can approve one and send another. What differs
between readers otherwise (the ways out, their votes, their name) stays, since it is used by a
person's own act alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from newsletter.errors import RefusedError
from newsletter.rendering.links import CANARY
from newsletter.rendering.quality.size import CLIP_BYTES
from newsletter.rendering.rendered import Finding, Link, RenderedIssue, Severity
from newsletter.rendering.slots import (
    HTML_PLACEHOLDERS,
    MAX_NAME_CHARACTERS,
    PLACEHOLDER,
    TEXT_PLACEHOLDERS,
    Slot,
    encode_chunk,
    escape_html,
    neutral,
)

RULE: Final = "untracked"
EXPLANATION: Final = "Who switched tracking off gets the mail without a pixel and with plain links."

_HTML, _TEXT = HTML_PLACEHOLDERS[Slot.DELIVERY], TEXT_PLACEHOLDERS[Slot.DELIVERY]
_PIXEL = re.compile(rf'<img\b[^>]*/o/{_HTML}\.gif"[^>]*>')
# An address ends where an attribute or a line of the text part does.
_IN_HTML = re.compile(rf"https?://[^\s\"'<>]+/c/{_HTML}/([0-9]+)")
_IN_TEXT = re.compile(rf"https?://[^\s\"'<>]+/c/{_TEXT}/([0-9]+)")
_ANCHOR = re.compile(
    rf"<a\b[^>]*\bhref=\"[^\"]*/c/{_HTML}/([0-9]+)\"[^>]*>.*?</a>", re.DOTALL | re.IGNORECASE
)


def untracked(rendered: RenderedIssue) -> RenderedIssue:
    """The issue as an untracked reader gets it; it has no numbered links any more.

    Raises RefusedError where something of it would still tell who looked: an own template may
    write the token where nobody expects it.
    """
    links = {link.n: link for link in rendered.links}
    html = _ANCHOR.sub(lambda found: _unless_canary(found, links), rendered.html)
    html = _IN_HTML.sub(_direct(links, escape_html), _PIXEL.sub("", html))
    lines = [line for line in rendered.text.split("\n") if not _is_canary(line, links)]
    text = _IN_TEXT.sub(_direct(links, str), "\n".join(lines))
    bare = replace(rendered, html=html, text=text, links=(), findings=())
    left = list(_left(bare))
    if left:
        raise RefusedError(
            f"the mail for untracked readers still has a token of theirs in its {left[0]}",
            hint="write addresses.pixel and addresses.link(...) only as the src of an img and the "
            "href of an a, between double quotes",
        )
    return bare


def examined(rendered: RenderedIssue) -> RenderedIssue:
    """The render, with an error finding where untracked readers could not get it as they should.

    Everything else in it was examined in the tracked form, of which this one is a part.
    """
    try:
        bare = untracked(rendered)
    except RefusedError as error:
        found = Finding(RULE, Severity.ERROR, error.what, "the body templates", error.hint or "")
        return replace(rendered, findings=(found, *rendered.findings))
    size = _clipped_at(bare.html)
    if size < CLIP_BYTES or _clipped_at(rendered.html) >= CLIP_BYTES:  # said by its own rule
        return rendered
    found = Finding(
        RULE,
        Severity.ERROR,
        f"with the links' own addresses it is {size:,} bytes; mail is clipped at {CLIP_BYTES:,}",
        "HTML in quoted-printable",
        "take a comparison out of the issue, or shorten verdicts and excerpts",
    )
    return replace(rendered, findings=(found, *rendered.findings))


def _clipped_at(html: str) -> int:
    """Bytes of a reader's HTML as it travels; tokens have 44 characters at most, names 60."""
    longest: Mapping[str, str] = {
        **dict.fromkeys(Slot, "A" * 44),
        Slot.NAME: " " + "A" * MAX_NAME_CHARACTERS,
    }
    return len(encode_chunk(neutral(html, longest)))


def _direct(
    links: Mapping[int, Link], escape: Callable[[str], str]
) -> Callable[[re.Match[str]], str]:
    """What stands in place of a tracked address; an address nobody knows stays, and is found."""

    def direct(found: re.Match[str]) -> str:
        link = links.get(int(found[1]))
        return found[0] if link is None else escape(_inert(link.url))

    return direct


def _inert(url: str) -> str:
    """The same address, in which no text of its own is taken for a slot."""
    return PLACEHOLDER.sub(lambda found: f"%{ord(found[0][0]):02X}{found[0][1:]}", url)


def _unless_canary(found: re.Match[str], links: Mapping[int, Link]) -> str:
    link = links.get(int(found[1]))
    return "" if link is not None and link.label == CANARY else found[0]


def _is_canary(line: str, links: Mapping[int, Link]) -> bool:
    found = _IN_TEXT.search(line)
    return found is not None and _unless_canary(found, links) == ""


def _left(bare: RenderedIssue) -> Iterator[str]:
    """Where the token of a delivery is still in it."""
    if _HTML in bare.html or _TEXT in bare.html:
        yield "HTML"
    if _TEXT in bare.text or _HTML in bare.text:
        yield "text"
