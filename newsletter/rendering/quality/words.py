"""Words: subject, preheader, and what must not stand in any text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import PLACEHOLDER

SUBJECT_CHARACTERS = 50
PREHEADER_CHARACTERS = 90

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\u2028\u2029\u202a-\u202e]")


def _subject_missing(exhibit: Exhibit) -> Iterator[Fault]:
    if not exhibit.rendered.subject.strip():
        yield Fault("the subject is empty", "subject")


def _subject_long(exhibit: Exhibit) -> Iterator[Fault]:
    length = len(exhibit.rendered.subject)
    if length > SUBJECT_CHARACTERS:
        yield Fault(f"{length} characters; phones cut after {SUBJECT_CHARACTERS}", "subject")


def _preheader(exhibit: Exhibit) -> Iterator[Fault]:
    length = len(exhibit.rendered.preheader)
    if not length:
        yield Fault("the preheader is empty", "preheader")
    elif length > PREHEADER_CHARACTERS:
        yield Fault(f"{length} characters; inboxes cut after {PREHEADER_CHARACTERS}", "preheader")


def _encoded_word(exhibit: Exhibit) -> Iterator[Fault]:
    if "=?" in exhibit.rendered.subject:
        yield Fault("'=?' stands in the subject", "subject")
    publication = exhibit.view.publication
    for place, value in (("name", publication.name), ("sender", publication.sender)):
        if "=?" in value:
            yield Fault("'=?' stands in a header", f"publication.{place}")


def _controls(exhibit: Exhibit) -> Iterator[Fault]:
    for place, value in exhibit.fields():
        if match := _CONTROL.search(value):
            yield Fault(f"a control character U+{ord(match[0]):04X}", place)


def _placeholders(exhibit: Exhibit) -> Iterator[Fault]:
    for place, value in exhibit.fields():
        if match := PLACEHOLDER.search(value):
            yield Fault(f"the text holds {match[0]!r}, which stands for a reader's value", place)


RULES = (
    Rule(
        "subject-missing",
        Severity.ERROR,
        "A mail without a subject looks like spam.",
        "write one with `newsletter issue edit ISSUE --subject`",
        _subject_missing,
    ),
    Rule(
        "subject-long",
        Severity.WARNING,
        "A long subject is cut in the inbox.",
        "shorten it with `newsletter issue edit ISSUE --subject`",
        _subject_long,
    ),
    Rule(
        "preheader-length",
        Severity.WARNING,
        "The preheader stands beside the subject in the inbox.",
        "write one of up to 90 characters with `newsletter issue edit ISSUE --preheader`",
        _preheader,
        issues_only=True,
    ),
    Rule(
        "header-encoded-word",
        Severity.ERROR,
        "'=?' in a header can be read as an encoded word, and hide another header.",
        "write the words without '=?'",
        _encoded_word,
    ),
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
)
