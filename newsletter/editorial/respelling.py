"""A tool that is respelled is the same tool: what it is called later, and that its votes go along.

Its place in the comparison tells which it was. Two tools that once stood beside each other are two,
whatever they are called since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from sqlalchemy import delete, text
from sqlmodel import Session, col, select

from newsletter.editorial.judging import judge_again
from newsletter.store import feedback

Pair = tuple[str, str]  # the slugs of a comparison's tools, in their places

# By the primary key, whose second and third part these are: all ballots are looked at, as rarely
# as a tool is respelled.
_CARRY_BALLOTS = text(
    "INSERT INTO ballot"
    " (subscriber_id, comparison_id, tool, at, verdict, is_hurried, issue_id, is_machine)"
    " SELECT subscriber_id, comparison_id, :now, at, verdict, is_hurried, issue_id, is_machine"
    " FROM ballot WHERE comparison_id = :comparison_id AND tool = :was"
    " ON CONFLICT DO NOTHING"
)

# By ix_vote_tally, then the unique indexes. Where somebody has a vote under either name, the later
# stays; at one instant that of the new name.
_SAME_VOTER = (
    "SELECT 1 FROM vote AS other WHERE other.comparison_id = :comparison_id AND other.tool = :{}"
    " AND (other.subscriber_id = vote.subscriber_id"
    " OR (other.visitor = vote.visitor AND other.visitor <> '')) AND other.at {} vote.at"
)
_DROP = "DELETE FROM vote WHERE comparison_id = :comparison_id AND tool = :{} AND EXISTS ({})"
_DROP_EARLIER = (
    text(_DROP.format("was", _SAME_VOTER.format("now", ">="))),
    text(_DROP.format("now", _SAME_VOTER.format("was", ">"))),
)
_CARRY_VOTES = text(
    "UPDATE vote SET tool = :now WHERE comparison_id = :comparison_id AND tool = :was"
)


def heir(slug: str, before: Pair, after: Pair, known: Iterable[Pair]) -> str | None:
    """What the tool `slug` of `before` is called in `after`; None where it is gone.

    known: all pairs there ever were, `before` among them.
    """
    if slug in after:
        return slug
    there = after[before.index(slug)]
    return None if any({slug, there} == set(pair) for pair in known) else there


def called_now(slug: str, since: Sequence[Pair], known: Iterable[Pair]) -> str | None:
    """What the tool `slug` of the first pair of `since` is called in the last; None: it is gone."""
    name: str | None = slug if slug in since[0] else None
    for before, after in pairwise(since):
        name = None if name is None else heir(name, before, after, known)
    return name


def carry_votes(session: Session, comparison_id: int, known: Sequence[Pair], after: Pair) -> None:
    """Takes votes and ballots along to the names in `after`; the last of `known` was before."""
    before = known[-1]
    for was in before:
        now = heir(was, before, after, known)
        if now is not None and now != was:
            _carry(session, comparison_id, was, now)


def _carry(session: Session, comparison_id: int, was: str, now: str) -> None:
    which = {"comparison_id": comparison_id, "was": was, "now": now}
    both = _readers(session, comparison_id, was) & _readers(session, comparison_id, now)
    connection = session.connection()
    connection.execute(_CARRY_BALLOTS, which)
    table = feedback.Ballot
    session.execute(
        delete(table).where(col(table.comparison_id) == comparison_id, col(table.tool) == was)
    )
    for statement in (*_DROP_EARLIER, _CARRY_VOTES):
        connection.execute(statement, which)
    for subscriber_id in sorted(both):
        judge_again(session, subscriber_id)


def _readers(session: Session, comparison_id: int, tool: str) -> set[int]:
    """Who has a vote on the tool; by ix_vote_tally."""
    table = feedback.Vote
    query = select(table.subscriber_id).where(
        table.comparison_id == comparison_id,
        table.tool == tool,
        col(table.subscriber_id).is_not(None),
    )
    return {reader for reader in session.exec(query) if reader is not None}
