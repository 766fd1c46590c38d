"""The hits of readers' mail become events: a part of the tick, and of `run --once`."""

from __future__ import annotations

from collections.abc import Iterator

from newsletter.app import App
from newsletter.tracking import hit_import


def take_in(app: App) -> Iterator[str]:
    """Takes in what the logs of all serving processes hold; says only what it could not use."""
    taken = hit_import.take_in(app.engine, app.home, now=app.clock())
    if taken.damaged:
        yield f"lines of the hit log that were damaged: {taken.damaged}"
    if taken.unknown:
        yield f"hits of issues that are not in this store: {taken.unknown}"
