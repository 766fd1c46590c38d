"""The figures of an issue with a million deliveries and three million events: read, and counted.

Reading is what the page does; counting is what the tick does where something changed. The naive way
loads the rows as objects and counts them in Python, on a fortieth of them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from publication import open_home
from sqlmodel import select

from newsletter import stats
from newsletter.app import App
from newsletter.store.feedback import Event
from newsletter.store.models import Delivery
from newsletter.tracking.stats_sql import REACHED

T = TypeVar("T")

pytestmark = pytest.mark.slow

READERS, PART = 1_000_000, 40
MINUTES = 5_000  # from the first event to the last
EVENTS_A_READER = 3
READ_GOAL_MS, COUNT_GOAL_S = 300, 10

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
_INDEXES = """
    SELECT name, sql FROM sqlite_master
    WHERE type = 'index' AND tbl_name IN ('subscriber', 'delivery', 'event') AND sql IS NOT NULL
    """
_LIST = f"""
    {_NUMBERS}
    INSERT INTO subscriber (id, address, address_key, name, status, created_at, confirmed_at,
        confirmations_sent)
    SELECT i, 'reader' || i || '@mail' || (i * i % 5000) || '.example.com',
        'reader' || i || '@mail' || (i * i % 5000) || '.example.com', '', 'active',
        '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', 1 FROM n
    """
_ISSUE = """
    INSERT INTO issue (id, kind, week, slot_at, state, reason, wanted, choices, samples, planned_at,
        candidates, frozen_at)
    VALUES (:issue, 'weekly', '2026-W' || (40 + :issue), '2026-11-20 09:00:00.000000', 'done', '',
        '{}', '[]', false, '2026-11-19 09:00:00.000000', :count, '2026-11-20 09:00:00.000000')
    """
_LINKS = """
    INSERT INTO issue_link (issue_id, n, url, label)
    SELECT :issue, id, 'https://verdicts.example.com/comparisons/c' || (id % 3), 'Link ' || id
    FROM subscriber WHERE id < 10
    """
# One in fifty excluded, one in seventy bounced, one in two thousand complained.
_DELIVERIES = """
    INSERT INTO delivery (issue_id, subscriber_id, state, reason, attempts, changed_at, receipt,
        submitted_at)
    SELECT :issue, id, CASE WHEN id % 50 = 0 THEN 'excluded' WHEN id % 70 = 0 THEN 'bounced'
            WHEN id % 2000 = 1 THEN 'complained' ELSE 'delivered' END,
        CASE WHEN id % 50 = 0 THEN 'unsubscribed' WHEN id % 70 = 0 THEN 'no mailbox' ELSE '' END,
        1, '2026-11-20 09:00:00.000000', '', '2026-11-20 09:00:01.000000'
    FROM subscriber WHERE id <= :count
    """
_MAKE_MINUTES = """
    CREATE TEMPORARY TABLE minute (n INTEGER PRIMARY KEY, at TEXT NOT NULL)
    """
_FILL_MINUTES = f"""
    {_NUMBERS}
    INSERT INTO minute
    SELECT i, strftime('%Y-%m-%d %H:%M:', '2026-11-20 08:59:00', '+' || i || ' minutes') FROM n
    """
# Four images to a click, in the order in which they come in: none that a reader has.
_EVENTS = f"""
    {_NUMBERS}
    INSERT INTO event (issue_id, subscriber_id, kind, link, at, method, agent, network, label, rule,
        rules)
    SELECT :issue, 1 + (i * 7919) % (:count / {EVENTS_A_READER}),
        CASE WHEN i % 5 = 0 THEN 'click' ELSE 'image_load' END,
        CASE WHEN i % 5 = 0 THEN i % 9 + 1 END,
        minute.at || substr(100 + i % 60, 2) || '.000000',
        CASE WHEN i % 97 = 0 THEN 'HEAD' ELSE 'GET' END,
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) '
            || (i % 300), '198.51.100.0/24',
        CASE i * 31 % 7 % 3 WHEN 0 THEN 'human' WHEN 1 THEN 'machine' ELSE 'unknown' END,
        CASE i * 31 % 7 % 3 WHEN 0 THEN 'followed' WHEN 1 THEN 'ahead' ELSE 'unproven' END, 1
    FROM n JOIN minute ON minute.n = 1 + i * {MINUTES} / (:count + 1)
    """


def test_a_million_readers_are_shown_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = open_home(tmp_path)
    app.engine.dispose()  # who fills the file has it to themselves
    fill(tmp_path / "newsletter.db")
    began_s = time.process_time()
    counted_s, figures = timed(lambda: stats.load(app, "1"))
    worked_s = time.process_time() - began_s
    part_s, _ = timed(lambda: stats.load(app, "2"))
    read_s = min(timed(lambda: stats.load(app, "1"))[0] for _ in range(5))
    naive_s, found = timed(lambda: count_naively(app, 2))
    app.engine.dispose()
    assert figures.waterfall.candidates == READERS
    assert figures.waterfall.loads.total > READERS / 2
    assert found["human"]
    assert counted_s > 20 * read_s
    assert naive_s > part_s
    with capsys.disabled():
        print(f"\n  figures of {READERS:,} deliveries and {EVENTS_A_READER * READERS:,} events")
        print(f"  {read_s * 1_000:9.1f} ms  to read (goal: {READ_GOAL_MS} ms)")
        print(f"  {counted_s:9.1f} s   to count, {worked_s:.1f} s of work (aim: {COUNT_GOAL_S} s)")
        print(f"  {part_s:9.2f} s   to count a fortieth")
        print(f"  {naive_s:9.2f} s   a fortieth, loads alone, as objects: {naive_s / part_s:.1f} x")


def fill(file: Path) -> None:
    """Invented rows, as fast as they go in: nothing is kept for an accident, and no reference is
    looked up. Indexes are made once the rows are there: row by row they would take minutes.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF"):
            database.execute(f"PRAGMA {pragma}")
        indexes = database.execute(_INDEXES).fetchall()
        database.execute("BEGIN")
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        _fill_tables(database)
        for _, statement in indexes:
            database.execute(statement)
        database.execute("COMMIT")


def _fill_tables(database: sqlite3.Connection) -> None:
    database.execute(_MAKE_MINUTES)
    database.execute(_FILL_MINUTES, {"count": MINUTES})
    database.execute(_LIST, {"count": READERS})
    for issue, readers in ((1, READERS), (2, READERS // PART)):
        what = {"issue": issue, "count": readers}
        for statement in (_ISSUE, _DELIVERIES, _LINKS):
            database.execute(statement, what)
        database.execute(_EVENTS, {**what, "count": EVENTS_A_READER * readers})


def count_naively(app: App, issue_id: int) -> dict[str, int]:
    """Readers who loaded images, by label, with a row an object."""
    order = ("machine", "unknown", "human")
    best: dict[int, int] = {}
    with app.session(readonly=True) as session:
        deliveries = session.exec(select(Delivery).where(Delivery.issue_id == issue_id))
        reached = {one.subscriber_id for one in deliveries if one.state in REACHED}
        for event in session.exec(select(Event).where(Event.issue_id == issue_id)):
            if event.kind == "image_load" and event.method != "HEAD":
                reader = event.subscriber_id or 0
                if reader in reached:
                    best[reader] = max(best.get(reader, 0), order.index(event.label))
    return {label: sum(one == rank for one in best.values()) for rank, label in enumerate(order)}


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
