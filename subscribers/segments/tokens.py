"""A rule's text cut into words, each with its place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from subscribers.errors import SegmentError

MAX_CHARACTERS = 2_000  # of a whole rule
MAX_VALUE = 320  # of one text in it: the longest address

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\r]+)
    |(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w-]))
    |(?P<number>[0-9]+(?!\w))
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>[A-Za-z][A-Za-z0-9_]*)
    |(?P<sign>!=|<=|>=|[=<>(),])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class Token(StrEnum):
    """What a word of a rule is."""

    WORD = "word"
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Word:
    """One word: `value` is a text without its quotes, else as written; `at` counts characters."""

    kind: Token
    value: str
    at: int
    width: int


def cut(rule: str) -> list[Word]:
    """The words of a rule, an END last. Raises SegmentError at what is none."""
    if len(rule) > MAX_CHARACTERS:
        raise SegmentError(
            f"the rule has {len(rule):,} characters, at most {MAX_CHARACTERS:,} are read",
            hint="make it shorter, or several segments",
        )
    words, at = [], 0
    while at < len(rule):
        found = _TOKEN.match(rule, at)
        if found is None:
            raise _unreadable(rule, at)
        if found.lastgroup != "space":
            words.append(_word(rule, found))
        at = found.end()
    words.append(Word(Token.END, "", len(rule), 1))
    return words


def fault(rule: str, at: int, width: int, what: str, hint: str) -> SegmentError:
    """An error that shows the rule with the word at `at` underlined."""
    line = "".join(" " if _has_no_shape(character) else character for character in rule)
    pointer = " " * _columns(line[:at]) + "^" * max(1, _columns(line[at : at + width]))
    return SegmentError(f"{what}\n  {line}\n  {pointer}", hint=hint, at=at)


def _word(rule: str, found: re.Match[str]) -> Word:
    kind, written, at = Token(str(found.lastgroup)), found.group(), found.start()
    value = written
    if kind is Token.TEXT:
        value = re.sub(r"\\(.)", r"\1", written[1:-1], flags=re.DOTALL)
        _refuse_unusable(rule, value, at, len(written))
    elif kind is Token.WORD:
        value = written.lower()
    return Word(kind, value, at, len(written))


def _refuse_unusable(rule: str, value: str, at: int, width: int) -> None:
    if len(value) > MAX_VALUE:
        what = f"this text has {len(value):,} characters, at most {MAX_VALUE} are read"
        raise fault(rule, at, width, what, "make it shorter")
    if any(map(_has_no_shape, value)):
        what = "this text holds a control character"
        raise fault(rule, at, width, what, "write it on one line, as people read it")


def _unreadable(rule: str, at: int) -> SegmentError:
    if rule[at] in "\"'":
        what = "this text has no end"
        return fault(rule, at, len(rule) - at, what, f"close it with {rule[at]}")
    digits = re.compile(r"[\w.+-]+").match(rule, at)
    if rule[at].isdigit() and digits:
        what = f"{digits.group()} is no number and no day"
        hint = "write a whole number (30), or a day (2026-05-01)"
        return fault(rule, at, len(digits.group()), what, hint)
    what = "this character has no meaning here"
    return fault(rule, at, 1, what, 'put a text between quotes: topic = "Chat"')


def _has_no_shape(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _columns(text: str) -> int:
    """How wide a terminal shows it."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)
