"""Charts: drawn to scale, told in words, named for who cannot see them, safe with any label."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering import charts
from newsletter.rendering.charts import Bar, Column, Fill, Part, Range

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
LABELS = (Fill.SOLID, "human"), (Fill.HOLLOW, "unknown"), (Fill.HATCHED, "machine")
COUNTS = st.lists(st.integers(0, 10**7), min_size=3, max_size=3)


def parts(counts: list[int]) -> tuple[Part, ...]:
    return tuple(Part(n, name, fill) for n, (fill, name) in zip(counts, LABELS, strict=True))


def drawn(chart: str) -> ElementTree.Element:
    """The chart as a browser's parser has it: the page gives it its namespace."""
    return ElementTree.fromstring(str(chart).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


def rects(chart: str) -> list[ElementTree.Element]:
    looks = {str(fill) for fill in Fill}
    return [one for one in drawn(chart).iter(f"{SVG}rect") if one.get("class") in looks]


def across(rect: ElementTree.Element) -> float:
    return float(rect.get("width", "").rstrip("%"))


@given(st.lists(COUNTS, min_size=1, max_size=6))
def test_bars_are_drawn_to_one_scale_and_never_leave_the_box(rows: list[list[int]]) -> None:
    chart = charts.bars("k", "T", [Bar(f"row {n}", parts(row)) for n, row in enumerate(rows)])
    longest = max(map(sum, rows))
    counts = [count for row in rows if sum(row) for count in row if count]
    found = rects(chart)
    assert len(found) == len(counts)
    for rect, count in zip(found, counts, strict=True):
        assert across(rect) == pytest.approx(100 * count / longest, abs=0.006)
        assert float(rect.get("x", "").rstrip("%")) + across(rect) <= 100.02


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=40))
def test_columns_stand_on_one_line_and_are_as_high_as_they_count(
    rows: list[tuple[list[int], list[int]]],
) -> None:
    columns = [Column(f"{n} h", parts(up), parts(down)) for n, (up, down) in enumerate(rows)]
    chart = charts.columns("k", "T", columns)
    whole = max(sum(up) for up, _ in rows) + max(sum(down) for _, down in rows)
    heights = [float(rect.get("height", "")) for rect in rects(chart)]
    counts = [count for up, down in rows for count in (*up, *down) if count]
    assert heights == pytest.approx(
        [charts.PLOT_PX * count / max(whole, 1) for count in counts], abs=0.006
    )


def test_a_chart_has_a_name_and_says_every_number_in_words() -> None:
    rows = [Bar("Image loads", parts([3_660, 735, 2_701])), Bar("Clicks", parts([0, 0, 0]))]
    svg = drawn(charts.bars("fall", "How far it got", rows))
    assert (svg.get("role"), svg.get("aria-labelledby")) == ("img", "fall-title")
    assert svg.get("aria-describedby") == "fall-desc"
    title, desc = svg.find(f"{SVG}title"), svg.find(f"{SVG}desc")
    assert title is not None
    assert desc is not None
    assert (title.get("id"), title.text) == ("fall-title", "How far it got")
    said = "3,660 human, 735 unknown, 2,701 machine"
    assert desc.text == f"Image loads: {said}; Clicks: none"
    texts = [one.text for one in svg.iter(f"{SVG}text")]
    assert texts == ["Image loads", said, "Clicks", "none"]


def test_no_two_kinds_are_told_apart_by_colour_alone() -> None:
    solid, hollow, hatched = rects(charts.bars("k", "T", [Bar("row", parts([1, 1, 1]))]))
    assert len({one.get("class") for one in (solid, hollow, hatched)}) == 3
    assert hatched.get("fill") == "url(#k-hatch)"
    pattern = 'id="k-hatch"'
    assert charts.bars("k", "T", []).count(pattern) == 1


@pytest.mark.parametrize("name", ["</text><script>x</script>", '" onload="x', "a & b", "]]>"])
def test_a_label_is_text_whatever_it_holds(name: str) -> None:
    made = (
        charts.bars("k", name, [Bar(name, (Part(1, name, Fill.SOLID),))]),
        charts.columns("k", name, [Column(name, (Part(1, name, Fill.SOLID),))]),
        charts.ranges("k", name, [Range(name, 0.1, 0.05, 0.2, name)]),
    )
    for chart in made:
        svg = drawn(chart)
        assert svg.find(f"{SVG}title").text == name  # type: ignore[union-attr]
        assert name in [one.text for one in svg.iter(f"{SVG}text")] or name in chart
        assert "<script" not in chart
        assert not [one for one in svg.iter() if one.get("onload") or one.get("style")]


def test_a_name_too_long_for_a_phone_is_cut_over_the_bar_and_whole_in_the_description() -> None:
    name = "The Exceedingly Patient Spreadsheet Reconciliation Companion"
    svg = drawn(charts.bars("k", "T", [Bar(name, parts([1, 0, 0]))]))
    shown = next(svg.iter(f"{SVG}text")).text or ""
    assert shown == f"{name[:39]}…"
    desc = svg.find(f"{SVG}desc")
    assert desc is not None
    assert name in (desc.text or "")


def test_ranges_share_a_scale_that_begins_at_nothing() -> None:
    rows = [
        Range("2026-W48", 0.30, 0.29, 0.40, "30%"),
        Range("2026-W47", 0.10, 0.05, 0.20, "10%", Fill.HOLLOW),
    ]
    svg = drawn(charts.ranges("k", "T", rows))
    assert [one.get("cx") for one in svg.iter(f"{SVG}circle")] == ["75%", "25%"]
    spreads = [one for one in svg.iter(f"{SVG}line") if one.get("class") == "spread"]
    assert [(one.get("x1"), one.get("x2")) for one in spreads] == [
        ("72.5%", "100%"),
        ("12.5%", "50%"),
    ]


def test_labels_under_columns_are_few_and_none_sticks_out() -> None:
    for count in range(1, 80):
        columns = [Column(f"{n}–{n + 3} h", (Part(1, "human", Fill.SOLID),)) for n in range(count)]
        svg = drawn(charts.columns("k", "T", columns))
        ticks = [one for one in svg.iter(f"{SVG}text") if one.get("class") == "tick"]
        assert 1 <= len(ticks) <= charts.TICKS
        assert max(float((one.get("x") or "").rstrip("%")) for one in ticks) <= 84


@pytest.mark.parametrize("draw", [charts.bars, charts.columns, charts.ranges])
def test_nothing_to_draw_is_still_a_chart(draw: object) -> None:
    svg = drawn(draw("k", "T", []))  # type: ignore[operator]
    assert svg.get("role") == "img"
    assert float(svg.get("height") or 0) > 0
