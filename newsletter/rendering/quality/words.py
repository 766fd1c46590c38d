"""Words: what must not stand in any text, and takes nobody has edited."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import PLACEHOLDER

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# Left by writers for themselves. Case matters but for the filler: `todo` is also a kind of tool.
_UNFINISHED = re.compile(
    r"\b(?:TODO|TBD|TBC|FIXME|TKTK|XXX+)\b|\b[Ll]orem [Ii]psum\b|\?\?\?|\[(?:insert|link|name)\b"
)
_SENTENCE_END = re.compile(r"[.!?。！？؟।][\"'”’»)\]]*\Z")
_CUT = re.compile(r"(?:\.{2,}|…)[\"'”’»)\]]*\Z")


def _controls(exhibit: Exhibit) -> Iterator[Fault]:
    for place, value in exhibit.fields():
        if match := _CONTROL.search(value):
            yield Fault(f"a control character U+{ord(match[0]):04X}", place)


def _placeholders(exhibit: Exhibit) -> Iterator[Fault]:
    for place, value in exhibit.fields():
        if match := PLACEHOLDER.search(value):
            yield Fault(f"the text holds {match[0]!r}, which stands for a reader's value", place)


def _unfinished(exhibit: Exhibit) -> Iterator[Fault]:
    rendered = exhibit.rendered
    found = {
        match[0]: part
        for part, words in (
            ("text part", rendered.text),
            ("HTML", exhibit.anatomy.words),
            ("preheader", rendered.preheader),
            ("subject", rendered.subject),
        )
        for match in _UNFINISHED.finditer(words)
    }
    names = " ".join(tool.name for one in exhibit.comparisons for tool in one.tools)
    for word, part in found.items():
        if word not in names:
            yield Fault(f"{word!r} is still there", _field_with(exhibit, word) or part)


def _field_with(exhibit: Exhibit, word: str) -> str:
    """The field that brought it in; "" where it is the template's own."""
    return next((place for place, value in exhibit.fields() if word in value), "")


def _unedited(exhibit: Exhibit) -> Iterator[Fault]:
    for number, comparison in enumerate(exhibit.comparisons):
        for side, tool in enumerate(comparison.tools):
            for place, take in enumerate(tool.takes):
                if fault := _cut(take.excerpt, take.quote):
                    where = f"comparisons[{number}].tools[{side}].takes[{place}].excerpt"
                    yield Fault(f"{take.reviewer} on {tool.name} {fault}: {take.excerpt!r}", where)


def _cut(excerpt: str, quote: str) -> str:
    """Why an excerpt looks cut instead of edited; "" where it does not."""
    if not excerpt.strip():
        return "has no excerpt"
    if _CUT.search(excerpt):
        return "is cut short by dots"
    if not _SENTENCE_END.search(excerpt):
        return "does not end as a sentence"
    bare, whole = _plain(excerpt).rstrip(".!? "), _plain(quote)
    rest = whole[len(bare) :].lstrip("\"'”’»)")
    if whole.startswith(bare) and rest and rest[0] not in ".!?。！？؟।":
        return "is the quote's beginning, cut within a sentence"
    return ""


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("’", "'")


RULES = (
    Rule(
        "control-characters",
        Severity.ERROR,
        "Control characters break parsers and hide text.",
        "remove the character at that place",
        _controls,
    ),
    Rule(
        "placeholder-in-content",
        Severity.ERROR,
        "A placeholder in the content would be filled with a reader's token.",
        "take the placeholder out of that text",
        _placeholders,
    ),
    Rule(
        "words-unfinished",
        Severity.ERROR,
        "A writer's note to themselves is about to reach the readers.",
        "finish that text, or take it out",
        _unfinished,
    ),
    Rule(
        "excerpt-unedited",
        Severity.WARNING,
        "An excerpt that breaks off says something else than its reviewer did.",
        "edit it to at most 160 characters that end as a sentence, and import the content again",
        _unedited,
        issues_only=True,
    ),
)
