"""What an issue is about: the categories of its comparisons, for readers who chose topics."""

from __future__ import annotations

from sqlmodel import Session, col, delete

from newsletter.editorial import issues, library
from newsletter.store import models


def topics_of(session: Session, issue_id: int) -> tuple[str, ...]:
    """The categories of both tools of every comparison in the issue, each once, by name."""
    categories = {
        tool.category
        for slug, number in issues.revisions(session, issue_id)
        for tool in library.load_revision(session, slug, number).tools
        if tool.category
    }
    return tuple(sorted(categories))


def write(session: Session, issue_id: int) -> tuple[str, ...]:
    """Keeps the issue's topics for the freeze, which follows in the same transaction."""
    found = topics_of(session, issue_id)
    session.exec(delete(models.IssueTopic).where(col(models.IssueTopic.issue_id) == issue_id))
    session.add_all(models.IssueTopic(issue_id=issue_id, topic=topic) for topic in found)
    session.flush()
    return found
