"""The text part's layout: 72 columns, addresses on lines of their own."""

from __future__ import annotations

import re
import textwrap

WIDTH = 72
_MANY_BLANK_LINES = re.compile(r"\n{4,}")


def wrap(text: str, width: int = WIDTH, indent: str = "") -> str:
    """Paragraphs filled to `width` columns; blank lines between paragraphs are kept."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(_fill(paragraph, width, indent) for paragraph in paragraphs)


def row(left: str, right: str, width: int = WIDTH, indent: str = "", hang: int = 0) -> str:
    """`left` filled, with `right` at the right edge of its first line.

    hang: columns by which the lines after the first stand in.
    """
    room = width - len(right) - 2 - len(indent)
    first, *others = _lines(left, room, hang) or [""]
    lines = [indent + first.ljust(room) + "  " + right]
    return "\n".join([*lines, *(indent + other for other in others)])


def _lines(text: str, width: int, hang: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * hang,
        break_on_hyphens=False,
    )


def underline(text: str, mark: str = "-") -> str:
    """A heading, filled, with a line of `mark` as long as its longest line."""
    filled = _fill(text, WIDTH, "")
    return f"{filled}\n{mark * max(len(line) for line in filled.splitlines() or [''])}"


def tidy(text: str) -> str:
    """No blanks at line ends, at most two blank lines in a row, one line end at the end."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return _MANY_BLANK_LINES.sub("\n\n\n", lines).strip("\n") + "\n"


def _fill(text: str, width: int, indent: str) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
