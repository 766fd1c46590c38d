"""Which comparisons make the week's issue, and why each one is in or out. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.errors import RefusedError
from newsletter.store.states import ComparisonState

AT_MOST = 5
LEFTOVER_DAYS = 28


@dataclass(frozen=True, slots=True)
class Candidate:
    """A comparison as the choice sees it."""

    slug: str
    state: ComparisonState
    finished_at: datetime | None  # None while it is a draft
    sample: bool
    panel_gap: int  # percentage points, 0 to 100
    in_issue: str | None  # the week of the issue that has it: 2026-W48


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an editor decided by hand, as slugs.

    `order` puts those it names first and gives them a place before others; it brings nothing in
    that could not be in by itself. `include` does.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """One candidate's fate; `position` 0 is the lead, None is out."""

    slug: str
    chosen: bool
    position: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Eligible:
    candidate: Candidate
    finished_at: datetime
    by_hand: bool
    fresh: bool  # finished since the previous slot
    reason: str


def choose(
    candidates: Iterable[Candidate],
    *,
    slot_at: datetime,
    previous_slot_at: datetime,
    wishes: Wishes = Wishes(),
    at_most: int = AT_MOST,
    samples: bool = False,
) -> tuple[Choice, ...]:
    """Every candidate exactly once: the chosen by position, then the others by slug.

    Those finished after `previous_slot_at` and not after `slot_at` come first, then leftovers of up
    to four weeks, newest first in each. Lead: the first of `wishes.order`, else the widest panel
    gap, newest on a tie. `samples` lets invented comparisons in (the demo's issue). The order of
    `candidates` does not matter. Raises RefusedError for a wish that names an unknown comparison,
    or one comparison both in and out.
    """
    known = sorted(candidates, key=lambda candidate: candidate.slug)
    _check_wishes(wishes, [candidate.slug for candidate in known])
    eligible: list[_Eligible] = []
    out: list[Choice] = []
    for candidate in known:
        reason = _obstacle(candidate, wishes, samples=samples)
        judged = reason or _judge(candidate, wishes, slot_at, previous_slot_at)
        if isinstance(judged, str):
            out.append(Choice(candidate.slug, chosen=False, position=None, reason=judged))
        else:
            eligible.append(judged)
    ranked = sorted(eligible, key=lambda one: _rank(one, wishes))
    chosen = _line_up(ranked[:at_most], wishes)
    out += [_waits(one, at_most) for one in ranked[at_most:]]
    return (*chosen, *sorted(out, key=lambda choice: choice.slug))


def _check_wishes(wishes: Wishes, known: Sequence[str]) -> None:
    wished = dict.fromkeys((*wishes.include, *wishes.exclude, *wishes.order))
    if unknown := [slug for slug in wished if slug not in known]:
        raise RefusedError(
            f"there is no comparison {', '.join(unknown)}",
            hint="; ".join(_meant(slug, known) for slug in unknown),
        )
    if both := sorted(set(wishes.include) & set(wishes.exclude)):
        raise RefusedError(
            f"{', '.join(both)} cannot be both included and excluded", hint="drop one of the two"
        )


def _meant(slug: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(slug, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else "`newsletter content list` shows them all"


def _obstacle(candidate: Candidate, wishes: Wishes, *, samples: bool) -> str | None:
    """Why `candidate` can be in no way in this issue; None where it can."""
    if candidate.slug in wishes.exclude:
        return "excluded by hand"
    obstacle = None
    if candidate.sample and not samples:
        obstacle = "invented sample: never in a real issue"
    elif candidate.in_issue is not None:
        obstacle = f"already in the issue of {candidate.in_issue}"
    elif candidate.state is ComparisonState.PUBLISHED:
        obstacle = "already published"
    elif candidate.state is ComparisonState.DRAFT or candidate.finished_at is None:
        obstacle = "still a draft"
    if obstacle and candidate.slug in wishes.include:
        return f"cannot be included: {obstacle}"
    return obstacle


def _judge(
    candidate: Candidate, wishes: Wishes, slot_at: datetime, previous_slot_at: datetime
) -> _Eligible | str:
    """By its age: eligible, or why not."""
    finished_at = candidate.finished_at or slot_at  # a draft never comes here
    by_hand = candidate.slug in wishes.include
    fresh = previous_slot_at < finished_at <= slot_at
    age_days = (slot_at - finished_at).days
    if by_hand:
        reason = "included by hand"
    elif fresh:
        reason = "finished since the previous slot"
    elif finished_at > slot_at:
        return "finished after this slot: a candidate for the next"
    elif slot_at - finished_at > timedelta(days=LEFTOVER_DAYS):
        return f"stale: finished {age_days} days before the slot; include it by hand to use it"
    else:
        reason = f"left over: finished {_days(age_days)} before the slot"
    return _Eligible(candidate, finished_at, by_hand, fresh, reason)


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"


def _rank(one: _Eligible, wishes: Wishes) -> tuple[bool, bool, bool, float, str]:
    """Who gets a place first: an editor's wish, then what is new."""
    ordered = one.candidate.slug in wishes.order
    return (
        not one.by_hand,
        not ordered,
        not one.fresh,
        -one.finished_at.timestamp(),
        one.candidate.slug,
    )


def _line_up(places: Sequence[_Eligible], wishes: Wishes) -> list[Choice]:
    """The chosen in their order, each with its reason."""
    by_slug = {one.candidate.slug: one for one in places}
    first = [by_slug.pop(slug) for slug in dict.fromkeys(wishes.order) if slug in by_slug]
    lead_note = "leads by the editor's order"
    if not first and by_slug:
        lead = min(by_slug.values(), key=_lead_rank)
        first = [by_slug.pop(lead.candidate.slug)]
        lead_note = f"leads with the widest panel gap, {lead.candidate.panel_gap} points"
        if any(one.candidate.sample for one in by_slug.values()):
            lead_note += ", samples left aside"
    rest = sorted(by_slug.values(), key=lambda one: _rank(one, Wishes()))
    return [
        Choice(
            one.candidate.slug,
            chosen=True,
            position=position,
            reason=f"{one.reason}; {lead_note}" if position == 0 else one.reason,
        )
        for position, one in enumerate([*first, *rest])
    ]


def _lead_rank(one: _Eligible) -> tuple[bool, int, float, str]:
    """Real before invented, then the widest panel gap, then the newest."""
    candidate = one.candidate
    return candidate.sample, -candidate.panel_gap, -one.finished_at.timestamp(), candidate.slug


def _waits(one: _Eligible, at_most: int) -> Choice:
    reason = f"no room: the issue holds {at_most}, and others come first ({one.reason})"
    return Choice(one.candidate.slug, chosen=False, position=None, reason=reason)
