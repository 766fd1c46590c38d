"""Leaving on the page: a tick, a reason for who cares to give one, half an hour to come back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import ONE_CLICK, READER, Served, copied, id_of, leave, make_home, press, served

from newsletter import desk, dossier
from newsletter.letters import drain_system_mail


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def leave_path(site: Served) -> str:
    return f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site))}"


def undo_path(page: Any) -> str:
    return str(re.findall(r'action="(/undo/[^"]+)"', page.text)[0])


def undo(site: Served, path: str, **fields: str) -> Any:
    return site.client.post(path, data={"shown": site.stamp(), **fields})


def status(site: Served) -> str:
    return str(dossier.show(site.app, READER)["status"])


def last_record(site: Served) -> dict[str, Any]:
    with site.app.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT action, source, detail FROM consent_record ORDER BY id DESC LIMIT 1"
        )
        return dict(rows.mappings().one())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sure": ""}, "tick the box first"),
        ({"sure": "no"}, "tick the box first"),
        ({"shown": ""}, "press the button once more"),
        ({"shown": "nonsense"}, "press the button once more"),
    ],
)
def test_the_pages_form_waits_for_a_person_and_keeps_what_was_typed(
    site: Served, changed: dict[str, str], said: str
) -> None:
    before = site.state()
    page = leave(site, why="other", words="Off I go", **changed)
    assert said in page.text
    assert 'value="Off I go"' in page.text
    assert 'value="other" checked' in page.text
    assert site.state() == before


def test_the_reason_is_kept_with_the_record(site: Served) -> None:
    page = leave(site, why="not_useful", words="  Too   much\x00 \u202e<b>AI</b> " + "x" * 400)
    assert "You are off the list" in page.text
    record = last_record(site)
    assert (record["action"], record["source"]) == ("unsubscribed", "page")
    assert '"why": "not_useful"' in record["detail"]
    assert "Too much <b>AI</b>" in record["detail"]
    assert "x" * 300 not in record["detail"]


@pytest.mark.parametrize("why", ["", "nonsense", "COMPLAINT"])
def test_no_reason_is_needed_and_none_is_invented(site: Served, why: str) -> None:
    leave(site, why=why)
    assert last_record(site)["detail"] == '{"was": "active"}'


def test_undo_brings_back_exactly_what_was_and_is_recorded(site: Served) -> None:
    press(site, "save", mail="paused", until="2026-12-24")
    before = site.rows("subscriber")
    path = undo_path(leave(site))
    assert status(site) == "unsubscribed"
    assert "still on the list" in undo(site, path).text
    assert site.rows("subscriber") == before
    assert last_record(site)["action"] == "returned"


def test_undo_takes_back_the_goodbye_that_waits(site: Served) -> None:
    undo(site, undo_path(leave(site)))
    drain_system_mail(site.app)
    assert list((site.app.home / "outbox" / "system").glob("goodbye.*")) == []


def test_undo_pressed_twice_is_done_once(site: Served) -> None:
    path = undo_path(leave(site))
    first = undo(site, path)
    before = site.state()
    again = undo(site, path)
    assert (again.status_code, again.text) == (first.status_code, first.text)
    assert site.state() == before


def test_undo_waits_for_a_person(site: Served) -> None:
    path = undo_path(leave(site))
    assert "press the button once more" in undo(site, path, shown=site.stamp(age_s=1)).text
    assert site.get(path).status_code == 200
    assert site.client.head(path).status_code == 200
    assert status(site) == "unsubscribed"


def test_undo_is_over_after_half_an_hour_and_not_before(site: Served) -> None:
    path = undo_path(leave(site))
    site.clock.forward(minutes=30)
    assert site.get(path).status_code == 200
    site.clock.forward(seconds=1)
    for page in (site.get(path), undo(site, path)):
        assert page.status_code == 410
        assert "has expired" in page.text
    assert status(site) == "unsubscribed"


def test_undo_belongs_to_one_leaving_alone(site: Served) -> None:
    first = undo_path(leave(site))
    undo(site, first)
    site.clock.forward(minutes=1)
    leave(site)
    assert undo(site, first).status_code == 410
    assert status(site) == "unsubscribed"


@pytest.mark.parametrize("how", ["one-click", "operator"])
def test_only_who_left_on_the_page_is_offered_an_undo(site: Served, how: str) -> None:
    if how == "operator":
        desk.unsubscribe(site.app, READER, by="an operator")
        page = leave(site)
    else:
        page = site.client.post(leave_path(site), data=ONE_CLICK)
    assert page.status_code == 200
    assert "/undo/" not in page.text


def test_one_click_is_taken_however_fast_and_whatever_else_it_says(site: Served) -> None:
    fields = {**ONE_CLICK, "shown": site.stamp(age_s=0), "sure": ""}
    assert "You are off the list" in site.client.post(leave_path(site), data=fields).text
    assert status(site) == "unsubscribed"
