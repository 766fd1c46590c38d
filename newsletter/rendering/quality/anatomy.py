"""A mail's HTML taken apart: links, pictures, style blocks, text."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser


@dataclass(frozen=True, slots=True)
class Anatomy:
    """hrefs, ids: in order. images: their attributes. styles: each block's CSS. text: all of it."""

    hrefs: tuple[str, ...]
    ids: frozenset[str]
    images: tuple[dict[str, str | None], ...]
    styles: tuple[str, ...]
    text: str


def dissect(html: str) -> Anatomy:
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return Anatomy(
        tuple(parser.hrefs),
        frozenset(parser.ids),
        tuple(parser.images),
        tuple(parser.styles),
        "".join(parser.text),
    )


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.hrefs: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "style":
            self._in_style = True
        elif tag == "img":
            self.images.append(dict(attrs))
        for name, value in attrs:
            if name == "href" or (name == "src" and tag != "img"):
                self.hrefs.append(value or "")
            elif name == "id" and value:
                self.ids.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._in_style = False

    def handle_data(self, data: str) -> None:
        (self.styles if self._in_style else self.text).append(data)
