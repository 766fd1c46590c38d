"""A reader's ballots and votes as rows: the second always what the first come to."""

from __future__ import annotations

from sqlmodel import Session, col, select

from newsletter.editorial import ballots
from newsletter.editorial.ballots import Ballot, Standing
from newsletter.rendering.view import Verdict
from newsletter.store import feedback
from subscribers.rows import locked


def judge_again(session: Session, subscriber_id: int) -> None:
    """Brings a reader's votes to what all their ballots come to, as they are judged by now.

    The reader's row is held meanwhile: whoever judges last has seen every ballot.
    """
    if locked(session, subscriber_id) is None:
        return
    wanted = ballots.judged(ballots_of(session, subscriber_id))
    rows = {(vote.comparison_id, vote.tool): vote for vote in votes_of(session, subscriber_id)}
    for (comparison_id, tool), found in wanted.items():
        vote = rows.get((comparison_id, tool)) or feedback.Vote(
            comparison_id=comparison_id,
            tool=tool,
            subscriber_id=subscriber_id,
            verdict=found.verdict,
            at=found.at,
        )
        _settle(vote, found)
        session.add(vote)
    session.flush()


def ballots_of(session: Session, subscriber_id: int) -> list[Ballot]:
    """By the first part of the primary key; as they are in the store, whatever was read before."""
    rows = session.exec(
        select(feedback.Ballot)
        .where(feedback.Ballot.subscriber_id == subscriber_id)
        .order_by(col(feedback.Ballot.at))
        .execution_options(populate_existing=True)
    )
    return [
        Ballot(
            one.comparison_id,
            one.tool,
            Verdict(one.verdict),
            one.at,
            one.issue_id,
            one.is_hurried,
            one.is_machine,
        )
        for one in rows
    ]


def votes_of(session: Session, subscriber_id: int) -> list[feedback.Vote]:
    """By the index on subscriber_id."""
    query = (
        select(feedback.Vote)
        .where(feedback.Vote.subscriber_id == subscriber_id)
        .order_by(col(feedback.Vote.id))
        .execution_options(populate_existing=True)
    )
    return list(session.exec(query))


def _settle(vote: feedback.Vote, found: Standing) -> None:
    vote.verdict, vote.at = found.verdict, found.at
    vote.issue_id, vote.suspicion = found.issue_id, found.suspicion
