"""The live check of links, against real sockets on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

import pytest

from newsletter.editorial import livecheck
from newsletter.editorial.livecheck import LiveLink, check_links_live, live_findings
from newsletter.rendering.rendered import Link, Severity


class Site(BaseHTTPRequestHandler):
    """/ok, /gone, /no-head (405 to HEAD), /moved, /ftp, /loop, /slow; counts what is asked."""

    asked: list[tuple[str, str]]
    never: threading.Event

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append((self.command, self.path))
        if self.path == "/slow":
            self.never.wait(10)
        status, location = {
            "/ok": (200, ""),
            "/gone": (410, ""),
            "/missing": (404, ""),
            "/broken": (500, ""),
            "/no-head": (405 if self.command == "HEAD" else 200, ""),
            "/moved": (301, "/ok"),
            "/ftp": (302, "ftp://127.0.0.1/secret"),
            "/file": (302, "file:///etc/passwd"),
            "/loop": (302, "/loop"),
        }.get(self.path, (200, ""))
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *said: object) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    Site.asked = []
    Site.never = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Site.never.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_that_is_there_has_no_fault_and_is_asked_once(site: str) -> None:
    assert check_links_live([f"{site}/ok", f"{site}/ok"]) == (LiveLink(f"{site}/ok", 200, ""),)
    assert Site.asked == [("HEAD", "/ok")]


def test_where_head_is_refused_the_page_itself_decides(site: str) -> None:
    assert check_links_live([f"{site}/no-head"])[0].fault == ""
    assert Site.asked == [("HEAD", "/no-head"), ("GET", "/no-head")]


@pytest.mark.parametrize(("path", "status"), [("/gone", 410), ("/missing", 404), ("/broken", 500)])
def test_a_page_that_is_not_there_is_told_with_its_status(
    site: str, path: str, status: int
) -> None:
    (found,) = check_links_live([site + path])
    assert found.status == status
    assert str(status) in found.fault


def test_a_redirect_is_followed(site: str) -> None:
    assert check_links_live([f"{site}/moved"])[0].fault == ""


@pytest.mark.parametrize("path", ["/ftp", "/file"])
def test_a_redirect_away_from_the_web_is_not(site: str, path: str) -> None:
    (found,) = check_links_live([site + path])
    assert "redirect" in found.fault.lower()


def test_a_redirect_in_a_circle_ends(site: str) -> None:
    assert check_links_live([f"{site}/loop"])[0].fault


def test_a_server_that_says_nothing_is_left_after_the_time_out(site: str) -> None:
    start = monotonic()
    found = check_links_live([f"{site}/slow", f"{site}/ok"], timeout_s=0.3)
    assert monotonic() - start < 5
    assert [one.fault == "" for one in found] == [False, True]
    assert "no answer" in found[0].fault


def test_a_server_that_is_not_there_is_told(site: str) -> None:
    (found,) = check_links_live(["http://127.0.0.1:1/"])
    assert "cannot be reached" in found.fault


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "", "http://[", "x"])
def test_what_is_no_web_address_is_never_asked(url: str) -> None:
    assert check_links_live([url])[0].fault


def test_more_links_than_the_limit_are_left_and_say_so(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livecheck, "MAX_LINKS", 2)
    found = check_links_live([f"{site}/{number}" for number in range(4)])
    assert [one.fault == "" for one in found] == [True, True, False, False]
    assert len(Site.asked) == 2


def test_a_page_that_is_gone_is_an_error_and_an_unwell_server_a_warning(site: str) -> None:
    links = (
        Link(1, f"{site}/ok", "Fine"),
        Link(2, f"{site}/gone", "Gone"),
        Link(3, f"{site}/broken", "Broken"),
    )
    found = live_findings(links)
    assert [(one.severity, one.place) for one in found] == [
        (Severity.ERROR, "link 2, Gone"),
        (Severity.WARNING, "link 3, Broken"),
    ]
    assert all(one.rule == livecheck.RULE_ID and one.hint for one in found)
