"""The store: its schema, its pragmas, and what it says when it cannot be opened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from newsletter.errors import StoreError
from newsletter.store.engine import (
    HEAD,
    alembic_config,
    open_engine,
    require_current_schema,
    schema_differences,
    session_on,
    upgrade,
)
from newsletter.store.models import Delivery, Issue

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def _issue(week: str) -> Issue:
    return Issue(week=week, slot_at=NOW, state="planned", planned_at=NOW)


def test_the_migrations_lead_to_exactly_the_models(database: Engine) -> None:
    assert schema_differences(database) == []


def test_the_head_we_know_is_the_head_alembic_knows(database: Engine) -> None:
    from alembic.script import ScriptDirectory

    with database.connect() as connection:
        assert ScriptDirectory.from_config(alembic_config(connection)).get_heads() == [HEAD]


def test_upgrading_twice_changes_nothing(database: Engine) -> None:
    with session_on(database) as session:
        session.add(_issue("2026-W48"))
    upgrade(database)
    with session_on(database) as session:
        assert session.exec(select(Issue)).one().week == "2026-W48"


def test_sqlite_is_durable_and_checks_foreign_keys(database: Engine) -> None:
    with database.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with pytest.raises(IntegrityError), session_on(database) as session:
        session.add(Delivery(issue_id=99, subscriber_id=99, state="planned", changed_at=NOW))


def test_an_error_inside_a_transaction_leaves_nothing_behind(database: Engine) -> None:
    with pytest.raises(IntegrityError):
        _write_the_same_week_twice(database)
    with session_on(database) as session:
        assert session.exec(select(Issue)).all() == []


def _write_the_same_week_twice(database: Engine) -> None:
    with session_on(database) as session:
        session.add(_issue("2026-W48"))
        session.flush()
        session.add(_issue("2026-W48"))


def test_a_reader_does_not_wait_for_a_writer(database: Engine) -> None:
    with session_on(database) as writer:
        writer.add(_issue("2026-W48"))
        writer.flush()
        with session_on(database, readonly=True) as reader:
            assert reader.exec(select(Issue)).all() == []


def test_instants_come_back_aware_and_in_utc(database: Engine) -> None:
    with session_on(database) as session:
        session.add(_issue("2026-W48"))
    with session_on(database) as session:
        assert session.exec(select(Issue)).one().slot_at == NOW


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "sqlite:///"),
        ("postgresql+psycopg://reader:secret@db.example.com/news", "SQLite, not in postgresql"),
    ],
)
def test_a_database_we_do_not_speak_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as refused:
        open_engine(url)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "newsletter.db"
    path.write_bytes(b"this is not a database, it is a sentence" * 100)
    with pytest.raises(StoreError, match="not a database"):
        require_current_schema(open_engine(f"sqlite:///{path}"))


def test_an_empty_home_gets_its_tables_at_first_use(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'new' / 'newsletter.db'}")
    require_current_schema(engine)
    assert schema_differences(engine) == []


def test_another_schema_is_refused_with_the_command_that_mends_it(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(StoreError, match="newsletter db upgrade"):
        require_current_schema(database)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(StoreError, match="another program"):
        require_current_schema(engine)


def test_a_locked_database_says_so_instead_of_hanging(database: Engine) -> None:
    impatient = open_engine(str(database.url))
    with impatient.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    with session_on(database) as holder:
        holder.add(_issue("2026-W48"))
        holder.flush()
        with pytest.raises(StoreError, match="locked"), session_on(impatient) as session:
            session.add(_issue("2026-W49"))
