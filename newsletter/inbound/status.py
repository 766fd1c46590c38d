"""The fields of a delivery status (RFC 3464) or an abuse report (RFC 5965), wherever they lie.

A status may be called text/plain, may lack the blank lines between its groups, may be quoted, may
be a report inside a report. What makes it one is its fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from newsletter.inbound.mime import Part
from subscribers import bounces

_STATUS_KINDS = ("message/delivery-status", "message/global-delivery-status")
_LOOKS_LIKE_STATUS = re.compile(
    r"^[> \t]*(?:Final|Original)-Recipient[ \t]*:(?:.*\n){1,12}?[> \t]*(?:Action|Status)[ \t]*:"
    r"|^[> \t]*(?:Action|Status)[ \t]*:(?:.*\n){1,12}?[> \t]*(?:Final|Original)-Recipient[ \t]*:",
    re.MULTILINE | re.IGNORECASE,
)
_FEEDBACK = re.compile(r"^Feedback-Type[ \t]*:[ \t]*([\w-]{1,40})", re.MULTILINE | re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{2,60})[ \t]*:[ \t]*(.*)")
_QUOTED = re.compile(r"^(?:> ?)+")
_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_TYPED = re.compile(r"^\s*[\w/-]{1,20}\s*;\s*")  # `smtp; 550 ...`, `rfc822; a@example.com`
_MAX_GROUPS = 50


class Action(StrEnum):
    """What the reporting server did with the message."""

    FAILED = "failed"  # gave up
    DELAYED = "delayed"  # goes on trying
    DELIVERED = "delivered"  # or passed it on


@dataclass(frozen=True, slots=True)
class Status:
    """What a report says of one recipient. words: the receiving server's; recipients: as named."""

    action: Action
    code: str
    words: str
    recipients: tuple[str, ...]


def find_status(found: Sequence[Part]) -> Status | None:
    """The status that says most: a failure before a delay before a delivery."""
    for texts in _likely(found):
        groups = [group for text in texts for group in _groups(text)]
        statuses = [status for group in groups if (status := _status(group))]
        if statuses:
            order = list(Action)
            return min(statuses, key=lambda status: order.index(status.action))
    return None


def find_feedback(found: Sequence[Part]) -> str:
    """The type of an abuse report, in lower case; "" where there is none."""
    for part in found:
        declared = part.kind == "message/feedback-report"
        feedback = _FEEDBACK.search(part.text) if declared or not part.is_returned else None
        if feedback and (declared or "user-agent:" in part.text.lower()):
            return feedback[1].lower()
    return ""


def _likely(found: Sequence[Part]) -> Iterator[list[str]]:
    """Where a status may be, the best place first: what a report returns comes last."""
    for returned in (False, True):
        here = [part for part in found if part.is_returned is returned]
        yield [part.text for part in here if part.kind in _STATUS_KINDS]
        yield [part.text for part in here if _LOOKS_LIKE_STATUS.search(part.text)]
    # In a report without a part of its own for it, as headers of the part itself.
    yield [p.headers.as_text() for p in found if _LOOKS_LIKE_STATUS.search(p.headers.as_text())]


def _groups(text: str) -> Iterator[dict[str, str]]:
    """The fields of one recipient each: a field that comes again begins the next."""
    group: dict[str, str] = {}
    last = ""
    count = 0
    for raw_line in text.splitlines():
        line = _QUOTED.sub("", raw_line)
        field = _FIELD.fullmatch(line)
        if line[:1] in (" ", "\t") and last and line.strip():
            group[last] = f"{group[last]} {line.strip()}"[:2000]
            continue
        if not field:
            last = ""
            continue
        last = field[1].lower()
        if last in group and last in _A_RECIPIENTS:
            yield group
            group, count = {}, count + 1
            if count >= _MAX_GROUPS:
                return
        group[last] = field[2].strip()[:2000]
    if group:
        yield group


_A_RECIPIENTS = ("final-recipient", "original-recipient", "action", "status", "diagnostic-code")


def _status(group: Mapping[str, str]) -> Status | None:
    if not group.keys() & {"action", "status", "final-recipient"}:
        return None
    words = _TYPED.sub("", group.get("diagnostic-code", ""))
    stated = _CODE.search(group.get("status", ""))
    code = stated[0] if stated else ""
    action = _action(group.get("action", ""), code or bounces.code_in(words))
    if action is None:
        return None
    if not code or code.endswith(".0"):  # `other`: the server's own words may know better
        code = bounces.code_in(words) or code
    named = (group.get("original-recipient", ""), group.get("final-recipient", ""))
    return Status(action, code, words, tuple(_TYPED.sub("", one).strip("<> ") for one in named))


def _action(stated: str, code: str) -> Action | None:
    word = stated.strip().lower()
    if word.startswith("fail"):
        return Action.FAILED
    if word.startswith("delay"):
        return Action.DELAYED
    if word.startswith(("deliver", "relay", "expand")):
        return Action.DELIVERED
    by_class = {"5": Action.FAILED, "4": Action.DELAYED, "2": Action.DELIVERED}
    return by_class.get(code[:1])
