"""What events cost in statements: nothing is asked that concerns none of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from inbound_home import change, copied
from sqlalchemy import event
from told_home import READERS, column, say, take

from newsletter.app import App

pytestmark = pytest.mark.slow

AN_ISSUE_OF_THOUSANDS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    " INSERT INTO request (id, issue_id, batch_id, made_at, subscriber_ids)"
    " SELECT 'other-' || i, 1, (SELECT min(id) FROM batch), '2026-11-23 00:00:00.000000', '[]'"
    " FROM n"
)


@pytest.fixture
def app(issues_home: Path, tmp_path: Path) -> Iterator[App]:
    app = copied(issues_home, tmp_path / "home")
    yield app
    app.engine.dispose()


def statements_of(app: App, events: Sequence[Any]) -> list[str]:
    """What the database is asked while these are taken in."""
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(" ".join(statement.split()))

    event.listen(app.engine, "before_cursor_execute", note)
    try:
        take(app, *events)
    finally:
        event.remove(app.engine, "before_cursor_execute", note)
    return asked


def test_of_messages_that_left_as_usual_nothing_is_changed_that_does_not_move(app: App) -> None:
    sure = [say(app, reader, "processed") for reader in READERS]
    written = [one for one in statements_of(app, sure) if one.startswith(("UPDATE", "INSERT"))]
    assert [one.split("(")[0].strip() for one in written] == ["INSERT INTO provider_event"]


def test_more_events_of_the_usual_kinds_take_no_more_statements(app: App) -> None:
    first = [say(app, 1, word) for word in ("processed", "delivered", "open")]
    others = [say(app, reader, word) for reader in (2, 3, 4) for word in ("processed", "delivered")]
    assert len(statements_of(app, others)) <= len(statements_of(app, first))


def test_a_refusal_more_takes_five_statements_more(app: App) -> None:
    """What is on record of its reader is looked up with that of all others."""
    one = len(statements_of(app, [say(app, 1, "bounce")]))
    three = len(statements_of(app, [say(app, reader, "bounce") for reader in (2, 3, 4)]))
    assert three - one <= 2 * 5
    assert column(app, "SELECT state FROM delivery WHERE issue_id = 1") == ["bounced"] * 4
    assert column(app, "SELECT count(*) FROM suppression") == [4]


def test_what_one_event_concerns_is_done_for_it_among_others(app: App) -> None:
    """One still being sent, one uncertain, one erased and one of no account, in one call."""
    change(app, "UPDATE delivery SET state = 'attempting' WHERE issue_id = 1 AND subscriber_id = 1")
    change(app, "UPDATE subscriber SET status = 'erased' WHERE id = 3")
    take(
        app,
        say(app, 1, "delivered"),
        say(app, 2, "delivered", issue_id=2),
        say(app, 3, "bounce"),
        say(app, 4, "delivered"),
    )
    query = "SELECT state FROM delivery WHERE issue_id = :i AND subscriber_id = :s"
    found = [column(app, query, i=i, s=s)[0] for i, s in ((1, 1), (2, 2), (1, 3), (1, 4))]
    assert found == ["attempting", "delivered", "bounced", "delivered"]
    assert column(app, "SELECT subscriber_id FROM provider_event WHERE is_waiting") == [1]
    assert column(app, "SELECT detail FROM provider_event WHERE kind = 'bounced'") == [""]


def test_a_request_is_found_among_thousands_by_its_id(app: App) -> None:
    """The requests of an issue are not walked for each call."""
    change(app, AN_ISSUE_OF_THOUSANDS)
    asked = statements_of(app, [say(app, 1, "processed", nl_request="other-7")])
    (looked,) = [one for one in asked if "FROM provider_event JOIN request" in one]
    with app.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {looked}", (0, 9)).all()
    assert not [row for row in plan if "SCAN" in row[3]]
