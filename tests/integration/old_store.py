"""A store as an earlier version of the program left it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import Engine

from newsletter.store.engine import alembic_config, open_engine


def store_at(path: Path, revision: str, rows: str) -> Engine:
    """A file at that revision with these rows in it: SQL, statements apart by semicolons."""
    engine = open_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), revision)
        connection.commit()
    with engine.begin() as connection:
        for statement in rows.split(";"):
            connection.exec_driver_sql(statement)
    return engine
