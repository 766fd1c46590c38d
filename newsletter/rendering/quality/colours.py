"""Colours of a mail as numbers, and the contrast of two of them (WCAG 2.2, 1.4.3)."""

from __future__ import annotations

import re
from functools import lru_cache

Rgb = tuple[int, int, int]

WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)
_HEX = re.compile(r"#([0-9a-f]{3,8})\b")
_RGB = re.compile(r"rgba?\(\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)(?:[\s,/]+([\d.]+)(%?))?\s*\)")
_NAMED: dict[str, Rgb] = {
    "black": BLACK, "white": WHITE, "red": (255, 0, 0), "green": (0, 128, 0),
    "blue": (0, 0, 255), "yellow": (255, 255, 0), "gray": (128, 128, 128),
    "grey": (128, 128, 128), "silver": (192, 192, 192), "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211), "darkgray": (169, 169, 169), "darkgrey": (169, 169, 169),
    "navy": (0, 0, 128), "teal": (0, 128, 128), "maroon": (128, 0, 0), "olive": (128, 128, 0),
    "purple": (128, 0, 128), "orange": (255, 165, 0), "lime": (0, 255, 0), "aqua": (0, 255, 255),
}  # fmt: skip
_NAME = re.compile(rf"\b({'|'.join(_NAMED)})\b")


@lru_cache(maxsize=512)
def colour(value: str) -> Rgb | None:
    """The colour in a CSS value or a bgcolor; None where there is none, or it is see-through."""
    text = value.lower()
    if match := _HEX.search(text):
        return _from_hex(match[1])
    if match := _RGB.search(text):
        if match[4] is not None and float(match[4]) == 0:
            return None
        red, green, blue = (min(255, int(part)) for part in match.groups()[:3])
        return red, green, blue
    named = _NAME.search(text)
    return _NAMED[named[1]] if named else None


def _from_hex(digits: str) -> Rgb | None:
    if len(digits) in (3, 4):
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) not in (6, 8) or digits[6:] == "00":
        return None
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def hex_of(rgb: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


@lru_cache(maxsize=512)
def contrast(one: Rgb, other: Rgb) -> float:
    """1.0 (the same) to 21.0 (black on white)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=512)
def _luminance(rgb: Rgb) -> float:
    red, green, blue = (_linear(channel / 255) for channel in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
