"""How a publication looks: two palettes and a logo, each value checked where it enters.

Colours are `#rrggbb`, for mail programs know no other. Whether text can be read on its ground is
not checked here: the check of the issue computes it from what the mail's CSS came to.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_HOST = re.compile(r"[a-z0-9.-]+(:[0-9]+)?", re.IGNORECASE)
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]+", re.IGNORECASE)  # printable, nothing to break out with
_STRICT = ConfigDict(extra="forbid")


def _colour(value: str) -> str:
    if not _COLOUR.fullmatch(value.lower()):
        raise ValueError("is not a colour; write it as #0a6b4c")
    return value.lower()


def _picture(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(_HOST.fullmatch(parts.netloc))
    except ValueError:
        usable = False
    if not usable or not _URL.fullmatch(value):
        raise ValueError(
            "is not a picture's address; write it as https://verdicts.example.com/logo.png"
        )
    return value


def _plain(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a control character; write plain text on one line")
    return value


Colour = Annotated[str, AfterValidator(_colour)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Palette:
    """One scheme's colours; the light one's values unless told otherwise."""

    paper: Colour = "#f4f1e9"  # the page's ground
    card: Colour = "#ffffff"  # the ground of what stands on the page
    ink: Colour = "#1b1b18"  # text
    muted: Colour = "#5c5b53"  # text that steps back
    rule: Colour = "#d9d3c5"  # lines
    track: Colour = "#e7e2d6"  # the empty part of a bar
    accent: Colour = "#0a6b4c"  # ship, links, the button
    on_accent: Colour = "#ffffff"  # text on the accent


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class DarkPalette(Palette):
    """The same places in the dark."""

    paper: Colour = "#0e1210"
    card: Colour = "#171c1a"
    ink: Colour = "#eeede6"
    muted: Colour = "#a9afaa"
    rule: Colour = "#38403c"
    track: Colour = "#333b37"
    accent: Colour = "#5fd8a6"
    on_accent: Colour = "#0b1511"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Theme(Palette):
    """The light palette, the dark one, and the logo.

    logo_url: empty for none. logo_alt: what the logo says; it then stands in for the wordmark.
    Without it the logo is decoration, and the wordmark stays. logo_width: in pixels, 16 to 584.
    """

    dark: DarkPalette = DarkPalette()
    logo_url: Annotated[str, Field(max_length=500), AfterValidator(_picture)] = ""
    logo_alt: Annotated[str, Field(max_length=100), AfterValidator(_plain)] = ""
    logo_width: Annotated[int, Field(ge=16, le=584)] = 160
