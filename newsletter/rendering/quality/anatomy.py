"""A mail's HTML taken apart once: its elements, links, pictures, styles and words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from newsletter.rendering.quality import features
from newsletter.rendering.quality.css import Sheet, read_sheet
from newsletter.rendering.quality.tree import Element, read

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(frozen=True)  # no slots: what only some rules ask for is worked out once, when asked
class Anatomy:
    """elements, shown: in order. hrefs: of links, and src of what is no picture.

    styles: each block's CSS. text: all of it, hidden or not. words: what is shown, on one line.
    """

    root: Element
    elements: tuple[Element, ...]
    shown: tuple[Element, ...]
    hrefs: tuple[str, ...]
    ids: frozenset[str]
    images: tuple[Element, ...]
    styles: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    text: str
    words: str

    @cached_property
    def features(self) -> dict[str, Element | int]:
        """What it uses, by caniemail's names, with the element or the line of its first use."""
        return features.used(self.elements, self.sheets)

    @cached_property
    def headings(self) -> tuple[Element, ...]:
        return tuple(one for one in self.shown if one.tag in HEADINGS)


def dissect(html: str) -> Anatomy:
    root = read(html)
    elements = tuple(root.walk())
    blocks = [one for one in elements if one.tag == "style"]
    styles = tuple("".join(map(str, one.children)) for one in blocks)
    return Anatomy(
        root=root,
        elements=elements,
        shown=tuple(root.walk(shown_only=True)),
        hrefs=tuple(_addresses(elements)),
        ids=frozenset(one.attributes["id"] for one in elements if one.attributes.get("id")),
        images=tuple(one for one in elements if one.tag == "img"),
        styles=styles,
        sheets=tuple(read_sheet(css, one.line) for css, one in zip(styles, blocks, strict=True)),
        text=_text(elements),
        words=root.words,
    )


def _addresses(elements: tuple[Element, ...]) -> list[str]:
    return [
        value
        for one in elements
        for name, value in one.attributes.items()
        if name == "href" or (name == "src" and one.tag != "img")
    ]


def _text(elements: tuple[Element, ...]) -> str:
    return "".join(
        child
        for one in elements
        if one.tag != "style"
        for child in one.children
        if isinstance(child, str)
    )
