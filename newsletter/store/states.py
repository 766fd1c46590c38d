"""Every state in the store and the moves between them; an illegal move raises."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from newsletter.errors import IllegalMoveError

S = TypeVar("S", bound=StrEnum)


class ComparisonState(StrEnum):
    DRAFT = "draft"  # editors are still at it
    FINISHED = "finished"  # may go into an issue
    PUBLISHED = "published"  # was in an issue that went out


class IssueState(StrEnum):
    PLANNED = "planned"  # chosen and rendered, waits for approval
    APPROVED = "approved"  # approval is bound to the rendered sha256; waits for its slot
    SENDING = "sending"  # audience frozen, batches going out
    PAUSED = "paused"  # frozen, nothing more goes out until resumed
    DONE = "done"  # nothing planned, attempting or uncertain
    CANCELLED = "cancelled"  # stopped by a person
    SKIPPED = "skipped"  # its slot passed by more than the catch-up window


class SlotOutcome(StrEnum):
    TAKEN = "taken"  # an issue was frozen for it
    THIN = "thin"  # nothing was finished: no issue
    MISSED = "missed"  # passed by more than the catch-up window


class BatchState(StrEnum):
    PLANNED = "planned"  # nobody works on it
    CLAIMED = "claimed"  # one owner, until its lease ends
    DONE = "done"  # every delivery in it has been answered for


class DeliveryState(StrEnum):
    PLANNED = "planned"  # will be sent
    ATTEMPTING = "attempting"  # claimed by a sender; may be on the wire
    SUBMITTED = "submitted"  # the provider took it: our fact
    DELIVERED = "delivered"  # the provider says the mailbox took it
    DEFERRED = "deferred"  # the provider retries
    BOUNCED = "bounced"  # the mailbox refused it
    COMPLAINED = "complained"  # the reader called it spam
    FAILED = "failed"  # the provider refused it for good
    UNCERTAIN = "uncertain"  # attempted without an answer: held until settled
    EXCLUDED = "excluded"  # a candidate who gets nothing, with the reason


class SystemMailState(StrEnum):
    PLANNED = "planned"  # waits for the next tick
    ATTEMPTING = "attempting"  # one process is handing it over
    SUBMITTED = "submitted"  # the provider took it
    FAILED = "failed"  # refused for good, or no longer wanted
    UNCERTAIN = "uncertain"  # attempted without an answer: never sent again by itself


ISSUE_MOVES: Mapping[IssueState, frozenset[IssueState]] = {
    IssueState.PLANNED: frozenset({IssueState.APPROVED, IssueState.CANCELLED, IssueState.SKIPPED}),
    IssueState.APPROVED: frozenset(
        {IssueState.PLANNED, IssueState.SENDING, IssueState.CANCELLED, IssueState.SKIPPED}
    ),
    IssueState.SENDING: frozenset({IssueState.PAUSED, IssueState.DONE, IssueState.CANCELLED}),
    IssueState.PAUSED: frozenset({IssueState.SENDING, IssueState.CANCELLED}),
    IssueState.DONE: frozenset({IssueState.SENDING}),  # a person sends it again to somebody
    IssueState.CANCELLED: frozenset(),
    IssueState.SKIPPED: frozenset(
        {IssueState.APPROVED, IssueState.SENDING}
    ),  # sent by hand after all
}

_RESENT = (
    DeliveryState.FAILED,
    DeliveryState.BOUNCED,
    DeliveryState.UNCERTAIN,
    DeliveryState.SUBMITTED,
    DeliveryState.DELIVERED,
)

DELIVERY_MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PLANNED: frozenset(
        {DeliveryState.ATTEMPTING, DeliveryState.EXCLUDED, DeliveryState.UNCERTAIN}
    ),  # uncertain: settled as not taken, and its provider tells of it after all
    DeliveryState.ATTEMPTING: frozenset(
        {
            DeliveryState.SUBMITTED,
            DeliveryState.FAILED,
            DeliveryState.UNCERTAIN,
            DeliveryState.PLANNED,
            DeliveryState.BOUNCED,
        }
    ),
    DeliveryState.SUBMITTED: frozenset(
        {
            DeliveryState.DELIVERED,
            DeliveryState.DEFERRED,
            DeliveryState.BOUNCED,
            DeliveryState.COMPLAINED,
            DeliveryState.FAILED,
        }
    ),  # failed: the provider dropped what it had taken
    DeliveryState.DEFERRED: frozenset(
        {
            DeliveryState.DELIVERED,
            DeliveryState.BOUNCED,
            DeliveryState.COMPLAINED,
            DeliveryState.FAILED,
        }
    ),
    DeliveryState.DELIVERED: frozenset({DeliveryState.BOUNCED, DeliveryState.COMPLAINED}),
    DeliveryState.BOUNCED: frozenset(
        {DeliveryState.COMPLAINED, DeliveryState.DELIVERED}
    ),  # delivered: its reader left through it, and so has it
    DeliveryState.COMPLAINED: frozenset(),
    DeliveryState.FAILED: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.BOUNCED, DeliveryState.COMPLAINED}
    ),  # the provider tells that it was tried all the same
    DeliveryState.UNCERTAIN: frozenset(
        {
            DeliveryState.SUBMITTED,
            DeliveryState.DEFERRED,
            DeliveryState.DELIVERED,
            DeliveryState.BOUNCED,
            DeliveryState.COMPLAINED,
            DeliveryState.PLANNED,
            DeliveryState.FAILED,
        }
    ),
    DeliveryState.EXCLUDED: frozenset(),
}

# The same by a person's word alone (`issue resend`), on record as an event: never by itself.
RESEND_MOVES: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    state: frozenset({DeliveryState.PLANNED}) if state in _RESENT else frozenset()
    for state in DeliveryState
}

BATCH_MOVES: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.PLANNED: frozenset({BatchState.CLAIMED}),
    BatchState.CLAIMED: frozenset(
        {BatchState.DONE, BatchState.PLANNED, BatchState.CLAIMED}
    ),  # claimed again: taken over from the dead
    BatchState.DONE: frozenset(
        {BatchState.PLANNED}
    ),  # an uncertain delivery was settled as not sent
}


def move(moves: Mapping[S, frozenset[S]], current: S, target: S) -> S:
    """`target`, where the table allows it; raises IllegalMoveError otherwise."""
    if target not in moves[current]:
        allowed = ", ".join(sorted(moves[current])) or "nothing: this state is final"
        raise IllegalMoveError(
            f"{current} cannot become {target}",
            hint=f"from {current} it can become {allowed}",
        )
    return target
