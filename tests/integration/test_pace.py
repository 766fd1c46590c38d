"""How fast an issue goes out: estimated by each sender, added up for who asks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom import NOW, add_issue
from sqlalchemy import Engine

from newsletter.delivery import pace
from newsletter.delivery.pace import Pace, Speed
from newsletter.store.engine import session_on

TEN = "10 messages a second (NEWSLETTER_RATE_PER_SECOND)"


def tell(engine: Engine, issue_id: int, owner: str, per_second: float, **others: object) -> None:
    given = {"now": NOW, "limited_by": "", **others}
    with session_on(engine) as session:
        pace.record(session, issue_id=issue_id, owner=owner, per_second=per_second, **given)


def current(engine: Engine, issue_id: int, **since: float) -> Pace | None:
    with session_on(engine, readonly=True) as session:
        return pace.current(session, issue_id, NOW + timedelta(**since))


def test_the_paces_of_all_senders_add_up_and_a_limit_is_named_once(database: Engine) -> None:
    issue, other = add_issue(database), add_issue(database, week="2026-W49")
    tell(database, issue, "one", 4.0, limited_by=TEN)
    tell(database, issue, "two", 5.5, limited_by=TEN)
    tell(database, issue, "three", 0.5)
    tell(database, other, "one", 99.0)
    assert current(database, issue) == Pace(3, 10.0, TEN)


def test_what_a_sender_says_replaces_what_it_said(database: Engine) -> None:
    issue = add_issue(database)
    tell(database, issue, "one", 4.0, limited_by=TEN)
    tell(database, issue, "one", 7.0, now=NOW + timedelta(seconds=5))
    assert current(database, issue) == Pace(1, 7.0, "")


@pytest.mark.parametrize("minutes", [-3, 3])
def test_a_sender_not_heard_of_lately_is_not_counted(database: Engine, minutes: int) -> None:
    issue = add_issue(database)
    tell(database, issue, "dead", 400.0)
    assert current(database, issue, minutes=minutes / 3) is not None
    assert current(database, issue, minutes=minutes) is None


def test_a_sender_that_leaves_is_forgotten_and_nobody_else(database: Engine) -> None:
    issue = add_issue(database)
    tell(database, issue, "one", 4.0)
    tell(database, issue, "two", 5.0)
    with session_on(database) as session:
        pace.forget(session, issue, owner="one")
    assert current(database, issue) == Pace(1, 5.0, "")
    with session_on(database) as session:
        pace.forget(session, issue)
    assert current(database, issue) is None


def test_a_speed_is_that_of_the_last_stretch_not_of_the_whole_way() -> None:
    speed = Speed(started_s=100.0)
    for second in range(1, 61):
        speed.add(100.0 + second, 1_000)
    assert speed.per_second(160.0) == pytest.approx(1_000, rel=0.05)
    for second in range(61, 101):
        speed.add(100.0 + second, 10)
    assert speed.per_second(200.0) == pytest.approx(10, rel=0.05)


def test_a_speed_falls_while_nothing_leaves() -> None:
    speed = Speed(started_s=0.0)
    assert speed.per_second(0.0) == 0.0
    speed.add(1.0, 300)
    assert speed.per_second(1.0) == 300.0
    assert speed.per_second(10.0) == 30.0
    assert speed.per_second(32.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1_000)), min_size=1, max_size=300))
def test_a_speed_is_never_more_than_what_left_and_keeps_little(
    heard: list[tuple[float, int]],
) -> None:
    speed, at, left = Speed(started_s=0.0), 0.0, []
    for later, count in heard:
        at += later
        left.append((at, count))
        speed.add(at, count)
    lately = sum(count for when, count in left if when > at - 30)
    at_most = lately / min(30.0, at) if at else 0.0
    assert speed.per_second(at) <= at_most * (1 + 1e-9)
    assert len(speed._stretches) <= 31
