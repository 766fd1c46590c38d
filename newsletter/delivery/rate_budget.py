"""The arithmetic of rates, without a clock or a database. Instants are seconds since 1970.

Two kinds of gate, both values: a pacer spaces messages evenly, a window counts what left in the
last hour or day. What the wall clock does is part of the arithmetic:

- set back: what is dated in the future counts as of now. Nothing goes out earlier for it, and
  nothing waits longer than the gate's own length (a pacer's is a minute).
- set forward: the time in between has passed. A gate cannot tell, and opens as if it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

TOLERANCE_S = (
    0.1  # how much a pacer lets go at once, in seconds' worth of messages, after the first
)
LONGEST_DEBT_S = 60.0  # what left without waiting holds up the rest for no longer
SLOTS_A_WINDOW = 60
_ROUNDING_S = 2e-6  # a clock counts microseconds: a wait must end after the instant, not before


@dataclass(frozen=True, slots=True)
class Grant:
    """Which messages may leave now: indices into the domains asked for, in order.

    wait_s: where none may, how long until one may; else 0. limited_by: which limit kept something
    back, for operators; "" where none did.
    """

    chosen: tuple[int, ...]
    wait_s: float = 0.0
    limited_by: str = ""


@dataclass(frozen=True, slots=True)
class Pacer:
    """A steady rate: in any T seconds at most `per_second * (T + tolerance_s) + 1` messages leave.

    says: the limit, for operators. free_at: when the next message is due to leave.
    """

    says: str
    per_second: float
    free_at: float = 0.0
    tolerance_s: float = TOLERANCE_S

    @property
    def _span_s(self) -> float:
        """How far ahead of the clock free_at can be, by grants alone."""
        return self.tolerance_s + 1 / self.per_second

    @property
    def _longest_s(self) -> float:
        return max(LONGEST_DEBT_S, self._span_s)

    def settled(self, now: float) -> Pacer:
        """With a clock that was set back put right."""
        if self.free_at <= now + self._longest_s + 1.0:
            return self
        return replace(self, free_at=now + self._span_s)

    def room(self, now: float) -> int:
        """How many messages may leave now."""
        left_s = self.tolerance_s - max(0.0, self.free_at - now)
        return int(left_s * self.per_second) + 1 if left_s >= 0 else 0

    def wait_s(self, now: float) -> float:
        """How long until one may leave; 0 where it may now."""
        ahead_s = self.free_at - self.tolerance_s - now
        return ahead_s + _ROUNDING_S if ahead_s > 0 else 0.0

    def taken(self, count: int, now: float) -> Pacer:
        """After `count` messages left, whether there was room for them or not."""
        free_at = max(self.free_at, now) + count / self.per_second
        return replace(self, free_at=min(free_at, now + self._longest_s))


@dataclass(frozen=True, slots=True)
class Window:
    """A number of messages in any stretch of `length_s` seconds.

    steps: (instant, limit), the first holding now, each from its instant on; limits are 1 or more.
    slots: messages by the start of the sixtieth of the window they left in. A slot counts until
    all of it is out of the window, so the number is never passed and may be missed by a sixtieth.
    """

    says: str
    length_s: int
    steps: tuple[tuple[float, int], ...]
    slots: Mapping[int, int] = field(default_factory=dict)

    @property
    def slot_s(self) -> int:
        return self.length_s // SLOTS_A_WINDOW

    def settled(self, now: float) -> Window:
        """Without the slots that are over, and with what is dated in the future as of now."""
        current = self._slot_at(now)
        slots = {start: n for start, n in self.slots.items() if self._ends_at(start) > now}
        ahead = [start for start in slots if start > current]
        if ahead:
            slots[current] = slots.get(current, 0) + sum(slots.pop(start) for start in ahead)
        return replace(self, slots=slots)

    def room(self, now: float) -> int:
        """How many messages may leave now, or at an instant to come if none leaves until then."""
        counted = sum(n for start, n in self.slots.items() if self._ends_at(start) > now)
        return max(0, self._limit_at(now) - counted)

    def wait_s(self, now: float) -> float:
        """How long until one may leave; 0 where it may now."""
        if self.room(now):
            return 0.0
        changes = {self._ends_at(start) for start in self.slots} | {at for at, _limit in self.steps}
        later = sorted(float(at) for at in changes if at > now)
        at = next((at for at in later if self.room(at)), now + self.length_s)
        return at - now + _ROUNDING_S

    def taken(self, count: int, now: float) -> Window:
        """After `count` messages left, whether there was room for them or not."""
        current = self._slot_at(now)
        return replace(self, slots={**self.slots, current: self.slots.get(current, 0) + count})

    def _slot_at(self, now: float) -> int:
        return int(now // self.slot_s) * self.slot_s

    def _ends_at(self, start: int) -> int:
        """When the last message of the slot that starts at `start` is out of the window."""
        return start + self.slot_s + self.length_s

    def _limit_at(self, at: float) -> int:
        return next(limit for since, limit in reversed(self.steps) if since <= at)


Gate = Pacer | Window


class Budget:
    """What may leave at one instant: gates every message passes, and those of single domains.

    Both change as messages are taken from it.
    """

    def __init__(self, now: float, shared: Mapping[str, Gate], own: Mapping[str, Pacer]) -> None:
        self._now = now
        self.shared = {scope: gate.settled(now) for scope, gate in shared.items()}
        self.own = {domain: pacer.settled(now) for domain, pacer in own.items()}

    def grant(self, domains: Sequence[str], wanted: int) -> Grant:
        """Takes the first `wanted` messages that may leave, passing over those whose domain waits.

        domains: in lower case where a domain has a limit of its own.
        """
        rooms = [(gate.room(self._now), gate.says) for gate in self.shared.values()]
        room, says = min(rooms, default=(wanted, ""))
        chosen, passed_over = self._chosen(domains, min(wanted, room))
        if not chosen:
            return self._wait(domains)
        self.spend(len(chosen))
        for domain, pacer in self.own.items():
            count = sum(domains[index] == domain for index in chosen)
            self.own[domain] = pacer.taken(count, self._now) if count else pacer
        if len(chosen) == wanted:
            return Grant(chosen)
        return Grant(chosen, limited_by=passed_over or says)

    def spend(self, count: int) -> None:
        """Counts messages of no matter which domain, whether there is room for them or not."""
        self.shared = {scope: gate.taken(count, self._now) for scope, gate in self.shared.items()}

    def _chosen(self, domains: Sequence[str], most: int) -> tuple[tuple[int, ...], str]:
        """Indices of up to `most` messages, and the first limit of a domain that was in the way."""
        if not self.own:
            return tuple(range(most)), ""
        left = {domain: pacer.room(self._now) for domain, pacer in self.own.items()}
        chosen: list[int] = []
        passed_over = ""
        for index, domain in enumerate(domains):
            if len(chosen) == most:
                return tuple(chosen), ""
            if left.get(domain, 1) == 0:
                passed_over = passed_over or self.own[domain].says
                continue
            chosen.append(index)
            if domain in left:
                left[domain] -= 1
        return tuple(chosen), passed_over if len(chosen) < most else ""

    def _wait(self, domains: Sequence[str]) -> Grant:
        """Until all shared gates and one of the domains have room, with the one that is last."""
        shared = [(gate.wait_s(self._now), gate.says) for gate in self.shared.values()]
        own = [
            (self.own[domain].wait_s(self._now), self.own[domain].says)
            if domain in self.own
            else (0.0, "")
            for domain in sorted(set(domains))
        ]
        wait_s, says = max([*shared, min(own)])
        return Grant((), wait_s, says)
