"""How many sign-ups may cause mail: of one visitor, without a proof of work, and in all; and how
many votes and asked-for links one door may take.

Sliding windows of an hour over all processes that share the store, in the rows and with the
arithmetic the sending limits use. (What protects a single mailbox is in `subscribers.consent`.)

Above the limit of all, a sign-up causes no mail, with a proof of work or without: the limit is what
a stranger's flood may cost the sender's name with mailbox providers, and a flood that was paid for
with work is still one. What the proof of work does is to keep a flood from ever coming so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import bindparam, text
from sqlmodel import Session

from newsletter.delivery import rate_statements
from newsletter.delivery.rate_budget import Window
from newsletter.puzzle import LIFETIME, Solution

HOUR_S = 3_600
NO_LIMIT = 1 << 62

IN_ALL = "sign-up:all"
UNSOLVED = "sign-up:unsolved"
SOLVED = "sign-up:solved"
HELD_BACK = "sign-up:held-back"
_VISITOR = "sign-up:visitor:"
_USED = "sign-up:used:"
_VOTER = "vote:door:"
_ASKER = "link:door:"

_log = structlog.get_logger(__name__)

# By the first part of the key.
_SLOTS = text("SELECT scope, starts_at, taken FROM rate_slot WHERE scope IN :scopes").bindparams(
    bindparam("scopes", expanding=True)
)

# The same statement whether anything is added or not: what is held back takes as long.
_ADD = text(
    """
    INSERT INTO rate_slot (scope, starts_at, taken)
    SELECT :scope, CAST(:starts_at AS BIGINT), CAST(:taken AS INTEGER) WHERE :taken > 0
    ON CONFLICT (scope, starts_at) DO UPDATE SET taken = rate_slot.taken + excluded.taken
    """
)

_USE = text(
    "INSERT INTO rate_slot (scope, starts_at, taken) VALUES (:scope, :starts_at, 1)"
    " ON CONFLICT (scope, starts_at) DO NOTHING"
)

# A stretch of the primary key: what this module wrote, and nothing of the sending limits. What is
# dated in the future was written before the clock was set back.
_TIDY = text(
    "DELETE FROM rate_slot WHERE scope >= :first AND scope < :end"
    " AND (starts_at < :over OR starts_at > :ahead)"
)
_SIGN_UPS, _VOTES = ("sign-up:", "sign-up;"), ("vote:", "vote;")
_LINKS = ("link:", "link;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Sign-ups an hour that may cause mail. unsolved: without a proof of work; None: no matter."""

    per_visitor: int
    in_all: int
    unsolved: int | None


def admit(
    session: Session, visitor: str, *, is_solved: bool, allowance: Allowance, now: datetime
) -> bool:
    """Counts a sign-up; whether it may cause a mail. Holds the store's rates until the commit.

    visitor: a keyed hash of who asked, never an address. What is held back counts against nobody,
    so a visitor who was once over the limit is not locked out for going on trying.
    """
    session.execute(rate_statements.LOCK)
    at = now.timestamp()
    limits = _limits(visitor, is_solved=is_solved, allowance=allowance)
    slots = _slots(session, [*limits, HELD_BACK])
    gates = {
        scope: replace(Window(says, HOUR_S, ((0.0, limit),)), slots=slots[scope]).settled(at)
        for scope, (says, limit) in limits.items()
    }
    full = next((gate.says for gate in gates.values() if not gate.room(at)), "")
    counts = dict.fromkeys(gates, 0 if full else 1) | {HELD_BACK: 1 if full else 0}
    minute = _minute(at)
    session.execute(
        _ADD, [{"scope": s, "starts_at": minute, "taken": n} for s, n in counts.items()]
    )
    if full:
        _tell_operators(full, slots[HELD_BACK], minute)
    elif minute not in slots[IN_ALL]:
        _tidy(session, minute, _SIGN_UPS)
    return not full


def admit_vote(session: Session, door: str, *, limit: int, now: datetime) -> bool:
    """Counts one press through a door; whether it may count. Holds the store's rates until commit.

    door: a keyed hash of who asked, never an address. limit: an hour. What is held back is not
    counted, as with sign-ups.
    """
    return _admit(session, _VOTER + door, _VOTES, limit=limit, now=now)


def admit_link(session: Session, door: str, *, limit: int, now: datetime) -> bool:
    """The same of one who asks for the link to a page of a reader's own: whether a mail may go."""
    return _admit(session, _ASKER + door, _LINKS, limit=limit, now=now)


def _admit(
    session: Session, scope: str, stretch: tuple[str, str], *, limit: int, now: datetime
) -> bool:
    session.execute(rate_statements.LOCK)
    at = now.timestamp()
    slots = _slots(session, [scope])[scope]
    gate = replace(Window("one visitor", HOUR_S, ((0.0, limit),)), slots=slots).settled(at)
    if not gate.room(at):
        return False
    minute = _minute(at)
    session.execute(_ADD, {"scope": scope, "starts_at": minute, "taken": 1})
    if not slots:
        _tidy(session, minute, stretch)
    return True


def use_up(session: Session, solution: Solution) -> bool:
    """False where this solution was handed in before."""
    row = {"scope": _USED + solution.nonce, "starts_at": int(solution.posed_at.timestamp())}
    done = session.connection().execute(_USE, row)
    return bool(done.rowcount)


def _limits(visitor: str, *, is_solved: bool, allowance: Allowance) -> dict[str, tuple[str, int]]:
    """What each limit is called for operators, and what it allows an hour, by scope."""
    unsolved = NO_LIMIT if allowance.unsolved is None or is_solved else allowance.unsolved
    return {
        _VISITOR + visitor: ("one visitor", allowance.per_visitor),
        SOLVED if is_solved else UNSOLVED: ("no proof of work", unsolved),
        IN_ALL: ("all sign-ups", allowance.in_all),
    }


def _slots(session: Session, scopes: Sequence[str]) -> dict[str, dict[int, int]]:
    slots: dict[str, dict[int, int]] = {scope: {} for scope in scopes}
    for row in session.execute(_SLOTS, {"scopes": list(scopes)}):
        slots[row.scope][row.starts_at] = row.taken
    return slots


def _minute(at: float) -> int:
    """The start of the slot, as `Window` cuts an hour."""
    return int(at // 60) * 60


def _tidy(session: Session, minute: int, stretch: tuple[str, str]) -> None:
    """Now and then, what no window looks at any more goes."""
    kept_s = max(HOUR_S + 60, int(LIFETIME.total_seconds()))
    first, end = stretch
    row = {"first": first, "end": end, "over": minute - kept_s, "ahead": minute + HOUR_S}
    session.execute(_TIDY, row)


def _tell_operators(limit: str, held_back: Mapping[int, int], minute: int) -> None:
    """A line for the first, tenth, hundredth, ... that is held back in a minute: a flood of
    sign-ups must not become a flood of lines."""
    in_this_minute = held_back.get(minute, 0) + 1
    if str(in_this_minute).strip("0") == "1":
        _log.warning(
            "sign_ups_held_back",
            limit=limit,
            in_this_minute=in_this_minute,
            in_this_hour=1 + sum(n for at, n in held_back.items() if at > minute - HOUR_S),
        )
