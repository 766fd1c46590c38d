"""A reader's own page, and the mails that lead there, welcome and see off."""

from __future__ import annotations

import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publication import finished, outbox, store
from served import (
    ONE_CLICK,
    READER,
    Served,
    copied,
    id_of,
    leave,
    make_home,
    own_page,
    press,
    served,
    visible_text,
)

from newsletter import dossier, pipeline
from newsletter.editorial.content_model import Correction
from subscribers import choices, consent
from subscribers.choices import Choices
from subscribers.outcomes import Frequency


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(sent_home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(sent_home, tmp_path)) as one:
        yield one


def shown(site: Served, address: str = READER) -> dict[str, Any]:
    return dossier.show(site.app, address)


def acts(site: Served, address: str = READER) -> list[str]:
    return [record["action"] for record in shown(site, address)["consent"]]


def queued(site: Served, state: str = "planned") -> list[tuple[str, int | None]]:
    with site.app.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT kind, subscriber_id FROM system_mail WHERE state = '{state}' ORDER BY id"
        )
        return [(kind, subscriber) for kind, subscriber in rows]


def choices_of(site: Served, address: str = READER) -> Choices:
    with site.app.session(readonly=True) as session:
        found = choices.read(session, id_of(site, address))
    assert found is not None
    return found


def test_the_page_shows_the_choices_and_not_the_whole_address(site: Served) -> None:
    page = site.get(own_page(site))
    assert page.status_code == 200
    assert "r…@example.com" in page.text
    assert READER not in page.text
    assert 'value="Reader1"' in page.text
    assert "noindex" in page.text
    assert "<script" not in page.text
    words = visible_text(page.text)
    assert "Your choice is kept; until we serve it you get no issue." in words
    assert "Issues are written in English. Another choice is kept; until we" in words


def test_every_choice_is_kept_and_shown_again(site: Served) -> None:
    topic = re.findall(r'name="topic.1" value="([^"]+)"', site.get(own_page(site)).text)[0]
    chosen = {
        "boxes": "yes",
        "topic.1": html.unescape(topic),
        "name": "Zoë",
        "frequency": "monthly",
        "mail": "paused",
        "until": "2026-12-24",
        "language": "pt",
        "timezone": "America/Sao_Paulo",
    }
    page = press(site, "save", **chosen)
    assert "Saved." in page.text
    assert choices_of(site) == Choices(
        name="Zoë",
        topics=frozenset({html.unescape(topic)}),
        frequency=Frequency.MONTHLY,
        language="pt",
        timezone="America/Sao_Paulo",
        is_tracked=False,
        is_paused=True,
        paused_until=datetime(2026, 12, 24, 3, tzinfo=UTC),
    )
    assert 'value="2026-12-24"' in page.text
    assert '<option value="pt" selected>' in page.text
    assert "<option selected>America/Sao_Paulo" in page.text
    assert 'name="tracked" value="yes">' in page.text


def test_a_form_sent_as_it_came_changes_nothing(site: Served) -> None:
    kept = {"mail": "paused", "until": "2026-12-24", "timezone": "Asia/Tokyo"}
    press(site, "save", frequency="monthly", **kept)
    before = site.state()
    page = site.get(own_page(site)).text
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)" checked', page))
    assert (fields["mail"], fields["frequency"]) == ("paused", "monthly")
    fields |= {"name": "Reader1", "boxes": "yes", **kept}
    assert "Saved." in press(site, "save", **fields).text
    assert site.state() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail": "paused", "until": "2026-11-23"},
        {"mail": "paused", "until": "2029-01-01"},
        {"mail": "paused", "until": "0000-99-99"},
        {"mail": "paused", "until": "soon" * 2_000},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"language": "xx"},
        {"boxes": "yes", "topic.1": "No Such Topic"},
    ],
)
def test_what_cannot_be_chosen_is_said_so_and_nothing_is_kept(
    site: Served, wrong: dict[str, str]
) -> None:
    before = site.state()
    page = press(site, "save", name="Somebody", **wrong)
    assert page.status_code == 422
    assert 'id="choice-error"' in page.text
    assert site.state() == before


def test_a_pause_ends_by_itself_when_its_day_begins_where_the_reader_is(site: Served) -> None:
    press(site, "save", mail="paused", until="2026-12-01", timezone="Asia/Tokyo")
    site.clock.now = datetime(2026, 11, 30, 14, 59, 59, tzinfo=UTC)
    assert resumed(site) == 0
    site.clock.forward(seconds=1)
    assert resumed(site) == 1
    assert resumed(site) == 0
    last = shown(site)["consent"][-1]
    assert (shown(site)["status"], last["action"]) == ("active", "resumed")
    assert choices_of(site).paused_until is None


def test_a_pause_without_an_end_has_none(site: Served) -> None:
    press(site, "save", mail="paused")
    site.clock.forward(days=700)
    assert resumed(site) == 0


