"""What is forgotten after 30 days and after 13 months, and what stays so that rules run again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from postroom import NOW, add_issue, frozen_issue
from sqlalchemy import Engine, text

from newsletter.store.engine import session_on
from newsletter.store.feedback import Event, ProviderEvent, Snapshot, ToClassify
from newsletter.store.models import IssueLink
from newsletter.tracking import classify, retention

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
LATER = NOW + 45 * DAY  # events of the first 15 days are old
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
AGENTS = (CHROME, FIREFOX, "Mozilla/5.0", "Thunderbird/128", "Frobnicator/9", "curl/8.5.0", "")
HOME, OFFICE = "198.51.100.0/24", "2001:db8:1::/48"
CANARY = 9


@pytest.fixture
def issue_id(database: Engine) -> int:
    """An issue that 6 readers got at NOW; link 9 is the canary."""
    found = frozen_issue(database, 6)
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state = 'submitted', submitted_at = changed_at"))
        for n in range(1, 10):
            label = "canary" if n == CANARY else "page"
            session.add(IssueLink(issue_id=found, n=n, url="https://example.com", label=label))
    return found


def put(database: Engine, issue_id: int, at: datetime, reader: int | None = 1, **said: Any) -> None:
    known = {"kind": "click", "link": 1, "method": "GET", "agent": CHROME, "network": HOME}
    with session_on(database) as session:
        session.add(Event(issue_id=issue_id, subscriber_id=reader, at=at, **{**known, **said}))


def coarsen(database: Engine, now: datetime = LATER, at_once: int = 1_000) -> int:
    """All that is due, a step at a time; how many rows were cut."""
    rows = 0
    while True:
        with session_on(database) as session:
            step = retention.coarsen(session, now, at_once)
        rows += step.rows
        if step.is_over:
            return rows


def kept(database: Engine) -> list[tuple[str, str]]:
    """Agent and network of every event."""
    with session_on(database, readonly=True) as session:
        rows = session.execute(text("SELECT agent, network FROM event ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


def labels(database: Engine) -> dict[int, str]:
    """What the rules say of every event now, by its id."""
    with session_on(database) as session:
        session.execute(text("UPDATE event SET label = '', rule = '', rules = 0"))
        classify.run_again(session)
        rows = session.execute(text("SELECT id, rule FROM event"))
        return {row[0]: row[1] for row in rows}


def test_after_thirty_days_only_the_program_and_a_number_are_left(
    database: Engine, issue_id: int
) -> None:
    put(database, issue_id, NOW)
    put(database, issue_id, NOW + DAY, network=OFFICE, agent=FIREFOX)
    put(database, issue_id, NOW + DAY, network="")
    put(database, issue_id, LATER - DAY)
    assert coarsen(database) == 3
    assert kept(database) == [("Chrome", "#1"), ("Firefox", "#2"), ("Chrome", ""), (CHROME, HOME)]
    assert coarsen(database) == 0


def test_it_happens_on_the_thirtieth_day_and_not_before(database: Engine, issue_id: int) -> None:
    put(database, issue_id, NOW)
    assert coarsen(database, NOW + 30 * DAY) == 0
    assert coarsen(database, NOW + 30 * DAY + timedelta(seconds=1)) == 1


def hits(chance: random.Random) -> Iterator[dict[str, Any]]:
    """What six readers and their scanners do in forty days, much of it close together.

    Much of it stands where one day's run of the job ends and another's begins.
    """
    for reader in range(1, 7):
        starts = [
            NOW + chance.choice([1.98, 14.98, 15.98, chance.random() * 40]) * DAY for _ in "ab"
        ]
        for _ in range(chance.randrange(4, 14)):
            kind = chance.choice(["click", "click", "click", "image_load", "vote"])
            near = timedelta(seconds=chance.choice([50, 3_000, 3_000, 40_000]) * chance.random())
            yield {
                "reader": reader,
                "kind": kind,
                "link": chance.choice([1, 2, 3, 4, CANARY]) if kind == "click" else None,
                "at": chance.choice(starts) + near,
                "method": chance.choice(["GET", "GET", "GET", "HEAD"]),
                "agent": chance.choice([*AGENTS, CHROME, CHROME, CHROME, FIREFOX]),
                "network": chance.choice([HOME, HOME, HOME, OFFICE, OFFICE, ""]),
            }


@pytest.mark.parametrize("seed", range(12))
def test_the_rules_say_the_same_of_what_is_left(database: Engine, issue_id: int, seed: int) -> None:
    """On every day on which the job may have run, in steps of any size."""
    chance = random.Random(seed)
    for hit in hits(chance):
        put(database, issue_id, **hit)
    before = labels(database)
    assert len(set(before.values())) > 3
    for day in (32, 45, 46, 71):
        coarsen(database, NOW + day * DAY, at_once=chance.randrange(1, 9))
        assert labels(database) == before, f"day {day}"
    assert not {network for _, network in kept(database) if "/" in network}


def test_what_a_rule_compares_with_is_cut_together(database: Engine, issue_id: int) -> None:
    border = LATER - 30 * DAY
    put(database, issue_id, border - timedelta(hours=1), link=CANARY)
    put(database, issue_id, border + timedelta(hours=1))
    put(database, issue_id, border + 2 * DAY)
    assert coarsen(database) == 2
    assert [network for _, network in kept(database)] == ["#1", "#1", HOME]


def test_what_comes_in_late_is_given_no_number_that_is_taken(
    database: Engine, issue_id: int
) -> None:
    put(database, issue_id, NOW)
    coarsen(database)
    put(database, issue_id, NOW - timedelta(hours=1))
    assert coarsen(database) == 1
    assert [network for _, network in kept(database)] == ["#1", "#2"]


def test_an_event_of_a_clock_gone_astray_is_cut_and_holds_nothing_up(
    database: Engine, issue_id: int
) -> None:
    put(database, issue_id, NOW + 9_000 * DAY)
    put(database, issue_id, NOW)
    assert coarsen(database) == 2
    assert {network for _, network in kept(database)} == {"#1"}


def test_an_event_of_nobody_keeps_its_program_alone(database: Engine, issue_id: int) -> None:
    put(database, issue_id, NOW, None)
    assert coarsen(database) == 1
    assert kept(database) == [("Chrome", "")]


def test_what_an_operator_said_stays_as_it_is(database: Engine, issue_id: int) -> None:
    put(database, issue_id, NOW, kind="resend", agent="Olga: was failed", network="")
    assert coarsen(database) == 0
    assert kept(database) == [("Olga: was failed", "")]


def test_a_step_that_is_not_committed_is_done_again(database: Engine, issue_id: int) -> None:
    put(database, issue_id, NOW)
    with session_on(database) as session:
        assert retention.coarsen(session, LATER).rows == 1
        session.rollback()  # the process dies here
    assert coarsen(database) == 1


def told(database: Engine, issue_id: int | None, at: datetime, **said: Any) -> None:
    with session_on(database) as session:
        number = session.execute(text("SELECT count(*) FROM provider_event")).scalar_one()
        known = {"provider": "sendgrid", "event_id": f"e{number}", "twin": f"t{number}"}
        session.add(
            ProviderEvent(
                **{**known, "kind": "bounced", "at": at, "received_at": at, **said},
                issue_id=issue_id,
            )
        )


def test_addresses_in_what_providers_told_are_cut_and_codes_stay(
    database: Engine, issue_id: int
) -> None:
    said = "550 5.1.1 <ann@example.com>: no such user"
    told(database, issue_id, NOW, detail=said, code="5.1.1", raw='{"email": "ann@example.com"}')
    told(database, issue_id, LATER, detail=said)
    with session_on(database) as session:
        assert retention.cut_told(session, LATER).rows == 1
        assert retention.cut_told(session, LATER).is_over
        rows = session.execute(text("SELECT detail, code, raw FROM provider_event ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            ("550 5.1.1 <(cut)>: no such user", "5.1.1", ""),
            (said, "", ""),
        ]


def sealed(database: Engine, issue_id: int) -> None:
    with session_on(database) as session:
        session.add(
            Snapshot(
                name=f"issue:{issue_id}", computed_at=LATER, took_ms=1, body={}, is_sealed=True
            )
        )


def drop(database: Engine, at_once: int = 1_000) -> list[int]:
    """Rows of each step until nothing is left."""
    rows: list[int] = []
    while True:
        with session_on(database) as session:
            step = retention.drop_sealed(session, at_once)
        if step.is_over:
            return rows
        rows.append(step.rows)


def test_events_go_when_their_figures_stand_and_they_were_heard_of(
    database: Engine, issue_id: int
) -> None:
    other = add_issue(database, week="2026-W49")
    for reader in range(1, 6):
        put(database, issue_id, NOW, reader)
    put(database, issue_id, NOW, None)
    put(database, issue_id, NOW, kind="resend")
    put(database, other, NOW)
    with session_on(database) as session:
        classify.run_again(session)
    put(database, issue_id, NOW, 6)  # nobody looked at it
    with session_on(database) as session:
        session.add(ToClassify(issue_id=issue_id, subscriber_id=5, due_at=LATER))
    assert drop(database) == []
    sealed(database, issue_id)
    assert drop(database, at_once=2) == [2, 2, 1]
    with session_on(database, readonly=True) as session:
        rows = session.execute(text("SELECT issue_id, subscriber_id, kind FROM event ORDER BY id"))
        assert [tuple(row) for row in rows] == [
            (issue_id, 5, "click"),
            (issue_id, 1, "resend"),
            (other, 1, "click"),
            (issue_id, 6, "click"),
        ]


def test_an_issue_is_sealed_after_thirteen_months_unless_somebody_waits_for_a_label(
    database: Engine, issue_id: int
) -> None:
    over = NOW + retention.EVENTS

    def due(now: datetime) -> list[int]:
        with session_on(database) as session:
            return retention.to_seal(session, now)

    assert due(over - DAY) == []
    assert due(over) == [issue_id]
    with session_on(database) as session:
        session.add(ToClassify(issue_id=issue_id, subscriber_id=5, due_at=LATER))
    assert due(over) == []
    with session_on(database) as session:
        session.execute(text("DELETE FROM to_classify"))
    sealed(database, issue_id)
    assert due(over) == []


def test_what_providers_told_goes_with_the_events_of_its_issue(
    database: Engine, issue_id: int
) -> None:
    over = NOW + retention.EVENTS
    for of, at in ((None, NOW), (issue_id, NOW), (None, NOW), (issue_id, over)):
        told(database, of, at)

    def dropped() -> list[int]:
        with session_on(database) as session:
            return [retention.drop_told(session, over).rows for _ in range(2)]

    assert dropped() == [1, 0]
    sealed(database, issue_id)
    assert dropped() == [2, 0]


def test_ids_that_are_given_again_are_read_again(database: Engine, issue_id: int) -> None:
    for reader in (1, 2, 3):
        put(database, issue_id, NOW, reader)
    assert coarsen(database) == 3
    sealed(database, issue_id)
    with session_on(database) as session:
        classify.run_again(session)
    assert drop(database) == [3]
    for reader in (1, 2, 3, 4):  # SQLite gives them these ids
        put(database, issue_id, NOW, reader)
    assert coarsen(database) == 4
    assert kept(database) == [("Chrome", "#1")] * 4


def test_a_bookmark_beyond_the_end_of_its_table_begins_again(
    database: Engine, issue_id: int
) -> None:
    with session_on(database) as session:
        session.execute(text("INSERT INTO bookmark VALUES ('retention_events', 120)"))
        for name in ("retention_told", "retention_folded"):
            session.execute(text(f"INSERT INTO bookmark VALUES ('{name}', 120)"))
    assert coarsen(database) == 0
    with session_on(database) as session:
        assert retention.cut_told(session, LATER).is_over
        assert retention.drop_told(session, NOW + retention.EVENTS).is_over
    put(database, issue_id, NOW)
    told(database, None, NOW)
    assert coarsen(database) == 1
    with session_on(database) as session:
        assert retention.drop_told(session, NOW + retention.EVENTS).rows == 1
    told(database, None, NOW)
    with session_on(database) as session:
        assert retention.drop_told(session, NOW + retention.EVENTS).rows == 1
