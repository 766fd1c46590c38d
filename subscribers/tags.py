"""Tags: words operators put on readers."""

from __future__ import annotations

from sqlalchemy import text
from sqlmodel import Session, col, select

from subscribers.errors import AudienceError
from subscribers.models import SubscriberTag

MAX_TAG_CHARS = 60
# One walk over `ix_subscriber_tag_tag`, which holds the tags in order: nothing is sorted.
_COUNTS = text("SELECT tag, count(*) AS readers FROM subscriber_tag GROUP BY tag ORDER BY tag")
# A comma ends a tag in the lists of other programs; an @ would bring an address into the audit log.
_FORBIDDEN = ',@"'


def clean_tag(given: str) -> str:
    """A tag: one line of 1 to 60 characters, as typed but for its white space.

    Raises AudienceError for an empty one, a longer one, and for a comma, a quote, an @ or a control
    character in it.
    """
    tag = " ".join(given.split())
    if not tag or len(tag) > MAX_TAG_CHARS:
        raise AudienceError(
            f"a tag has 1 to {MAX_TAG_CHARS} characters, this one has {len(tag):,}",
            hint="write a word or two, as in vip",
        )
    if not tag.isprintable() or any(mark in tag for mark in _FORBIDDEN):
        raise AudienceError(
            "a tag holds no comma, no double quote, no @ and no control character",
            hint="write a word or two, as in vip",
        )
    return tag


def tags_of(session: Session, subscriber_id: int) -> list[str]:
    """The tags of one reader, in order."""
    return list(
        session.exec(
            select(SubscriberTag.tag)
            .where(SubscriberTag.subscriber_id == subscriber_id)
            .order_by(col(SubscriberTag.tag))
        )
    )


def count_tags(session: Session) -> dict[str, int]:
    """Every tag with how many readers have it, in order."""
    session.flush()
    return {row.tag: row.readers for row in session.connection().execute(_COUNTS)}
