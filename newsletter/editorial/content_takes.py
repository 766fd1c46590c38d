"""The Markdown under the front matter: who said what about which tool.

    ## The Builder
    ### Some Tool: ship
    > The quote, to the letter.

    The edited excerpt.

Only headings, quotes and paragraphs are Markdown here. Everything else (asterisks, backticks,
`<Next>`) is text and is kept as it was typed; a quote's lines and paragraphs are joined by a space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.editorial.content_front import nearest
from newsletter.editorial.content_model import Reviewer, Take
from newsletter.editorial.content_text import (
    EXCERPT_CHARS,
    QUOTE_CHARS,
    is_quoted,
    sentence_fault,
    shown,
)
from newsletter.errors import Problem
from newsletter.rendering.view import Verdict

_QUOTE_MARK = re.compile(r"^ {0,3}> ?")
_VERDICTS = ", ".join(Verdict)

# (reviewer's key, 0 for the left tool and 1 for the right)
Seat = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A heading, a quote or a paragraph with its line in the file."""

    kind: str  # h1 to h6, blockquote, p
    text: str
    line: int


@dataclass(slots=True)
class _Section:
    """Everything under one `###` heading."""

    line: int
    where: str
    seat: Seat
    reviewer: Reviewer
    verdict: Verdict | None
    quotes: list[Piece] = field(default_factory=list)
    excerpts: list[Piece] = field(default_factory=list)


def read_takes(
    body: str,
    *,
    file: Path,
    first_line: int,
    reviewers: Sequence[Reviewer],
    tools: Sequence[str],
    finished: bool,
) -> tuple[dict[Seat, Take], list[Problem]]:
    """The takes in `body` and every fault in them.

    A draft may lack takes, and a take in it may still be unwritten (no verdict, no quote or no
    excerpt): such a one is left out.
    """
    reader = _Takes(file, reviewers, tools, finished)
    for piece in pieces(body, first_line=first_line):
        reader.take_in(piece)
    reader.close()
    if finished:
        reader.ask_for_missing(first_line)
    return reader.takes, reader.problems


def pieces(body: str, *, first_line: int) -> Iterator[Piece]:
    """The headings, quotes and paragraphs at the top level of `body`, in order."""
    lines = body.split("\n")
    tokens = MarkdownIt("zero").enable(["heading", "blockquote"]).parse(body)
    for n, token in enumerate(tokens):
        if token.level == 0 and token.map and token.nesting == 1:
            # An opening token is followed by what it holds.
            yield Piece(token.tag, _text(token, tokens[n + 1], lines), token.map[0] + first_line)


def _text(token: Token, inside: Token, lines: list[str]) -> str:
    if token.type == "blockquote_open":
        start, end = token.map or (0, 0)
        inner = [_QUOTE_MARK.sub("", line).strip() for line in lines[start:end]]
    else:
        inner = [line.strip() for line in inside.content.split("\n")]
    return " ".join(line for line in inner if line)


