"""A whole application on a home of its own, with comparisons and readers to order."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlmodel import Session

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
    """An application on `home`, its clock standing at MONDAY.

    A home without a database gets a copy of an empty one: making it takes longer than most of what
    is tested with it.
    """
    chosen = load_settings(home=home, **settings)
    file = home / "newsletter.db"
    if chosen.database == f"sqlite:///{file}" and not file.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy(_empty_database(), file)
    return at(build_app(chosen), MONDAY)


@cache
def _empty_database() -> Path:
    """At the newest revision. Closing its last connection folds the log of writes into the file."""
    home = Path(tempfile.mkdtemp(prefix="newsletter-tests-")) / "home"
    atexit.register(shutil.rmtree, home.parent)
    build_app(load_settings(home=home)).engine.dispose()
    return home / "newsletter.db"


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


def never_committing(app: App) -> Iterator[Session]:
    """For a fixture to yield from: what a test does in it is never committed."""
    with Session(app.engine, expire_on_commit=False) as session:
        yield session
        session.rollback()


AppMaker = Callable[..., App]
