"""Issues in a row that one mailbox refused for a passing reason.

Worked out anew from what is on record, never counted up: news may come in any order, and twice. An
issue is soft where any report about its delivery says so. One that was refused otherwise, or never
left, neither counts nor ends a row; any other ends it. So news only ever makes a row longer, and
whichever of it comes last completes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.delivery import on_record
from newsletter.delivery.backoff import GIVEN_UP
from newsletter.delivery.on_record import OnRecord
from newsletter.delivery.verdicts import verdict_of
from newsletter.providers.told import Kind
from newsletter.store.states import DeliveryState
from subscribers import bounces, engagement
from subscribers.policy import POLICY, Suppress, Verdict

MAX_ISSUES: Final = 100  # looked back: two years of a weekly

_NEVER_LEFT: Final = frozenset({DeliveryState.EXCLUDED, DeliveryState.PLANNED})
_REFUSED: Final = frozenset({DeliveryState.BOUNCED, DeliveryState.FAILED})
_ARRIVED: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.COMPLAINED})
_REFUSALS: Final = frozenset({Kind.BOUNCED, Kind.INVALID, Kind.BLOCKED, Kind.DROPPED})

# One row of delivery by primary key for each issue, of which there is one a week.
_DELIVERIES = (
    text(
        """
        SELECT delivery.issue_id, delivery.state, delivery.reason,
            coalesce(delivery.submitted_at, delivery.changed_at) AS sent_at
        FROM issue JOIN delivery ON delivery.issue_id = issue.id
            AND delivery.subscriber_id = :subscriber_id
        ORDER BY issue.id DESC LIMIT :most
        """
    )
).columns(sent_at=UTCDateTime())


@dataclass(frozen=True, slots=True)
class _Step:
    """One issue for one reader."""

    issue_id: int
    is_soft: bool
    ends_the_row: bool
    has_arrived: bool


def in_a_row(
    session: Session,
    known: OnRecord,
    subscriber_id: int,
    issue_id: int,
    *,
    is_soft: bool | None = None,
    at: datetime | None = None,
) -> int:
    """The soft refusals of the row that `issue_id` stands in; and the reader's newest row is kept.

    known: what is on record of the reader. is_soft: whether the news about `issue_id`, not on
    record yet, is a soft refusal; None: there are none, and an issue that ends a row stands in
    none. at: when that happened; what is older than the issue's last sending to them is no news.
    """
    again = known.again.get(subscriber_id, {})
    is_old = at is not None and at < again.get(issue_id, at)
    news = {} if is_soft is None or is_old else {issue_id: is_soft}
    steps = _steps(session, known, subscriber_id, news)
    _keep(session, subscriber_id, steps)
    here = next((n for n, step in enumerate(steps) if step.issue_id == issue_id), None)
    if here is None or steps[here].ends_the_row:
        return 0
    newer, older = steps[here::-1], steps[here + 1 :]
    return _until_the_end(newer) + _until_the_end(older)


def recount(session: Session, subscriber_ids: Collection[int]) -> None:
    """Mails arrived at these readers, who had a row going: whether that ends it."""
    known = on_record.look_up(session, subscriber_ids)
    for id_ in subscriber_ids:
        _keep(session, id_, _steps(session, known, id_, {}))


def _until_the_end(steps: Collection[_Step]) -> int:
    count = 0
    for step in steps:
        if step.ends_the_row:
            break
        count += step.is_soft
    return count


def _keep(session: Session, subscriber_id: int, steps: list[_Step]) -> None:
    """Of the newest row: 0 once anything newer has arrived."""
    newest = next((n for n, step in enumerate(steps) if step.is_soft), None)
    if newest is None:
        engagement.soft_bounces_are(session, subscriber_id, 0, newest=None)
        return
    is_over = any(step.has_arrived for step in steps[:newest])
    count = 0 if is_over else _until_the_end(steps[newest:])
    engagement.soft_bounces_are(session, subscriber_id, count, newest=steps[newest].issue_id)


def _steps(
    session: Session, known: OnRecord, subscriber_id: int, news: Mapping[int, bool]
) -> list[_Step]:
    """The reader's issues, newest first, since their row last began anew."""
    since = known.begun_anew.get(subscriber_id)
    about = {"subscriber_id": subscriber_id, "most": MAX_ISSUES}
    verdicts = _verdicts(known, subscriber_id)
    steps = []
    for row in session.execute(_DELIVERIES, about).all():
        if since is not None and row.sent_at <= since:
            break
        steps.append(_step(row, verdicts.get(row.issue_id) or _at_the_door(row), news))
    return steps


def _step(row: Row[Any], verdicts: set[Verdict], news: Mapping[int, bool]) -> _Step:
    is_soft = news.get(row.issue_id, False) or any(
        POLICY[verdict].suppress is Suppress.IN_A_ROW for verdict in verdicts
    )
    was_refused = bool(verdicts) or row.issue_id in news or row.state in _REFUSED
    return _Step(
        row.issue_id,
        is_soft,
        ends_the_row=not was_refused and row.state not in _NEVER_LEFT,
        has_arrived=row.state in _ARRIVED and not was_refused,
    )


def _verdicts(known: OnRecord, subscriber_id: int) -> Mapping[int, set[Verdict]]:
    """What was reported about each issue's delivery since it was last sent, by issue id."""
    found: defaultdict[int, set[Verdict]] = defaultdict(set)
    again = known.again.get(subscriber_id, {})
    for row in known.told.get(subscriber_id, ()):
        is_of_an_issue = row.issue_id is not None and row.kind in _REFUSALS
        if is_of_an_issue and row.at >= again.get(row.issue_id, row.at):
            found[row.issue_id].add(verdict_of(Kind(row.kind), row.code, row.detail))
    for row in known.reported.get(subscriber_id, ()):
        if row.at >= again.get(row.issue_id, row.at):
            found[row.issue_id].add(Verdict(row.verdict))
    return found


def _at_the_door(row: Row[Any]) -> set[Verdict]:
    verdict = door_verdict(DeliveryState(row.state), row.reason)
    return {verdict} if verdict is not None else set()


def door_verdict(state: DeliveryState, reason: str) -> Verdict | None:
    """What a server's answer at the door says of its mailbox, by how the ledger keeps it.

    None where nothing was said of it: a relay that is down is nobody's bounce.
    """
    if state is DeliveryState.BOUNCED:
        return bounces.verdict_of(bounces.enhanced_code(reason), reason)
    if state is DeliveryState.FAILED and reason.startswith(GIVEN_UP):
        code = bounces.code_in(reason)
        return bounces.verdict_of(code, "") if code.startswith("4") else None
    return None
