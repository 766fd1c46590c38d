"""CSS as mails use it: rules with what stands around them, and declarations. Nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_IMPORTANT = re.compile(r"\s*!\s*important\s*\Z", re.IGNORECASE)
# A value runs to the next `;`, but not to one in quotes or in brackets.
_PART = re.compile(r"(?:[^;\"'(]|\"[^\"]*\"|'[^']*'|\([^)]*\)|[\"'(])+")
_BRACE = re.compile(r"[{};]")


@dataclass(frozen=True, slots=True)
class Declaration:
    """`color: #fff !important`; name in lower case, value as written but for `!important`."""

    name: str
    value: str
    important: bool = False


@dataclass(frozen=True, slots=True)
class StyleRule:
    """Declarations for selectors. at: the `@` rules around it, outermost first. line: from 1."""

    at: tuple[str, ...]
    selectors: tuple[str, ...]
    declarations: tuple[Declaration, ...]
    line: int

    @property
    def is_dark(self) -> bool:
        return any("prefers-color-scheme" in one and "dark" in one for one in self.at)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A style block. at_rules: each with its line and what it stands in. comments: any at all?"""

    rules: tuple[StyleRule, ...]
    at_rules: tuple[tuple[str, int, tuple[str, ...]], ...]
    has_comments: bool


@lru_cache(maxsize=2048)  # the same few inline styles come again and again
def declarations(text: str) -> tuple[Declaration, ...]:
    """What a style attribute or a block between braces declares, in order."""
    return tuple(_declarations(text))


def _declarations(text: str) -> Iterator[Declaration]:
    for part in _PART.findall(text):
        name, colon, value = part.partition(":")
        if colon and name.strip():
            bare = _IMPORTANT.sub("", value)
            yield Declaration(name.strip().lower(), bare.strip(), bare != value)


@lru_cache(maxsize=64)
def read_sheet(text: str, first_line: int = 1) -> Sheet:
    """A style block, read leniently: what does not parse is passed over."""
    bare = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    reader = _SheetReader(bare, first_line)
    for mark in _BRACE.finditer(bare):
        reader.take_in(mark)
    return Sheet(tuple(reader.rules), tuple(reader.at_rules), bare != text)


class _SheetReader:
    """Goes from brace to brace, and knows what it stands in: `@` rules by name, rules as ""."""

    def __init__(self, css: str, first_line: int) -> None:
        self.rules: list[StyleRule] = []
        self.at_rules: list[tuple[str, int, tuple[str, ...]]] = []
        self._css, self._first_line = css, first_line
        self._start = 0
        self._around: list[str] = []
        self._selectors, self._line, self._block_start = "", 0, 0

    def take_in(self, mark: re.Match[str]) -> None:
        chunk = self._css[self._start : mark.start()]
        blank = len(chunk) - len(chunk.lstrip())
        line = self._first_line + self._css.count("\n", 0, self._start + blank)
        prelude = " ".join(chunk.split())
        self._start = mark.end()
        if prelude.startswith("@") and mark[0] != "}":
            self.at_rules.append((prelude, line, tuple(self._around)))
        if mark[0] == "{":
            self._open(prelude, line)
        elif mark[0] == "}" and self._around:
            self._close()

    def _open(self, prelude: str, line: int) -> None:
        at_rule = prelude.startswith("@")
        self._around.append(prelude if at_rule else "")
        self._selectors, self._line = ("" if at_rule else prelude), line
        self._block_start = self._start

    def _close(self) -> None:
        is_rule = not self._around.pop()
        if is_rule and self._selectors:
            block = self._css[self._block_start : self._start - 1]
            self.rules.append(
                StyleRule(
                    tuple(one for one in self._around if one),
                    tuple(one.strip() for one in self._selectors.split(",") if one.strip()),
                    declarations(block),
                    self._line,
                )
            )
        self._selectors = ""
