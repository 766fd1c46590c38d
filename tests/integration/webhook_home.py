"""A home whose readers come, go and complain, and endpoints that are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from publication import MONDAY, open_home
from sqlalchemy import text
from webhook_receiver import Receiver

from newsletter.app import App
from newsletter.webhooks import endpoints, kinds, messages
from newsletter.webhooks.delivery import deliver
from newsletter.webhooks.messages import Logged
from subscribers import consent, leaving, suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

TIMEOUT_S = 3.0  # of tests that wait for it: two busy cores make an answer take a second


@dataclass
class Clock:
    now: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Home:
    app: App
    clock: Clock

    def add(self, receiver: Receiver, *wanted: str, **options: Any) -> int:
        """The receiver as an endpoint, which knows its secret; its number."""
        chosen = {"sends_addresses": False, "insecure": False, "by": "ann", **options}
        with self.app.session() as session:
            added, receiver.secret = endpoints.add(
                session, receiver.url, kinds.parse(wanted), now=self.clock(), **chosen
            )
        return added.id

    def comes(self, name: str) -> int:
        """A reader signs up and confirms; their id."""
        address = EmailAddress.parse(f"{name}@example.com")
        with self.app.session() as session:
            consent.sign_up(
                session, address, source="form", wording="yes", network="", now=self.clock()
            )
            reader = consent.find(session, address)
            assert reader is not None
            assert reader.id
            now = self.clock()
            consent.confirm(session, reader.id, issued_at=now, source="mail", network="", now=now)
            return reader.id

    def goes(self, reader_id: int) -> None:
        with self.app.session() as session:
            leaving.unsubscribe(
                session, reader_id, source="mail:one-click", network="", now=self.clock()
            )

    def complains(self, name: str) -> None:
        with self.app.session() as session:
            suppression.suppress(
                session,
                f"{name}@example.com",
                SuppressionReason.COMPLAINT,
                detail="",
                now=self.clock(),
            )

    def round(self, *, timeout_s: float = 20) -> list[str]:
        return list(deliver(self.app, chance=lambda: 0.0, timeout_s=timeout_s))

    def log(self, **only: Any) -> list[Logged]:
        with self.app.session(readonly=True) as session:
            return messages.log(session, **only)

    def count(self, table: str) -> int:
        with self.app.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def home_in(folder: Path) -> Home:
    clock = Clock()
    return Home(replace(open_home(folder), clock=clock), clock)


@contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """A home in that folder, closed behind the test."""
    home = home_in(folder)
    yield home
    home.app.engine.dispose()
