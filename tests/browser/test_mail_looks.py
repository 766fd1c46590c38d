"""The mail in chromium: both widths, both palettes, measured and not only looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the views by hand live there

import issue_views as views

from newsletter.rendering.render import Renderer
from newsletter.rendering.slots import Slot, greeting, neutral

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PHONE_WIDTH, DESK_WIDTH, HEIGHT = 375, 700, 812
SLOTS = {
    Slot.DELIVERY: "A" * 40,
    Slot.UNSUBSCRIBE: "B" * 40,
    Slot.PREFERENCES: "C" * 40,
    Slot.VOTE: "D" * 40,
    Slot.NAME: greeting("Priya"),
}

# Each run of text with its colour, and the nearest painted ground under it.
TEXTS = """
() => {
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/rgba\\(.*, 0\\)/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const words = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!words || words === '\\u00a0' || !element.getClientRects().length) continue;
    found.push([words, getComputedStyle(element).color, ground(element)]);
  }
  return found;
}
"""

# Names and prices no line can hold, and none of the usual places to break.
AWKWARD = replace(
    views.SEED,
    tools=(
        replace(views.SEED.tools[0], name="W" * 60, entry_price="$1,234,567.89/seat/mo"),
        replace(views.SEED.tools[1], name="“Tabula” <Next> & 'Co' " + "i" * 37),
    ),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def mails() -> dict[str, str]:
    """The HTML of a full issue, of one comparison alone, and of two system mails."""
    renderer = Renderer()
    rendered = {
        "five": renderer.issue(views.issue_view()),
        "one": renderer.issue(views.issue_view((views.SEED,))),
        "awkward": renderer.issue(views.issue_view((AWKWARD,), subject="W" * 60)),
        "confirm": renderer.system(views.system_view("confirm")),
        "approval_due": renderer.system(views.system_view("approval_due")),
    }
    return {name: neutral(mail.html, SLOTS) for name, mail in rendered.items()}


@pytest.fixture(params=["light", "dark"])
def palette(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[PHONE_WIDTH, DESK_WIDTH])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def page(browser: Browser, width: int, palette: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme=palette,  # type: ignore[arg-type] # a parameter, not a literal
        offline=True,
    )
    yield context.new_page()
    context.close()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    parts = [int(float(part)) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["five", "one", "awkward", "confirm", "approval_due"])
def test_nothing_is_wider_than_the_screen(page: Page, mails: dict[str, str], name: str) -> None:
    page.set_content(mails[name])
    wide = page.evaluate(
        "() => [...document.querySelectorAll('body *')]"
        ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@pytest.mark.parametrize("name", ["five", "one", "awkward", "confirm", "approval_due"])
def test_all_text_has_a_contrast_of_at_least_4_5(
    page: Page, mails: dict[str, str], name: str
) -> None:
    page.set_content(mails[name])
    texts = page.evaluate(TEXTS)
    assert len(texts) > 4
    faint = [(words, on, under) for words, on, under in texts if contrast(on, under) < 4.5]
    assert faint == []


def test_the_palettes_differ(page: Page, mails: dict[str, str], palette: str) -> None:
    page.set_content(mails["one"])
    card = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert (luminance(card) < 0.1) == (palette == "dark")


def test_marks_and_bars_stand_out_from_their_ground(page: Page, mails: dict[str, str]) -> None:
    """3:1 for what is drawn (WCAG 1.4.11): filled and hollow marks, and the community's bar."""
    page.set_content(mails["five"])
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('.mk td, .bar .g')].map(e => ["
        "e.classList.contains('o') ? getComputedStyle(e).borderTopColor"
        " : getComputedStyle(e).backgroundColor,"
        "getComputedStyle(e.closest('.card') || document.body).backgroundColor])"
    )
    assert len(drawn) > 80
    assert all(contrast(on, under) >= 3 for on, under in drawn)


def test_every_button_and_footer_link_is_tall_enough_for_a_thumb(
    page: Page, mails: dict[str, str]
) -> None:
    page.set_content(mails["five"])
    heights = page.evaluate(
        "() => [...document.querySelectorAll('a')].filter(e => e.checkVisibility())"
        ".map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) == 8 + 4 * 5  # buttons and footer; ship and skip for each tool
    assert min(heights) >= 44


@pytest.mark.parametrize("width", [PHONE_WIDTH], indirect=True)
def test_all_five_verdicts_are_on_a_phones_first_screen(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["five"])
    table = page.locator("table:not([role])").first
    assert "Mistral 8B Instruct v3" in table.inner_text()
    assert "Reviewbot Zero" in table.inner_text()
    box = table.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= HEIGHT


def test_tables_are_either_layout_or_data_with_headers(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["five"])
    faults = page.evaluate(
        "() => [...document.querySelectorAll('table')].filter(t => "
        "(t.getAttribute('role') === 'presentation') === "
        "[...t.rows].some(r => [...r.cells].some(c => c.tagName === 'TH'))).length"
    )
    assert faults == 0
    assert page.evaluate("document.querySelectorAll('th:not([scope])').length") == 0


def test_headings_descend_one_level_at_a_time(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["five"])
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nobody_sees_the_preheader_and_its_text_is_there(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["five"])
    preheader = page.locator("div > div").first
    assert preheader.text_content() == (
        "Over Claude Haiku Open Weights, 4 of 4 to 2 of 4, both free. Also: four more verdicts."
    )
    assert not preheader.is_visible()


@pytest.mark.parametrize("palette", ["light"], indirect=True)
def test_outlooks_dark_mode_gets_the_dark_palette(page: Page, mails: dict[str, str]) -> None:
    """Outlook.com marks elements instead of answering `prefers-color-scheme`."""
    page.set_content(mails["five"].replace("<html ", "<html data-ogsc data-ogsb ", 1))
    assert page.evaluate("matchMedia('(prefers-color-scheme: light)').matches")
    faint = [text for text in page.evaluate(TEXTS) if contrast(*text[1:]) < 4.5]
    assert faint == []
    card = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert luminance(card) < 0.1


def test_ship_and_skip_are_apart_enough_for_a_thumb(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["five"])
    boxes = [one.bounding_box() for one in page.locator("a[href*='/vote/']").all()]
    assert min(box["width"] for box in boxes if box) >= 44
    words = page.locator("a[href*='/vote/']").all_inner_texts()
    assert words == ["Ship", "Skip"] * 10


@pytest.mark.parametrize("width", [PHONE_WIDTH], indirect=True)
def test_no_key_and_no_screen_reader_comes_to_the_canary(page: Page, mails: dict[str, str]) -> None:
    page.set_content(mails["one"])
    canary = page.locator("a[aria-hidden]")
    assert canary.count() == 1
    assert not canary.is_visible()
    reached = set()
    for _ in range(page.locator("a").count() + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
    assert canary.get_attribute("href") not in reached
    assert len(reached - {None}) == page.locator("a").count() - 1
    assert canary.get_attribute("href") not in str(page.locator("body").aria_snapshot())
