"""What is told of a reader who was erased: their delivery moves, and nothing names them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

# A stretch of provider_event's primary key, each with its reader by primary key.
_THEIRS: Final = """
    id > :after AND id <= :last AND EXISTS (
        SELECT 1 FROM subscriber
        WHERE subscriber.id = provider_event.subscriber_id AND subscriber.status = 'erased'
    )
"""
_CUT: Final = text(
    f"UPDATE provider_event SET detail = '', raw = '' WHERE {_THEIRS}"  # noqa: S608  (ours)
)
_LET_GO: Final = text(
    f"""
    UPDATE provider_event SET subscriber_id = NULL, is_waiting = false WHERE {_THEIRS}
    """  # noqa: S608  (ours)
)


def cut_words(session: Session, stretch: Mapping[str, int]) -> None:
    """Takes away the words told of erased readers, before anything follows.

    stretch: `after` and `last`, ids of provider_event.
    """
    session.execute(_CUT, stretch)


def let_go(session: Session, stretch: Mapping[str, int]) -> None:
    """Once their deliveries have moved: the events stay as facts about an issue, and nobody's."""
    session.execute(_LET_GO, stretch)
