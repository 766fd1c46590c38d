"""Issue weeks and the instants they are due: pure functions of dates and a time zone.

A week is an ISO 8601 week. Its slot is a weekday and a wall-clock time in the publication's zone,
turned into one instant. In the autumn overlap the first of the two instants is meant (`fold=0`);
in the spring gap, where the wall clock never shows that time, the instant that `fold=0` names is
the one as far past the gap's start as the time said, so a slot is never lost and never doubled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from newsletter.errors import RefusedError

_WEEK = re.compile(r"(\d{4})-?[Ww](\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class IssueWeek:
    """An ISO week that exists: year 1 to 9998, week 1 to 52 or 53."""

    year: int
    week: int

    def __post_init__(self) -> None:
        try:
            date.fromisocalendar(self.year, self.week, 1)
        except ValueError as error:
            raise RefusedError(
                f"there is no week {self.week} in {self.year}",
                hint="write a week as 2026-W48",
            ) from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2026-W48` or `2026-w48`; raises RefusedError for anything else."""
        match = _WEEK.fullmatch(text.strip())
        if match is None:
            raise RefusedError(f"{text!r} is not a week", hint="write a week as 2026-W48")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Self:
        """The ISO week that `day` lies in."""
        year, week, _ = day.isocalendar()
        return cls(year, week)

    def __str__(self) -> str:
        return f"{self.year:04d}-W{self.week:02d}"

    @property
    def slug(self) -> str:
        """The week in addresses of pages: `2026-w48`."""
        return str(self).lower()

    def next(self) -> IssueWeek:
        return IssueWeek.of(date.fromisocalendar(self.year, self.week, 1) + timedelta(weeks=1))

    def previous(self) -> IssueWeek:
        return IssueWeek.of(date.fromisocalendar(self.year, self.week, 1) - timedelta(weeks=1))


@dataclass(frozen=True, slots=True)
class WeeklySlot:
    """When an issue is due each week.

    weekday: 0 is Monday, 6 is Sunday. at: wall-clock time in `zone`.
    """

    weekday: int
    at: time
    zone: ZoneInfo

    def of(self, week: IssueWeek) -> datetime:
        """The instant (aware, UTC) at which the issue of `week` is due."""
        day = date.fromisocalendar(week.year, week.week, self.weekday + 1)
        local = datetime.combine(day, self.at, tzinfo=self.zone).replace(fold=0)
        return local.astimezone(UTC)

    def week_of(self, instant: datetime) -> IssueWeek:
        """The ISO week that `instant` lies in, on the publication's calendar."""
        return IssueWeek.of(instant.astimezone(self.zone).date())

    def next_after(self, instant: datetime) -> tuple[IssueWeek, datetime]:
        """The first week whose slot is strictly later than `instant`."""
        return next(self.upcoming(instant))

    def latest_at(self, instant: datetime) -> tuple[IssueWeek, datetime]:
        """The last week whose slot is at or before `instant`."""
        week = self.next_after(instant)[0].previous()
        return week, self.of(week)

    def before(self, instant: datetime) -> datetime:
        """The last slot strictly earlier than `instant`: an issue's slot gives the one before."""
        week = self.week_of(instant).next()
        while self.of(week) >= instant:
            week = week.previous()
        return self.of(week)

    def upcoming(self, instant: datetime) -> Iterator[tuple[IssueWeek, datetime]]:
        """Weeks and their slots strictly later than `instant`, without end."""
        week = self.week_of(instant)
        while True:
            slot = self.of(week)
            if slot > instant:
                yield week, slot
            week = week.next()
