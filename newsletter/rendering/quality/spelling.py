"""Names of tools, spelled as the store spells them wherever an editor wrote them by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity

# Shorter names are too near to other words for a slip of one letter to mean anything.
SLIP_CHARACTERS = 6

_WORD = re.compile(r"[^\s\"“”«»(),:;!?]+")


@dataclass(frozen=True, slots=True)
class _Name:
    """A tool's name. folded: without case, blanks and hyphens. short_forms: its first words."""

    spelled: str
    folded: str
    word_count: int
    short_forms: frozenset[str]

    @property
    def is_a_word(self) -> bool:
        """`Cursor` may also be a cursor; `QueryBird` and `Mistral 8B` are nothing else."""
        rest = self.spelled[1:]
        return self.word_count == 1 and (not rest or (rest.isalpha() and rest == rest.lower()))


def _misspelled(exhibit: Exhibit) -> Iterator[Fault]:
    names = [_name(tool.name) for one in exhibit.comparisons for tool in one.tools]
    names = [name for name in names if name.folded]
    most = max((name.word_count for name in names), default=0) + 1
    spelled = frozenset(name.spelled for name in names)
    told: set[tuple[str, str]] = set()
    for place, text in _written_by_hand(exhibit):
        for said, folded in _runs(_without(text, spelled), most):
            for name in names:
                if _means(said, folded, name) and (said, place) not in told:
                    told.add((said, place))
                    yield Fault(f"“{said}” is spelled “{name.spelled}” elsewhere", place)


def _written_by_hand(exhibit: Exhibit) -> Iterator[tuple[str, str]]:
    yield "subject", exhibit.rendered.subject
    yield "preheader", exhibit.rendered.preheader
    yield "intro", getattr(exhibit.view, "intro", None) or ""
    for number, comparison in enumerate(exhibit.comparisons):
        yield f"comparisons[{number}].title", comparison.title
        yield f"comparisons[{number}].deck", comparison.deck
        yield f"comparisons[{number}].verdict", comparison.verdict


def _runs(text: str, most: int) -> Iterator[tuple[str, str]]:
    """Every run of up to `most` words, as written and folded."""
    words = [_trimmed(match[0]) for match in _WORD.finditer(text)]
    folded = [_folded(word) for word in words]
    for start in range(len(words)):
        for end in range(start + 1, min(start + most, len(words)) + 1):
            yield " ".join(words[start:end]), "".join(folded[start:end])


def _without(text: str, spelled: frozenset[str]) -> str:
    """The text with every rightly spelled name taken out, the longest first."""
    text = " ".join(text.split())
    for name in sorted(spelled, key=len, reverse=True):
        if name in text:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " | ", text)
    return text


def _means(said: str, folded: str, name: _Name) -> bool:
    """Is it that name, but for case, blanks, hyphens or one letter? Not where it is cut short."""
    if folded[:1] != name.folded[:1] or abs(len(folded) - len(name.folded)) > 1:
        return False
    if name.is_a_word and (not said[:1].isupper() or said == name.spelled.capitalize()):
        return False
    if folded == name.folded:
        return True
    long_enough = len(name.folded) >= SLIP_CHARACTERS
    return long_enough and folded not in name.short_forms and _one_slip(folded, name.folded)


def _one_slip(one: str, other: str) -> bool:
    """Do they differ by one letter more, less or other, or by two neighbours swapped?"""
    start = next(
        (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    one, other = one[start:], other[start:]
    return (
        one[1:] == other[1:]
        or one[1:] == other
        or one == other[1:]
        or (one[:2] == other[1::-1] and one[2:] == other[2:])
    )


def _trimmed(said: str) -> str:
    return re.sub(r"(?:['’]s?)?[.…]*\Z", "", said)


def _folded(text: str) -> str:
    return re.sub(r"[\s\-_.'’]+", "", text).casefold()


def _name(spelled: str) -> _Name:
    words = spelled.split()
    short_forms = frozenset(_folded(" ".join(words[:end])) for end in range(1, len(words)))
    return _Name(" ".join(words), _folded(spelled), len(words), short_forms)


RULES = (
    Rule(
        "tool-name-spelling",
        Severity.WARNING,
        "A tool that is spelled in two ways looks like two tools.",
        "write the name as its comparison has it",
        _misspelled,
        issues_only=True,
    ),
)
