"""What follows from a verdict on a mail about our mail: one table, whoever brought the news.

A server's refusal at the door, a delivery status that came days later and a complaint end here
alike. A delivery moves only where the delivery's own table of states allows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SOFT_ISSUES_IN_A_ROW: Final = 3  # then the address is suppressed


class Verdict(StrEnum):
    """What a mail about our mail says; each has its line in POLICY."""

    HARD = "hard"  # there is no such mailbox
    SOFT = "soft"  # full, away, unreachable for too long: it may pass
    BLOCKED = "blocked"  # refused for what was sent, or by whom, without a code that says so
    SENDER_FAULT = "sender_fault"  # 5.7.x and its like: ours to mend, not the reader's doing
    UNCLASSIFIED = "unclassified"  # refused, for a reason the tables do not know
    COMPLAINT = "complaint"  # called spam
    LEAVING = "leaving"  # asks to be taken off the list
    NONE = "none"  # an answer by itself, a delay, a success: nothing follows


class Suppress(StrEnum):
    """When an address is written to no more."""

    NEVER = "never"
    AT_ONCE = "at_once"
    IN_A_ROW = "in_a_row"  # after SOFT_ISSUES_IN_A_ROW issues, with none delivered in between


@dataclass(frozen=True, slots=True)
class Consequence:
    """delivery: the state it moves to, or "". alert: somebody has to mend something of ours."""

    delivery: str
    suppress: Suppress
    leaves: bool = False
    alert: bool = False


POLICY: Final[Mapping[Verdict, Consequence]] = {
    Verdict.HARD: Consequence("bounced", Suppress.AT_ONCE),
    Verdict.SOFT: Consequence("bounced", Suppress.IN_A_ROW),
    Verdict.BLOCKED: Consequence("bounced", Suppress.IN_A_ROW),
    Verdict.SENDER_FAULT: Consequence("bounced", Suppress.NEVER, alert=True),
    Verdict.UNCLASSIFIED: Consequence("bounced", Suppress.NEVER),
    Verdict.COMPLAINT: Consequence("complained", Suppress.AT_ONCE, leaves=True),
    Verdict.LEAVING: Consequence("", Suppress.NEVER, leaves=True),
    Verdict.NONE: Consequence("", Suppress.NEVER),
}
