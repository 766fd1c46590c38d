"""Markup: what must not be left over, and what must be said about pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import HTML_PLACEHOLDERS, PLACEHOLDER, TEXT_PLACEHOLDERS

_LEFT_OVER = re.compile(r"\{\{|\}\}|\{%|%\}")
_DEBUG_ESCAPE = re.compile(r"\\(?:[nrt\"\\]|u\{)|<mj-")
_ATTRIBUTES = re.compile(r"<[a-zA-Z][^<>]*>|<mj-")


def _without_alt(exhibit: Exhibit) -> Iterator[Fault]:
    for image in exhibit.anatomy.images:
        if "alt" not in image.attributes:
            yield Fault("a picture has no alt text", f"img {image.attributes.get('src')}")


def _left_over(exhibit: Exhibit) -> Iterator[Fault]:
    rendered = exhibit.rendered
    for place, part in (
        ("subject", rendered.subject),
        ("preheader", rendered.preheader),
        ("HTML", exhibit.anatomy.text),
        ("text part", rendered.text),
    ):
        if match := _LEFT_OVER.search(part):
            yield Fault(f"{match[0]!r} was not filled in: {_around(part, match)}", place)


def _wrong_slots(exhibit: Exhibit) -> Iterator[Fault]:
    """A part with the other part's placeholder would be escaped wrongly; a subject has none."""
    rendered = exhibit.rendered
    for place, part, own in (
        ("subject", rendered.subject, ()),
        ("preheader", rendered.preheader, ()),
        ("HTML", rendered.html, tuple(HTML_PLACEHOLDERS.values())),
        ("text part", rendered.text, tuple(TEXT_PLACEHOLDERS.values())),
    ):
        for token in sorted(set(PLACEHOLDER.findall(part)) - set(own)):
            yield Fault(f"the placeholder {token!r} cannot be filled here", place)


def _debug_escapes(exhibit: Exhibit) -> Iterator[Fault]:
    typed = _with_backslashes(exhibit)
    for tag in _ATTRIBUTES.findall(exhibit.rendered.html):
        printed = unescape(tag) if typed else tag
        for text in typed:
            printed = printed.replace(text, "")
        if match := _DEBUG_ESCAPE.search(printed):
            yield Fault(f"{match[0]!r} in {tag[:80]}", "HTML")


def _with_backslashes(exhibit: Exhibit) -> list[str]:
    """Texts with backslashes of their own, longest first: to the letter they are no escapes."""
    texts = {exhibit.rendered.subject, *(text for _place, text in exhibit.fields())}
    return sorted((text for text in texts if "\\" in text), key=len, reverse=True)


def _around(part: str, match: re.Match[str]) -> str:
    return repr(" ".join(part[max(0, match.start() - 20) : match.end() + 30].split()))


RULES = (
    Rule(
        "image-alt",
        Severity.ERROR,
        "With images off, and to a screen reader, a picture is its alt text.",
        'give the picture alt="..."; alt="" where it only decorates',
        _without_alt,
    ),
    Rule(
        "left-over-template",
        Severity.ERROR,
        "Braces of a template reached the mail.",
        "mend the template, or take the braces out of the text",
        _left_over,
    ),
    Rule(
        "slot-unfilled",
        Severity.ERROR,
        "Each part of a mail has placeholders of its own, and subject and preheader have none.",
        "use the names the template is given: name, addresses",
        _wrong_slots,
    ),
    Rule(
        "mjml-escape",
        Severity.ERROR,
        "MJML writes attributes it does not understand as escapes, and unknown tags as they are.",
        "put |attr behind the value in the template, and look at the tag's spelling",
        _debug_escapes,
    ),
)
