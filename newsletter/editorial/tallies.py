"""The votes on a tool, added up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes on one tool. ship, skip: of readers, believed; the others stand apart."""

    ship: int = 0
    skip: int = 0
    suspect_ship: int = 0
    suspect_skip: int = 0
    visitors_ship: int = 0
    visitors_skip: int = 0

    @property
    def verified(self) -> int:
        return self.ship + self.skip

    @property
    def raw(self) -> int:
        """Every reader's vote, believed or not; no visitor's."""
        return self.verified + self.suspect_ship + self.suspect_skip

    @property
    def visitors(self) -> int:
        return self.visitors_ship + self.visitors_skip
