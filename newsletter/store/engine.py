"""Opening the database: pragmas, sessions, migrations, and what to say when it will not open."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session

from newsletter.errors import StoreError
from newsletter.store.search import is_of_search

BUSY_TIMEOUT_MS = 10_000
HEAD = "0005"  # the newest migration: known without loading Alembic
MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(url: str) -> Engine:
    """An engine for `url`. Raises StoreError where the URL is not one of a database we speak."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the database URL cannot be read",
            hint="write NEWSLETTER_DATABASE_URL as sqlite:///path/to/newsletter.db",
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(
            f"this version keeps its store in SQLite, not in {parsed.get_backend_name()}",
            hint="set NEWSLETTER_DATABASE_URL to sqlite:///path/to/newsletter.db, or unset it",
        )
    if parsed.database and parsed.database != ":memory:":
        _make_folder(Path(parsed.database).parent)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_immediately)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder of the database, {folder}, cannot be made: {error.strerror}",
            hint="name a folder that can be written to in NEWSLETTER_DATABASE_URL",
        ) from None


def _set_pragmas(connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, says BEGIN: see _begin_immediately.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediately(connection: Any) -> None:
    # A deferred transaction that reads and then writes fails at once with SQLITE_BUSY when another
    # writer came between; an immediate one waits its turn for busy_timeout. Readers ask for it by
    # the execution option, so that pages do not queue behind a sender.
    readonly = connection.get_execution_options().get("readonly", False)
    connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")


@contextmanager
def session_on(engine: Engine, *, readonly: bool = False) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on any error.

    Raises StoreError, with what to do, for a database that is locked, full, read-only, damaged or
    not migrated. Integrity errors pass through: they are answers (a slot already claimed).
    """
    bind = engine.execution_options(readonly=True) if readonly else engine
    with explaining_store_errors(), Session(bind, expire_on_commit=False) as session:
        yield session
        if not readonly:
            session.commit()


@contextmanager
def not_waiting_for_the_disk(engine: Engine) -> Iterator[None]:
    """For invented data only: commits in here are kept unless the whole machine crashes."""
    event.listen(engine, "checkout", _do_not_wait)
    try:
        yield
    finally:
        event.remove(engine, "checkout", _do_not_wait)
        engine.dispose()  # connections opened from now on wait again


def _do_not_wait(connection: Any, _record: Any, _proxy: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def explaining_store_errors() -> Iterator[None]:
    """Turns the driver's errors into StoreError with a next step."""
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeoutError:
        raise StoreError(
            "every connection to the database is in use",
            hint="try again in a moment; if it stays so, another process holds the database",
        ) from None
    except (OperationalError, DatabaseError, sqlite3.DatabaseError) as error:
        raise _explained(str(getattr(error, "orig", error))) from error


_HINTS = (
    ("locked", "another process holds the database; wait for it, or stop it, and try again"),
    ("no such table", "run `newsletter db upgrade`"),
    ("no such column", "run `newsletter db upgrade`"),
    ("readonly", "make the home folder and the database in it writable"),
    ("read-only", "make the home folder and the database in it writable"),
    ("unable to open", "check that the folder of NEWSLETTER_HOME exists and is writable"),
    ("full", "free disk space, then run the same command again: it goes on where it stopped"),
    ("not a database", "the file is not an SQLite database: restore it, or name another"),
    ("malformed", "the file is damaged: restore it from a backup"),
)


def _explained(message: str) -> StoreError:
    lowered = message.lower()
    hint = next((hint for word, hint in _HINTS if word in lowered), "run `newsletter db check`")
    return StoreError(f"the database refused: {message}", hint=hint)


def require_current_schema(engine: Engine) -> None:
    """Makes the tables in an empty database; raises StoreError where the schema is not ours."""
    with explaining_store_errors(), engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
        found = (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            if "alembic_version" in names
            else None
        )
    if not names:
        upgrade(engine)
    elif found != HEAD:
        raise StoreError(
            f"the database has schema {found or 'of another program'}, this version needs {HEAD}",
            hint="run `newsletter db upgrade`" if found else "name another NEWSLETTER_DATABASE_URL",
        )


def upgrade(engine: Engine) -> None:
    """Brings the schema to the newest revision; safe to run again."""
    from alembic import command

    with explaining_store_errors(), engine.connect() as connection:
        command.upgrade(alembic_config(connection), "head")
        connection.commit()


def schema_differences(engine: Engine) -> list[Any]:
    """What `alembic check` would find: differences between the tables and the models."""
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext
    from sqlmodel import SQLModel

    import newsletter.store.models  # noqa: F401  (registers the tables)

    opts = {"include_name": lambda name, kind, _of: kind != "table" or not is_of_search(name)}
    with explaining_store_errors(), engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, SQLModel.metadata))


def alembic_config(connection: Any) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
