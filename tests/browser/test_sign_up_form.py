"""The sign-up form on a page of another site, in Debian's chromium: with scripts and without."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from newsletter import dossier, readers
from newsletter.app import App, build_app
from newsletter.settings import load_settings
from newsletter.web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
EASY = 2_000
# The strictest policy a page can have and still hold the form: docs/sign-up-form.md names it.
POLICY = "default-src 'none'; script-src {ours}; connect-src {ours}; form-action {ours}"

PAGES = {
    "/script": '<h1>A blog</h1><script src="{ours}/embed/sign-up.js" data-form async></script>',
    "/plain": (
        '<h1>A blog</h1><form action="{ours}/subscribe" method="post"><label>E-mail address'
        '<input type="email" name="email" required></label><button>Sign up</button></form>'
        '<script src="{ours}/embed/sign-up.js" async></script>'
    ),
}
HEAD = (
    '<!doctype html><html lang="en"><meta name="color-scheme" content="light dark">'
    '<meta name="viewport" content="width=device-width"><title>A blog</title>'
)


@dataclass(frozen=True)
class Neighbours:
    """Our site, and a blog of another origin that holds the form."""

    app: App
    ours: str
    blog: str

    def status_of(self, email: str) -> str:
        return str(dossier.show(self.app, email)["status"])


@contextmanager
def blog_of(ours: list[str]) -> Iterator[str]:
    class Blog(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (HEAD + PAGES.get(self.path, "")).replace("{ours}", ours[0]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", POLICY.replace("{ours}", ours[0]))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Blog)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def neighbours(home: Path, **settings: Any) -> Iterator[Neighbours]:
    at: list[str] = []
    with blog_of(at) as blog, socket.create_server(("127.0.0.1", 0)) as listener:
        at.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = build_app(
            load_settings(home=home, public_url=at[0], form_origins=(blog,), **settings)
        )
        server = uvicorn.Server(uvicorn.Config(create_app(app), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Neighbours(app, at[0], blog)
        server.should_exit = True
        thread.join()
        app.engine.dispose()


@pytest.fixture(scope="module")
def plainly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    with neighbours(tmp_path_factory.mktemp("plainly"), sign_ups_per_ip=100) as both:
        yield both


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    """Only who solves a puzzle is mailed, so whoever is pending has solved one."""
    with neighbours(
        tmp_path_factory.mktemp("proving"), proof_of_work=EASY, sign_ups_unsolved_per_hour=0
    ) as both:
        yield both


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def page_of(chromium: Any, url: str, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """A page, and what the browser complained about on it."""
    context = chromium.new_context(viewport={"width": 375, "height": 800}, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    yield page, complaints
    context.close()


def sign_up_by_keyboard(page: Any, email: str) -> None:
    page.get_by_label("Your e-mail address").focus()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.textContent") == "Sign up"
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("Check your inbox").wait_for(timeout=15_000)


def test_the_script_s_form_signs_up_by_keyboard_under_a_strict_policy(
    plainly: Neighbours, chromium: Any
) -> None:
    with page_of(chromium, f"{plainly.blog}/script") as (page, complaints):
        page.get_by_text(readers.FORM_WORDING).wait_for()
        sign_up_by_keyboard(page, "script@example.com")
        assert page.url == f"{plainly.blog}/script"
        assert complaints == []
        assert page.context.cookies() == []
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert plainly.status_of("script@example.com") == "pending"


def test_what_is_no_address_is_said_beside_the_field(plainly: Neighbours, chromium: Any) -> None:
    with page_of(chromium, f"{plainly.blog}/script") as (page, _complaints):
        page.get_by_label("Your e-mail address").fill("a@b")
        page.get_by_role("button", name="Sign up").click()
        page.get_by_role("status").get_by_text("name@example.com").wait_for(timeout=15_000)
        assert page.get_by_label("Your e-mail address").get_attribute("aria-invalid") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_script_s_form_can_be_seen_in_both_schemes(
    plainly: Neighbours, chromium: Any, scheme: str
) -> None:
    with page_of(chromium, f"{plainly.blog}/script", color_scheme=scheme) as (page, _complaints):
        button = page.get_by_role("button", name="Sign up")
        ground, ink = button.evaluate(
            "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
        )
        dark, light = "rgb(18, 18, 18)", "rgb(255, 255, 255)"
        black = "rgb(0, 0, 0)"
        assert (ground, ink) == ((black, light) if scheme == "light" else (light, dark))
        assert button.bounding_box()["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_plain_form_without_scripts_goes_on_at_our_own_page(
    plainly: Neighbours, chromium: Any
) -> None:
    url = f"{plainly.blog}/plain"
    with page_of(chromium, url, java_script_enabled=False) as (page, _complaints):
        page.get_by_label("E-mail address").fill("plain@example.com")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{plainly.ours}/subscribe")
        again = page.get_by_label("Your e-mail address")
        assert again.input_value() == "plain@example.com"
        page.wait_for_timeout(2_200)
        page.get_by_role("button", name="Sign up").click()
        page.get_by_role("heading", name="Check your inbox.").wait_for()
    assert plainly.status_of("plain@example.com") == "pending"


def test_a_plain_form_with_our_script_is_done_in_one_step(
    plainly: Neighbours, chromium: Any
) -> None:
    with page_of(chromium, f"{plainly.blog}/plain") as (page, complaints):
        page.get_by_label("E-mail address").fill("helped@example.com")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Check your inbox.").wait_for(timeout=15_000)
        assert complaints == []
    assert plainly.status_of("helped@example.com") == "pending"


def test_the_browser_does_the_work_that_is_asked_for(proving: Neighbours, chromium: Any) -> None:
    with page_of(chromium, f"{proving.blog}/script") as (page, complaints):
        sign_up_by_keyboard(page, "worked@example.com")
        assert complaints == []
    assert proving.status_of("worked@example.com") == "pending"


def test_our_own_page_does_the_work_too(proving: Neighbours, chromium: Any) -> None:
    with page_of(chromium, proving.ours) as (page, complaints):
        page.get_by_label("Your e-mail address").fill("own@example.com")
        page.wait_for_timeout(2_200)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Check your inbox.").wait_for(timeout=15_000)
        assert complaints == []
    assert proving.status_of("own@example.com") == "pending"
