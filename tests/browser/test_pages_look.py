"""The pages in Debian's chromium: widths, both colour schemes, contrast, no scripts needed."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import uvicorn

from newsletter import desk, dossier, hits, own_page, pipeline
from newsletter.app import App, build_app
from newsletter.settings import load_settings
from newsletter.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SEED = "/comparisons/claude-haiku-open-weights-vs-mistral-8b-instruct-v3"
NOW = "2026-11-23T10:00:00Z"
READER = "reader@example.com"
WIDTHS = (320, 375, 1200)
SCHEMES = ("light", "dark")

# For every element with text of its own: its contrast with the first opaque ground behind it.
CONTRASTS = """() => {
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const channel = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const ground = e => { for (; e; e = e.parentElement) {
    const c = numbers(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  return [...document.querySelectorAll("body *")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => e.checkVisibility())
    .map(e => { const a = light(numbers(getComputedStyle(e).color)), b = light(ground(e));
      const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
      return [ratio, e.textContent.trim().slice(0, 60)]; });
}"""


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Site:
    url: str
    app: App
    clock: Clock


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        home = tmp_path_factory.mktemp("pages")
        app = build_app(load_settings(home=home, now=NOW, public_url=url))
        app = replace(app, clock=Clock(app.clock()))
        pipeline.import_content(app, samples=True)
        pipeline.plan(app)
        pipeline.approve(app, "latest", by="the editor")
        pipeline.send(app, "latest")
        desk.add(
            app, READER, "Reader", consent_text="on paper", given_on="2026-01-15", by="an operator"
        )
        own_page.ask_to_move(app, 1, "elsewhere@example.org")
        server = uvicorn.Server(uvicorn.Config(create_app(app), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Site(url, app, app.clock)
        server.should_exit = True
        thread.join()
        app.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def paths(site: Site) -> list[str]:
    now, keyring = site.clock(), site.app.keyring
    return [
        "/",
        "/comparisons",
        SEED,
        "/comparisons/tabula-next-vs-the-exceedingly-patient-spreadsheet-reconciliation-companion",
        "/issues",
        "/nothing-here",
        f"/confirm/{keyring.confirm(1, now)}",
        f"/unsubscribe/{keyring.unsubscribe(1, 1)}",
        "/preferences",
        f"/preferences/{keyring.preferences(1, 1)}",
        f"/undo/{keyring.undo(1, now)}",
        "/your-data",
        f"/your-data/{keyring.own_data(1, now)}",
        f"/address/{keyring.move(1, now, is_new=True)}",
        "/studio",
        "/studio/issues/2026-w48",
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_and_can_be_read(
    site: Site, chromium: Any, width: int, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in paths(site):
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = page.evaluate(CONTRASTS)
        assert len(found) > 4
        assert [text for contrast, text in found if contrast < 4.5] == [], path
    assert [url for url in asked if not url.startswith(site.url)] == []
    context.close()


def test_dark_and_light_are_two_grounds(site: Site, chromium: Any) -> None:
    grounds = set()
    for scheme in SCHEMES:
        context = chromium.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(site.url)
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        context.close()
    assert len(grounds) == 2


@pytest.mark.parametrize(("width", "is_beside"), [(1200, True), (375, False)])
def test_the_two_tools_stand_side_by_side_where_there_is_room(
    site: Site, chromium: Any, width: int, is_beside: bool
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto(site.url + SEED)
    boxes = [one.bounding_box() for one in page.locator(".tool").all()]
    names = [one.bounding_box()["y"] for one in page.locator(".tool .figures").all()]
    assert (boxes[0]["y"] == boxes[1]["y"]) is is_beside
    assert (abs(names[0] - names[1]) < 1) is is_beside
    page.close()


def test_signing_up_works_by_keyboard_and_without_scripts(site: Site, chromium: Any) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    page.goto(site.url)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.get_by_label("Your e-mail address").focus()
    page.keyboard.type("keys@example.com")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Sign up"
    assert focused.bounding_box()["height"] >= 44
    site.clock.now += timedelta(seconds=3)
    page.keyboard.press("Enter")
    page.wait_for_url("**/subscribe")
    assert page.locator("h1").inner_text() == "Check your inbox."
    assert dossier.show(site.app, "keys@example.com")["status"] == "pending"
    context.close()


def test_choices_are_made_by_keyboard_and_without_scripts(site: Site, chromium: Any) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    page.goto(f"{site.url}/preferences/{site.app.keyring.preferences(1, 1)}")
    page.get_by_label("Your name").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Keyed In")
    page.get_by_label("Issues come").focus()
    page.keyboard.press("ArrowDown")
    for _ in range(20):  # to the button, through everything that lies between
        page.keyboard.press("Tab")
        if page.locator("button[value=save]:focus").count():
            break
    site.clock.now += timedelta(seconds=3)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "Your mail is paused: no issue comes" in page.locator("main").inner_text()
    found = dossier.show(site.app, READER)
    assert (found["name"], found["status"]) == ("Keyed In", "paused")
    sizes = [one.bounding_box() for one in page.locator("label.pick, button, .button").all()]
    assert min(size["height"] for size in sizes if size) >= 44
    context.close()


def test_the_editor_sees_the_mail_at_both_widths_in_the_scheme_asked_for(
    site: Site, chromium: Any
) -> None:
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    seen = {}
    for scheme in SCHEMES:
        page.goto(f"{site.url}/studio/issues/2026-w48?scheme={scheme}", wait_until="networkidle")
        frames = page.frames[1:]
        assert [frame.evaluate("innerWidth") for frame in frames] == [375, 700]
        assert all("Mistral 8B Instruct v3" in frame.inner_text("body") for frame in frames)
        seen[scheme] = frames[0].evaluate("getComputedStyle(document.body).backgroundColor")
    assert seen["light"] != seen["dark"]
    page.close()


def test_a_visit_by_a_browser_counts_nobody(site: Site, chromium: Any) -> None:
    before = _events(site)
    page = chromium.new_page()
    page.goto(f"{site.url}/issues/2026-w48", wait_until="networkidle")
    assert _events(site) == before
    page.close()


def _events(site: Site) -> int:
    list(hits.take_in(site.app))
    with site.app.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM event").scalar_one())
