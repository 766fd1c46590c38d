"""The pixel and the numbered links, seen from a reader's mail and from a forger's desk."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publication import outbox
from served import Served, copied, make_home, served

from newsletter import hits
from newsletter.editorial import issues
from newsletter.tracking.hitlog import Hit, read_line
from newsletter.web.hits import PIXEL

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


def logged(site: Served) -> list[Hit | None]:
    """What the log holds; None for a line that cannot be read."""
    files = sorted((site.app.home / "hits").glob("*.log"))
    return [read_line(line) for file in files for line in file.read_bytes().splitlines()]


@contextmanager
def full_disk(room_bytes: int) -> Iterator[None]:
    """No file grows beyond `room_bytes`, as on a full disk; half a record may still fit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def redirect_first_link_to(site: Served, url: str) -> None:
    """Puts `url` into the table past every check, as a fault of our own would."""
    (site.app.home / "links" / "1.json").unlink(missing_ok=True)  # it would be asked first
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


def test_a_copy_that_is_nobody_s_counts_nothing(site: Served) -> None:
    nobody = site.app.keyring.delivery(1, 0)
    assert site.get(f"/o/{nobody}.gif").status_code == 200
    assert site.get(f"/c/{nobody}/1").status_code == 302
    assert site.client.head(f"/c/{nobody}/1").status_code == 302
    assert logged(site) == []
    assert site.events() == []


