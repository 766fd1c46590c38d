"""Voting in Debian's chromium: by keyboard, without scripts, on a phone, in both palettes."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # a site with readers lives there

from publication import open_home, planned_and_approved, readers
from served import SEED_SLUG, Clock
from test_pages_look import ARGUMENTS, CHROMIUM, CONTRASTS, SCHEMES, WIDTHS, Site

from newsletter import pipeline
from newsletter.editorial import votes
from newsletter.editorial.tallies import Tally
from newsletter.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MISTRAL = "mistral-8b-instruct-v3"
SMALLEST_PX = 44


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        clock = Clock()
        home = tmp_path_factory.mktemp("voting")
        app = replace(open_home(home, public_url=url), clock=clock)
        pipeline.import_content(app)
        readers(app, 9)
        planned_and_approved(app)
        pipeline.send(app, "latest")
        server = uvicorn.Server(uvicorn.Config(create_app(app), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield Site(url, app, clock)
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


def way(site: Site, reader: int, verdict: str = "ship") -> str:
    return f"{site.url}/vote/{site.app.keyring.vote(1, reader)}/{SEED_SLUG}/{MISTRAL}/{verdict}"


def tally(site: Site) -> Tally:
    with site.app.session(readonly=True) as session:
        comparison_id, _ = votes.open_poll(session, SEED_SLUG)
        return votes.tallies(session, comparison_id).get(MISTRAL, Tally())


def test_a_reader_votes_by_keyboard_and_changes_their_mind(site: Site, chromium: Any) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    before = tally(site)
    page.goto(way(site, 1))
    page.get_by_role("button").focus()
    site.clock.now += timedelta(seconds=3)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("h1").inner_text() == "Counted: ship Mistral 8B Instruct v3."
    assert tally(site) == replace(before, ship=before.ship + 1)
    page.get_by_role("link", name="Change it to skip").click()
    site.clock.now += timedelta(seconds=20)
    page.get_by_role("button").click()
    assert page.locator("h1").inner_text() == "Counted: skip Mistral 8B Instruct v3."
    assert tally(site) == replace(before, skip=before.skip + 1)
    context.close()


def test_a_visitor_votes_by_keyboard(site: Site, chromium: Any) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 375, "height": 800}
    )
    page = context.new_page()
    page.goto(f"{site.url}/comparisons/{SEED_SLUG}")
    group = page.get_by_role("group", name="Mistral 8B Instruct v3")
    group.get_by_label("Ship").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Count my vote"
    site.clock.now += timedelta(seconds=3)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert "Counted, thank you" in page.locator("#vote").inner_text()
    assert group.get_by_label("Skip").is_checked()
    assert tally(site).visitors_skip == 1
    context.close()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_of_a_vote_fit_and_can_be_read(
    site: Site, chromium: Any, width: int, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    reader = 2 + WIDTHS.index(width) + len(WIDTHS) * SCHEMES.index(scheme)

    def look() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [text for contrast, text in page.evaluate(CONTRASTS) if contrast < 4.5] == []
        sizes = [one.bounding_box() for one in page.locator("main button, main .button").all()]
        assert min(size["height"] for size in sizes if size) >= SMALLEST_PX

    for path in (way(site, reader), way(site, 99), f"{site.url}/comparisons/{SEED_SLUG}"):
        page.goto(path)
        look()
    page.goto(way(site, reader))
    page.get_by_role("button").click()  # in haste
    look()
    site.clock.now += timedelta(seconds=11)
    page.get_by_role("button").click()
    assert page.locator("h1").inner_text().startswith("Counted")
    look()
    context.close()
