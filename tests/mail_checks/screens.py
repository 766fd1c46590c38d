"""Golden screenshots: kept at half size, compared by the mean colours of small cells.

Another version of a font or a browser smooths the edges of letters a bit otherwise, which hardly
moves a cell's mean; a thing that is missing, moved or of another colour does.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops
from playwright.sync_api import Page

GOLDENS = Path(__file__).parents[1] / "golden"
SCALE = 2  # a golden is this much smaller, which leaves the cells' means as they are
CELL_PIXELS = 8  # of the screen
TOLERANCE = 40  # of 255, in any colour of a cell's mean; other smoothing came to 27 at most
HEIGHT_PIXELS = 4  # a line that is a pixel taller here and there
COLOURS = 64  # of a golden: these come within 4 of the means of all


@dataclass(frozen=True, slots=True)
class Difference:
    """What sets two screenshots apart: their sizes, or cells; falsy where nothing does."""

    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
    cells: tuple[tuple[int, int], ...] = ()  # left and top of each, in pixels of the screen

    def __bool__(self) -> bool:
        return self.sizes is not None or bool(self.cells)

    def __str__(self) -> str:
        if self.sizes is not None:
            return f"{self.sizes[0]} pixels of the golden against {self.sizes[1]}"
        return f"{len(self.cells)} cells of {CELL_PIXELS} pixels, from {self.cells[:1]} on"


def screenshot(page: Page, html: str) -> Image.Image:
    """The whole mail at the page's width."""
    page.set_content(html)
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def reduced(picture: Image.Image) -> Image.Image:
    """What is kept of a screenshot: half its size, few colours."""
    small = picture.reduce(SCALE)
    return small.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def difference(golden: Image.Image, seen: Image.Image) -> Difference:
    """golden: of half size. seen: a screenshot."""
    small = seen.reduce(SCALE)
    taller = abs(golden.height - small.height) * SCALE
    if golden.width != small.width or taller > HEIGHT_PIXELS:
        return Difference(sizes=(golden.size, small.size))
    common = (0, 0, golden.width, min(golden.height, small.height))
    means = [
        each.convert("RGB").crop(common).reduce(CELL_PIXELS // SCALE) for each in (golden, small)
    ]
    apart = ImageChops.difference(*means)
    cells = (
        (place % apart.width * CELL_PIXELS, place // apart.width * CELL_PIXELS)
        for place, colour in enumerate(apart.get_flattened_data())
        if max(colour) > TOLERANCE
    )
    return Difference(cells=tuple(cells))
