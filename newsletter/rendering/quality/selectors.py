"""Which elements a selector of a mail's style block means, and how much it weighs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from newsletter.rendering.quality.tree import Element

_PIECE = re.compile(
    r"(?P<tag>\*|-?[a-zA-Z_][\w-]*)|\.(?P<cls>-?[\w-]+)|#(?P<id>[\w-]+)"
    r"|\[\s*(?P<attr>[\w-]+)\s*(?P<op>[~|^$*]?=)?\s*(?P<value>\"[^\"]*\"|'[^']*'|[^\]]*)\]"
    r"|(?P<pseudo>::?[\w-]+(?:\([^)]*\))?)"
)
_COMBINED = re.compile(r"\s*([>+~])\s*|\s+")


@dataclass(frozen=True, slots=True)
class Compound:
    """`td.r[align="right"]`: all of it must hold of one element. pseudo: `:root`, `:hover`, ..."""

    tag: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    attributes: tuple[tuple[str, str, str], ...]  # name, operator, value
    pseudo: tuple[str, ...]

    def matches(self, element: Element) -> bool:
        if self.tag not in ("", "*", element.tag):
            return False
        if self.classes and not set(self.classes) <= set(element.classes):
            return False
        if self.ids and self.ids != (element.attributes.get("id", ""),):
            return False
        if any(one != ":root" or element.tag != "html" for one in self.pseudo):
            return False
        return all(_holds(element, *one) for one in self.attributes)


@dataclass(frozen=True, slots=True)
class Selector:
    """Compounds from left to right, with the combinator before each but the first."""

    compounds: tuple[Compound, ...]
    combinators: tuple[str, ...]

    @property
    def weight(self) -> tuple[int, int, int]:
        """Specificity: ids; classes, attributes and pseudo-classes; tags."""
        ids = sum(len(one.ids) for one in self.compounds)
        classes = sum(
            len(one.classes) + len(one.attributes) + len(one.pseudo) for one in self.compounds
        )
        return ids, classes, sum(one.tag not in ("", "*") for one in self.compounds)

    def matches(self, element: Element) -> bool:
        return _matches(self, len(self.compounds) - 1, element)

    def within(self) -> Selector:
        """Without the first compound: what holds inside an element that it would match."""
        return Selector(self.compounds[1:], self.combinators[1:])


@lru_cache(maxsize=1024)
def parse(selector: str) -> Selector:
    """One selector, without commas. Pieces that are not understood match nothing."""
    compounds: list[Compound] = []
    combinators: list[str] = []
    rest = selector.strip()
    while rest:
        end = _compound_end(rest)
        match = _COMBINED.match(rest, end)
        if match is None:  # the end, or something that is not understood
            compounds.append(_compound(rest))
            break
        compounds.append(_compound(rest[:end]))
        combinators.append(match[1] or " ")
        rest = rest[match.end() :]
    return Selector(tuple(compounds), tuple(combinators))


def _compound_end(text: str) -> int:
    end = 0
    while (piece := _PIECE.match(text, end)) and piece.end() > end:
        end = piece.end()
    return end or len(text)


def _compound(text: str) -> Compound:
    found = [match.groupdict() for match in _PIECE.finditer(text)]
    understood = "".join(match[0] for match in _PIECE.finditer(text)) == text
    return Compound(
        tag=next((one["tag"].lower() for one in found if one["tag"]), ""),
        classes=tuple(one["cls"] for one in found if one["cls"]),
        ids=tuple(one["id"] for one in found if one["id"]),
        attributes=tuple(
            (one["attr"].lower(), one["op"] or "", (one["value"] or "").strip("\"' "))
            for one in found
            if one["attr"]
        ),
        pseudo=tuple(one["pseudo"] for one in found if one["pseudo"])
        + (() if understood else (text,)),
    )


def _holds(element: Element, name: str, operator: str, wanted: str) -> bool:
    value = element.attributes.get(name)
    if value is None or not operator:
        return value is not None
    return {
        "=": value == wanted,
        "~=": wanted in value.split(),
        "|=": value == wanted or value.startswith(f"{wanted}-"),
        "^=": bool(wanted) and value.startswith(wanted),
        "$=": bool(wanted) and value.endswith(wanted),
        "*=": bool(wanted) and wanted in value,
    }[operator]


def _matches(selector: Selector, last: int, element: Element) -> bool:
    if not selector.compounds or not selector.compounds[last].matches(element):
        return False
    if last == 0:
        return True
    combinator = selector.combinators[last - 1]
    return any(_matches(selector, last - 1, one) for one in _related(element, combinator))


def _related(element: Element, combinator: str) -> list[Element]:
    """The elements on the left of a combinator whose right side is `element`."""
    if combinator == " ":
        return list(element.ancestors())
    if element.parent is None:
        return []
    if combinator == ">":
        return [element.parent]
    siblings = [child for child in element.parent.children if isinstance(child, Element)]
    before = siblings[: siblings.index(element)]
    return before[-1:] if combinator == "+" else before
