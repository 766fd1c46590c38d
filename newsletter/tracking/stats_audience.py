"""From one pass over an issue's deliveries: the waterfall's head, and what each domain did with it.

Pure: rows in, figures out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from newsletter.store.states import DeliveryState
from newsletter.tracking.figures import Alarm, DomainFigure, Share
from newsletter.tracking.stats_sql import REACHED

MAX_DOMAINS = 10  # the largest; the rest is one
OTHER = "other"
DELIVERED_TO = "readers it was delivered to"
REACHED_READERS = "readers it reached"
TRACKED_READERS = "readers it reached who are tracked"
SENT_TO = "messages handed over"

_DELIVERED = (DeliveryState.DELIVERED, DeliveryState.COMPLAINED)
_TOLD = (DeliveryState.DELIVERED, DeliveryState.DEFERRED)


@dataclass(frozen=True, slots=True)
class Group:
    """Deliveries alike. told: how many the provider gave an instant of delivery for."""

    state: str
    reason: str
    domain: str  # "" of the excluded and of the erased
    is_tracked: bool
    readers: int
    told: int
    first_at: datetime | None


@dataclass(frozen=True, slots=True)
class Audience:
    """Everybody an issue was for, or a part of them.

    is_told: whether the provider says what mailboxes did. A complaint also comes by mail.
    """

    groups: Sequence[Group]
    is_told: bool

    @classmethod
    def of(cls, groups: Sequence[Group]) -> Audience:
        return cls(groups, any(group.told or group.state in _TOLD for group in groups))

    @property
    def candidates(self) -> int:
        return self._sum(lambda group: True)

    @property
    def excluded(self) -> dict[str, int]:
        """By reason, the largest first."""
        counts: Counter[str] = Counter()
        for group in self.groups:
            if group.state == DeliveryState.EXCLUDED:
                counts[group.reason] += group.readers
        return _largest_first(counts)

    @property
    def states(self) -> dict[str, int]:
        """By state, without the excluded, in the order in which a delivery passes through them."""
        order = [state for state in DeliveryState if state is not DeliveryState.EXCLUDED]
        strange = {group.state for group in self.groups} - set(DeliveryState)
        found = {state: self.in_states(state) for state in (*order, *sorted(strange))}
        return {str(state): count for state, count in found.items() if count}

    @property
    def reached(self) -> int:
        return self.in_states(*REACHED)

    @property
    def untracked(self) -> int:
        return self._sum(lambda group: group.state in REACHED and not group.is_tracked)

    @property
    def delivered(self) -> int | None:
        return self.in_states(*_DELIVERED) if self.is_told else None

    @property
    def complained(self) -> Share:
        count, delivered = self.in_states(DeliveryState.COMPLAINED), self.delivered
        if delivered is None:
            return Share(count, self.reached, REACHED_READERS)
        return Share(count, delivered, DELIVERED_TO)

    @property
    def bounced(self) -> Share:
        count = self.in_states(DeliveryState.BOUNCED)
        return Share(count, self.reached + count, SENT_TO)

    @property
    def first_at(self) -> datetime | None:
        """When the first message left."""
        return min((group.first_at for group in self.groups if group.first_at), default=None)

    def in_states(self, *states: str) -> int:
        return self._sum(lambda group: group.state in states)

    def domains(self) -> tuple[DomainFigure, ...]:
        """The largest by audience, then what is left as `other`."""
        sizes: Counter[str] = Counter()
        for group in self.groups:
            if group.state != DeliveryState.EXCLUDED:
                sizes[group.domain] += group.readers
        erased = sizes.pop("", 0)
        named = list(_largest_first(sizes))[:MAX_DOMAINS]
        has_others = len(sizes) > len(named) or erased
        places = {domain: domain for domain in named}
        parts: dict[str, list[Group]] = {domain: [] for domain in named}
        parts |= {OTHER: []} if has_others else {}
        for group in self.groups:
            if group.state != DeliveryState.EXCLUDED:
                parts[places.get(group.domain, OTHER)].append(group)
        return tuple(_domain_figure(name, Audience(of, self.is_told)) for name, of in parts.items())

    def _sum(self, wanted: Callable[[Group], bool]) -> int:
        return sum(group.readers for group in self.groups if wanted(group))


def audience_of(rows: Iterable[Sequence[Any]]) -> Audience:
    """From the rows of `stats_sql.AUDIENCE`."""
    return Audience.of([_group(row) for row in rows])


def _group(row: Sequence[Any]) -> Group:
    state, reason, domain, is_tracked, readers, told, first_at = row
    return Group(state, reason, domain or "", bool(is_tracked), readers, told, first_at)


def _domain_figure(name: str, part: Audience) -> DomainFigure:
    complained = part.complained
    return DomainFigure(
        domain=name,
        audience=part.candidates,
        reached=part.reached,
        delivered=part.delivered,
        deferred=part.in_states(DeliveryState.DEFERRED),
        bounced=part.in_states(DeliveryState.BOUNCED),
        complained=complained,
        alarm=Alarm.of(complained),
    )


def _largest_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