def resumed(site: Served) -> int:
    with site.app.session() as session:
        return consent.resume_due(session, site.clock())


@pytest.mark.slow
def test_an_untracked_readers_mail_carries_no_token_that_counts(site: Served) -> None:
    press(site, "save", boxes="yes")
    store(site.app, finished("In vs Out"))
    site.clock.forward(days=7)
    pipeline.plan(site.app)
    pipeline.approve(site.app, "latest", by="the editor")
    pipeline.send(site.app, "latest")
    counting = [site.app.keyring.delivery(2, one) for one in (0, id_of(site))]
    mails = [
        quopri.decodestring(path.read_bytes()).decode() for path in outbox(site.app, "2026-W49")
    ]
    (mail,) = [mail for mail in mails if READER in mail]
    assert not any(token in mail for token in counting)
    assert "/o/" not in mail
    assert site.app.keyring.vote(2, id_of(site)) in mail  # what they press themselves is theirs


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
    page = press(site, "save", name="  Zoë \u202e  <b>O'Brien</b> ")
    assert "Saved." in page.text
    assert shown(site)["name"] == "Zoë <b>O'Brien</b>"
    assert "<b>O" not in page.text
    press(site, "save", name="")
    assert shown(site)["name"] == ""
    assert acts(site) == before


@pytest.mark.parametrize("name", ["=?utf-8?q?x?=", "x" * 201, "x" * 5_000])
def test_a_name_no_mail_can_carry_comes_back_with_what_is_wrong(site: Served, name: str) -> None:
    page = press(site, "save", name=name)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text
    assert "x" * 300 not in page.text
    assert shown(site)["name"] == "Reader1"


def test_a_pause_keeps_the_place_on_the_list_and_a_resume_ends_it(site: Served) -> None:
    assert "Your mail is paused: no issue comes" in press(site, "save", mail="paused").text
    assert (shown(site)["status"], acts(site)[-1]) == ("paused", "paused")
    assert "Your mail is paused" not in press(site, "save", mail="comes").text
    assert (shown(site)["status"], acts(site)[-2:]) == ("active", ["paused", "resumed"])
    record = shown(site)["consent"][-1]
    assert (record["source"], record["network"]) == ("page:preferences", "127.0.0.0/24")


@pytest.mark.parametrize("mail", ["paused", "comes"])
def test_pressed_twice_is_recorded_once(site: Served, mail: str) -> None:
    press(site, "save", mail="paused")
    press(site, "save", mail=mail)
    recorded = acts(site)
    press(site, "save", mail=mail)
    assert acts(site) == recorded


def test_who_left_has_no_page_of_choices(site: Served) -> None:
    leave(site)
    over = site.get(own_page(site))
    assert (over.status_code, "You are not on the list" in over.text) == (410, True)


@pytest.mark.parametrize("do", ["save", "move", "data"])
def test_who_left_changes_nothing_any_more(site: Served, do: str) -> None:
    path = own_page(site)
    site.client.post(f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site))}", data=ONE_CLICK)
    before = site.state()
    page = press(site, do, path, name="Somebody", email="new@example.org")
    assert page.status_code == 410
    assert site.state() == before


@pytest.mark.parametrize("do", ["save", "move", "data"])
def test_a_form_that_comes_back_too_fast_is_shown_again(site: Served, do: str) -> None:
    before = site.state()
    for stamp in (site.stamp(age_s=1.999), "", "nonsense"):
        page = press(site, do, shown=stamp, name="Typed Name", email="new@example.org")
        assert page.status_code == 200
        assert "press the button once more" in page.text
    assert site.state() == before
    if do == "save":
        assert 'value="Typed Name"' in page.text


@pytest.mark.parametrize("do", ["", "erase", "leave", "SAVE"])
def test_a_button_that_is_not_there_does_nothing(site: Served, do: str) -> None:
    before = site.state()
    assert press(site, do).status_code == 422
    assert site.state() == before


def test_the_public_copys_link_is_nobodys(site: Served) -> None:
    path = f"/preferences/{site.app.keyring.preferences(1, 0)}"
    before = site.state()
    assert "belong to nobody" in site.get(path).text
    for do in ("save", "move", "data"):
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
        assert press(site, "save", f"/preferences/{token}").status_code == 400
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
            assert press(site, "save", f"/preferences/{one}").status_code == 400
    assert site.state() == before


def test_the_link_works_years_later(site: Served) -> None:
    path = own_page(site)
    site.clock.forward(days=2_000)
    assert site.get(path).status_code == 200
    press(site, "save", path, mail="paused")
    assert shown(site)["status"] == "paused"


@pytest.mark.slow
def test_a_paused_reader_is_a_candidate_who_gets_nothing_with_that_reason(site: Served) -> None:
    press(site, "save", mail="paused")
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
