"""Subject and preheader: what the inbox shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity

SUBJECT_CHARACTERS = 50
PREHEADER_CHARACTERS = 90
# Shorter ones in capitals are names: GPT, CI, API.
SHOUTED_LETTERS = 8

_REPLY = re.compile(r"\s*(re|fwd?|aw|wg|tr|rv|antw|vs|sv)\s*(\[\d+\])?\s*:", re.IGNORECASE)
_LOUD = re.compile(r"[!?]{2,}|[$€£]{2,}|!.*!", re.DOTALL)


def _missing(exhibit: Exhibit) -> Iterator[Fault]:
    if not exhibit.rendered.subject.strip():
        yield Fault("the subject is empty", "subject")


def _long(exhibit: Exhibit) -> Iterator[Fault]:
    length = len(exhibit.rendered.subject)
    if length > SUBJECT_CHARACTERS:
        yield Fault(f"{length} characters; phones cut after {SUBJECT_CHARACTERS}", "subject")


def _preheader(exhibit: Exhibit) -> Iterator[Fault]:
    length = len(exhibit.rendered.preheader)
    if not exhibit.rendered.preheader.strip():
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


def _reply(exhibit: Exhibit) -> Iterator[Fault]:
    if match := _REPLY.match(exhibit.rendered.subject):
        yield Fault(f"the subject begins with {match[0].strip()!r}", "subject")


def _shouting(exhibit: Exhibit) -> Iterator[Fault]:
    for place, line in _lines(exhibit):
        letters = [
            letter for letter in line if letter.isalpha() and letter.upper() != letter.lower()
        ]
        if len(letters) >= SHOUTED_LETTERS and all(letter.isupper() for letter in letters):
            yield Fault(f"all in capitals: {line}", place)


def _loud(exhibit: Exhibit) -> Iterator[Fault]:
    for place, line in _lines(exhibit):
        if match := _LOUD.search(_without_names(line, exhibit)):
            yield Fault(f"{match[0][:20]!r}", place)


def _repeated(exhibit: Exhibit) -> Iterator[Fault]:
    subject, preheader = (_bare(line) for _, line in _lines(exhibit))
    if subject and preheader and (subject.startswith(preheader) or preheader.startswith(subject)):
        yield Fault("the preheader says what the subject has said", "preheader")


def _lines(exhibit: Exhibit) -> tuple[tuple[str, str], tuple[str, str]]:
    rendered = exhibit.rendered
    return ("subject", rendered.subject), ("preheader", rendered.preheader)


def _bare(line: str) -> str:
    return " ".join(re.findall(r"\w+", line.casefold()))


def _without_names(line: str, exhibit: Exhibit) -> str:
    """A tool may be called `Yes!!`; that is its own affair."""
    for comparison in exhibit.comparisons:
        for tool in comparison.tools:
            line = line.replace(tool.name, "")
    return line


RULES = (
    Rule(
        "subject-missing",
        Severity.ERROR,
        "A mail without a subject looks like spam.",
        "write one with `newsletter issue edit ISSUE --subject`",
        _missing,
    ),
    Rule(
        "subject-long",
        Severity.WARNING,
        "A long subject is cut in the inbox.",
        "shorten it with `newsletter issue edit ISSUE --subject`",
        _long,
    ),
    Rule(
        "subject-reply",
        Severity.ERROR,
        "A subject that poses as an answer deceives, and filters count it.",
        "take the prefix away with `newsletter issue edit ISSUE --subject`",
        _reply,
    ),
    Rule(
        "subject-shouting",
        Severity.WARNING,
        "Capitals throughout are read as shouting, by people and by filters.",
        "write it as a sentence",
        _shouting,
    ),
    Rule(
        "subject-loud",
        Severity.WARNING,
        "Exclamation and currency marks in rows are the dress of spam.",
        "say it plainly: one mark is enough, none is better",
        _loud,
        issues_only=True,
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
        "preheader-repeats",
        Severity.WARNING,
        "Subject and preheader stand side by side: together they can say two things.",
        "say another true thing with `newsletter issue edit ISSUE --preheader`",
        _repeated,
        issues_only=True,
    ),
    Rule(
        "header-encoded-word",
        Severity.ERROR,
        "'=?' in a header can be read as an encoded word, and hide another header.",
        "write the words without '=?'",
        _encoded_word,
    ),
)
