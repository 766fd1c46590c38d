"""The pixel and the numbered links, seen from a reader's mail and from a forger's desk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publication import outbox
from served import Served, copied, make_home, served

from newsletter.editorial import issues
from newsletter.web.tracking import PIXEL

EVIL = "https://evil.example/"


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("tracked") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def token(site: Served, reader: int = 1) -> str:
    return site.app.keyring.delivery(1, reader)


def stored_links(site: Served) -> dict[int, str]:
    with site.app.session(readonly=True) as session:
        return {link["n"]: link["url"] for link in issues.rendered(session, 1).links}


def redirect_first_link_to(site: Served, url: str) -> None:
    """Puts `url` into the table past every check, as a fault of our own would."""
    with site.app.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM issue_link WHERE n = 1")
        connection.exec_driver_sql("INSERT INTO issue_link VALUES (1, 1, ?, '')", (url,))


def test_the_links_of_a_sent_mail_lead_where_the_issue_says(site: Served) -> None:
    wanted = stored_links(site)
    assert wanted
    text = outbox(site.app)[0].read_text().replace("=\n", "")
    followed = set(re.findall(r"/c/[\w-]+/(\d+)", text))
    assert followed == {str(n) for n in wanted}
    for n, url in wanted.items():
        answer = site.get(f"/c/{token(site)}/{n}")
        assert (answer.status_code, answer.headers["location"]) == (302, url)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert site.events() == [("click", 1, n) for n in wanted]


def test_the_pixel_is_the_smallest_picture_and_counts_once_a_load(site: Served) -> None:
    for _ in range(2):
        answer = site.get(f"/o/{token(site)}.gif", headers={"User-Agent": "Mozilla/5.0"})
        assert answer.content == PIXEL
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["cache-control"] == "no-store"
    assert (len(PIXEL), PIXEL[:6]) == (43, b"GIF89a")
    assert site.events() == [("image_load", 1, None)] * 2
    kept = site.rows("event")[0]
    assert "Mozilla/5.0" in kept
    assert "127.0.0.0/24" in kept


def test_head_and_a_copy_that_is_nobody_s_count_nothing(site: Served) -> None:
    nobody = site.app.keyring.delivery(1, 0)
    assert site.client.head(f"/o/{token(site)}.gif").status_code == 200
    assert site.client.head(f"/c/{token(site)}/1").status_code == 302
    assert site.get(f"/o/{nobody}.gif").status_code == 200
    assert site.get(f"/c/{nobody}/1").status_code == 302
    assert site.events() == []


def test_a_bad_token_still_shows_the_picture_and_counts_nothing(site: Served) -> None:
    keyring = site.app.keyring
    for bad in (
        "nonsense",
        keyring.unsubscribe(1, 1),
        keyring.form(site.clock()),
        token(site)[:-1],
    ):
        answer = site.get(f"/o/{bad}.gif")
        assert (answer.status_code, answer.content) == (200, PIXEL)
    assert site.events() == []


@pytest.mark.parametrize(
    "n", ["0", "99", "-1", "01", "1e0", "٣", "1.0", "9" * 5_000, "x", "%31%00"]
)
def test_a_link_that_was_never_made_is_a_404(site: Served, n: str) -> None:
    answer = site.get(f"/c/{token(site)}/{n}")
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert site.events() == []


@pytest.mark.parametrize(
    "path",
    [
        "/c/{good}/{evil}",
        "/c/{good}/1?url={evil}",
        "/c/{evil}/1",
        "/c/{good}/1/{evil}",
        "/c/{unsubscribe}/1",
        "/c/{good}1/1",
        "//evil.example/c/{good}/1",
        "/c/{good}/1%0d%0aLocation:%20https://evil.example/",
    ],
)
def test_a_redirect_never_leads_where_a_visitor_says(site: Served, path: str) -> None:
    whole = path.format(good=token(site), evil=EVIL, unsubscribe=site.app.keyring.unsubscribe(1, 1))
    answer = site.client.get(f"http://127.0.0.1{whole}", headers={"Host": "evil.example"})
    assert "evil" not in answer.headers.get("location", "")
    if answer.status_code == 302:
        assert answer.headers["location"] == stored_links(site)[1]
    else:
        assert answer.status_code in {400, 404}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(forged=st.from_regex(r"[A-Za-z0-9_-]{20,60}", fullmatch=True))
def test_a_forged_token_leads_nowhere(site: Served, forged: str) -> None:
    assert site.get(f"/c/{forged}/1").status_code == 404
    assert site.events() == []


def test_a_stored_address_of_another_kind_is_never_followed(site: Served) -> None:
    (site.app.home / "links" / "1.json").unlink()
    redirect_first_link_to(site, "javascript:alert(1)")
    assert site.get(f"/c/{token(site)}/1").status_code == 404


def test_an_address_beyond_ascii_is_percent_encoded(site: Served) -> None:
    redirect_first_link_to(site, "https://example.com/é?a=ß")
    location = site.get(f"/c/{token(site)}/1").headers["location"]
    assert location == "https://example.com/%C3%A9?a=%C3%9F"


def test_redirects_and_pictures_survive_a_dead_database(
    site: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = stored_links(site)
    site.break_the_database()
    answer = site.get(f"/c/{token(site)}/1")
    assert (answer.status_code, answer.headers["location"]) == (302, wanted[1])
    assert site.get(f"/o/{token(site)}.gif").content == PIXEL
    logged = capsys.readouterr()
    assert (logged.out + logged.err).count("event_lost") == 2
    assert "reader1" not in logged.out + logged.err
    assert site.get(f"/c/{token(site)}/99").status_code == 404
    assert site.get("/").status_code == 503


def test_a_reader_whose_row_is_gone_is_still_led_on(site: Served) -> None:
    answer = site.get(f"/c/{token(site, 999_999)}/1")
    assert answer.status_code == 302
    assert site.events() == []
    huge = site.app.keyring.delivery(1, 2**64 - 1)
    assert site.get(f"/c/{huge}/1").status_code == 302
    assert site.get(f"/o/{site.app.keyring.delivery(2**32 - 1, 1)}.gif").status_code == 200
