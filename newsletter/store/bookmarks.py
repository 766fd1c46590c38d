"""How far somebody has read an append-only table: a bookmark, moved in the reader's transaction."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session

# One row by primary key each.
_READ_TO = text("SELECT last_id FROM bookmark WHERE name = :name")
_PUT = text(
    "INSERT INTO bookmark (name, last_id) VALUES (:name, :last_id)"
    " ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id"
)


def read_to(session: Session, name: str) -> int:
    """The last id that was read; 0 where nothing was."""
    return int(session.execute(_READ_TO, {"name": name}).scalar() or 0)


def put(session: Session, name: str, last_id: int) -> None:
    """Moves the bookmark, in either direction."""
    session.connection().execute(_PUT, {"name": name, "last_id": last_id})
