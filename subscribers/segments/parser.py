"""A rule read into its tree: a hand-written parser that says what could have stood there.

    rule  = all {"or" all}
    all   = one {"and" one}
    one   = "not" one | "(" rule ")" | term
    term  = TEXT ("=" | "!=" | "contains") text | TEXT ["not"] "in" "(" text {"," text} ")"
          | INSTANT (">" | "<") number unit "ago" | INSTANT "within" number unit
          | INSTANT ("before" | "on" | "after") day | INSTANT "ever"
          | NUMBER ("=" | "!=" | "<" | "<=" | ">" | ">=") number
          | "silent" "for" number "issues" | "opened" "last" number "issues" | FLAG

TEXT, INSTANT, NUMBER and FLAG are the names of `fields.FIELDS` by their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from difflib import get_close_matches

from subscribers.errors import SegmentError
from subscribers.segments import tokens
from subscribers.segments.fields import (
    FIELDS,
    MAX_COUNT,
    MAX_DAYS,
    OPERATORS,
    UNIT_DAYS,
    Field,
    Kind,
)
from subscribers.segments.tokens import Token, Word
from subscribers.segments.tree import (
    Ago,
    And,
    Compared,
    Dated,
    Ever,
    Flag,
    Listed,
    Not,
    Numbered,
    Or,
    Rule,
    Silent,
    Within,
)

MAX_DEPTH = 20  # brackets and nots inside each other
MAX_TERMS = 100  # terms and listed values together
MAX_ISSUES = 1_000

_SILENCE = {"silent": "for", "opened": "last"}
_STARTS = ("not", "(", *_SILENCE, *FIELDS)


def parse(text: str) -> Rule:
    """The tree of a rule. Raises SegmentError that points at the word it stumbled over."""
    reading = _Reading(text)
    rule = reading.either()
    if reading.next.kind is not Token.END:
        raise reading.unexpected(("and", "or"))
    return rule


class _Reading:
    """A rule being read: its words, and how far we are."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = tokens.cut(text)
        self._place, self._depth, self._terms = 0, 0, 0
        self._of_kind: dict[Kind, Callable[[Field], Rule]] = {
            Kind.TEXT: self._text_term,
            Kind.INSTANT: self._instant,
            Kind.NUMBER: self._numbered,
            Kind.FLAG: lambda field: Flag(field.name),
        }

    @property
    def next(self) -> Word:
        """The word that comes next; an END stays the next one."""
        return self._words[self._place]

    def either(self) -> Rule:
        rules = self._joined("or", self._all)
        return rules[0] if len(rules) == 1 else Or(tuple(rules))

    def _all(self) -> Rule:
        rules = self._joined("and", self._one)
        return rules[0] if len(rules) == 1 else And(tuple(rules))

    def _joined(self, word: str, part: Callable[[], Rule]) -> list[Rule]:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts

    def _one(self) -> Rule:
        start = self.next
        if self._takes("not"):
            return Not(self._deeper(self._one, start))
        if self._takes("("):
            rule = self._deeper(self.either, start)
            self._expect((")",), also=("and", "or"))
            return rule
        return self._term()

    def _deeper(self, part: Callable[[], Rule], start: Word) -> Rule:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            what = f"more than {MAX_DEPTH} brackets and nots inside each other"
            raise self._fault(start, what, "say it flatter, or save a part as its own segment")
        rule = part()
        self._depth -= 1
        return rule

    def _term(self) -> Rule:
        self._count()
        for start, follows in _SILENCE.items():
            if self._takes(start):
                return self._silence(start, follows)
        field = self._field()
        return self._of_kind[field.kind](field)

    def _silence(self, start: str, follows: str) -> Rule:
        self._expect((follows,))
        number = self._number(1, MAX_ISSUES)
        self._expect(("issues", "issue"))
        return Silent(number, opened=start == "opened")

    def _field(self) -> Field:
        if self.next.kind is not Token.WORD:
            raise self.unexpected(_STARTS)
        pair = f"{self.next.value} {self._words[min(self._place + 1, len(self._words) - 1)].value}"
        if pair in FIELDS:  # `role address`
            self._place += 2
            return FIELDS[pair]
        if self.next.value not in FIELDS:
            raise self.unexpected(_STARTS)
        return FIELDS[self._take().value]

    def _text_term(self, field: Field) -> Rule:
        operators = OPERATORS[Kind.TEXT][: 4 if field.choices else None]
        if self._takes("in"):
            return Listed(field.name, self._values(field))
        if self._takes("not"):
            self._expect(("in",))
            return Listed(field.name, self._values(field), inside=False)
        operator = self._expect(("=", "!=", "contains") if not field.choices else ("=", "!="),
                                shown=operators)  # fmt: skip
        start, value = self.next, self._value(field)
        if operator == "contains" and not value:
            raise self._fault(start, "every text contains an empty one", "say which part")
        return Compared(field.name, operator, value)

    def _values(self, field: Field) -> tuple[str, ...]:
        self._expect(("(",))
        values = [self._value(field)]
        while self._takes(","):
            self._count()
            values.append(self._value(field))
        self._expect((")",), also=(",",))
        return tuple(values)

    def _value(self, field: Field) -> str:
        word = self.next
        if field.choices:
            return self._choice(field, word)
        if word.kind is Token.TEXT:
            return self._take().value
        if word.kind in (Token.WORD, Token.NUMBER, Token.DATE):
            written = self._written(word)
            what = f"the value of {field.name} stands between quotes"
            raise self._fault(word, what, f'write "{written}"')
        raise self.unexpected(("a text between quotes",))

    def _choice(self, field: Field, word: Word) -> str:
        if word.kind in (Token.TEXT, Token.WORD) and word.value.lower() in field.choices:
            return self._take().value.lower()
        raise self.unexpected(field.choices)

    def _instant(self, field: Field) -> Rule:
        operator = self._expect(OPERATORS[Kind.INSTANT])
        if operator == "ever":
            return Ever(field.name)
        if operator == "within":
            return Within(field.name, *self._stretch())
        if operator in ("before", "on", "after"):
            return Dated(field.name, operator, self._day())
        if self.next.kind is Token.DATE:
            instead = "after" if operator == ">" else "before"
            what = f"{operator} compares how long ago it was"
            raise self._fault(self.next, what, f"write `{field.name} {instead} {self.next.value}`")
        count, unit = self._stretch()
        self._expect(("ago",))
        return Ago(field.name, operator, count, unit)

    def _stretch(self) -> tuple[int, str]:
        start = self.next
        count = self._number(1, MAX_DAYS)
        named = self._expect(
            tuple(f"{unit}s" for unit in UNIT_DAYS), silently=tuple(UNIT_DAYS)
        ).removesuffix("s")
        if count * UNIT_DAYS[named] > MAX_DAYS:
            raise self._fault(start, "that is more than a hundred years", "write a shorter stretch")
        return count, named

    def _day(self) -> date:
        if self.next.kind is not Token.DATE:
            raise self.unexpected(("a day such as 2026-05-01",))
        try:
            day = date.fromisoformat(self.next.value)
            _ = day + timedelta(days=1)  # the day after is what it is compared with
        except (ValueError, OverflowError):
            what = f"there is no day {self.next.value}"
            raise self._fault(self.next, what, "write it as year-month-day, 2026-05-01") from None
        self._take()
        return day

    def _numbered(self, field: Field) -> Rule:
        operator = self._expect(OPERATORS[Kind.NUMBER])
        return Numbered(field.name, operator, self._number(0, MAX_COUNT))

    def _number(self, least: int, most: int) -> int:
        if self.next.kind is not Token.NUMBER:
            raise self.unexpected(("a number",))
        digits = self.next.value.lstrip("0") or "0"
        if len(digits) > len(str(most)) or not least <= int(digits) <= most:
            what = f"this number is not between {least} and {most:,}"
            raise self._fault(self.next, what, "write another")
        self._take()
        return int(digits)

    def _count(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            what = f"a rule has at most {MAX_TERMS} terms and listed values"
            raise self._fault(self.next, what, "split it into several segments, or use a tag")

    def _take(self) -> Word:
        word = self.next
        self._place += 1
        return word

    def _takes(self, value: str) -> bool:
        found = self.next.kind in (Token.WORD, Token.SIGN) and self.next.value == value
        self._place += found
        return found

    def _expect(
        self,
        values: Sequence[str],
        *,
        also: Iterable[str] = (),
        silently: Sequence[str] = (),
        shown: Sequence[str] = (),
    ) -> str:
        """Takes one of `values` or `silently`; else says that these (and `also`) could stand."""
        for value in (*values, *silently):
            if self._takes(value):
                return value
        raise self.unexpected((*(shown or values), *also))

    def unexpected(self, possible: Sequence[str]) -> SegmentError:
        """An error at the next word: what could stand there, the nearest first."""
        word = self.next
        listed = ", ".join(possible)
        if word.kind is Token.END:
            return self._fault(word, "the rule ends too early", f"here could stand: {listed}")
        near = get_close_matches(word.value.lower(), possible, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        what = f"{self._written(word)} cannot stand here"
        return self._fault(word, what, f"{hint}here could stand: {listed}")

    def _written(self, word: Word) -> str:
        return self._text[word.at : word.at + word.width]

    def _fault(self, word: Word, what: str, hint: str) -> SegmentError:
        return tokens.fault(self._text, word.at, word.width, what, hint)
