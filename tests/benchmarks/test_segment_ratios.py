"""A list of a million for its operator: the first page, a search, segments counted.

Absolute figures drift with the machine and are printed for orientation; the ratio to counting the
bare table in the same run holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from newsletter.store import search
from newsletter.store.engine import open_engine, session_on, upgrade
from subscribers import audience, segments

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
READERS, ROUNDS, GOAL_MS = 1_000_000, 5, 100
MOST = 2.0  # times counting the bare table, of anything; without the indexes it was up to three

# They came over 700 days, the newest last. One in fifty has left, one in ten chose Developer Tools,
# three in ten Chat, one in fifty is a tester; three in four have been heard of, and were silent for
# up to eight issues.
_LIST = (
    """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO subscriber (id, address, address_key, name, status, created_at, confirmed_at,
        confirmations_sent, language)
    SELECT i, 'reader' || i || '@mail' || (i % 5000) || '.example.com',
        'reader' || i || '@mail' || (i % 5000) || '.example.com', 'Name ' || i,
        CASE WHEN i % 50 = 0 THEN 'unsubscribed' ELSE 'active' END,
        came, came, 1,
        CASE WHEN i % 7 = 0 THEN 'de' ELSE '' END
    FROM (SELECT i, strftime('%Y-%m-%d 00:00:00.000000', '2026-11-20',
        '-' || ((:count - i) * 700 / :count) || ' days') AS came FROM n)
    """,
    "INSERT INTO subscriber_topic SELECT id, 'Developer Tools' FROM subscriber WHERE id % 10 = 1",
    "INSERT INTO subscriber_topic SELECT id, 'Chat' FROM subscriber WHERE id % 10 < 3",
    "INSERT INTO subscriber_tag SELECT id, 'beta' FROM subscriber WHERE id % 50 = 1",
    """
    INSERT INTO engagement (subscriber_id, last_human_at, issues_without, soft_bounces)
    SELECT id, '2026-10-01 00:00:00.000000', id % 9, 0 FROM subscriber WHERE id % 4 > 0
    """,
)
_RULES = (
    'tag = "beta"',
    'tag = "beta" and confirmed > 30 days ago and not opened last 4 issues',
    'topic = "Developer Tools"',
    'topic = "Developer Tools" and confirmed > 30 days ago and not opened last 4 issues',
    'topic = "Chat" and confirmed > 30 days ago and not opened last 4 issues',
    'language = "de"',
    'domain = "mail77.example.com"',
    "confirmed within 90 days",
    "silent for 4 issues",
)


@pytest.mark.slow
def test_a_million_subscribers_are_listed_searched_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'newsletter.db'}")
    upgrade(engine)
    with session_on(engine) as session:
        session.execute(text("PRAGMA cache_size = -65536"))  # as an import has it
        for statement in _LIST:
            session.execute(text(statement), {"count": READERS} if ":count" in statement else {})
    with session_on(engine) as session:
        took, _ = best_ms(lambda: search.catch_up(session) or 0, rounds=1)  # type: ignore[func-returns-value]
    with session_on(engine, readonly=True) as session:
        lines = list(figures(session))
    engine.dispose()
    with capsys.disabled():
        print(f"\n  of {READERS:,} subscribers, best of {ROUNDS} (goal: {GOAL_MS} ms each);")
        print(f"  made searchable in {took / 1_000:.1f} s, all at once, after an import")
        print("\n".join(lines))


def figures(session: Session) -> list[str]:
    bare, _ = best_ms(
        lambda: session.execute(
            text("SELECT count(name) FROM subscriber NOT INDEXED WHERE status <> 'erased'")
        ).scalar_one()
    )
    lines = [line("every row looked at, for comparison", bare, bare, READERS)]
    for what, part in (
        ("first page", None),
        ("search: an address", "reader777777@mail"),
        ("search: a domain", "@mail77.example.com"),
        ("search: a part that many have", "reader"),
        ("search: a name that few have", "name 77777"),
    ):
        took, found = best_ms(
            lambda p=part: len(audience.page(session, limit=50, search=p, find=search.find))
        )  # type: ignore[misc]
        assert found
        lines.append(line(what, took, bare, found))
    for rule in _RULES:
        parsed = segments.parse(rule)
        took, found = best_ms(lambda p=parsed: segments.count(session, p, now=NOW).readers)  # type: ignore[misc]
        assert found
        lines.append(line(f"count: {rule}", took, bare, found))
    return lines


def line(what: str, took_ms: float, bare_ms: float, found: int) -> str:
    # A search or a count that looks at every row, and at more, takes over once this long: what has
    # an index must not. (The others' noise is in both.)
    assert took_ms < bare_ms * MOST, what
    return f"  {took_ms:6.1f} ms  {took_ms / bare_ms:5.2f} x  {found:>9,}  {what}"


def best_ms(work: Callable[[], int], *, rounds: int = ROUNDS) -> tuple[float, int]:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - started)
    return min(times) * 1_000, found
