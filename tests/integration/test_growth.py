"""How the list grew: who came, who went, and that the sums agree, whatever happened to whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import session_on
from subscribers import consent, engagement, erasure, growth, leaving, suppression
from subscribers.address import EmailAddress
from subscribers.growth import Cohort, Fact, Month, Turn, turns_of
from subscribers.models import Subscriber, SuppressionReason

pytestmark = pytest.mark.slow

SEPTEMBER, OCTOBER, NOVEMBER = (datetime(2026, month, 10, tzinfo=UTC) for month in (9, 10, 11))
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def came(session: Session, name: str, at: datetime) -> int:
    address = EmailAddress.parse(f"{name}@example.com")
    consent.add(
        session, address, name, consent="agreed", given_on="2026-01-01", source="test", now=at
    )
    found = consent.find(session, address)
    assert found is not None
    return found.id or 0


def left(session: Session, id_: int, at: datetime) -> None:
    leaving.unsubscribe(session, id_, source="page", network="", now=at)


def suppressed(session: Session, name: str, reason: SuppressionReason, at: datetime) -> None:
    suppression.suppress(session, f"{name}@example.com", reason, detail="", now=at)


def erased(session: Session, id_: int, at: datetime) -> None:
    erasure.erase(session, id_, fingerprint_of=lambda key: key[:4], source="page", now=at)


def a_year(session: Session) -> dict[str, int]:
    """Six came in September, one in October; one each left, bounced, was erased; one came back."""
    ids = {
        name: came(session, name, SEPTEMBER)
        for name in ("stays", "leaves", "bounces", "erased", "returns", "pauses")
    }
    ids["late"] = came(session, "late", OCTOBER)
    left(session, ids["leaves"], OCTOBER)
    suppressed(session, "bounces", SuppressionReason.HARD_BOUNCE, OCTOBER)
    erased(session, ids["erased"], NOVEMBER)
    left(session, ids["returns"], OCTOBER)
    session.get_one(Subscriber, ids["pauses"]).status = "paused"
    session.flush()
    return ids


def test_each_month_says_who_came_and_who_went(session: Session) -> None:
    ids = a_year(session)
    leaving.undo(session, ids["returns"], left=OCTOBER, source="undo", network="", now=OCTOBER)
    consent.sign_up(  # who never confirms is nowhere
        session,
        EmailAddress.parse("pending@example.com"),
        source="form",
        wording="Yes.",
        network="",
        now=OCTOBER,
    )
    assert growth.months(session, now=NOW) == [
        Month(date(2026, 9, 1), 6, 0, 0, 0, 0, 6),
        Month(date(2026, 10, 1), 1, 0, 1, 1, 0, 5),
        Month(date(2026, 11, 1), 0, 0, 0, 0, 1, 4),
    ]


def test_who_comes_back_later_returned(session: Session) -> None:
    a_year(session)
    suppression.lift(session, "bounces@example.com", because="a typing error", now=NOVEMBER)
    months = growth.months(session, now=NOW)
    assert [(one.returned, one.unsubscribed, one.active_at_end) for one in months] == [
        (0, 0, 6),
        (0, 2, 4),
        (1, 0, 4),
    ]


def test_a_cohort_says_what_became_of_those_who_came_in_a_month(session: Session) -> None:
    ids = a_year(session)
    engagement.sign_of_life(session, ids["stays"], NOW - timedelta(days=29))
    engagement.sign_of_life(session, ids["leaves"], NOW - timedelta(days=31))
    assert growth.cohorts(session, now=NOW) == [
        Cohort(date(2026, 9, 1), confirmed=6, active=2, seen=1),
        Cohort(date(2026, 10, 1), confirmed=1, active=1, seen=0),
    ]


def test_whoever_is_there_by_status_is_there_by_history(session: Session) -> None:
    a_year(session)
    statuses = growth.statuses(session)
    assert statuses == {"active": 2, "suppressed": 1, "unsubscribed": 2, "erased": 1, "paused": 1}
    there = statuses["active"] + statuses["paused"]
    assert growth.months(session, now=NOW)[-1].active_at_end == there
    assert sum(cohort.active for cohort in growth.cohorts(session, now=NOW)) == there


def test_an_empty_list_has_no_months(session: Session) -> None:
    assert growth.months(session, now=NOW) == []
    assert growth.cohorts(session, now=NOW) == []
    assert growth.statuses(session) == {}


def test_a_graver_suppression_that_takes_the_place_brings_nobody_back(session: Session) -> None:
    came(session, "paula", SEPTEMBER)
    suppressed(session, "paula", SuppressionReason.SOFT_BOUNCES, OCTOBER)
    suppressed(session, "paula", SuppressionReason.COMPLAINT, NOVEMBER)
    months = growth.months(session, now=NOW)
    assert [(one.returned, one.suppressed) for one in months] == [(0, 0), (0, 1), (0, 0)]


def test_months_without_anything_are_not_left_out(session: Session) -> None:
    came(session, "paula", datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    months = growth.months(session, now=datetime(2026, 3, 1, tzinfo=UTC))
    assert [f"{one.month:%Y-%m}" for one in months] == ["2025-12", "2026-01", "2026-02", "2026-03"]
    assert {one.active_at_end for one in months} == {1}


WHATS = st.sampled_from(
    [
        *("signed_up", "confirmed", "imported", "paused", "resumed", "unsubscribed", "returned"),
        *("erased", "restored", "suppressed", "lifted"),
    ]
)
FACTS = st.lists(
    st.builds(
        lambda hours, what: Fact(NOW + timedelta(hours=hours), what), st.integers(0, 9), WHATS
    )
).map(lambda facts: sorted(facts, key=lambda fact: fact.at))


@given(facts=FACTS)
def test_people_come_before_they_go_and_by_turns(facts: list[Fact]) -> None:
    turns = [turn for _at, turn in turns_of(facts)]
    comings = {Turn.CONFIRMED, Turn.RETURNED}
    assert all((turn in comings) == (place % 2 == 0) for place, turn in enumerate(turns))
    assert turns[:1] in ([], [Turn.CONFIRMED])
    assert Turn.CONFIRMED not in turns[1:]
