"""The pages of figures in Debian's chromium: widths, palettes, forced colours, print, no script."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("unit", "mail_checks")]

import checked_mails
import figure_samples as samples
from outside_tools import AXE, require_debian_packages, require_node_packages
from publication import open_home
from served import make_home

from newsletter import stats
from newsletter.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = (375, 700, 1200)
ISSUE, LIST = "/desk/issues/2026-w48/stats", "/desk/stats"
KINDS = {"full": samples.FULL, "empty": samples.EMPTY, "untracked": samples.UNTRACKED}
PATHS = (*(f"{ISSUE}?{kind}" for kind in KINDS), LIST)

RUN_AXE = """async () => {
  const {violations, passes} = await axe.run(document);
  return [violations.flatMap(r => r.nodes.map(n => `${r.id}: ${n.html.slice(0, 200)}`)),
          passes.map(r => r.id)];
}"""

# Each chart with every number it says or draws, and those of the table beside it (or under it).
CHARTS = """() => {
  const numbers = text => text.match(/[\\d.,]*\\d/g) || [];
  return [...document.querySelectorAll('svg.chart')].map(svg => ({
    name: svg.querySelector('title').textContent,
    said: numbers(['desc', 'text', 'g title'].flatMap(s => [...svg.querySelectorAll(s)])
      .map(e => e.textContent).join(' ')),
    shown: numbers([...svg.closest('.beside:has(table), section').querySelectorAll('table')]
      .map(e => e.innerText).join(' ')),
  }));
}"""

# Texts of charts that reach out of their drawing.
STICK_OUT = """() => [...document.querySelectorAll('svg.chart text')].filter(text =>
  text.getBoundingClientRect().right > text.closest('svg').getBoundingClientRect().right + 1
).map(text => text.textContent)"""

# What the parts of charts are painted with, and the ground they stand on.
PAINT = """() => {
  const style = one => getComputedStyle(document.querySelector(one));
  return {
    solid: style('svg.chart rect.solid').fill,
    hollow: style('svg.chart rect.hollow').fill,
    stripe: style('svg.chart .stripe').fill,
    between: style('svg.chart .between').fill,
    edge: style('svg.chart rect.hollow').stroke,
    text: style('svg.chart text').fill,
    ground: style('.card').backgroundColor,
  };
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site on which an issue's figures are the ones made up: `?full`, `?empty`, `?untracked`."""
    app = open_home(make_home(tmp_path_factory.mktemp("stats") / "home", sent=True))
    shown = {"kind": "full"}
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        patch.setattr(stats, "load", lambda _app, _ref: KINDS[shown["kind"]])
        patch.setattr(stats, "load_list", lambda _app: samples.LIST)
        site = create_app(app)

        async def choosing(scope: Any, receive: Any, send: Any) -> None:
            shown["kind"] = scope.get("query_string", b"").decode() or "full"
            await site(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(choosing, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
    app.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    require_debian_packages("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(chromium: Browser, width: int, scheme: Scheme = "light", **more: Any) -> Page:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, **more
    )
    return context.new_page()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [375, 1200])
def test_axe_finds_nothing(url: str, chromium: Browser, width: int, scheme: Scheme) -> None:
    require_node_packages()
    page = opened(chromium, width, scheme)
    page.add_init_script(path=AXE)
    for path in PATHS:
        page.goto(url + path)
        violations, passed = page.evaluate(RUN_AXE)
        assert violations == [], path
        assert {"color-contrast", "heading-order", "region"} <= set(passed)
    page.context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_and_no_label_leaves_its_chart(
    url: str, chromium: Browser, width: int
) -> None:
    page = opened(chromium, width)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(STICK_OUT) == [], path
        assert page.locator("script").count() == 0
    assert [one for one in asked if not one.startswith(url)] == []
    page.context.close()


def test_every_chart_stands_beside_a_table_of_the_same_numbers(url: str, chromium: Browser) -> None:
    page = opened(chromium, 700)
    names = []
    for path in (ISSUE, LIST):
        page.goto(url + path)
        for chart in page.evaluate(CHARTS):
            names.append(chart["name"])
            assert len(chart["said"]) > 1, chart["name"]
            assert set(chart["said"]) <= set(chart["shown"]), chart["name"]
    assert len(set(names)) == len(names) == 11
    page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("forced", ["none", "active"])
def test_parts_differ_without_colour(
    url: str, chromium: Browser, scheme: Scheme, forced: Literal["none", "active"]
) -> None:
    """By light and dark alone, in both palettes and in a palette of the reader's own."""
    page = opened(chromium, 375, scheme, forced_colors=forced)
    page.goto(url + ISSUE)
    paint = page.evaluate(PAINT)
    assert contrast(paint["solid"], paint["hollow"]) >= 3
    assert contrast(paint["stripe"], paint["between"]) >= 3
    assert contrast(paint["edge"], paint["ground"]) >= 3
    assert contrast(paint["text"], paint["ground"]) >= 4.5
    if forced == "active":  # the reader's two colours and no other
        assert paint["solid"] == paint["stripe"] == paint["edge"] == paint["text"]
        assert paint["hollow"] == paint["between"] == paint["ground"]
    page.context.close()


def test_letters_in_charts_are_as_large_on_a_phone_as_on_a_desk(
    url: str, chromium: Browser
) -> None:
    heights = []
    for width in WIDTHS:
        page = opened(chromium, width)
        page.goto(url + ISSUE)
        box = page.locator("svg.chart text.said").first.bounding_box()
        assert box is not None
        heights.append(box["height"])
        page.context.close()
    assert min(heights) >= 14
    assert max(heights) - min(heights) < 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_paper_is_white_whatever_the_screen_was(
    url: str, chromium: Browser, scheme: Scheme
) -> None:
    page = opened(chromium, 700, scheme)
    page.goto(url + ISSUE)
    page.emulate_media(media="print")
    paint = page.evaluate(PAINT)
    assert luminance(paint["ground"]) == 1
    assert luminance(paint["text"]) < 0.1
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    )
    page.context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [375, 700])
def test_the_report_in_the_mail_fits_and_draws_with_cells_alone(
    chromium: Browser, width: int, scheme: Scheme
) -> None:
    page = opened(chromium, width, scheme)
    page.set_content(checked_mails.checked("report").html)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg, script, img").count() == 0
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('td.f, td.t')].map(e => e.closest('td:not(.f, .t)'))"
        ".filter(e => e && e.querySelector('b')).map(e => e.innerText.trim())"
    )
    assert len(drawn) > 20
    assert all(any(letter.isdigit() for letter in said) for said in drawn)
    page.context.close()


def test_what_scrolls_by_itself_can_be_reached_by_keyboard(url: str, chromium: Browser) -> None:
    page = opened(chromium, 375)
    page.goto(url + ISSUE)
    stuck = page.evaluate(
        "() => [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth"
        " && getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0).map(e => e.outerHTML)"
    )
    assert stuck == []
    assert page.locator(".scroll:not([aria-label]):not([aria-labelledby])").count() == 0
    wide = "() => { const e = document.querySelector('.scroll:focus');"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"{wide} return e && e.scrollWidth > e.clientWidth }}"):
            break
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{wide} return e && e.scrollLeft > 0 }}")
    page.context.close()
