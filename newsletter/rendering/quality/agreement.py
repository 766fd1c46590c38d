"""Text and HTML are one mail: the same names, figures, prices and ways out in both."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.links import CANARY
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot

_PERCENT = re.compile(r"\d+(?:[.,]\d+)?\s?%")
_URL = re.compile(r"https?://[^\s<>\"]+")
_TEXT_TO_HTML = {TEXT_PLACEHOLDERS[slot]: HTML_PLACEHOLDERS[slot] for slot in TEXT_PLACEHOLDERS}


def _parts(exhibit: Exhibit) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("HTML", exhibit.anatomy.words), ("text part", exhibit.text_words)


def _names(exhibit: Exhibit) -> Iterator[Fault]:
    for part, words in _parts(exhibit):
        for comparison in exhibit.comparisons:
            for tool in comparison.tools:
                if " ".join(tool.name.split()) not in words:
                    yield Fault(f"{tool.name} is not named", part)


def _prices(exhibit: Exhibit) -> Iterator[Fault]:
    for part, words in _parts(exhibit):
        for comparison in exhibit.comparisons:
            for tool in comparison.tools:
                if " ".join(tool.entry_price.split()) not in words:
                    yield Fault(f"{tool.name}'s price, {tool.entry_price}, is missing", part)


def _figures(exhibit: Exhibit) -> Iterator[Fault]:
    (html, in_html), (text, in_text) = (
        (part, {one.replace(" ", "") for one in _PERCENT.findall(words)})
        for part, words in _parts(exhibit)
    )
    for part, missing in ((html, in_text - in_html), (text, in_html - in_text)):
        if missing:
            yield Fault(f"{', '.join(sorted(missing))} stands only in the other part", part)


def _links(exhibit: Exhibit) -> Iterator[Fault]:
    hrefs = {href for href in exhibit.anatomy.hrefs if href.startswith(("http:", "https:"))}
    hrefs -= _unseen(exhibit)
    shown = _addresses(exhibit.anatomy.words)
    in_text = {_as_in_html(url) for url in _addresses(exhibit.rendered.text)}
    for part, missing in (("text part", hrefs - in_text), ("HTML", in_text - hrefs - shown)):
        for url in sorted(missing):
            yield Fault(f"{_told(url, exhibit)} stands only in the other part", part)


def _unseen(exhibit: Exhibit) -> set[str]:
    """The address that only machines are to find; nobody misses it in the text part."""
    base = f"{exhibit.view.publication.url}/c/{HTML_PLACEHOLDERS[Slot.DELIVERY]}"
    return {f"{base}/{link.n}" for link in exhibit.rendered.links if link.label == CANARY}


def _addresses(words: str) -> set[str]:
    return {url.rstrip(".,;:)!?") for url in _URL.findall(words)}


def _as_in_html(url: str) -> str:
    for token, other in _TEXT_TO_HTML.items():
        url = url.replace(token, other)
    return url


def _told(url: str, exhibit: Exhibit) -> str:
    """The target of a tracked link; other addresses as they are."""
    number = url.rpartition("/c/")[2].rpartition("/")[2]
    link = next((one for one in exhibit.rendered.links if str(one.n) == number), None)
    return f"{link.url} ({link.label})" if link and "/c/" in url else url


RULES = (
    Rule(
        "parts-names",
        Severity.ERROR,
        "Who reads the text part reads the same issue.",
        "name both tools of each comparison in body.mjml and in body.txt",
        _names,
        issues_only=True,
    ),
    Rule(
        "parts-prices",
        Severity.ERROR,
        "A price in one part only is a price half the readers do not see.",
        "write tool.entry_price in body.mjml and in body.txt",
        _prices,
        issues_only=True,
    ),
    Rule(
        "parts-figures",
        Severity.ERROR,
        "The two parts of a mail must not give different figures.",
        "write the same per cents in body.mjml and in body.txt",
        _figures,
        issues_only=True,
    ),
    Rule(
        "parts-links",
        Severity.ERROR,
        "What can be followed in one part can be followed in the other.",
        "write the address in body.mjml and in body.txt",
        _links,
    ),
)
