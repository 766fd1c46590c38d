"""Forms that are shown again, each with the reason that is true; and links asked for too often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import (
    ONE_CLICK,
    READER,
    Served,
    copied,
    id_of,
    make_home,
    own_page,
    served,
    visible_text,
)
from sign_up_door import EASY, ONE_IP, PROXY, by_api, by_form, come_from, door, mails

from newsletter.web.asking import HURRIED, STALE
from newsletter.web.audience import UNPROVED

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

DAY_S = 86_400
ASKED = pytest.mark.parametrize("path", ["/preferences", "/your-data"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("made") / "home")


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(home, tmp_path), **PROXY) as one:
        yield one


def ask(site: Served, path: str, email: str, *, ip: str = ONE_IP, age_s: float = 10) -> Any:
    form = {"email": email, "website": "", "shown": site.stamp(age_s=age_s)}
    return site.client.post(path, data=form, headers=come_from(ip))


def test_a_form_of_yesterday_is_shown_again_and_then_taken(site: Served) -> None:
    page = by_form(site, "late@example.com", shown=site.stamp(age_s=DAY_S + 1))
    assert STALE in visible_text(page.text)
    assert "late@example.com" in page.text
    assert by_api(site, "late@example.com", shown=site.stamp(age_s=DAY_S + 1)).json() == {
        "status": "again"
    }
    assert mails(site) == 0
    by_form(site, "late@example.com", shown=site.stamp(age_s=DAY_S - 1))
    assert mails(site) == 1


@ASKED
def test_so_is_one_that_asks_for_a_link(site: Served, path: str) -> None:
    assert STALE in visible_text(ask(site, path, READER, age_s=DAY_S + 1).text)
    assert HURRIED in visible_text(ask(site, path, READER, age_s=1).text)
    assert mails(site) == 0


def test_so_is_one_of_a_readers_own_page(site: Served) -> None:
    fields = {"do": "save", "name": "Someone else", "shown": site.stamp(age_s=DAY_S + 1)}
    page = site.client.post(own_page(site), data=fields)
    assert STALE in visible_text(page.text)
    assert "Someone else" in page.text
    assert "Someone else" not in str(site.rows("subscriber"))


def test_one_click_needs_no_form_at_all(site: Served) -> None:
    token = site.app.keyring.unsubscribe(0, id_of(site))
    assert site.client.post(f"/unsubscribe/{token}", data=ONE_CLICK).status_code == 200
    assert "unsubscribed" in str(site.rows("subscriber"))


def test_wrong_work_is_not_called_haste(tmp_path: Path) -> None:
    with door(tmp_path / "home", proof_of_work=EASY) as site:
        page = visible_text(by_form(site, "r@example.com", altcha="nonsense").text)
        assert UNPROVED in page
        assert HURRIED not in page


@ASKED
def test_a_visitor_asks_for_five_links_an_hour_and_all_answers_are_one(
    site: Served, path: str
) -> None:
    answers = [ask(site, path, f"nobody{n}@example.com") for n in range(5)]
    answers += [ask(site, path, READER) for _ in range(2)]
    assert mails(site) == 0
    assert len({(one.status_code, one.text) for one in answers}) == 1
    assert len({tuple(one.headers.items()) for one in answers}) == 1
    ask(site, path, READER, ip="198.51.100.8")
    assert mails(site) == 1


def test_a_sixty_four_of_ipv6_asks_as_one_and_an_hour_later_again(site: Served) -> None:
    for n in range(5):
        ask(site, "/preferences", f"nobody{n}@example.com", ip=f"2001:db8::{n}:1")
    ask(site, "/your-data", READER, ip="2001:db8::ffff:1")
    assert mails(site) == 0
    site.clock.forward(minutes=62)
    ask(site, "/your-data", READER, ip="2001:db8::ffff:1")
    assert mails(site) == 1


def test_who_asks_for_links_may_still_sign_up(site: Served) -> None:
    for n in range(6):
        ask(site, "/preferences", f"nobody{n}@example.com")
    by_form(site, "new@example.com")
    assert mails(site) == 1
