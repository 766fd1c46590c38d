"""What the audience answers: every outcome of what a person, or an operator, asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SignUpMail(StrEnum):
    CONFIRM = "confirm"  # send the confirmation mail
    ALREADY_SUBSCRIBED = "already_subscribed"  # tell them they are on the list
    NOTHING = "nothing"  # send nothing; the page says the same as ever


class Confirmation(StrEnum):
    CONFIRMED = "confirmed"  # active from now on
    ALREADY_ACTIVE = "already_active"  # nothing to do
    NOT_POSSIBLE = "not_possible"  # unknown, erased, or the link is older than their leaving


class Unsubscription(StrEnum):
    UNSUBSCRIBED = "unsubscribed"  # left just now
    ALREADY = "already"  # had left before
    UNKNOWN = "unknown"  # no such subscriber


class Changed(StrEnum):
    CHANGED = "changed"  # as asked for, just now
    UNCHANGED = "unchanged"  # it was so before
    NOT_ON_THE_LIST = "not_on_the_list"  # unknown, pending, left or erased: nothing to choose


class LeavingReason(StrEnum):
    """Why somebody leaves, if they care to say."""

    TOO_OFTEN = "too_often"  # too much mail
    NOT_USEFUL = "not_useful"  # it is of no use to them
    NOT_EXPECTED = "not_expected"  # they had expected something else
    NEVER_ASKED = "never_asked"  # they never signed up
    OTHER = "other"


class Return(StrEnum):
    RETURNED = "returned"  # back as they were before they left
    ALREADY = "already"  # on the list: nothing to take back
    OVER = "over"  # unknown, erased, or it was another leaving


class Frequency(StrEnum):
    WEEKLY = "weekly"
    MONTHLY = "monthly"  # kept, and not served yet


class Move(StrEnum):
    WAITING = "waiting"  # this mailbox agreed; the other one has not yet
    DONE = "done"  # both agreed: mail goes to the new address from now on
    REFUSED = "refused"  # one of the mailboxes said no; nothing changes
    OVER = "over"  # ended before, replaced by a later wish, or not possible any more


class Erasure(StrEnum):
    ERASED = "erased"  # just now, for good
    ALREADY = "already"  # it was done before
    UNKNOWN = "unknown"  # no such subscriber


class Added(StrEnum):
    ADDED = "added"  # active from now on
    ALREADY = "already"  # was on the list; unchanged
    KEPT_UNSUBSCRIBED = "kept_unsubscribed"  # left: only their own sign-up brings them back
    KEPT_SUPPRESSED = "kept_suppressed"  # must not be written to; not added


@dataclass(frozen=True, slots=True)
class SignUp:
    """What a sign-up asks for.

    confirmation_number counts this subscriber's confirmation mails ever (1 is the first), so
    (subscriber_id, confirmation_number) names one mail.
    """

    subscriber_id: int
    mail: SignUpMail
    confirmation_number: int
