"""The table of an issue's tracked links, filled while its templates run."""

from __future__ import annotations

from collections.abc import Mapping

from newsletter.rendering.rendered import Link
from newsletter.rendering.slots import Slot

# What the link is called that no person sees: who follows it is a machine. `tracking.links` has it
# under the same name, and knows a machine by it.
CANARY = "canary"


class LinkTable:
    """Gives each target a number; HTML and text share one table. base: without trailing slash."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._links: dict[tuple[str, str], Link] = {}

    def add(self, url: str, label: str) -> Link:
        key = (url, label)
        return self._links.setdefault(key, Link(len(self._links) + 1, url, label))

    def links(self) -> tuple[Link, ...]:
        return tuple(self._links.values())


class Addresses:
    """What a template may link to: one part's view of the table, with that part's placeholders."""

    def __init__(self, table: LinkTable, placeholders: Mapping[Slot, str]) -> None:
        self._table = table
        self._base = table.base
        self._token = placeholders

    def link(self, url: str, label: str) -> str:
        """The tracked address that leads to `url`."""
        seen = f"{label} (page)" if label == CANARY else label
        return self._tracked(url, seen)

    def canary(self, url: str) -> str:
        """The same for the link that only machines find."""
        return self._tracked(url, CANARY)

    def vote(self, comparison: str, tool: str, verdict: str) -> str:
        """The page of one vote, by the slugs of comparison and tool; it leads there directly."""
        return f"{self._base}/vote/{self._token[Slot.VOTE]}/{comparison}/{tool}/{verdict}"

    def _tracked(self, url: str, label: str) -> str:
        return f"{self._base}/c/{self._token[Slot.DELIVERY]}/{self._table.add(url, label).n}"

    @property
    def pixel(self) -> str:
        return f"{self._base}/o/{self._token[Slot.DELIVERY]}.gif"

    @property
    def unsubscribe(self) -> str:
        return f"{self._base}/unsubscribe/{self._token[Slot.UNSUBSCRIBE]}"

    @property
    def preferences(self) -> str:
        return f"{self._base}/preferences/{self._token[Slot.PREFERENCES]}"

    @property
    def confirm(self) -> str:
        return f"{self._base}/confirm/{self._token[Slot.CONFIRM]}"

    @property
    def move(self) -> str:
        return f"{self._base}/address/{self._token[Slot.MOVE]}"

    @property
    def data(self) -> str:
        return f"{self._base}/your-data/{self._token[Slot.DATA]}"
