"""Structure, as a screen reader meets it: language, headings, tables, what a link says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.direction import is_right_to_left
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.rendered import Severity

LAYOUT_ROLES = frozenset({"presentation", "none"})
_DATA_MARKS = ("summary", "caption")
_SCOPES = frozenset({"col", "row", "colgroup", "rowgroup"})
# Said out of context, as a list of links is read, these lead nowhere.
_VAGUE = frozenset(
    {"click", "click here", "here", "link", "this link", "this", "more", "read more", "go"}
    | {"learn more", "details", "see more", "find out more", "continue", "tap here", "read on"}
)


def _language(exhibit: Exhibit) -> Iterator[Fault]:
    wanted = exhibit.view.publication.language
    root = next((one for one in exhibit.anatomy.elements if one.tag == "html"), None)
    attributes = root.attributes if root else {}
    if attributes.get("lang", "") != wanted:
        yield Fault(f"lang is {attributes.get('lang', '')!r}, not {wanted!r}", "<html>")
    direction = "rtl" if is_right_to_left(wanted) else "ltr"
    if attributes.get("dir", "") != direction:
        yield Fault(f"dir is {attributes.get('dir', '')!r}, not {direction!r}", "<html>")


def _headings(exhibit: Exhibit) -> Iterator[Fault]:
    headings = exhibit.anatomy.headings
    first = [one for one in headings if one.tag == "h1"]
    if len(first) != 1:
        yield Fault(f"{len(first)} headings of the first level, where one is right", "HTML")
    before = 0
    for heading in headings:
        level = int(heading.tag[1])
        if not heading.words:
            yield Fault("an empty heading", exhibit.place(heading))
        if level > before + 1:
            after = f"h{before}" if before else "the start"
            yield Fault(f"{heading.tag} follows {after}", exhibit.place(heading))
        before = level


def _tables(exhibit: Exhibit) -> Iterator[Fault]:
    for table in exhibit.anatomy.shown:
        if table.tag != "table":
            continue
        heads = [one for one in _cells(table) if one.tag == "th"]
        if table.attributes.get("role") in LAYOUT_ROLES:
            if heads or any(mark in table.attributes for mark in _DATA_MARKS):
                yield Fault("a layout table has header cells", exhibit.place(table))
        elif not heads:
            yield Fault("a table without header cells, and no role", exhibit.place(table))
        else:
            for head in heads:
                if head.attributes.get("scope") not in _SCOPES:
                    yield Fault("a header cell without scope", exhibit.place(head))


def _cells(table: Element) -> Iterator[Element]:
    """The cells of this table, not of tables inside it."""
    waiting = [one for one in table.children if isinstance(one, Element)]
    while waiting:
        element = waiting.pop()
        if element.tag in {"td", "th", "caption"}:
            yield element
        elif element.tag != "table":
            waiting.extend(one for one in element.children if isinstance(one, Element))


def _links(exhibit: Exhibit) -> Iterator[Element]:
    return (one for one in exhibit.anatomy.shown if one.tag == "a" and "href" in one.attributes)


def _name(link: Element) -> str:
    """What a screen reader calls it."""
    alts = [one.attributes.get("alt", "") for one in link.walk() if one.tag == "img"]
    said = link.attributes.get("aria-label", "") or " ".join([link.words, *alts])
    return " ".join(said.split()) or link.attributes.get("title", "").strip()


def _nameless_links(exhibit: Exhibit) -> Iterator[Fault]:
    for link in _links(exhibit):
        if not _name(link):
            yield Fault("a link without words", exhibit.place(link))


def _vague_links(exhibit: Exhibit) -> Iterator[Fault]:
    for link in _links(exhibit):
        said = _name(link)
        if re.sub(r"[^\w ]+", "", said).strip().casefold() in _VAGUE:
            yield Fault(f"the link says only “{said}”", exhibit.place(link))


RULES = (
    Rule(
        "language-missing",
        Severity.ERROR,
        "A screen reader reads a mail in the language that <html> names, from the side it names.",
        'write <mjml lang="{{ publication.language|attr }}" dir="{{ direction }}">',
        _language,
    ),
    Rule(
        "headings",
        Severity.WARNING,
        "Headings are how a screen reader skims a mail: one h1, then no level left out.",
        "give the mail one h1, and step down one level at a time",
        _headings,
    ),
    Rule(
        "table-role",
        Severity.ERROR,
        "A table is announced as data, with its headers, unless it says that it is layout.",
        'layout: role="presentation"; data: <th scope="col"> or <th scope="row">, and no role',
        _tables,
    ),
    Rule(
        "link-nameless",
        Severity.ERROR,
        "With images off, and to a screen reader, a link is its words.",
        "put words into the link, or alt text on its picture",
        _nameless_links,
    ),
    Rule(
        "link-vague",
        Severity.WARNING,
        "Links are also read as a list, each alone.",
        "say where it leads: the page's name, not “click here”",
        _vague_links,
    ),
)
