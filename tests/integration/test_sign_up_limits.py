"""How often the sign-up may be used, by the form and by the JSON endpoint alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from publication import readers as listed
from served import Served
from sign_up_door import (
    EASY,
    ONE_IP,
    by_api,
    by_form,
    come_from,
    door,
    fresh_solution,
    mails,
    statements,
)
from sqlalchemy import text

from newsletter import desk, dossier
from newsletter.abuse import Allowance, admit
from subscribers import suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

Way = Callable[..., Any]
UNSEEN = "unseen@example.com"
WAYS = pytest.mark.parametrize("way", [by_form, by_api])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with door(tmp_path / "home") as one:
        yield one


@WAYS
def test_the_sixth_sign_up_of_a_visitor_in_an_hour_is_answered_and_not_mailed(
    site: Served, way: Way
) -> None:
    answers = [way(site, f"reader{n}@example.com") for n in range(8)]
    assert mails(site) == 5
    assert len({(one.status_code, one.text) for one in answers}) == 1
    assert len({tuple(one.headers.items()) for one in answers}) == 1
    way(site, "elsewhere@example.com", ip="198.51.100.8")
    assert mails(site) == 6


def test_the_form_and_the_endpoint_count_together(site: Served) -> None:
    for n in range(4):
        by_form(site, f"form{n}@example.com")
        by_api(site, f"api{n}@example.com")
    assert mails(site) == 5


def test_an_hour_later_the_same_visitor_may_again_however_often_they_tried(site: Served) -> None:
    for n in range(6):
        by_form(site, f"first{n}@example.com")
    site.clock.forward(minutes=59)
    for n in range(6):
        by_form(site, f"early{n}@example.com")
    assert mails(site) == 5
    site.clock.forward(minutes=3)
    by_form(site, "late@example.com")
    assert mails(site) == 6


def test_who_is_held_back_leaves_no_trace_in_the_audience(site: Served) -> None:
    for n in range(5):
        by_form(site, f"reader{n}@example.com")
    before = site.state()
    by_form(site, "held@example.com")
    assert site.state() == before


def test_a_sixty_four_of_ipv6_is_one_visitor(site: Served) -> None:
    for n in range(8):
        by_form(site, f"reader{n}@example.com", ip=f"2001:db8:0:1::{n:x}")
    assert mails(site) == 5
    by_form(site, "next@example.com", ip="2001:db8:0:2::1")
    assert mails(site) == 6


def test_a_visitor_cannot_write_themselves_another_ip(site: Served) -> None:
    for n in range(8):
        by_form(site, f"reader{n}@example.com", ip=f"203.0.113.{n}, {ONE_IP}")
    assert mails(site) == 5


def test_what_is_no_address_or_no_form_uses_nothing_up(site: Served) -> None:
    for n in range(8):
        assert by_api(site, "no address").status_code == 422
        by_form(site, f"reader{n}@example.com", website="https://example.com")
        by_form(site, f"reader{n}@example.com", shown="")
    assert site.rows("rate_slot") == []


@WAYS
def test_above_the_limit_of_all_nobody_causes_mail(tmp_path: Path, way: Way) -> None:
    with door(tmp_path / "home", sign_ups_per_hour=3) as site:
        answers = [way(site, f"r{n}@example.com", ip=f"198.51.100.{n}") for n in range(6)]
        assert mails(site) == 3
        assert len({(one.status_code, one.text) for one in answers}) == 1


def test_operators_are_told_how_many_and_of_nobody(tmp_path: Path) -> None:
    with (
        door(tmp_path / "home", sign_ups_per_ip=1) as site,
        structlog.testing.capture_logs() as log,
    ):
        for n in range(22):
            by_form(site, f"reader{n}@example.com")
    said = [entry for entry in log if entry["event"] == "sign_ups_held_back"]
    assert [(one["limit"], one["in_this_minute"]) for one in said] == [
        ("one visitor", 1),
        ("one visitor", 10),
    ]
    assert "@" not in str(said)
    assert ONE_IP not in str(said)


def test_the_store_keeps_no_address_of_a_visitor_and_forgets_them_in_time(site: Served) -> None:
    by_form(site, "reader1@example.com")
    assert ONE_IP not in str(site.rows("rate_slot"))
    before = len(site.rows("rate_slot"))
    site.clock.forward(hours=3)
    by_form(site, "reader2@example.com", ip="198.51.100.8")
    assert len(site.rows("rate_slot")) == before


def test_the_sending_limits_rows_are_left_alone(site: Served) -> None:
    with site.app.session() as session:
        session.execute(text("INSERT INTO rate_slot VALUES ('hour', 5, 7), ('day', 5, 7)"))
    site.clock.forward(hours=3)
    by_form(site, "reader1@example.com")
    kept = {row[0]: row[2] for row in site.rows("rate_slot")}
    assert (kept["hour"], kept["day"]) == (7, 7)


def test_a_clock_set_back_locks_nobody_out_for_longer_than_the_hour(site: Served) -> None:
    site.clock.forward(days=30)
    for n in range(6):
        by_form(site, f"ahead{n}@example.com")
    site.clock.forward(days=-30)
    by_form(site, "other@example.com", ip="198.51.100.8")
    site.clock.forward(hours=1, minutes=2)
    by_form(site, "back@example.com")
    assert dossier.show(site.app, "back@example.com")["status"] == "pending"


def test_processes_on_one_store_count_together(site: Served) -> None:
    allowance = Allowance(per_visitor=5, in_all=500, unsolved=None)
    for _ in range(3):
        by_form(site, "reader1@example.com")
    taken = []
    for _ in range(4):
        with site.app.session() as session:
            taken.append(
                admit(session, "x", is_solved=False, allowance=allowance, now=site.clock())
            )
    assert taken == [True] * 4
    rows = {row[0]: row[2] for row in site.rows("rate_slot")}
    assert rows["sign-up:all"] == 7


def suppress(site: Served, email: str, reason: SuppressionReason) -> None:
    key = EmailAddress.parse(email).key
    with site.app.session() as session:
        suppression.suppress(session, key, reason, now=site.clock(), detail="5.1.1")


def every_state(site: Served) -> list[str]:
    """An address in each state we can know one in, and one that we do not know."""
    by_form(site, "waited@example.com", ip="192.0.2.1")
    site.clock.forward(days=2)
    by_form(site, "pending@example.com", ip="192.0.2.2")
    _active, paused, left, bounced, complained = known = listed(site.app, 5)
    with site.app.session() as session:
        session.execute(
            text("UPDATE subscriber SET status = 'paused' WHERE address = :address"),
            {"address": paused},
        )
    desk.unsubscribe(site.app, left, by="an operator")
    suppress(site, bounced, SuppressionReason.HARD_BOUNCE)
    suppress(site, complained, SuppressionReason.COMPLAINT)
    suppress(site, "nobody@example.com", SuppressionReason.HARD_BOUNCE)
    return [*known, "waited@example.com", "pending@example.com", "nobody@example.com", UNSEEN]


@WAYS
def test_the_work_is_the_same_whatever_we_know_of_an_address(site: Served, way: Way) -> None:
    done = {}
    addresses = every_state(site)
    for n, email in enumerate(addresses):
        with statements(site) as seen:
            way(site, email, ip=f"203.0.113.{n}")
        done[email] = sorted(_kind(one) for one in seen)
    for _ in range(5):
        way(site, "full@example.com", ip="203.0.113.200")
    with statements(site) as seen:
        way(site, "held@example.com", ip="203.0.113.200")
    done["held back"] = sorted(_kind(one) for one in seen)
    assert len(done[UNSEEN]) > 10
    different = {email for email, work in done.items() if work != done[UNSEEN]}
    assert different == set()


def _kind(statement: str) -> str:
    """`UPDATE subscriber`, `INSERT INTO system_mail`; how a savepoint ends does not matter."""
    if "SAVEPOINT" in statement:
        return "SAVEPOINT" if statement.startswith("SAVEPOINT") else "end of SAVEPOINT"
    if statement.startswith("SELECT"):
        return f"SELECT {statement.rpartition(' FROM ')[2].split()[0]}"
    return " ".join(statement.split()[:3])


@WAYS
def test_no_mail_leaves_while_a_visitor_waits(site: Served, way: Way) -> None:
    way(site, "reader1@example.com")
    states = [row for row in site.rows("system_mail") if "planned" in row]
    assert len(states) == 1
    assert not (site.app.home / "outbox").exists()


@WAYS
def test_a_solved_puzzle_is_taken_once(tmp_path: Path, way: Way) -> None:
    with door(tmp_path / "home", proof_of_work=EASY, sign_ups_unsolved_per_hour=0) as site:
        solution = fresh_solution(site)
        first = way(site, "one@example.com", altcha=solution)
        again = way(site, "two@example.com", altcha=solution)
        assert mails(site) == 1
        assert first.text != again.text
        for status in (200, 202):
            if again.status_code == status:
                assert "again" in again.text or "once more" in again.text
        way(site, "two@example.com", altcha=fresh_solution(site))
        assert mails(site) == 2


@WAYS
def test_without_scripts_a_few_an_hour_are_mailed_and_the_answer_is_the_same(
    tmp_path: Path, way: Way
) -> None:
    with door(tmp_path / "home", proof_of_work=EASY, sign_ups_unsolved_per_hour=2) as site:
        answers = [way(site, f"r{n}@example.com", ip=f"198.51.100.{n}") for n in range(4)]
        assert mails(site) == 2
        solved = way(site, "s@example.com", ip="192.0.2.1", altcha=fresh_solution(site))
        assert mails(site) == 3
        assert len({(one.status_code, one.text) for one in (*answers, solved)}) == 1


@WAYS
@pytest.mark.parametrize("altcha", ["nonsense", "e30=", "{}"])
def test_work_that_proves_nothing_is_asked_for_again(tmp_path: Path, way: Way, altcha: str) -> None:
    with door(tmp_path / "home", proof_of_work=EASY) as site:
        assert "again" in way(site, "r@example.com", altcha=altcha).text.replace(
            "once more", "again"
        )
        assert mails(site) == 0


def test_a_puzzle_runs_out(tmp_path: Path) -> None:
    with door(tmp_path / "home", proof_of_work=EASY) as site:
        solution = fresh_solution(site)
        site.clock.forward(minutes=31)
        assert by_api(site, "r@example.com", altcha=solution).json() == {"status": "again"}
        assert mails(site) == 0


def test_work_nobody_asked_for_is_neither_here_nor_there(site: Served) -> None:
    by_form(site, "r@example.com", altcha="nonsense")
    assert mails(site) == 1


def test_consent_keeps_the_visitor_s_network_and_not_the_proxy_s(site: Served) -> None:
    site.client.post(
        "/subscribe",
        data={"email": "r@example.com", "shown": site.stamp()},
        headers=come_from("203.0.113.9"),
    )
    assert dossier.show(site.app, "r@example.com")["consent"][0]["network"] == "203.0.113.0/24"
