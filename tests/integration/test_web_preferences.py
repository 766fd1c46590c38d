"""A reader's own page, and the mails that lead there, welcome and see off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publication import finished, store
from served import (
    ONE_CLICK,
    READER,
    Served,
    copied,
    id_of,
    make_home,
    own_page,
    press,
    served,
    visible_text,
)

from newsletter import pipeline, readers
from newsletter.editorial.content_model import Correction


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def shown(site: Served, address: str = READER) -> dict[str, Any]:
    return readers.show(site.app, address)


def acts(site: Served, address: str = READER) -> list[str]:
    return [record["action"] for record in shown(site, address)["consent"]]


def queued(site: Served, state: str = "planned") -> list[tuple[str, int | None]]:
    with site.app.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT kind, subscriber_id FROM system_mail WHERE state = '{state}' ORDER BY id"
        )
        return [(kind, subscriber) for kind, subscriber in rows]


def test_the_page_shows_the_choices_and_not_the_whole_address(site: Served) -> None:
    page = site.get(own_page(site))
    assert page.status_code == 200
    assert "r…@example.com" in page.text
    assert READER not in page.text
    assert 'value="Reader1"' in page.text
    assert "noindex" in page.text
    assert page.text.count("<button") == 3
    assert "<script" not in page.text


def test_looking_changes_nothing(site: Served) -> None:
    before, events = site.state(), site.events()
    for path in (own_page(site), "/preferences"):
        assert site.get(path).status_code == 200
        assert site.get(path, params={"do": "leave", "name": "x"}).status_code == 200
        head = site.client.head(path)
        assert (head.status_code, head.content) == (200, b"")
    assert (site.state(), site.events()) == (before, events)


def test_a_name_is_changed_and_taken_away_without_a_consent_record(site: Served) -> None:
    before = acts(site)
    page = press(site, "name", name="  Zoë \u202e  <b>O'Brien</b> ")
    assert "Saved." in page.text
    assert shown(site)["name"] == "Zoë <b>O'Brien</b>"
    assert "<b>O" not in page.text
    press(site, "name", name="")
    assert shown(site)["name"] == ""
    assert acts(site) == before


@pytest.mark.parametrize("name", ["=?utf-8?q?x?=", "x" * 201, "x" * 5_000])
def test_a_name_no_mail_can_carry_comes_back_with_what_is_wrong(site: Served, name: str) -> None:
    page = press(site, "name", name=name)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert len(page.text) < 10_000
    assert shown(site)["name"] == "Reader1"


def test_a_pause_keeps_the_place_on_the_list_and_a_resume_ends_it(site: Served) -> None:
    assert "Paused." in press(site, "pause").text
    assert (shown(site)["status"], acts(site)[-1]) == ("paused", "paused")
    page = site.get(own_page(site))
    assert "Your mail is paused" in page.text
    assert 'value="pause"' not in page.text
    assert "Resumed." in press(site, "resume").text
    assert (shown(site)["status"], acts(site)[-2:]) == ("active", ["paused", "resumed"])
    record = shown(site)["consent"][-1]
    assert (record["source"], record["network"]) == ("page:preferences", "127.0.0.0/24")


@pytest.mark.parametrize(("do", "first"), [("pause", "pause"), ("resume", "pause")])
def test_pressed_twice_is_recorded_once(site: Served, do: str, first: str) -> None:
    press(site, first)
    press(site, do)
    recorded = acts(site)
    press(site, do)
    assert acts(site) == recorded


def test_leaving_here_is_leaving(site: Served) -> None:
    page = press(site, "leave")
    assert "You are off the list" in page.text
    assert (shown(site)["status"], acts(site)[-1]) == ("unsubscribed", "unsubscribed")
    assert site.events() == [("unsubscribe", id_of(site), None)]
    assert queued(site) == [("goodbye", id_of(site))]
    over = site.get(own_page(site))
    assert (over.status_code, "You are not on the list" in over.text) == (410, True)


@pytest.mark.parametrize("do", ["name", "pause", "resume"])
def test_who_left_changes_nothing_any_more(site: Served, do: str) -> None:
    path = own_page(site)
    site.client.post(f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site))}", data=ONE_CLICK)
    before = site.state()
    page = press(site, do, path, name="Somebody")
    assert page.status_code == 410
    assert site.state() == before


@pytest.mark.parametrize("do", ["name", "pause", "resume", "leave"])
def test_a_form_that_comes_back_too_fast_is_shown_again(site: Served, do: str) -> None:
    before = site.state()
    for stamp in (site.stamp(age_s=1.999), "", "nonsense"):
        page = press(site, do, shown=stamp, name="Typed Name")
        assert page.status_code == 200
        assert "press the button once more" in page.text
    assert site.state() == before
    if do == "name":
        assert 'value="Typed Name"' in page.text


@pytest.mark.parametrize("do", ["", "erase", "PAUSE"])
def test_a_button_that_is_not_there_does_nothing(site: Served, do: str) -> None:
    before = site.state()
    assert press(site, do).status_code == 422
    assert site.state() == before


def test_the_public_copys_link_is_nobodys(site: Served) -> None:
    path = f"/preferences/{site.app.keyring.preferences(1, 0)}"
    before = site.state()
    assert "belong to nobody" in site.get(path).text
    for do in ("leave", "pause", "name"):
        page = press(site, do, path)
        assert (page.status_code, "belong to nobody" in page.text) == (400, True)
    assert site.state() == before


def test_no_other_token_opens_the_page(site: Served) -> None:
    keyring, number = site.app.keyring, id_of(site)
    before = site.state()
    for token in (
        keyring.unsubscribe(1, number),
        keyring.delivery(1, number),
        keyring.confirm(number, site.clock()),
        keyring.form(site.clock()),
    ):
        assert site.get(f"/preferences/{token}").status_code == 400
        assert press(site, "leave", f"/preferences/{token}").status_code == 400
    own = own_page(site).removeprefix("/preferences/")
    assert site.client.post(f"/unsubscribe/{own}", data=ONE_CLICK).status_code == 400
    assert site.state() == before


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_forged_link_changes_nobody(site: Served, data: st.DataObject) -> None:
    token = own_page(site).removeprefix("/preferences/")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_"))
    forged = token[:place] + other + token[place + 1 :]
    before = site.state()
    for one in (forged, token[: place or None], token + other):
        if one != token:
            assert press(site, "pause", f"/preferences/{one}").status_code == 400
    assert site.state() == before


def test_the_link_works_years_later(site: Served) -> None:
    path = own_page(site)
    site.clock.forward(days=2_000)
    assert site.get(path).status_code == 200
    press(site, "pause", path)
    assert shown(site)["status"] == "paused"


def test_a_paused_reader_is_a_candidate_who_gets_nothing_with_that_reason(site: Served) -> None:
    press(site, "pause")
    store(site.app, finished("In vs Out"))
    site.clock.forward(days=7)
    pipeline.plan(site.app)
    pipeline.approve(site.app, "latest", by="the editor")
    proof = pipeline.send(site.app, "latest").proof.to_dict()
    assert proof["excluded"] == {"paused": 1}
    assert proof["holds"]


def test_the_pages_to_leave_and_to_choose_lead_to_one_another(site: Served) -> None:
    leave = site.get(f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site))}")
    assert own_page(site) in leave.text
    assert 'href="/preferences"' in site.get("/").text


def test_a_correction_stands_on_the_comparisons_page(tmp_path: Path) -> None:
    wrong = Correction(date(2026, 11, 21), "Left costs $12 & not $9.")
    with served(tmp_path / "fresh") as fresh:
        store(fresh.app, replace(finished("Left vs Right"), corrections=(wrong,)))
        page = fresh.get("/comparisons/left-vs-right")
        assert "Corrected 21 November 2026: Left costs $12 & not $9." in visible_text(page.text)
