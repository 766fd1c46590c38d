"""A site on a home of its own: a client that never follows redirects, and a clock to move."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from publication import MONDAY, open_home, planned_and_approved, readers
from sqlalchemy import text

from newsletter import hits, pipeline
from newsletter.app import App
from newsletter.web.app import create_app
from subscribers import consent
from subscribers.address import EmailAddress

SEED_SLUG = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"
READER = "reader1@example.com"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ISSUE_PATH = "/issues/2026-w48"
ADDRESS = "http://127.0.0.1"
LOCAL = ("127.0.0.1", 50_000)
# What a visitor's GET must never change: everything but the facts appended to `event`.
TABLES = ("subscriber", "consent_record", "suppression", "delivery", "system_mail", "issue")


@dataclass
class Clock:
    now: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Served:
    """The application, its clock and a client of its pages."""

    app: App
    clock: Clock
    client: TestClient

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def stamp(self, *, age_s: float = 10) -> str:
        """A form token as a form shown `age_s` ago carries it."""
        return self.app.keyring.form(self.clock() - timedelta(seconds=age_s))

    def sign_up(self, email: str, **fields: str) -> Any:
        form = {"email": email, "shown": self.stamp(), "website": "", **fields}
        return self.client.post("/subscribe", data=form)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with self.app.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        return {table: self.rows(table) for table in TABLES}

    def events(self) -> list[tuple[str, int | None, int | None]]:
        """What is known once the log of hits was taken in."""
        assert list(hits.take_in(self.app)) == []
        with self.app.engine.connect() as connection:
            found = connection.execute(text("SELECT kind, subscriber_id, link FROM event"))
            return [(kind, subscriber, link) for kind, subscriber, link in found]

    def break_the_database(self) -> None:
        """As a disk would: what was a database is none any more."""
        self.app.engine.dispose()
        for file in self.app.home.glob("newsletter.db*"):
            file.unlink()
        (self.app.home / "newsletter.db").write_bytes(b"this is not a database " * 100)


@contextmanager
def served(
    home: Path, *, client: tuple[str, int] = LOCAL, at: str = ADDRESS, **settings: Any
) -> Iterator[Served]:
    clock = Clock()
    app = replace(open_home(home, **settings), clock=clock)
    with TestClient(
        create_app(app),
        base_url=at,
        client=client,
        follow_redirects=False,
        raise_server_exceptions=True,
    ) as visitor:
        yield Served(app, clock, visitor)
    app.engine.dispose()


def make_home(home: Path, *, sent: bool = False) -> Path:
    """A home with the content, samples included, two readers and, with `sent`, a done issue."""
    app = open_home(home)
    pipeline.import_content(app, samples=True)
    readers(app, 2)
    if sent:
        planned_and_approved(app)
        pipeline.send(app, "latest")
    app.engine.dispose()
    return home


def copied(home: Path, to: Path) -> Path:
    return Path(shutil.copytree(home, to / "home"))


def visible_text(page: str) -> str:
    """A page's text without tags, entities decoded, white space as one space."""
    bare = re.sub(r"<(style|title)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def stands_in_order(lines: list[str], shown: str) -> str | None:
    """The first of `lines` that does not follow the ones before it; None where all do."""
    place = 0
    for line in lines:
        wanted = " ".join(line.split())
        found = shown.find(wanted, place)
        if found < 0:
            return line
        place = found + len(wanted)
    return None


def id_of(site: Served, address: str = READER) -> int:
    with site.app.session(readonly=True) as session:
        found = consent.find(session, EmailAddress.parse(address))
        assert found is not None
        assert found.id is not None
        return found.id


def own_page(site: Served, address: str = READER) -> str:
    return f"/preferences/{site.app.keyring.preferences(1, id_of(site, address))}"


def press(site: Served, do: str, path: str = "", **fields: str) -> Any:
    """A button of the preferences page."""
    form = {"do": do, "shown": site.stamp(), **fields}
    return site.client.post(path or own_page(site), data=form)


def leave(site: Served, address: str = READER, **fields: str) -> Any:
    """The form of the unsubscribe page, ticked."""
    path = f"/unsubscribe/{site.app.keyring.unsubscribe(1, id_of(site, address))}"
    return site.client.post(path, data={"shown": site.stamp(), "sure": "yes", **fields})
