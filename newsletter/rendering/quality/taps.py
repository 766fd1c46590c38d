"""What a finger must hit: links that stand alone are 44 pixels high."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from newsletter.rendering.quality.css import declarations
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.rendered import Severity

ENOUGH_PX = 44
_PX = re.compile(r"(-?\d*\.?\d+)(?:px)?")
_INLINE = frozenset({"a", "abbr", "b", "em", "font", "i", "small", "span", "strong", "u"})
_BOXES = frozenset({"block", "inline-block", "table-cell"})


def _small(exhibit: Exhibit) -> Iterator[Fault]:
    for link in exhibit.anatomy.shown:
        if link.tag == "a" and "href" in link.attributes and _stands_alone(link):
            height = _height_px(link)
            if height < ENOUGH_PX:
                yield Fault(f"{height:g} pixels high, under {ENOUGH_PX}", exhibit.place(link))


def _stands_alone(link: Element) -> bool:
    """No words around it in its block: links within a sentence are as high as their line."""
    block = next((one for one in link.ancestors() if one.tag not in _INLINE), link)
    words = block.words
    for one in block.walk():
        if one.tag == "a":
            words = words.replace(one.words, "", 1)
    return not re.search(r"\w", words)


def _height_px(link: Element) -> float:
    """Its line, padding and border where it is a box; else its line, or the picture in it."""
    style = _style(link.style)
    heights = [_line_height_px(link)]
    heights += [_px(one.attributes.get("height", "0")) for one in link.walk() if one.tag == "img"]
    height = max(heights)
    if style.get("display") in _BOXES:
        height += sum(_sides(style, "padding")) + 2 * _px(style.get("border", "0").split(" ")[0])
        height = max(height, _px(style.get("height", "0")), _px(style.get("min-height", "0")))
    return height


def _line_height_px(link: Element) -> float:
    """As inherited: of itself, or of the nearest around it that says so; 1.2 of 16 if none does."""
    for element in (link, *link.ancestors()):
        said = _style(element.style).get("line-height")
        if said and said.endswith("px"):
            return _px(said)
        if said and _PX.fullmatch(said):
            return _px(said) * _px(_style(element.style).get("font-size", "16px"))
    return 19.2


def _sides(style: dict[str, str], name: str) -> tuple[float, float]:
    """Top and bottom of `padding`, longhands over the shorthand."""
    parts = style.get(name, "0").split()
    top, bottom = (parts[0], parts[2] if len(parts) > 2 else parts[0]) if parts else ("0", "0")
    return _px(style.get(f"{name}-top", top)), _px(style.get(f"{name}-bottom", bottom))


def _px(value: str) -> float:
    match = _PX.fullmatch(value.strip())
    return float(match[1]) if match else 0.0


@lru_cache(maxsize=512)
def _style(text: str) -> dict[str, str]:
    return {one.name: one.value for one in declarations(text)}


RULES = (
    Rule(
        "tap-size",
        Severity.WARNING,
        "On a phone a finger misses what is lower than 44 pixels.",
        "make the link a block or an inline block, and pad it to 44 pixels",
        _small,
    ),
)
