"""Ship or skip, as readers and visitors of a page say it: taken, added up, taken back.

A reader has one vote a tool, worked out from their ballots by `ballots.judged`; a visitor of the
comparison's page has one, too, and is counted apart. Votes count for as long as the comparison is
there. Functions take a Session and never commit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import bindparam, delete, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.editorial import library, respelling
from newsletter.editorial.ballots import Ballot, Standing
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.judging import ballots_of, judge_again, votes_of
from newsletter.editorial.tallies import Tally
from newsletter.errors import NotFoundError
from newsletter.rendering.view import Verdict
from newsletter.store import feedback, models
from newsletter.store.states import ComparisonState
from newsletter.tracking import events
from newsletter.tracking.events import EventKind
from subscribers import suppression
from subscribers.models import Subscriber, SubscriberStatus
from subscribers.rows import locked

# An at once repeated press is one ballot. The primary key of each.
_PUT_BALLOT = text(
    "INSERT INTO ballot (subscriber_id, comparison_id, tool, at, verdict, is_hurried, issue_id)"
    " VALUES (:subscriber_id, :comparison_id, :tool, :at, :verdict, :is_hurried, :issue_id)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("at", type_=UTCDateTime()))

# By the unique index of visitors. The latest instant counts; at one instant, skip.
_PUT_VISITORS = text(
    "INSERT INTO vote (comparison_id, tool, visitor, verdict, at, suspicion)"
    " VALUES (:comparison_id, :tool, :visitor, :verdict, :at, '')"
    " ON CONFLICT (comparison_id, tool, visitor) WHERE visitor <> ''"
    " DO UPDATE SET verdict = excluded.verdict, at = excluded.at"
    " WHERE excluded.at > vote.at OR (excluded.at = vote.at AND excluded.verdict > vote.verdict)"
).bindparams(bindparam("at", type_=UTCDateTime()))

# A stretch of ix_vote_tally and nothing else, in whose order it is grouped. Visitors have no
# subscriber, and none of their votes is suspect.
_TALLY = text(
    "SELECT tool, verdict, suspicion, count(*) AS votes, count(subscriber_id) AS readers"
    " FROM vote WHERE comparison_id = :comparison_id GROUP BY tool, verdict, suspicion"
)


@dataclass(frozen=True, slots=True)
class Question:
    """Which tool of which comparison is asked about: as things are called now."""

    comparison_id: int
    comparison: Comparison
    place: int  # 0 or 1, among its tools

    @property
    def tool(self) -> str:
        return self.comparison.tool_slugs[self.place]


class Outcome(Enum):
    COUNTED = "counted"
    APART = "apart"  # kept, and not believed
    NOBODY = "nobody"  # erased, suppressed or unknown: nothing is kept


def open_poll(session: Session, slug: str) -> tuple[int, Comparison]:
    """A comparison that may be voted on, with its id. Raises NotFoundError for a draft, too."""
    comparison = library.load_revision(session, slug)
    if comparison.status is ComparisonState.DRAFT:
        raise NotFoundError(f"{slug} is a draft", hint="finish it first")
    return _comparison_id(session, slug), comparison


def ask(session: Session, *, issue_id: int, slug: str, tool: str) -> Question:
    """What a link of an issue asks. Raises NotFoundError where that issue never asked it.

    A tool that was respelled since is found under the slug it had in that issue.
    """
    comparison_id, comparison = open_poll(session, slug)
    item = session.exec(
        select(models.IssueItem.revision).where(
            models.IssueItem.issue_id == issue_id, models.IssueItem.comparison_id == comparison_id
        )
    ).first()
    if item is None:
        raise NotFoundError(f"{slug} was not in that issue", hint="use the link from the mail")
    name = _called_now(session, slug, tool, item, comparison.tool_slugs)
    if name is None:
        raise NotFoundError(f"{slug} has no tool {tool!r}", hint="use the link from the mail")
    return Question(comparison_id, comparison, comparison.tool_slugs.index(name))


def may_vote(session: Session, subscriber_id: int) -> bool:
    """Whoever left the list may; who was erased, or must not be written to, is asked nothing."""
    reader = session.get(Subscriber, subscriber_id)
    if reader is None or reader.status == SubscriberStatus.ERASED:
        return False
    return suppression.is_suppressed(session, reader.address_key) is None


def standing(session: Session, question: Question, subscriber_id: int) -> Standing | None:
    """What is kept of this reader for the tool now; by the unique key."""
    vote = session.exec(
        select(feedback.Vote).where(
            feedback.Vote.comparison_id == question.comparison_id,
            feedback.Vote.tool == question.tool,
            feedback.Vote.subscriber_id == subscriber_id,
        )
    ).first()
    return None if vote is None else _standing(vote)


def cast(
    session: Session,
    question: Question,
    verdict: Verdict,
    *,
    subscriber_id: int,
    issue_id: int,
    at: datetime,
    is_hurried: bool = False,
    agent: str = "",
    network: str = "",
) -> Outcome:
    """Takes one press of a reader's button, and appends the fact of it.

    What comes late, twice or in another order comes to the same votes. is_hurried: it came sooner
    than a person answers; it is kept apart, and is no event.
    """
    # Whoever has locked the reader works the votes out from all their ballots; the others wait.
    if locked(session, subscriber_id) is None or not may_vote(session, subscriber_id):
        return Outcome.NOBODY
    pressed = Ballot(question.comparison_id, question.tool, verdict, at, issue_id, is_hurried)
    put(session, subscriber_id, pressed)
    if not is_hurried:
        events.append(
            session,
            issue_id=issue_id,
            subscriber_id=subscriber_id,
            kind=EventKind.VOTE,
            link=None,
            at=at,
            method="POST",
            agent=agent,
            network=network,
        )
    found = standing(session, question, subscriber_id)
    is_believed = found is not None and found.verdict is verdict and not found.suspicion
    return Outcome.COUNTED if is_believed and not is_hurried else Outcome.APART


def put(session: Session, subscriber_id: int, ballot: Ballot) -> None:
    """Keeps a ballot, and brings the reader's votes to what all their ballots come to."""
    row = {
        "subscriber_id": subscriber_id,
        "comparison_id": ballot.comparison_id,
        "tool": ballot.tool,
        "at": ballot.at,
        "verdict": ballot.verdict.value,
        "is_hurried": ballot.is_hurried,
        "issue_id": ballot.issue_id,
    }
    session.connection().execute(_PUT_BALLOT, row)
    judge_again(session, subscriber_id)


