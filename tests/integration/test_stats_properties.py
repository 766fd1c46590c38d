"""Whatever readers did, in whatever order it came in, and however often: the figures agree."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import facts
import pytest
from facts import GMAIL, IPHONE, SENT, THUNDERBIRD, Did
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import open_engine
from newsletter.store.states import DeliveryState
from newsletter.tracking.figures import IssueFigures, Labelled
from newsletter.tracking.stats_sql import REACHED

pytestmark = pytest.mark.slow

READERS = 6
LINKS = ("https://x.example/comparisons/a", "https://x.example/comparisons/a/", "https://y.example")
HOURS = st.integers(-1, 80).map(lambda hours: timedelta(hours=hours))
WHEN = st.builds(lambda hours, odd: hours + timedelta(microseconds=odd), HOURS, st.integers(0, 1))
SEEN = st.builds(
    Did,
    reader=st.integers(1, READERS) | st.none(),
    kind=st.sampled_from(["image_load", "unsubscribe", "preferences", "vote", "resend"]),
    label=st.sampled_from(["human", "machine", "unknown", ""]),
    after=WHEN,
    agent=st.sampled_from([GMAIL, IPHONE, THUNDERBIRD, ""]),
    method=st.sampled_from(["GET", "GET", "POST", "HEAD"]),
)
CLICKED = st.builds(
    Did,
    reader=st.integers(1, READERS) | st.none(),
    kind=st.just("click"),
    label=st.sampled_from(["human", "machine", "unknown", ""]),
    after=WHEN,
    link=st.integers(1, 3),
    method=st.sampled_from(["GET", "GET", "HEAD"]),
)
EVENTS = st.lists(SEEN | CLICKED, max_size=25)
STATES = st.lists(st.sampled_from(list(DeliveryState)), min_size=READERS, max_size=READERS)
ROOM = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def engine(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = shutil.copy(migrated_file, tmp_path_factory.mktemp("figures") / "newsletter.db")
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def counted(engine: Engine, states: Sequence[str], events: Sequence[Did]) -> IssueFigures:
    """The figures of an issue that is gone again when they are counted."""
    with Session(engine) as session:
        issue_id = facts.issue(session, states, domains=("a.example", "b.example"))
        facts.links(session, issue_id, *LINKS)
        facts.did(session, issue_id, *events)
        figures = facts.figures(session, issue_id)
        session.rollback()
    return figures


def of_readers(figures: IssueFigures) -> IssueFigures:
    """Without what is counted in requests: one that comes twice was made twice."""
    return replace(figures, unlabelled=0, probes=0, erased_events=0, rules={})


@ROOM
@given(states=STATES, events=EVENTS, data=st.data())
def test_order_and_repetition_change_no_count_of_readers(
    engine: Engine, states: list[str], events: list[Did], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    assert of_readers(counted(engine, states, shuffled)) == of_readers(
        counted(engine, states, events)
    )


@ROOM
@given(states=STATES, events=EVENTS)
def test_counts_are_those_of_a_count_by_hand(
    engine: Engine, states: list[str], events: list[Did]
) -> None:
    figures = counted(engine, states, events)
    fall = figures.waterfall
    reached = {reader for reader, state in enumerate(states, 1) if state in REACHED}
    assert fall.reached == len(reached)
    assert fall.states.get("bounced", 0) == states.count("bounced")
    assert sum(fall.excluded.values()) == states.count("excluded")
    assert fall.loads == best(events, reached, "image_load")
    assert fall.clicks == best(events, reached, "click")
    for link in figures.links:
        theirs = [one for one in events if one.link == link.n]
        assert link.readers == best(theirs, reached, "click")
    assert fall.unsubscribed == len(
        {e.reader for e in events if e.kind == "unsubscribe" and e.method != "HEAD"} & reached
    )
    assert figures.probes == sum(e.method == "HEAD" for e in events if e.kind != "resend")
    assert sum(hour.loads.total for hour in figures.hours) == in_time(events, reached)


def best(events: Sequence[Did], reached: set[int], kind: str) -> Labelled:
    ranks: dict[int, int] = {}
    for one in events:
        if one.kind == kind and one.method != "HEAD" and one.reader in reached:
            rank = {"human": 3, "machine": 1}.get(one.label, 2)
            ranks[one.reader] = max(rank, ranks.get(one.reader, 0))
    of = Counter(ranks.values())
    return Labelled(human=of[3], unknown=of[2], machine=of[1])


def in_time(events: Sequence[Did], reached: set[int]) -> int:
    """Readers whose first load of their best label came within three days of the first minute."""
    first: dict[int, tuple[int, timedelta]] = {}
    for one in events:
        if one.kind == "image_load" and one.method != "HEAD" and one.reader in reached:
            rank = {"human": 1, "machine": 3}.get(one.label, 2)
            first[one.reader] = min((rank, one.after), first.get(one.reader, (9, one.after)))
    end = timedelta(hours=72) - timedelta(seconds=SENT.second)
    return sum(after < end for _rank, after in first.values())
