"""Labels in the store: which events are due, what is written, who hears of it, votes kept apart."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from postroom import NOW, add_issue, frozen_issue
from sqlalchemy import Engine, text

from newsletter.delivery import engagement
from newsletter.store.engine import session_on
from newsletter.store.feedback import Ballot, Event, Snapshot, ToClassify
from newsletter.store.models import Comparison, Delivery, IssueLink
from newsletter.tracking import classify, events
from newsletter.tracking.rules import RULES_VERSION

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537"
APPLE = "Mozilla/5.0"
LATER = NOW + timedelta(hours=2)
SETTLED = LATER + timedelta(hours=1)


@pytest.fixture
def issue_id(database: Engine) -> int:
    """An issue that 5 readers got at NOW; link 9 is the canary."""
    found = frozen_issue(database, 5)
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state = 'submitted'"))
        session.execute(text("UPDATE delivery SET submitted_at = changed_at"))
        session.add_all(
            IssueLink(issue_id=found, n=n, url="https://example.com", label="page")
            for n in range(1, 9)
        )
        session.add(IssueLink(issue_id=found, n=9, url="https://example.com", label="canary"))
    return found


def happens(
    database: Engine,
    issue_id: int,
    reader: int,
    kind: str = "click",
    *,
    at: datetime = LATER,
    **others: Any,
) -> None:
    known = {"link": 1 if kind == "click" else None, "method": "GET", "agent": CHROME}
    with session_on(database) as session:
        events.append(
            session,
            issue_id=issue_id,
            subscriber_id=reader,
            kind=kind,
            at=at,
            **{"network": "198.51.100.7", **known, **others},
        )


def take_in(database: Engine, now: datetime = SETTLED) -> classify.Done:
    with session_on(database) as session:
        return engagement.take_in(session, now=now)


def found(database: Engine) -> list[tuple[Any, ...]]:
    """Reader, kind, label, rule of every event, as they came."""
    query = "SELECT subscriber_id, kind, label, rule FROM event ORDER BY id"
    with session_on(database, readonly=True) as session:
        return [tuple(row) for row in session.execute(text(query))]


def heard_of(database: Engine) -> set[int]:
    query = "SELECT subscriber_id FROM engagement WHERE last_human_at IS NOT NULL"
    with session_on(database, readonly=True) as session:
        return set(session.execute(text(query)).scalars())


def test_events_are_labelled_once_they_have_settled_and_people_are_heard_of(
    database: Engine, issue_id: int
) -> None:
    happens(database, issue_id, 1)
    happens(database, issue_id, 2, "image_load", agent=APPLE)
    assert take_in(database, LATER + timedelta(seconds=29)).events == 0
    done = take_in(database, LATER + timedelta(seconds=30))
    assert (done.pairs, done.events, done.changed) == (2, 2, 2)
    assert found(database) == [
        (1, "click", "human", "clicked"),
        (2, "image_load", "machine", "machine_apple"),
    ]
    assert heard_of(database) == {1}
    assert take_in(database).events == 0


def test_what_comes_later_changes_what_came_before(database: Engine, issue_id: int) -> None:
    happens(database, issue_id, 1)
    take_in(database)
    happens(database, issue_id, 1, link=9, at=LATER + timedelta(seconds=40))
    take_in(database)
    assert {label for _, _, label, _ in found(database)} == {"machine"}


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_any_pace_come_to_the_same_labels(
    database: Engine, issue_id: int, seed: int
) -> None:
    chance = random.Random(seed)
    hits: list[tuple[int, dict[str, Any]]] = [
        (1, {"link": 1}),
        (1, {"link": 9, "at": LATER + timedelta(seconds=20)}),
        (1, {"kind": "image_load", "at": LATER + timedelta(seconds=21), "agent": "Thunderbird/1"}),
        (2, {"link": 2}),
        (2, {"kind": "image_load", "at": LATER - timedelta(minutes=5)}),
        (3, {"kind": "unsubscribe", "method": "POST", "agent": ""}),
    ]
    chance.shuffle(hits)
    for reader, hit in hits:
        happens(database, issue_id, reader, **hit)
        if chance.random() < 0.5:
            take_in(database)
    take_in(database)
    assert sorted(found(database)) == [
        (1, "click", "machine", "canary"),
        (1, "click", "machine", "canary"),
        (1, "image_load", "machine", "canary"),
        (2, "click", "human", "clicked"),
        (2, "image_load", "human", "beside_act"),
        (3, "unsubscribe", "human", "asked"),
    ]


def test_a_part_at_a_time_is_as_good_as_all_at_once(database: Engine, issue_id: int) -> None:
    for reader in range(1, 6):
        happens(database, issue_id, reader)
    with session_on(database) as session:
        assert engagement.take_in(session, now=SETTLED, at_once=2).pairs == 2
        assert classify.is_behind(session, SETTLED)
        assert classify.waiting(session) == 3
    take_in(database)
    assert [label for _, _, label, _ in found(database)] == ["human"] * 5


def test_labels_that_are_not_committed_leave_the_pair_due(database: Engine, issue_id: int) -> None:
    happens(database, issue_id, 1)
    with session_on(database) as session:
        assert engagement.take_in(session, now=SETTLED).events == 1
        session.rollback()  # the process dies here
    assert found(database)[0][2] == ""
    assert take_in(database).events == 1


def test_nobody_is_counted_silent_while_events_wait_for_their_label(
    database: Engine, issue_id: int
) -> None:
    with session_on(database) as session:
        session.execute(
            text(
                "UPDATE issue SET state = 'done', done_at = changed FROM (SELECT"
                " min(submitted_at) AS changed FROM delivery)"
            )
        )
    for reader in (1, 2):
        happens(database, issue_id, reader)
    much_later = NOW + timedelta(days=4)
    with session_on(database) as session:
        engagement.take_in(session, now=much_later, at_once=1)
    assert silent(database) == {}
    take_in(database, much_later)
    assert silent(database) == {1: 0, 2: 0, 3: 1, 4: 1, 5: 1}


def silent(database: Engine) -> dict[int, int]:
    query = (
        "SELECT subscriber_id, issues_without FROM engagement WHERE EXISTS"
        " (SELECT 1 FROM issue WHERE silence_counted_at IS NOT NULL) ORDER BY 1"
    )
    with session_on(database, readonly=True) as session:
        return {row[0]: row[1] for row in session.execute(text(query))}


def test_what_an_operator_did_is_no_readers_doing(database: Engine, issue_id: int) -> None:
    with session_on(database) as session:
        session.add(
            Event(issue_id=issue_id, subscriber_id=1, kind="resend", at=LATER, agent="Olga: lost")
        )
        session.add(ToClassify(issue_id=issue_id, subscriber_id=1, due_at=LATER))
    assert take_in(database).events == 0
    assert found(database) == [(1, "resend", "", "")]


def test_history_is_looked_at_again_in_steps_and_only_where_labels_are_old(
    database: Engine, issue_id: int
) -> None:
    for reader in (1, 2, 3):
        happens(database, issue_id, reader)
    take_in(database)
    with session_on(database) as session:
        session.execute(text("UPDATE event SET label = 'machine', rules = 0 WHERE id < 3"))
        steps, after = [], 0
        while (
            done := classify.run_again(session, after_id=after, at_once=2, before_version=1)
        ) and (done.after_id is not None):
            after = done.after_id
            steps.append((after, done.events, done.changed))
    assert steps == [(2, 2, 2), (3, 0, 0)]
    assert {label for _, _, label, _ in found(database)} == {"human"}


def test_running_again_over_all_of_history_changes_nothing_that_stands(
    database: Engine, issue_id: int
) -> None:
    for reader in (1, 2, 3):
        happens(database, issue_id, reader)
    take_in(database)
    before = found(database)
    with session_on(database) as session:
        session.execute(text("UPDATE engagement SET issues_without = 3"))
        done = engagement.take_in_again(session)
        assert (done.events, done.changed, done.signs) == (3, 0, {})
        assert set(session.execute(text("SELECT issues_without FROM engagement")).scalars()) == {3}
        assert set(session.execute(text("SELECT rules FROM event")).scalars()) == {RULES_VERSION}
    assert found(database) == before


def test_a_sign_of_life_that_is_no_news_ends_no_silence(database: Engine, issue_id: int) -> None:
    happens(database, issue_id, 1)
    take_in(database)
    with session_on(database) as session:
        session.execute(text("UPDATE engagement SET issues_without = 4"))
        session.execute(text("UPDATE event SET label = 'unknown', rules = 0"))
        engagement.take_in_again(session)
        assert session.execute(text("SELECT issues_without FROM engagement")).scalars().all() == [4]


def engaged(database: Engine) -> tuple[Any, ...]:
    """When reader 1 was last heard of, and for how many issues they have been silent."""
    query = "SELECT last_human_at, issues_without FROM engagement WHERE subscriber_id = 1"
    with session_on(database, readonly=True) as session:
        return tuple(session.execute(text(query)).one())


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"


def test_a_scanner_that_was_taken_for_a_person_at_first_gave_no_sign_of_life(
    database: Engine, issue_id: int
) -> None:
    happens(database, issue_id, 1)
    take_in(database)
    assert engaged(database) == (stamp(LATER), 0)
    happens(database, issue_id, 1, link=9, at=LATER + timedelta(seconds=130))
    take_in(database)
    assert engaged(database) == (None, 0)


def test_what_a_person_did_before_a_scanner_came_stands_and_so_does_their_silence(
    database: Engine, issue_id: int
) -> None:
    other, third = add_issue(database, week="2026-W49"), add_issue(database, week="2026-W50")
    frozen = {issue_id: LATER - DAY, other: LATER + DAY, third: LATER + DAY}
    with session_on(database) as session:
        session.execute(text("UPDATE issue SET silence_counted_at = slot_at"))
        for issue, at in frozen.items():
            session.execute(text(f"UPDATE issue SET frozen_at = '{stamp(at)}' WHERE id = {issue}"))
        for issue in (other, third):
            session.add(
                Delivery(issue_id=issue, subscriber_id=1, state="delivered", changed_at=LATER)
            )
    happens(database, issue_id, 1)
    take_in(database)
    happens(database, other, 1, at=LATER + 2 * DAY)
    take_in(database, LATER + 2 * DAY + timedelta(hours=1))
    assert engaged(database) == (stamp(LATER + 2 * DAY), 0)
    happens(database, other, 1, link=9, at=LATER + 2 * DAY + timedelta(seconds=100))
    with session_on(database) as session:
        session.add(IssueLink(issue_id=other, n=9, url="https://example.com", label="canary"))
    take_in(database, LATER + 3 * DAY)
    assert engaged(database) == (stamp(LATER), 2)


def test_labels_of_an_issue_whose_figures_are_sealed_stand(database: Engine, issue_id: int) -> None:
    happens(database, issue_id, 1)
    happens(database, issue_id, 1, link=9)
    take_in(database)
    with session_on(database) as session:
        session.add(
            Snapshot(
                name=f"issue:{issue_id}", computed_at=LATER, took_ms=1, body={}, is_sealed=True
            )
        )
        session.execute(text("DELETE FROM event WHERE link = 9"))  # folded, the other not yet
        assert engagement.take_in_again(session).changed == 0
    assert found(database) == [(1, "click", "machine", "canary")]
    happens(database, issue_id, 1, link=2, at=SETTLED)
    take_in(database, SETTLED + DAY)  # what comes late gets a label, so that it can be folded, too
    assert [rule for _, _, _, rule in found(database)] == ["canary", "clicked"]


def test_ballots_that_a_scanner_pressed_are_marked_and_not_where_it_was_none(
    database: Engine, issue_id: int
) -> None:
    with session_on(database) as session:
        session.add(Comparison(id=1, slug="a-vs-b", state="finished"))
        session.flush()
        for reader in (1, 2):
            session.add(
                Ballot(
                    subscriber_id=reader,
                    comparison_id=1,
                    tool="a",
                    at=LATER,
                    verdict="ship",
                    is_hurried=False,
                    issue_id=issue_id,
                )
            )
    for reader in (1, 2):
        happens(database, issue_id, reader, "vote", method="POST")
    happens(database, issue_id, 1, link=9)
    assert take_in(database).voters == {1}
    assert marked(database) == [1]
    with session_on(database) as session:
        session.execute(text("DELETE FROM event WHERE link = 9"))
        sealed = Snapshot(
            name=f"issue:{issue_id}", computed_at=LATER, took_ms=1, body={}, is_sealed=True
        )
        session.add(sealed)
        session.flush()
        assert engagement.take_in_again(session).voters == set()  # nobody saw the canary go
    happens(database, issue_id, 1, "vote", method="POST", at=SETTLED)
    assert take_in(database, SETTLED + DAY).voters == set()
    with session_on(database) as session:
        session.execute(text("DELETE FROM snapshot"))
        assert engagement.take_in_again(session).voters == {1}
    assert marked(database) == []


def marked(database: Engine) -> list[int]:
    with session_on(database, readonly=True) as session:
        query = text("SELECT subscriber_id FROM ballot WHERE is_machine ORDER BY subscriber_id")
        return list(session.execute(query).scalars())


def test_what_comes_of_somebody_erased_is_labelled_and_nobodys(
    database: Engine, issue_id: int
) -> None:
    with session_on(database) as session:
        session.execute(text("UPDATE subscriber SET status = 'erased' WHERE id = 1"))
    happens(database, issue_id, 1)
    take_in(database)
    assert found(database) == [(None, "click", "human", "clicked")]
    with session_on(database, readonly=True) as session:
        rows = session.execute(text("SELECT agent, network FROM event")).all()
    assert [tuple(row) for row in rows] == [("Chrome", "")]
    assert heard_of(database) == set()
