"""Studio and desk behind a proxy that asks as a browser on this machine does: it gets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Newsletter, commands
from served import Served, copied, make_home, served

from newsletter import screens

SCREENS = ("/studio", "/desk/stats", "/desk/stats.json")
ELSEWHERE = {"public_url": "https://verdicts.example.com"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("screens") / "home")


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Iterator[Served]:
    """Of a publication that is on the web; who asks is on this machine and says no more."""
    with served(copied(home, tmp_path), **ELSEWHERE) as one:
        yield one


def test_being_on_this_machine_is_not_enough_for_a_publication_on_the_web(site: Served) -> None:
    for path in SCREENS:
        refused = site.get(path)
        assert refused.status_code == 403
        assert "newsletter screens" in refused.text
    assert site.get("/").status_code == 200


def test_a_browser_that_was_given_the_key_sees_them_from_then_on(site: Served) -> None:
    led = site.get(f"/open/{screens.key_of(site.app)}")
    assert (led.status_code, led.headers["Location"]) == (303, "/studio")
    assert "HttpOnly" in led.headers["Set-Cookie"]
    assert [site.get(path).status_code for path in SCREENS] == [200, 200, 200]


@pytest.mark.parametrize("key", ["0" * 24, "nonsense", "%C3%A9", "x" * 3_000])
def test_another_key_opens_nothing(site: Served, key: str) -> None:
    refused = site.get(f"/open/{key}")
    assert (refused.status_code, "Set-Cookie" in refused.headers) == (403, False)
    site.client.cookies.set(screens.cookie_of(site.app), key)
    assert site.get("/studio").status_code == 403


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        ("198.51.100.7", "127.0.0.1", {}),
        ("127.0.0.1", "verdicts.example.com", {}),
        ("127.0.0.1", "127.0.0.1", {"X-Forwarded-For": "198.51.100.7"}),
    ],
)
def test_the_key_is_of_no_use_elsewhere(
    home: Path, tmp_path: Path, client: str, host: str, headers: dict[str, str]
) -> None:
    with served(
        copied(home, tmp_path), client=(client, 1), at=f"http://{host}", **ELSEWHERE
    ) as site:
        key = screens.key_of(site.app)
        assert site.get(f"/open/{key}", headers=headers).status_code == 403
        site.client.cookies.set(screens.cookie_of(site.app), key)
        assert site.get("/studio", headers=headers).status_code == 403


@pytest.fixture
def newsletter(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    yield from commands(monkeypatch, capfd)


def test_the_command_shows_the_address_that_opens_them(
    site: Served, newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_HOME", str(site.app.home))
    assert newsletter("screens").out == "http://127.0.0.1:8000/studio\n"
    monkeypatch.setenv("NEWSLETTER_PUBLIC_URL", ELSEWHERE["public_url"])
    shown = newsletter("screens", "--port", "8001").out.strip()
    assert shown.startswith("http://127.0.0.1:8001/open/")
    assert site.get(shown.removeprefix("http://127.0.0.1:8001")).status_code == 303


def test_another_publication_has_another_key(home: Path, tmp_path: Path) -> None:
    other = make_home(tmp_path / "other")
    with served(copied(home, tmp_path)) as one, served(other) as another:
        assert screens.key_of(one.app) != screens.key_of(another.app)
        assert screens.cookie_of(one.app) != screens.cookie_of(another.app)


def test_on_one_s_own_machine_nothing_is_asked_for(home: Path, tmp_path: Path) -> None:
    with served(copied(home, tmp_path)) as site:
        assert [site.get(path).status_code for path in SCREENS] == [200, 200, 200]


def test_mails_of_figures_lead_to_where_they_can_be_seen(site: Served) -> None:
    assert screens.address(site.app, "/desk/stats") == "http://127.0.0.1:8000/desk/stats"
