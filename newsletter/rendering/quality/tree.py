"""A mail's HTML as a tree, read once for all rules; every element knows where it stands.

Comments, the conditional ones for Outlook among them, are not part of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_UNSEEN = frozenset({"head", "script", "style", "title"})
# Text on both sides of these runs together; any other element parts words.
_INLINE = frozenset(
    {"a", "abbr", "b", "code", "em", "font", "i", "mark", "s", "small", "span", "strong", "sub"}
    | {"sup", "u"}
)
_HIDDEN = re.compile(r"(?:^|;)\s*display\s*:\s*none", re.IGNORECASE)


class Element:
    """A tag with what it holds. start, end: offsets in the HTML; line, column: from 1."""

    __slots__ = (
        "attributes", "children", "classes", "column", "end", "line", "parent", "start",
        "style", "tag",
    )  # fmt: skip

    def __init__(
        self,
        tag: str,
        attributes: dict[str, str],
        parent: Element | None,
        place: tuple[int, int, int],
    ) -> None:
        self.tag = tag
        self.attributes = attributes
        self.style = attributes.get("style", "")
        self.classes = attributes["class"].split() if "class" in attributes else []
        self.parent = parent
        self.children: list[Element | str] = []
        self.start, self.line, self.column = place
        self.end = self.start

    @property
    def hidden(self) -> bool:
        """Not shown, by itself; what stands around it may hide it too."""
        return (
            self.tag in _UNSEEN
            or "hidden" in self.attributes
            or _HIDDEN.search(self.style) is not None
        )

    @property
    def own_text(self) -> str:
        """The words directly in it, without those of the elements it holds."""
        return " ".join(
            " ".join(child.split()) for child in self.children if isinstance(child, str)
        ).strip()

    @property
    def words(self) -> str:
        """All the words in it that are shown, on one line."""
        return " ".join("".join(self._pieces()).split())

    def ancestors(self) -> Iterator[Element]:
        element = self.parent
        while element is not None:
            yield element
            element = element.parent

    def walk(self, *, shown_only: bool = False) -> Iterator[Element]:
        """Itself and everything in it, in order; without what is hidden, if so wished."""
        waiting: list[Element] = [self]
        while waiting:
            element = waiting.pop()
            if shown_only and element.hidden:
                continue
            yield element
            waiting.extend(
                child for child in reversed(element.children) if isinstance(child, Element)
            )

    def _pieces(self) -> Iterator[str]:
        waiting: list[Element | str] = [self]
        while waiting:
            piece = waiting.pop()
            if isinstance(piece, str):
                yield piece
            elif not piece.hidden:
                gap = "" if piece.tag in _INLINE else " "
                waiting.append(gap)
                waiting.extend(reversed(piece.children))
                yield gap

    def __repr__(self) -> str:
        return f"<{self.tag}> line {self.line}, column {self.column}"


def read(html: str) -> Element:
    """The tree under an element `#document`. Never raises: what does not close, closes at last."""
    builder = _Builder(html)
    builder.feed(html)
    builder.close()
    return builder.root


class _Builder(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self._lines = [0, *(match.end() for match in re.finditer("\n", html))]
        self.root = Element("#document", {}, None, (0, 1, 1))
        self.root.end = len(html)
        self._open = [self.root]

    def _place(self) -> tuple[int, int, int]:
        line, offset = self.getpos()
        return self._lines[line - 1] + offset, line, offset + 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        parent = self._open[-1]
        attributes: dict[str, str] = {}
        for name, value in attrs:
            attributes.setdefault(name, value or "")
        element = Element(tag, attributes, parent, self._place())
        element.end = element.start + len(self.get_starttag_text() or "")
        parent.children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        depth = next(
            (n for n in range(len(self._open) - 1, 0, -1) if self._open[n].tag == tag), None
        )
        if depth is not None:
            self._close(depth, self._place()[0] + len(tag) + 3)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def close(self) -> None:
        super().close()
        self._close(1, self.root.end)

    def _close(self, depth: int, end: int) -> None:
        for element in self._open[depth:]:
            element.end = end
        del self._open[depth:]
