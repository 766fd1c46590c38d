"""Charts as SVG, drawn from plain numbers: no script, and nothing that only a colour says.

Across, lengths are per cent of the box; heights are pixels. So one drawing fills a phone's 375
pixels as it fills 700, with letters of the page's own size: under a `viewBox` they would shrink
along. What stands for what is a pattern, solid, hollow or hatched, and every number drawn is also
said in words. Colours are the page's: the classes here have theirs in `web/studio.css`, and no
`style` attribute is needed, which a strict policy (CSP) would drop. A library would bring styles,
scripts or pixels of its own, for two hundred lines of rectangles.

A chart is no table: whoever shows one puts the table of the same numbers beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from markupsafe import Markup

LINE_PX = 20  # of text
NAME_CHARACTERS = 40  # of a name over a bar: what a phone has room for; the table has all of it
BAR_PX = 16
GAP_PX = 16  # between two rows
PLOT_PX = 150  # the height of columns
FEWEST = 8  # places for columns: fewer of them would be as broad as bars
TICKS = 6  # at most so many labels under columns: they must not touch on a phone

_NOTHING = Markup()


class Fill(StrEnum):
    """How a part is drawn; never told apart by colour alone."""

    SOLID = "solid"  # human; ship
    HOLLOW = "hollow"  # unknown; skip
    HATCHED = "hatched"  # machine


@dataclass(frozen=True, slots=True)
class Part:
    """`count` of something: `212 human`."""

    count: int
    name: str
    fill: Fill

    def __str__(self) -> str:
        return f"{self.count:,} {self.name}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar of parts, with its name over it."""

    name: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        return sum(part.count for part in self.parts)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of parts from the base line upwards, and of others downwards."""

    name: str
    above: tuple[Part, ...]
    below: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(map(str, (*self.above, *self.below)))}"


@dataclass(frozen=True, slots=True)
class Range:
    """A rate with its interval, each 0 to 1, and how it is told: `12.1 %, 10.9 to 13.4 %`."""

    name: str
    rate: float
    low: float
    high: float
    told: str
    fill: Fill = Fill.SOLID


def bars(key: str, title: str, rows: Sequence[Bar], *, full: int | None = None) -> Markup:
    """Horizontal stacked bars, each with its parts in words over it.

    key: unique on the page, letters and hyphens. full: what a bar over the whole width stands for,
    the longest row's total where none is given; 0: every row is its own whole.
    """
    longest = max((row.total for row in rows), default=0) if full is None else full
    row_px = 2 * LINE_PX + BAR_PX + GAP_PX
    drawn = Markup().join(
        _bar(key, row, n * row_px, longest or row.total) for n, row in enumerate(rows)
    )
    said = "; ".join(f"{row.name}: {_in_words(row.parts)}" for row in rows)
    return _chart(key, title, said, drawn, len(rows) * row_px - GAP_PX)


def columns(key: str, title: str, rows: Sequence[Column]) -> Markup:
    """Columns side by side on one base line; the highest is told in words."""
    up, down = (max(map(_sum, side), default=0) for side in _sides(rows))
    one_px = PLOT_PX / max(up + down, 1)
    said = _highest(rows)
    head = len(said) * LINE_PX + 4
    base, foot = head + up * one_px, head + PLOT_PX
    width = 100 / max(len(rows), FEWEST)
    drawn = (
        *(_text(line, 0, 14 + n * LINE_PX, "said") for n, line in enumerate(said)),
        *(_column(key, row, n * width, width, base, one_px) for n, row in enumerate(rows)),
        _level(base, "axis"),
        *_ticks(rows, foot + 16),
    )
    told = "; ".join(map(str, rows))
    return _chart(key, title, told, Markup().join(drawn), foot + LINE_PX)


def ranges(key: str, title: str, rows: Sequence[Range]) -> Markup:
    """Rates as dots on lines as long as their intervals, all on one scale that begins at 0."""
    full = max((row.high for row in rows), default=0.0) or 1.0
    row_px = 2 * LINE_PX + BAR_PX + GAP_PX
    drawn = Markup().join(_range(row, n * row_px, full) for n, row in enumerate(rows))
    said = "; ".join(f"{row.name}: {row.told}" for row in rows)
    return _chart(key, title, said, drawn, len(rows) * row_px - GAP_PX)


def legend(*named: tuple[Fill, str]) -> Markup:
    """What each pattern stands for, in words; the swatches themselves say nothing to a reader."""
    return Markup().join(
        _tag("li", Markup().join((_swatch(fill, n), Markup.escape(name))))
        for n, (fill, name) in enumerate(named)
    )


def _swatch(fill: Fill, n: int) -> Markup:
    key = f"swatch-{n}-{fill}"
    box = _tag("rect", x="1", y="1", width="14", height="14", **_look(key, fill))
    pattern = _pattern(key) if fill is Fill.HATCHED else _NOTHING
    attributes = {"aria-hidden": "true", "focusable": "false"}
    return _tag("svg", pattern + box, class_="swatch", width="16", height="16", **attributes)


def _bar(key: str, row: Bar, top: int, full: int) -> Markup:
    words = (
        _text(_short(row.name), 0, top + 14, "name"),
        _text(_in_words(row.parts), 0, top + 14 + LINE_PX, "said"),
    )
    if not row.total:
        return Markup().join((*words, _level(top + 2 * LINE_PX + BAR_PX / 2, "track")))
    return Markup().join((*words, *_laid(key, row.parts, top + 2 * LINE_PX, max(full, 1))))


def _laid(key: str, parts: Iterable[Part], top: int, full: int) -> Iterator[Markup]:
    left = 0.0
    for part in parts:
        width = 100 * part.count / full
        if part.count:
            yield _rect(key, part.fill, left, width, top, BAR_PX)
        left += width


def _column(key: str, row: Column, left: float, width: float, base: float, one_px: float) -> Markup:
    gap = width / 8
    drawn = [_tag("title", Markup.escape(str(row)))]
    for parts, sign in ((row.above, -1), (row.below, 1)):
        edge = base
        for part in parts:
            height = part.count * one_px
            top = edge - height if sign < 0 else edge
            if part.count:
                drawn.append(_rect(key, part.fill, left + gap, width - 2 * gap, top, height))
            edge += sign * height
    return _tag("g", Markup().join(drawn))


def _range(row: Range, top: int, full: float) -> Markup:
    middle = _px(top + 2 * LINE_PX + BAR_PX / 2)
    low, high, rate = (_percent(100 * x / full) for x in (row.low, row.high, row.rate))
    return Markup().join(
        (
            _text(_short(row.name), 0, top + 14, "name"),
            _text(row.told, 0, top + 14 + LINE_PX, "said"),
            _level(top + 2 * LINE_PX + BAR_PX / 2, "track"),
            _tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="spread"),
            _tag("circle", cx=rate, cy=middle, r="6", class_=str(row.fill)),
        )
    )


def _ticks(rows: Sequence[Column], baseline: float) -> Iterator[Markup]:
    """Some columns' names, under the columns; none so far right that it would not fit."""
    places = max(len(rows), FEWEST)
    step = -(-places // TICKS)
    for n in range(0, len(rows), step):
        if n * TICKS <= places * (TICKS - 1):
            yield _text(rows[n].name, 100 * n / places, baseline, "tick")


def _highest(rows: Sequence[Column]) -> tuple[str, ...]:
    """Lines that a phone has room for."""
    above, below = _sides(rows)
    top, low = (max(rows, key=lambda row: _sum(side(row)), default=None) for side in (_up, _down))
    if top is None or low is None or not any(map(_sum, (*above, *below))):
        return ("Nothing yet",)
    if _sum(low.below):
        return tuple(
            f"Most in {row.name}: {_in_words(parts)}"
            for row, parts in ((top, top.above), (low, low.below))
        )
    return f"Most in {top.name}:", _in_words(top.above)


def _up(row: Column) -> tuple[Part, ...]:
    return row.above


def _down(row: Column) -> tuple[Part, ...]:
    return row.below


def _sides(rows: Sequence[Column]) -> tuple[list[tuple[Part, ...]], list[tuple[Part, ...]]]:
    return list(map(_up, rows)), list(map(_down, rows))


def _sum(parts: Iterable[Part]) -> int:
    return sum(part.count for part in parts)


def _in_words(parts: Iterable[Part]) -> str:
    """`212 human, 40 unknown`; without a part that counts anything, `none`."""
    told = list(parts)
    return ", ".join(map(str, told)) if _sum(told) else "none"


def _chart(key: str, title: str, said: str, drawn: Markup, height_px: float) -> Markup:
    """The whole: an image with a name and a description, its pattern, and what is drawn."""
    named = (
        _tag("title", Markup.escape(title), id=f"{key}-title"),
        _tag("desc", Markup.escape(said), id=f"{key}-desc"),
        _pattern(key),
    )
    attributes = {"aria-labelledby": f"{key}-title", "aria-describedby": f"{key}-desc"}
    return _tag(
        "svg",
        Markup().join((*named, drawn)),
        class_="chart",
        role="img",
        width="100%",
        height=_px(max(height_px, LINE_PX)),
        focusable="false",
        **attributes,
    )


def _pattern(key: str) -> Markup:
    """Stripes of a slant; each drawing has its own, for ids count on the whole page."""
    stripe = _tag("rect", width="3", height="6", class_="stripe")
    ground = _tag("rect", width="6", height="6", class_="between")
    pattern = _tag(
        "pattern",
        ground + stripe,
        id=f"{key}-hatch",
        width="6",
        height="6",
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    return _tag("defs", pattern)


def _rect(key: str, fill: Fill, left: float, width: float, top: float, height: float) -> Markup:
    return _tag(
        "rect",
        x=_percent(left),
        width=_percent(width),
        y=_px(top),
        height=_px(height),
        **_look(key, fill),
    )


def _look(key: str, fill: Fill) -> dict[str, str]:
    look = {"class_": str(fill)}
    return look | {"fill": f"url(#{key}-hatch)"} if fill is Fill.HATCHED else look


def _level(y: float, look: str) -> Markup:
    return _tag("line", x1="0", x2="100%", y1=_px(y), y2=_px(y), class_=look)


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"


def _text(words: str, left: float, baseline: float, look: str) -> Markup:
    return _tag("text", Markup.escape(words), x=_percent(left), y=_px(baseline), class_=look)


def _tag(name: str, content: Markup = _NOTHING, /, **attributes: str) -> Markup:
    pairs = Markup().join(
        Markup(' {}="{}"').format(key.rstrip("_"), value) for key, value in attributes.items()
    )
    return Markup("<{}{}>{}</{}>").format(name, pairs, content, name)


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _percent(value: float) -> str:
    return f"{_px(value)}%"
