"""Bytes: what mail programs clip or drop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from newsletter.rendering.quality.cards import cards
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import Slot, encode_chunk, neutral

# Gmail clips a mail at about 102 KB and drops styles past 16 KB (email-facts, measured 2026).
CLIP_BYTES = 102_400
NEAR_CLIP_BYTES = 90_000
STYLE_BYTES = 16_384

# As long as a reader's values get: tokens have 40 to 44 characters, names at most 60.
_LONGEST: Mapping[str, str] = {**dict.fromkeys(Slot, "A" * 44), Slot.NAME: " " + "A" * 60}


@lru_cache(maxsize=2)  # two rules look at the same mail, one after the other
def _sizes(rendered_html: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """Bytes of a reader's HTML, decoded and in quoted-printable."""
    html = neutral(rendered_html, _LONGEST)
    return ("HTML", len(html.encode())), ("HTML in quoted-printable", len(encode_chunk(html)))


def _clipped(exhibit: Exhibit) -> Iterator[Fault]:
    for place, size in _sizes(exhibit.rendered.html):
        if size >= CLIP_BYTES:
            over = f"{size:,} bytes, over the {CLIP_BYTES:,} where mail is clipped"
            yield Fault(f"{over}{_by_card(exhibit)}", place)


def _by_card(exhibit: Exhibit) -> str:
    """What each comparison takes of it, the largest first, so that an editor knows where to cut."""
    sizes = [
        (len(exhibit.rendered.html[card.start : card.end].encode()), comparison.slug)
        for comparison, card in cards(exhibit)
    ]
    told = ", ".join(f"{slug} {size:,}" for size, slug in sorted(sizes, reverse=True))
    return f"; of these {told}" if told else ""


def _nearly_clipped(exhibit: Exhibit) -> Iterator[Fault]:
    for place, size in _sizes(exhibit.rendered.html):
        if NEAR_CLIP_BYTES <= size < CLIP_BYTES:
            near = f"{size:,} bytes; mail is clipped at {CLIP_BYTES:,}"
            yield Fault(f"{near}{_by_card(exhibit)}", place)


def _styles(exhibit: Exhibit) -> Iterator[Fault]:
    size = sum(len(block.encode()) for block in exhibit.anatomy.styles)
    if size >= STYLE_BYTES:
        yield Fault(
            f"style blocks of {size:,} bytes; from {STYLE_BYTES:,} on they are dropped", "head"
        )


def _nested_at_rules(exhibit: Exhibit) -> Iterator[Fault]:
    for sheet in exhibit.anatomy.sheets:
        for prelude, line, around in sheet.at_rules:
            if any(around):
                yield Fault(f"{prelude} stands inside {around[-1]}", f"HTML line {line}")


RULES = (
    Rule(
        "size-clipped",
        Severity.ERROR,
        "A mail program shows the start of a mail this large and hides the unsubscribe link.",
        "take a comparison out of the issue, or shorten verdicts and excerpts",
        _clipped,
    ),
    Rule(
        "size-near-clip",
        Severity.WARNING,
        "Little room is left before mail programs clip the mail.",
        "take a comparison out, or shorten verdicts and excerpts",
        _nearly_clipped,
    ),
    Rule(
        "size-styles",
        Severity.ERROR,
        "Without its head styles a mail has no dark mode and no phone layout.",
        "move rules from parts/head.css to parts/inline.css",
        _styles,
    ),
    Rule(
        "style-nested",
        Severity.ERROR,
        "Gmail drops a whole style block in which one @ rule stands inside another.",
        "write the conditions into one @media: (max-width:479px) and (prefers-color-scheme:dark)",
        _nested_at_rules,
    ),
)
