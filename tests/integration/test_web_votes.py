"""Votes over the web: looking changes nothing, pressing counts, haste is asked again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import SEED_SLUG, Served, copied, id_of, make_home, served, visible_text
from web_forms import forms

from newsletter import own_page
from newsletter.editorial import votes
from newsletter.editorial.tallies import Tally
from subscribers import suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow

HAIKU, MISTRAL = "claude-haiku-open-weights", "mistral-8b-instruct-v3"
PAGE = f"/comparisons/{SEED_SLUG}"
TABLES = ("vote", "ballot", "event", "to_classify", "rate_slot")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("sent") / "home", sent=True)


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Iterator[Served]:
    with served(copied(home, tmp_path), votes_per_ip=3) as one:
        yield one


def way(site: Served, verdict: str = "ship", tool: str = MISTRAL, *, token: str = "") -> str:
    token = token or site.app.keyring.vote(1, id_of(site))
    return f"/vote/{token}/{SEED_SLUG}/{tool}/{verdict}"


def say(site: Served, verdict: str = "ship", tool: str = MISTRAL, *, age_s: float = 10) -> Any:
    fields = {"shown": site.stamp(age_s=age_s)}
    return site.client.post(way(site, verdict, tool), data=fields)


def say_as_visitor(site: Served, *, agent: str = "Browser/1", **said: str) -> Any:
    fields = {f"vote.{tool.replace('_', '-')}": verdict for tool, verdict in said.items()}
    fields |= {"shown": site.stamp(), "website": ""}
    return site.client.post(f"{PAGE}/vote", data=fields, headers={"User-Agent": agent})


def tally(site: Served, tool: str = MISTRAL) -> Tally:
    with site.app.session(readonly=True) as session:
        comparison_id, _ = votes.open_poll(session, SEED_SLUG)
        return votes.tallies(session, comparison_id).get(tool, Tally())


def everything(site: Served) -> list[Any]:
    return [site.rows(table) for table in TABLES]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_shows_the_choice_and_changes_nothing(site: Served, method: str) -> None:
    before = everything(site)
    answer = site.client.request(method, way(site))
    assert answer.status_code == 200
    assert everything(site) == before
    if method == "GET":
        shown = visible_text(answer.text)
        assert "Ship Mistral 8B Instruct v3?" in shown
        assert "Nothing is counted for you yet" in shown
        assert [one.buttons for one in forms(answer.text)] == [[""]]
        assert f"/{MISTRAL}/skip" in answer.text


def test_the_links_of_a_mail_lead_to_the_page_of_their_vote(site: Served) -> None:
    mail = site.get("/issues/2026-w48").text
    ways = re.findall(r"/vote/[\w-]+/([a-z0-9/-]+)\"", mail)
    token = site.app.keyring.vote(1, id_of(site))
    assert len(ways) > 3
    for one in ways:
        assert site.get(f"/vote/{token}/{one}").status_code == 200, one


def test_pressing_counts_and_says_so(site: Served) -> None:
    answer = say(site)
    shown = visible_text(answer.text)
    assert answer.status_code == 200
    assert "Counted: ship Mistral 8B Instruct v3." in shown
    assert "Our readers No votes yet 100% of 1 vote" in shown
    assert tally(site) == Tally(ship=1)
    assert site.events() == [("vote", id_of(site), None)]


def test_pressing_again_changes_the_vote(site: Served) -> None:
    say(site)
    site.clock.forward(minutes=5)
    assert "Counted for you now: ship" in visible_text(site.get(way(site, "skip")).text)
    say(site, "skip")
    assert tally(site) == Tally(skip=1)
    assert "Counted: skip" in visible_text(site.get(way(site, "skip")).text)


def test_haste_is_kept_apart_and_asked_again(site: Served) -> None:
    answer = say(site, age_s=1.9)
    shown = visible_text(answer.text)
    assert answer.status_code == 200
    assert "faster than a person" in shown
    assert "Ship Mistral 8B Instruct v3?" in shown
    assert tally(site) == Tally(suspect_ship=1)
    assert site.events() == []
    site.clock.forward(seconds=5)
    say(site)
    assert tally(site) == Tally(ship=1)


@pytest.mark.parametrize("fields", [{}, {"shown": ""}, {"shown": "forged"}])
def test_a_post_without_our_form_is_haste(site: Served, fields: dict[str, str]) -> None:
    site.client.post(way(site), data=fields)
    assert tally(site) == Tally(suspect_ship=1)


def test_both_ways_within_ten_seconds_count_for_neither_and_it_is_said(site: Served) -> None:
    say(site)
    site.clock.forward(seconds=5)
    shown = visible_text(say(site, "skip").text)
    assert "Wait ten seconds and press once more" in shown
    assert tally(site).verified == 0
    site.clock.forward(seconds=11)
    assert "Counted: skip" in visible_text(say(site, "skip").text)
    assert tally(site) == Tally(skip=1)


def test_a_program_with_somebodys_token_is_held_back(site: Served) -> None:
    for _ in range(60):
        site.clock.forward(seconds=15)
        assert say(site).status_code == 200
    events = len(site.events())
    assert say(site).status_code == 429
    assert len(site.events()) == events


def other_tokens(site: Served) -> list[str]:
    keyring, reader = site.app.keyring, id_of(site)
    good = keyring.vote(1, reader)
    return [
        keyring.delivery(1, reader),
        keyring.unsubscribe(1, reader),
        keyring.preferences(1, reader),
        keyring.own_data(reader, site.clock()),
        good[:-1],
        good[:-1] + ("A" if good[-1] != "A" else "Q"),
        good + "A",
        "forged",
    ]


def test_a_bad_token_is_told_clearly_and_changes_nothing(site: Served) -> None:
    before = everything(site)
    for token in other_tokens(site):
        for ask in (site.client.get, site.client.post):
            answer = ask(way(site, token=token))
            assert answer.status_code == 400
            assert "This link does not work" in answer.text
    assert everything(site) == before


@pytest.mark.parametrize(
    "path",
    [
        f"{SEED_SLUG}/unknown/ship",
        f"{SEED_SLUG}/{MISTRAL}/maybe",
        f"{SEED_SLUG}/{MISTRAL}/SHIP",
        f"unknown/{MISTRAL}/ship",
    ],
)
def test_what_the_issue_never_asked_is_not_there(site: Served, path: str) -> None:
    before = everything(site)
    token = site.app.keyring.vote(1, id_of(site))
    for ask in (site.client.get, site.client.post):
        assert ask(f"/vote/{token}/{path}").status_code == 404
    assert site.get(way(site, token=site.app.keyring.vote(9, 1))).status_code == 404
    assert everything(site) == before


def test_the_public_copy_leads_to_the_form_for_visitors(site: Served) -> None:
    nobody = way(site, token=site.app.keyring.vote(1, 0))
    for ask in (site.client.get, site.client.post):
        answer = ask(nobody)
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{PAGE}#vote"
    assert 'id="vote"' in site.get(PAGE).text
    assert site.rows("vote") == []


def test_whom_we_must_not_write_to_is_met_kindly_and_not_counted(site: Served) -> None:
    address = EmailAddress.parse("reader2@example.com")
    with site.app.session() as session:
        suppression.suppress(
            session, address.key, SuppressionReason.COMPLAINT, detail="", now=site.clock()
        )
    gone = [id_of(site), id_of(site, "reader2@example.com"), 99]
    own_page.erase(site.app, gone[0])
    before = everything(site)[:3]
    for reader in gone:
        one = way(site, token=site.app.keyring.vote(1, reader))
        for answer in (site.get(one), site.client.post(one, data={"shown": site.stamp()})):
            assert answer.status_code == 410
            assert "Nothing is counted here any more" in answer.text
    assert everything(site)[:3] == before


def test_a_visitors_votes_stand_apart_on_the_page(site: Served) -> None:
    say(site)
    answer = say_as_visitor(site, mistral_8b_instruct_v3="skip", claude_haiku_open_weights="ship")
    assert answer.status_code == 200
    shown = visible_text(answer.text)
    assert "Counted, thank you" in shown
    assert "Our readers No votes yet 100% of 1 vote" in shown
    assert "Visitors of this page 100% of 1 vote 0% of 1 vote" in shown
    assert tally(site) == Tally(ship=1, visitors_skip=1)
    assert [one for one in site.events() if one[1] is None] == []


def test_one_visitor_has_one_vote_and_another_browser_is_another(site: Served) -> None:
    say_as_visitor(site, mistral_8b_instruct_v3="ship")
    site.clock.forward(minutes=1)
    say_as_visitor(site, mistral_8b_instruct_v3="skip")
    say_as_visitor(site, agent="Browser/2", mistral_8b_instruct_v3="skip")
    assert tally(site) == Tally(visitors_skip=2)


def test_no_address_and_no_agent_of_a_visitor_is_kept(site: Served) -> None:
    say_as_visitor(site, mistral_8b_instruct_v3="ship")
    kept = repr([site.rows(table) for table in ("vote", "rate_slot", "event")])
    assert "127.0.0" not in kept
    assert "Browser" not in kept


def test_many_votes_from_one_door_are_held_back(site: Served) -> None:
    for n in range(3):
        answer = say_as_visitor(site, agent=f"Browser/{n}", mistral_8b_instruct_v3="ship")
        assert answer.status_code == 200
    answer = say_as_visitor(site, agent="Browser/9", mistral_8b_instruct_v3="ship")
    assert answer.status_code == 429
    assert "try later" in answer.text
    assert tally(site) == Tally(visitors_ship=3)
    site.clock.forward(hours=1, minutes=2)
    assert say_as_visitor(site, mistral_8b_instruct_v3="ship").status_code == 200


@pytest.mark.parametrize("fields", [{"website": "x"}, {"shown": ""}, {"shown": "fresh"}])
def test_what_no_person_filled_in_is_shown_again(site: Served, fields: dict[str, str]) -> None:
    form = {f"vote.{MISTRAL}": "ship", "website": "", "shown": site.stamp(), **fields}
    if form["shown"] == "fresh":
        form["shown"] = site.stamp(age_s=0)
    answer = site.client.post(f"{PAGE}/vote", data=form)
    assert answer.status_code == 200
    assert 'value="ship" checked' in answer.text
    assert site.rows("vote") == []


def test_a_form_of_long_ago_is_shown_again_with_what_was_chosen(site: Served) -> None:
    """Else one stamp, once taken, would serve a program for ever."""
    stamp = site.stamp()
    site.clock.forward(days=1, minutes=1)
    form = {f"vote.{MISTRAL}": "ship", "website": "", "shown": stamp}
    answer = site.client.post(f"{PAGE}/vote", data=form)
    assert answer.status_code == 200
    assert "shown more than a day ago" in answer.text
    assert 'value="ship" checked' in answer.text
    assert stamp not in answer.text
    assert site.rows("vote") == []


@pytest.mark.parametrize("origin", ["same-origin", "same-site", "none", "cross-site"])
def test_only_our_own_pages_can_make_a_browser_vote(site: Served, origin: str) -> None:
    form = {f"vote.{MISTRAL}": "ship", "website": "", "shown": site.stamp()}
    headers = {"Sec-Fetch-Site": origin}
    answers = [
        site.client.post(one, data=form, headers=headers) for one in (way(site), f"{PAGE}/vote")
    ]
    if origin == "cross-site":
        assert [one.status_code for one in answers] == [403, 403]
        assert all("a page that is not ours" in one.text for one in answers)
        assert everything(site)[:4] == [[], [], [], []]
    else:
        assert tally(site) == Tally(ship=1, visitors_ship=1)


@pytest.mark.parametrize("said", [{}, {"mistral_8b_instruct_v3": "maybe"}, {"other": "ship"}])
def test_a_form_without_a_choice_says_what_is_missing(site: Served, said: dict[str, str]) -> None:
    answer = say_as_visitor(site, **said)
    assert answer.status_code == 422
    assert "Choose ship or skip" in answer.text
    assert site.rows("vote") == []


def test_an_unknown_comparison_takes_no_votes(site: Served) -> None:
    assert site.client.post("/comparisons/nothing/vote", data={}).status_code == 404


def test_the_page_shows_what_readers_say_and_no_suspect(site: Served) -> None:
    say(site, "skip", HAIKU)
    say(site, "ship", MISTRAL, age_s=0)
    shown = visible_text(site.get(PAGE).text)
    assert "0% Community 1 vote" in shown
    assert "Our readers 0% of 1 vote No votes yet" in shown