def test_head_is_answered_as_get_without_a_body_and_kept_as_what_it_is(site: Served) -> None:
    for path in (f"/o/{token(site)}.gif", f"/c/{token(site)}/1"):
        head, get = site.client.head(path), site.get(path)
        assert (head.status_code, head.headers, head.content) == (
            get.status_code,
            get.headers,
            b"",
        )
    kept = [(hit.kind.value, hit.method) for hit in logged(site) if hit]
    assert kept == [(kind, how) for kind in ("image_load", "click") for how in ("HEAD", "GET")]
    assert site.client.head(f"/c/{token(site)}/99").status_code == 404
    assert len(site.events()) == 4


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_not_allowed_and_counts_nothing(site: Served, method: str) -> None:
    for path in (f"/o/{token(site)}.gif", f"/c/{token(site)}/1"):
        answer = site.client.request(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert logged(site) == []


def test_it_is_written_down_before_it_is_answered_and_taken_in_later(site: Served) -> None:
    site.clock.forward(minutes=5)
    site.get(f"/c/{token(site)}/2", headers={"User-Agent": "A\tB"})
    (hit,) = logged(site)
    assert hit is not None
    assert (hit.issue_id, hit.subscriber_id, hit.link, hit.method) == (1, 1, 2, "GET")
    assert (hit.at, hit.agent, hit.network) == (site.clock(), "A\tB", "127.0.0.0/24")
    assert site.rows("event") == []
    assert site.events() == [("click", 1, 2)]


@pytest.mark.parametrize(
    "path", ["//o/{0}.gif", "/o//{0}.gif", "/o/{0}.gif/", "/o/.gif", "/o/{0}.GIF", "/o/{0}", "/O/"]
)
def test_what_is_nearly_a_pixel_is_a_404(site: Served, path: str) -> None:
    answer = site.client.get(f"http://127.0.0.1{path.format(token(site))}")
    assert answer.status_code == 404
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert logged(site) == []


def test_percent_encoding_of_a_good_address_changes_nothing(site: Served) -> None:
    spelled = "".join(f"%{ord(character):02x}" for character in token(site))
    assert site.get(f"/%6f/{spelled}%2Egif?utm=1").content == PIXEL
    assert site.get(f"/c/{spelled}/%31?x=/2").headers["location"] == stored_links(site)[1]
    assert site.events() == [("image_load", 1, None), ("click", 1, 1)]


@pytest.mark.parametrize("said", ["192.0.2.1, 203.0.113.77", f"{'x, ' * 90}203.0.113.77"])
def test_trusted_proxies_are_believed_and_nobody_else(
    sent_home: Path, tmp_path: Path, said: str
) -> None:
    home = copied(sent_home, tmp_path)
    for trusted, network in (("", "127.0.0.0/24"), ("127.0.0.1", "203.0.113.0/24")):
        with served(home, trusted_proxies=trusted) as site:
            for _ in range(2):
                site.get(f"/o/{token(site)}.gif", headers={"X-Forwarded-For": said})
            assert [hit and hit.network for hit in logged(site)[-2:]] == [network] * 2


def test_a_site_that_stops_lets_go_of_its_log_and_the_next_one_does_not_mind(
    sent_home: Path, tmp_path: Path
) -> None:
    home = copied(sent_home, tmp_path)
    for loads in (1, 2):
        with served(home) as site:
            site.get(f"/o/{token(site)}.gif")
        with served(home) as site:
            assert len(site.events()) == loads
            assert list((home / "hits").iterdir()) == []


def test_on_a_full_disk_readers_are_led_on_and_half_a_record_is_none(
    site: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = stored_links(site)[1]
    site.get(f"/o/{token(site)}.gif")
    size = sum(file.stat().st_size for file in (site.app.home / "hits").iterdir())
    for room in (size + 40, size):
        with full_disk(room):
            picture = site.get(f"/o/{token(site)}.gif")
            answer = site.get(f"/c/{token(site)}/1")
        assert (picture.status_code, picture.content) == (503, PIXEL)
        assert picture.headers["cache-control"] == "no-store"
        assert (answer.status_code, answer.headers["location"]) == (302, wanted)
    assert capsys.readouterr().out.count("hit_lost") == 1  # said once a minute
    site.get(f"/c/{token(site)}/2")
    assert site.events() == [("image_load", 1, None), ("click", 1, 2)]
    metrics = site.get("/metrics").text.splitlines()
    assert 'newsletter_hits_total{kind="click"} 1' in metrics
    assert 'newsletter_hits_lost_total{kind="click"} 2' in metrics
    assert 'newsletter_hits_lost_total{kind="image_load"} 2' in metrics


def test_a_log_that_cannot_be_begun_is_no_obstacle_to_a_reader(site: Served) -> None:
    (site.app.home / "hits").write_text("in the way")
    assert site.get(f"/o/{token(site)}.gif").status_code == 503
    assert site.get(f"/c/{token(site)}/1").status_code == 302
    (site.app.home / "hits").unlink()
    assert site.get(f"/o/{token(site)}.gif").status_code == 200
    assert site.events() == [("image_load", 1, None)]


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


def test_redirects_and_pictures_survive_a_dead_database_and_nothing_is_lost(
    site: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = stored_links(site)
    site.break_the_database()
    answer = site.get(f"/c/{token(site)}/1")
    assert (answer.status_code, answer.headers["location"]) == (302, wanted[1])
    assert site.get(f"/o/{token(site)}.gif").content == PIXEL
    said = capsys.readouterr()
    assert said.out + said.err == ""
    assert [hit and hit.kind.value for hit in logged(site)] == ["click", "image_load"]
    assert site.get(f"/c/{token(site)}/99").status_code == 404
    assert site.get("/").status_code == 503


def test_a_link_that_is_not_in_the_file_is_asked_of_the_store(site: Served) -> None:
    wanted = stored_links(site)
    (site.app.home / "links" / "1.json").unlink()
    assert site.get(f"/c/{token(site)}/1").headers["location"] == wanted[1]
    assert site.events() == [("click", 1, 1)]


def test_a_reader_whose_row_is_gone_is_still_led_on(site: Served) -> None:
    assert site.get(f"/c/{token(site, 999_999)}/1").status_code == 302
    huge = site.app.keyring.delivery(1, 2**64 - 1)  # more than a database holds: nobody
    assert site.get(f"/c/{huge}/1").status_code == 302
    assert site.events() == [("click", None, 1)]


def test_a_hit_of_an_issue_on_no_record_is_told_of(site: Served) -> None:
    assert site.get(f"/o/{site.app.keyring.delivery(2**32 - 1, 1)}.gif").status_code == 200
    assert list(hits.take_in(site.app)) == ["hits of issues that are not in this store: 1"]
    assert site.events() == []


def test_a_damaged_line_of_the_log_is_told_of_once(site: Served) -> None:
    site.get(f"/o/{token(site)}.gif")
    (file,) = (site.app.home / "hits").iterdir()
    with file.open("ab") as log:
        log.write(b"half a li\n")
    assert list(hits.take_in(site.app)) == ["lines of the hit log that were damaged: 1"]
    assert site.events() == [("image_load", 1, None)]
