"""Labelling beside other writers and beside a long history: everybody comes to their turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import cast

import pytest
from publication import open_home
from sqlalchemy import TextClause, bindparam, text

from newsletter import forgetting, hits, labels
from newsletter.app import App
from newsletter.store import turns
from newsletter.store.engine import not_waiting_for_the_disk
from newsletter.tracking import classify, hit_import, retention
from newsletter.tracking.events import EventKind
from newsletter.tracking.hitlog import Hit, HitLog, line_of

pytestmark = pytest.mark.slow

READERS, ISSUES = 2_000, 6

_READERS = """
WITH RECURSIVE some(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM some WHERE n < :readers)
INSERT INTO subscriber (id, address, address_key, status, created_at, name, frequency, is_tracked,
    language, timezone, confirmations_sent)
SELECT n, n || '@example.com', n || '@example.com', 'active', '2026-01-01 00:00:00.000000', '',
    'weekly', 1, '', '', 0 FROM some
"""
_ISSUE = """
INSERT INTO issue (id, kind, week, slot_at, state, reason, wanted, choices, samples, planned_at)
VALUES (:issue, 'weekly', '2026-W1' || :issue, '2026-01-01 00:00:00.000000', 'done', '', '{}',
    '[]', 0, '2026-01-01 00:00:00.000000')
"""
_EVENTS = """
INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)
SELECT :issue, id, 'click', '2026-01-02 00:00:00.000000', 'GET', 'x', '' FROM subscriber
"""
_DUE = """
INSERT INTO to_classify (issue_id, subscriber_id, due_at)
SELECT 1, id, '2026-01-03 00:00:00.000000' FROM subscriber
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """What 2,000 readers did with six issues; with the first, nobody has looked at it."""
    one = open_home(tmp_path / "home")
    with not_waiting_for_the_disk(one.engine), one.session() as session:
        session.execute(text(_READERS), {"readers": READERS})
        for issue in range(1, ISSUES + 1):
            session.execute(text(_ISSUE), {"issue": issue})
            session.execute(text(_EVENTS), {"issue": issue})
        session.execute(text(_DUE))
    yield one
    one.engine.dispose()


class Voter:
    """Another process's writer, that never waits: it has its turn in each rest, or an error."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns = 0
        self._database = sqlite3.connect(
            app.home / "newsletter.db", timeout=0, isolation_level=None
        )
        ticking = count(step=turns.WORK_S)  # each transaction takes long
        monkeypatch.setattr(turns, "monotonic", lambda: next(ticking))
        monkeypatch.setattr(turns, "sleep", self.write)

    def write(self, _seconds: float) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute("INSERT INTO bookmark VALUES ('voted', 1) ON CONFLICT DO NOTHING")
        self._database.execute("COMMIT")
        self.turns += 1

    def close(self) -> None:
        self._database.close()


@pytest.fixture
def voter(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Voter]:
    one = Voter(app, monkeypatch)
    yield one
    one.close()


def test_others_write_between_the_steps_of_labelling(app: App, voter: Voter) -> None:
    assert list(labels.take_in(app)) == []
    assert voter.turns == READERS // classify.AT_ONCE >= 4
    labelled(app, READERS)


def labelled(app: App, wanted: int) -> None:
    with app.session(readonly=True) as session:
        found = session.execute(text("SELECT count(*) FROM event WHERE rules > 0")).scalar()
    assert found == wanted


def test_others_write_between_the_steps_of_looking_again_at_history(app: App, voter: Voter) -> None:
    for done in labels.label_again(app):
        assert done.pairs
    assert voter.turns >= READERS // classify.READERS_AT_ONCE
    labelled(app, READERS * ISSUES)


def test_labelling_stops_when_it_is_told_to_and_goes_on(app: App) -> None:
    stops = iter([False, True])
    said = list(labels.take_in(app, should_stop=lambda: next(stops)))
    assert said == [f"readers whose doings wait for a label: {READERS - classify.AT_ONCE}"]
    labelled(app, classify.AT_ONCE)
    assert list(labels.take_in(app)) == []
    labelled(app, READERS)


def test_readers_who_did_nothing_hold_up_none_behind_them(app: App) -> None:
    idle = classify.AT_ONCE  # they come first: by the index, then the key
    for label in (labels.label_due, lambda app: list(labels.take_in(app))):
        with app.session() as session:
            session.execute(text("UPDATE event SET label = '', rules = 0"))
            session.execute(
                text("DELETE FROM event WHERE issue_id = 1 AND subscriber_id <= :idle"),
                {"idle": idle},
            )
            session.execute(text("DELETE FROM to_classify"))
            session.execute(text(_DUE))
        label(app)
        labelled(app, READERS - idle)


def test_what_is_due_is_found_without_the_rest_of_history(app: App) -> None:
    given = {"readers": list(range(1, classify.AT_ONCE)), "issues": [1]}
    asked = cast("TextClause", classify._OF_READERS.element).text
    explained = text(f"EXPLAIN QUERY PLAN {asked}").bindparams(
        bindparam("readers", expanding=True), bindparam("issues", expanding=True)
    )
    with app.session(readonly=True) as session:
        assert len(session.execute(classify._OF_READERS, given).all()) == classify.AT_ONCE - 1
        plan = session.execute(explained, given).all()
    (found,) = [row.detail for row in plan if " event " in row.detail]
    assert "ix_event_subscriber_id_issue_id (subscriber_id=? AND issue_id=?)" in found


def test_others_write_between_the_chunks_of_the_log(app: App, voter: Voter) -> None:
    log, at = HitLog(app.home), app.clock()
    for reader in range(1, 41):
        log.append(line_of(Hit(EventKind.CLICK, 1, reader, 1, at, "GET", "x", "")))
    log.close()
    taken = hit_import.take_in(app.engine, app.home, now=at, chunk_bytes=400)
    assert taken.hits == 40
    assert voter.turns >= 5


def test_a_call_is_bounded_however_many_files_there_are(app: App) -> None:
    at = app.clock()
    for reader in range(1, 6):
        log = HitLog(app.home)
        log.append(line_of(Hit(EventKind.CLICK, 1, reader, 1, at, "GET", "x", "")))
        log.close()
    first = hit_import.take_in(app.engine, app.home, now=at, most_chunks=3)
    assert (first.hits, first.is_all) == (3, False)
    stopped = hit_import.take_in(app.engine, app.home, now=at, should_stop=lambda: True)
    assert (stopped.hits, stopped.is_all) == (0, False)
    assert list(hits.take_in(app)) == []
    assert not list((app.home / "hits").iterdir())


def test_others_write_between_the_steps_of_forgetting(app: App, voter: Voter) -> None:
    assert READERS * ISSUES // retention.AT_ONCE >= 6
    with app.session() as session:
        session.execute(text("UPDATE event SET network = '198.51.100.0/24'"))
    assert len(list(forgetting.forget(app))) == 1
    assert voter.turns >= 6
