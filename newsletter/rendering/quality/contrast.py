"""Contrast of every text on its ground, computed from the CSS in each palette.

Light: the inline styles. Dark: with what `prefers-color-scheme: dark` puts over them. Outlook.com:
with what `[data-ogsc]` (text) and `[data-ogsb]` (ground) put over them; what these leave alone
Outlook.com recolours by itself, so only pairs are judged of which both halves are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from newsletter.rendering.quality.colours import BLACK, WHITE, Rgb, colour, contrast, hex_of
from newsletter.rendering.quality.css import Sheet, StyleRule, declarations
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.quality.selectors import Selector, parse
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.rendered import Severity

ENOUGH = 4.5
_OUTLOOK = ("[data-ogsc]", "[data-ogsb]")
_GROUNDS = frozenset({"background", "background-color"})
# What browsers draw where nothing is said, by palette: canvas, text, link.
_LIGHT_DEFAULTS = (WHITE, BLACK, (0, 0, 238))
_DARK_DEFAULTS = ((18, 18, 18), WHITE, (158, 158, 255))

# important, weight (inline styles before selectors), order: the greatest wins.
_Rank = tuple[bool, tuple[int, int, int, int], int]
# is it a ground?, its rank, the colour, is it an override and not the light palette's own?
_Offer = tuple[bool, _Rank, Rgb | None, bool]


@dataclass(frozen=True, slots=True)
class Painted:
    """One declaration of a colour, and the selector of whom it is for."""

    selector: Selector
    offer: _Offer


@dataclass(frozen=True, slots=True)
class _Colours:
    """What an element ends up with. ours: is it an override's? (text, ground)"""

    text: Rgb
    ground: Rgb
    ours: tuple[bool, bool]


class Palette:
    """The colour rules of one palette, looked up by the last class or tag of their selectors."""

    def __init__(
        self, name: str, rules: Iterable[Painted], *, dark: bool, overrides_only: bool = False
    ) -> None:
        self.name = name
        self.overrides_only = overrides_only
        self.canvas, self.text, self.link = _DARK_DEFAULTS if dark else _LIGHT_DEFAULTS
        self._by_key: dict[str, list[Painted]] = {}
        for rule in rules:
            for key in _keys(rule.selector):
                self._by_key.setdefault(key, []).append(rule)

    def offers(self, element: Element) -> list[_Offer]:
        """Every colour that is declared for the element, in its style or in a rule."""
        found = [*_of_style(element.style)] if element.style else []
        if "bgcolor" in element.attributes:
            weakest = (False, (-1, 0, 0, 0), 0)
            found.append((True, weakest, colour(element.attributes["bgcolor"]), False))
        for key in (*(f".{one}" for one in element.classes), element.tag, ""):
            found += [
                rule.offer for rule in self._by_key.get(key, ()) if rule.selector.matches(element)
            ]
        return found


def palettes(sheets: Iterable[Sheet]) -> tuple[Palette, Palette, Palette]:
    rules = [rule for sheet in sheets for rule in sheet.rules]
    plain = list(_painted(rules, at_rules=False))
    dark = [*plain, *_painted(rules, at_rules=True)]
    return (
        Palette("light", plain, dark=False),
        Palette("dark", dark, dark=True),
        Palette("Outlook.com's dark", _outlook(rules), dark=True, overrides_only=True),
    )


def _painted(rules: Iterable[StyleRule], *, at_rules: bool) -> Iterator[Painted]:
    for order, rule in enumerate(rules):
        if rule.is_dark if at_rules else not rule.at:
            for text in rule.selectors:
                if not text.startswith(_OUTLOOK):
                    yield from _sets(rule, parse(text), order, ours=at_rules)


def _outlook(rules: Iterable[StyleRule]) -> Iterator[Painted]:
    for order, rule in enumerate(rules):
        for text in rule.selectors:
            if text.startswith(_OUTLOOK):
                yield from _sets(rule, parse(text).within(), order, ours=True)


def _sets(rule: StyleRule, selector: Selector, order: int, *, ours: bool) -> Iterator[Painted]:
    for one in rule.declarations:
        if one.name == "color" or one.name in _GROUNDS:
            rank = (one.important, (0, *selector.weight), order)
            yield Painted(selector, (one.name != "color", rank, colour(one.value), ours))


def _keys(selector: Selector) -> tuple[str, ...]:
    if not selector.compounds:
        return ()
    last = selector.compounds[-1]
    if last.classes:
        return (f".{last.classes[0]}",)
    return ("" if last.tag in ("", "*") else last.tag,)


def _low(exhibit: Exhibit) -> Iterator[Fault]:
    for palette in palettes(exhibit.anatomy.sheets):
        told: set[tuple[Rgb, Rgb]] = set()
        for element, seen in _seen(exhibit.anatomy.shown, palette):
            pair = (seen.text, seen.ground)
            if pair in told or (palette.overrides_only and not all(seen.ours)):
                continue
            ratio = contrast(*pair)
            if ratio < ENOUGH and element.own_text:
                told.add(pair)
                yield Fault(
                    f"{ratio:.1f}:1 in the {palette.name} palette, "
                    f"{hex_of(seen.text)} on {hex_of(seen.ground)}",
                    exhibit.place(element),
                )


def _seen(shown: Iterable[Element], palette: Palette) -> Iterator[tuple[Element, _Colours]]:
    """The colours of every shown element; parents come before their children."""
    kept: dict[int, _Colours] = {}
    start = _Colours(palette.text, palette.canvas, (False, False))
    for element in shown:
        inherited = kept.get(id(element.parent), start)
        kept[id(element)] = seen = _colours(element, inherited, palette)
        yield element, seen


def _colours(element: Element, inherited: _Colours, palette: Palette) -> _Colours:
    offers = palette.offers(element)
    is_link = element.tag == "a" and "href" in element.attributes
    if not offers and not is_link:
        return inherited
    text, text_is_ours = _winner(offers, ground=False)
    ground, ground_is_ours = _winner(offers, ground=True)
    if text is None:
        text, text_is_ours = (
            (palette.link, False) if is_link else (inherited.text, inherited.ours[0])
        )
    if ground is None:
        ground, ground_is_ours = inherited.ground, inherited.ours[1]
    return _Colours(text, ground, (text_is_ours, ground_is_ours))


def _winner(offers: list[_Offer], *, ground: bool) -> tuple[Rgb | None, bool]:
    rivals = [offer for offer in offers if offer[0] is ground]
    if not rivals:
        return None, False
    _, _, value, ours = max(rivals, key=lambda offer: offer[1])
    return value, ours


@lru_cache(maxsize=2048)
def _of_style(style: str) -> tuple[_Offer, ...]:
    """What an inline style offers: later declarations over earlier ones."""
    return tuple(
        (one.name != "color", (one.important, (1, 0, 0, 0), number), colour(one.value), False)
        for number, one in enumerate(declarations(style))
        if one.name == "color" or one.name in _GROUNDS
    )


RULES = (
    Rule(
        "contrast",
        Severity.ERROR,
        "Text needs a contrast of 4.5:1 to be read by everybody, in the sun too.",
        "choose colours further apart under [theme] in newsletter.toml, for that palette",
        _low,
    ),
)
