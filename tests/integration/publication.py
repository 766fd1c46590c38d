"""A whole application on a home of its own, with comparisons and readers to order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from newsletter import pipeline
from newsletter.app import App, build_app
from newsletter.bundled import bundled
from newsletter.editorial import content, library
from newsletter.editorial.content_model import Comparison
from newsletter.settings import load_settings
from newsletter.store.states import ComparisonState
from subscribers import consent
from subscribers.address import EmailAddress

MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # within 24 hours of the slot
SLOT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)  # tue 09:00, 2026-W48
WEEK = "2026-W48"


def open_home(home: Path, **settings: Any) -> App:
    """An application on `home`, its clock standing at MONDAY."""
    return at(build_app(load_settings(home=home, **settings)), MONDAY)


def at(app: App, instant: datetime) -> App:
    """The same application at another instant."""
    return replace(app, clock=lambda: instant)


def finished(title: str, *, sample: bool = False) -> Comparison:
    """A finished comparison with a title of its own and the seed's takes."""
    seed = content.load_all(bundled("content"))[0]
    return replace(seed, title=title, sample=sample, status=ComparisonState.FINISHED)


def store(app: App, *comparisons: Comparison) -> library.ImportOutcome:
    with app.session() as session:
        return library.import_comparisons(session, list(comparisons), now=app.clock())


def readers(app: App, count: int) -> list[str]:
    """`count` confirmed readers; their addresses."""
    addresses = [f"reader{n}@example.com" for n in range(1, count + 1)]
    with app.session() as session:
        for address in addresses:
            consent.add(
                session,
                EmailAddress.parse(address),
                address.partition("@")[0].title(),
                consent="agreed on paper",
                given_on="2026-01-15",
                source="test",
                now=app.clock() - timedelta(days=1),
            )
    return addresses


def outbox(app: App, folder: str = WEEK) -> list[Path]:
    return sorted((app.home / "outbox" / folder).glob("*.eml"))


def planned_and_approved(app: App) -> None:
    pipeline.plan(app)
    pipeline.approve(app, "latest", by="the editor")


AppMaker = Callable[..., App]
