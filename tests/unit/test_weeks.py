"""Weeks and slots, across both nights on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import RefusedError
from newsletter.weeks import IssueWeek, WeeklySlot

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]

slots = st.builds(
    WeeklySlot,
    st.integers(0, 6),
    st.times().map(lambda t: t.replace(second=0, microsecond=0, tzinfo=None)),
    st.sampled_from(ZONES).map(ZoneInfo),
)
instants = st.integers(
    int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()),
    int(datetime(2035, 1, 1, tzinfo=UTC).timestamp()),
).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def test_a_week_reads_back_what_it_prints() -> None:
    assert IssueWeek.parse("2026-W48") == IssueWeek.parse("2026-w48") == IssueWeek(2026, 48)
    assert str(IssueWeek(2026, 48)) == "2026-W48"
    assert IssueWeek(2026, 48).slug == "2026-w48"


@pytest.mark.parametrize(
    "text", ["2026-48", "W48", "2026-W60", "2025-W53", "2026-W48x", "", "0000-W01"]
)
def test_what_is_no_week_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RefusedError, match="2026-W48"):
        IssueWeek.parse(text)


def test_the_year_of_a_week_is_the_iso_year() -> None:
    assert IssueWeek.of(date(2027, 1, 1)) == IssueWeek(2026, 53)
    assert IssueWeek(2026, 53).next() == IssueWeek(2027, 1)
    assert IssueWeek(2027, 1).previous() == IssueWeek(2026, 53)


def test_a_slot_keeps_its_wall_clock_time_in_summer_and_winter() -> None:
    slot = WeeklySlot(1, time(9, 0), BERLIN)
    assert slot.of(IssueWeek(2026, 28)) == datetime(2026, 7, 7, 7, 0, tzinfo=UTC)
    assert slot.of(IssueWeek(2026, 48)) == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def test_in_the_autumn_overlap_the_slot_is_the_first_of_the_two_instants() -> None:
    slot = WeeklySlot(6, time(2, 30), BERLIN)
    assert slot.of(IssueWeek(2026, 43)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_in_the_spring_gap_the_slot_is_neither_lost_nor_doubled() -> None:
    slot = WeeklySlot(6, time(2, 30), BERLIN)
    instant = slot.of(IssueWeek(2026, 13))
    assert instant == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert instant.astimezone(BERLIN).time() == time(3, 30)


@given(slots, instants)
def test_every_week_has_exactly_one_slot_in_order(slot: WeeklySlot, instant: datetime) -> None:
    upcoming = list(islice(slot.upcoming(instant), 60))
    weeks = [week for week, _ in upcoming]
    due = [at for _, at in upcoming]
    assert weeks == list(islice(_weeks_from(weeks[0]), 60))
    assert due == sorted(set(due))
    assert due[0] > instant


@given(slots, instants)
def test_an_instant_lies_between_the_latest_and_the_next_slot(
    slot: WeeklySlot, instant: datetime
) -> None:
    last_week, last = slot.latest_at(instant)
    next_week, following = slot.next_after(instant)
    assert last <= instant < following
    assert last_week.next() == next_week


@given(slots, instants)
def test_the_slot_before_a_slot_is_that_of_the_week_before(
    slot: WeeklySlot, instant: datetime
) -> None:
    week, due = slot.next_after(instant)
    assert slot.before(due) == slot.of(week.previous())
    assert due - slot.before(due) >= timedelta(days=5, hours=22)


def _weeks_from(week: IssueWeek):
    while True:
        yield week
        week = week.next()
