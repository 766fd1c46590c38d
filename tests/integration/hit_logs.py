"""Hits of a small issue, what the store made of them, and what is left of their files."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from postroom import NOW
from sqlalchemy import Engine, text

from newsletter.tracking.events import EventKind
from newsletter.tracking.hit_import import Taken, take_in
from newsletter.tracking.hitlog import Hit

LATER = NOW + timedelta(hours=2)


def hit(issue: int, reader: int = 1, at: datetime = LATER, agent: str = "Mozilla/5.0") -> Hit:
    return Hit(EventKind.CLICK, issue, reader, 2, at, "GET", agent, "198.51.100.0/24")


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def readers(engine: Engine) -> list[object]:
    return [reader for (reader,) in rows(engine, "SELECT subscriber_id FROM event ORDER BY id")]


def names(home: Path) -> list[str]:
    return sorted(file.name for file in (home / "hits").iterdir())


def look(engine: Engine, home: Path, **options: Any) -> Taken:
    return take_in(engine, home, now=LATER, **options)