def cast_as_visitor(
    session: Session,
    comparison_id: int,
    said: Mapping[str, Verdict],
    *,
    visitor: str,
    at: datetime,
) -> None:
    """A visitor's votes, by the tools' slugs; one a tool, the latest. visitor: a keyed hash."""
    for tool, verdict in said.items():
        row = {
            "comparison_id": comparison_id,
            "tool": tool,
            "visitor": visitor,
            "verdict": verdict.value,
            "at": at,
        }
        session.connection().execute(_PUT_VISITORS, row)


def tallies(session: Session, comparison_id: int) -> Mapping[str, Tally]:
    """Of each tool's slug that anybody voted on, its votes."""
    session.flush()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in session.connection().execute(_TALLY, {"comparison_id": comparison_id}):
        whose = "suspect_" if row.suspicion else ""
        counts[row.tool][f"{whose}{row.verdict}"] += row.readers
        counts[row.tool][f"visitors_{row.verdict}"] += row.votes - row.readers
    return {tool: Tally(**each) for tool, each in counts.items()}


def withdraw(session: Session, subscriber_id: int) -> int:
    """Takes a reader's votes back, and all that led to them; how many votes there were."""
    locked(session, subscriber_id)  # who judges meanwhile would write back what is taken here
    rows = votes_of(session, subscriber_id)
    for vote in rows:
        session.delete(vote)
    session.execute(
        delete(feedback.Ballot).where(col(feedback.Ballot.subscriber_id) == subscriber_id)
    )
    session.flush()
    return len(rows)


def of_reader(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """A reader's votes, as plain values for their own data."""
    slugs = dict(session.exec(select(models.Comparison.id, models.Comparison.slug)).all())
    pressed = ballots_of(session, subscriber_id)
    return [
        {
            "comparison": slugs.get(vote.comparison_id),
            "tool": vote.tool,
            "verdict": vote.verdict,
            "at": vote.at.isoformat(),
            "suspicion": vote.suspicion,
            "pressed": [
                {"verdict": one.verdict.value, "at": one.at.isoformat()}
                for one in pressed
                if one.key == (vote.comparison_id, vote.tool)
            ],
        }
        for vote in votes_of(session, subscriber_id)
    ]


def _comparison_id(session: Session, slug: str) -> int:
    """By the unique slug."""
    return (
        session.exec(select(models.Comparison.id).where(models.Comparison.slug == slug)).one() or 0
    )


def _called_now(
    session: Session, slug: str, tool: str, item: int, now: tuple[str, str]
) -> str | None:
    """What the `tool` of revision `item` is called now; None where it is gone, or never was."""
    if tool in now:
        return tool
    known = library.tool_pairs(session, slug)
    return respelling.called_now(tool, known[item - 1 :], known)


def _standing(vote: feedback.Vote) -> Standing:
    return Standing(Verdict(vote.verdict), vote.at, vote.issue_id or 0, vote.suspicion)