class _Takes:
    """Reads piece after piece; a section is judged when the next one begins."""

    def __init__(
        self, file: Path, reviewers: Sequence[Reviewer], tools: Sequence[str], finished: bool
    ) -> None:
        self.file = file
        self.reviewers = {reviewer.role: reviewer for reviewer in reviewers}
        self.tools = tools
        self.finished = finished
        self.takes: dict[Seat, Take] = {}
        self.problems: list[Problem] = []
        self._seen: dict[Seat, int] = {}
        self._reviewer: Reviewer | None = None
        self._section: _Section | None = None
        self._skipping = False  # under a heading that was already complained about

    def take_in(self, piece: Piece) -> None:
        match piece.kind:
            case "h2":
                self.close()
                self._begin_reviewer(piece)
            case "h3":
                self.close()
                self._begin_take(piece)
            case "blockquote" | "p":
                self._add(piece)
            case _:
                self._complain(
                    piece.line,
                    "takes",
                    f"a heading of another level: '{shown(piece.text)}'",
                    "write `## Reviewer` and under it `### Tool: ship`",
                )

    def close(self) -> None:
        """Judges the section that ends here."""
        section, self._section = self._section, None
        if section is None:
            return
        unwritten = not section.verdict or not section.quotes or not section.excerpts
        if unwritten and not self.finished:
            return
        quote = self._only(section, section.quotes, "quote", "a quote: `> What the reviewer said.`")
        excerpt = self._only(
            section, section.excerpts, "excerpt", "an empty line after the quote, then one sentence"
        )
        if quote is None or excerpt is None:
            return
        self._check(section, quote, excerpt)
        if section.verdict is not None:
            take = Take(section.reviewer, section.verdict, quote.text, excerpt.text)
            self.takes[section.seat] = take

    def ask_for_missing(self, line: int) -> None:
        for role, reviewer in self.reviewers.items():
            for n, tool in enumerate(self.tools):
                if (reviewer.key, n) not in self._seen:
                    where = f"{role} / {shown(tool)}"
                    hint = f"write `## {role}`, `### {shown(tool)}: ship` or `skip`, quote, excerpt"
                    self._complain(line, where, "there is no such take", hint)

    def _begin_reviewer(self, piece: Piece) -> None:
        self._reviewer = self.reviewers.get(piece.text)
        self._skipping = self._reviewer is None
        if self._reviewer is None:
            hint = _meant(piece.text, self.reviewers)
            self._complain(
                piece.line, "takes", f"no reviewer is called '{shown(piece.text)}'", hint
            )

    def _begin_take(self, piece: Piece) -> None:
        if self._reviewer is None:
            if not self._skipping:
                hint = "write the reviewer above it: " + ", ".join(
                    f"## {r}" for r in self.reviewers
                )
                self._complain(piece.line, "takes", f"whose take is '{shown(piece.text)}'?", hint)
            self._skipping = True
            return
        name, verdict_word = self._split(piece.text)
        self._skipping = name not in self.tools
        if self._skipping:
            hint = _meant(name, self.tools)
            field = self._reviewer.role
            self._complain(piece.line, field, f"no tool here is called '{shown(name)}'", hint)
            return
        self._open(piece, self._reviewer, name, verdict_word)

    def _split(self, heading: str) -> tuple[str, str]:
        """Name and verdict; a name may have colons of its own."""
        if heading in self.tools:
            return heading, ""
        name, _, word = heading.rpartition(":")
        return (name.strip(), word.strip()) if name else (heading, "")

    def _open(self, piece: Piece, reviewer: Reviewer, name: str, word: str) -> None:
        seat, where = (reviewer.key, self.tools.index(name)), f"{reviewer.role} / {shown(name)}"
        if seat in self._seen:
            what = f"a second take (the first: line {self._seen[seat]})"
            self._complain(piece.line, where, what, "keep one of the two")
            self._skipping = True
            return
        self._seen[seat] = piece.line
        verdict = Verdict(word.lower()) if word.lower() in set(Verdict) else None
        if verdict is None and (word or self.finished):
            what = f"the verdict is '{shown(word)}'" if word else "there is no verdict"
            self._complain(piece.line, where, what, f"write `### {name}: ` and one of: {_VERDICTS}")
        self._section = _Section(piece.line, where, seat, reviewer, verdict)

    def _add(self, piece: Piece) -> None:
        if self._section is not None:
            is_quote = piece.kind == "blockquote"
            (self._section.quotes if is_quote else self._section.excerpts).append(piece)
        elif not self._skipping:
            hint = "put it under a heading such as `### Tool: ship`, or delete it"
            self._complain(piece.line, "takes", f"text outside a take: '{shown(piece.text)}'", hint)

    def _only(self, section: _Section, found: list[Piece], name: str, hint: str) -> Piece | None:
        if len(found) == 1 and found[0].text:
            return found[0]
        line = found[1].line if len(found) > 1 else section.line
        what = f"there are {len(found)}, not one" if len(found) > 1 else "is missing"
        joined = " (an empty line inside a quote begins with `>`, too)" if len(found) > 1 else ""
        self._complain(line, f"{section.where} / {name}", what, f"write {hint}{joined}")
        return None

    def _check(self, section: _Section, quote: Piece, excerpt: Piece) -> None:
        spot = f"{section.where} / quote"
        if len(quote.text) > QUOTE_CHARS:
            what = f"has {len(quote.text)} characters"
            self._complain(quote.line, spot, what, f"quote at most {QUOTE_CHARS}")
        if is_quoted(quote.text):
            hint = "leave the outer quotation marks off: the page sets them"
            self._complain(quote.line, spot, "stands in quotation marks", hint)
        spot = f"{section.where} / excerpt"
        if len(excerpt.text) > EXCERPT_CHARS:
            what = f"has {len(excerpt.text)} characters"
            self._complain(excerpt.line, spot, what, f"edit it down to {EXCERPT_CHARS}")
        if what_ends := sentence_fault(excerpt.text):
            hint = "edit it until it is a sentence, and end it as one"
            self._complain(excerpt.line, spot, what_ends, hint)

    def _complain(self, line: int, field: str, what: str, hint: str) -> None:
        self.problems.append(Problem(self.file, line, field, what, hint))


def _meant(word: str, known: Sequence[str] | dict[str, Reviewer]) -> str:
    near = nearest(word, known)
    return (
        f"did you mean '{shown(near)}'?"
        if near
        else "write one of: " + ", ".join(map(shown, known))
    )
