"""The application: everything long-lived, built once from settings and handed to whoever acts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.bundled import bundled
from newsletter.delivery.rate import TOLERANCE_S, Limits, Throttle
from newsletter.errors import SettingsError
from newsletter.providers.base import Provider
from newsletter.providers.outbox import Outbox
from newsletter.rendering.render import Renderer
from newsletter.rendering.view import Publication
from newsletter.settings import Settings, setting_key, variable_of
from newsletter.store.engine import open_engine, require_current_schema, session_on
from newsletter.tokens import Keyring
from newsletter.weeks import WeeklySlot
from subscribers.flags import read_domains

Clock = Callable[[], datetime]

# For the outbox only: a real provider demands NEWSLETTER_FROM.
NO_SENDER = "newsletter@verdicts.example"
NO_LIST_ID = "verdicts.example"


@dataclass(frozen=True, slots=True)
class App:
    """What every command and page works with."""

    settings: Settings
    engine: Engine
    keyring: Keyring
    renderer: Renderer
    provider: Provider | None  # None: it lacks settings, see `sending_provider`
    throttle: Throttle
    clock: Clock
    slot: WeeklySlot
    publication: Publication

    def session(self, *, readonly: bool = False) -> AbstractContextManager[Session]:
        """One transaction; see `store.engine.session_on`."""
        return session_on(self.engine, readonly=readonly)

    @property
    def sending_provider(self) -> Provider:
        """The provider; raises SettingsError, naming what is missing, before anything is sent."""
        if self.provider is None:
            missing = ", ".join(missing_for_sending(self.settings))
            raise SettingsError(
                f"the provider {self.settings.provider} cannot send without {missing}",
                hint="set it in the environment or in newsletter.toml; "
                "the outbox (NEWSLETTER_PROVIDER=outbox) needs none of it",
            )
        return self.provider

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def content_dir(self) -> Path:
        """The editors' folder, or the one that comes with the program where there is none."""
        folder = self.settings.content_dir
        return folder if folder.is_dir() else bundled("content")

    def disposable_domains(self) -> frozenset[str]:
        """The domains whose addresses are flagged `disposable`; none where no list is set.

        Raises SettingsError where the list cannot be read.
        """
        path = self.settings.disposable_domains
        if path is None:
            return frozenset()
        try:
            return read_domains(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise SettingsError(
                f"the list of disposable domains, {path}, cannot be read: {why}",
                hint="name a file with one domain a line in NEWSLETTER_DISPOSABLE_DOMAINS,"
                " or unset it",
            ) from None


def build_app(settings: Settings, *, running_clock: bool = False) -> App:
    """Opens the home: keys, database, provider.

    A home without a database gets one; an older database is refused with what to do (StoreError).
    running_clock: with NEWSLETTER_NOW set, time goes on from that instant; else it stands still.
    """
    _make_home(settings.home)
    engine = open_engine(settings.database)
    require_current_schema(engine)
    clock = clock_of(settings.now, running=running_clock)
    return App(
        settings=settings,
        engine=engine,
        keyring=Keyring(load_keys(settings)),
        renderer=Renderer(settings.templates_dir),
        provider=provider_of(settings),
        # On a clock that goes on in any case: on one that stands still a limit never lets go.
        throttle=Throttle(engine, limits_of(settings), clock_of(settings.now, running=True)),
        clock=clock,
        slot=WeeklySlot(settings.send_at.weekday, settings.send_at.at, settings.timezone),
        publication=publication_of(settings),
    )


def limits_of(settings: Settings) -> Limits:
    """What the settings allow in a second, an hour and a day."""
    return Limits(
        per_second=settings.rate_per_second,
        per_hour=settings.rate_per_hour,
        per_day=settings.rate_per_day,
        per_domain=settings.rate_per_domain,
        warm_up_from=settings.warm_up_from,
        warm_up=settings.warm_up,
        zone=settings.timezone,
        # Few large requests come closer to a rate when more may leave together.
        tolerance_s=1.0 if settings.provider == "sendgrid" else TOLERANCE_S,
    )


def clock_of(now: datetime | None, *, running: bool) -> Clock:
    """The time of day; a given instant that stands still; or one that time goes on from."""
    if now is None:
        return lambda: datetime.now(UTC)
    if not running:
        return lambda: now
    started = monotonic()
    return lambda: now + timedelta(seconds=monotonic() - started)


def publication_of(settings: Settings) -> Publication:
    host = urlsplit(settings.public_url).hostname or ""
    return Publication(
        name=settings.name,
        url=settings.public_url,
        sender=settings.from_ or str(Address(settings.name, addr_spec=NO_SENDER)),
        postal_address=settings.postal_address,
        list_id=settings.list_id or (host if not _is_local(host) else NO_LIST_ID),
        reply_to=settings.reply_to,
        unsubscribe_mailto=settings.unsubscribe_mailto,
        language=settings.language,
        theme=settings.theme,
    )


def missing_for_sending(settings: Settings) -> list[str]:
    """The variables a provider still needs; an outbox needs none."""
    if settings.provider == "outbox":
        return []
    own = "smtp_url" if settings.provider == "smtp" else "sendgrid_api_key"
    needed = ("from_", "postal_address", "list_id", own)
    return [variable_of(setting_key(field)) for field in needed if not getattr(settings, field)]


def provider_of(settings: Settings) -> Provider | None:
    """The provider that takes messages; None where settings are missing."""
    if missing_for_sending(settings):
        return None
    if settings.provider == "smtp" and settings.smtp_url is not None:
        from newsletter.providers.smtp import Smtp

        sender = parseaddr(settings.from_)[1]
        url = settings.smtp_url.get_secret_value()
        return Smtp.from_url(
            url,
            sender=sender,
            helo=sender.rpartition("@")[2],
            connections=settings.smtp_connections,
        )
    if settings.provider == "sendgrid" and settings.sendgrid_api_key is not None:
        from newsletter.providers.sendgrid import SendGrid

        key = settings.sendgrid_api_key.get_secret_value()
        return SendGrid(key, base_url=settings.sendgrid_url)
    return Outbox(settings.home / "outbox")


def load_keys(settings: Settings) -> list[bytes]:
    """The secret keys, newest first; without a setting, a key made once and kept in the home."""
    if settings.secret_keys:
        return [key.get_secret_value().encode() for key in settings.secret_keys]
    path = settings.home / "keys"
    try:
        _make_key(path)
        keys = [line.encode() for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the key file {path} cannot be used: {error}",
            hint="make the home folder writable, or restore the file from a backup",
        ) from None
    if not keys:
        raise SettingsError(
            f"the key file {path} is empty",
            hint="restore it: without its keys the links in mail already sent stop working",
        )
    return keys


def _make_key(path: Path) -> None:
    """Writes a fresh key unless there is one: by link, so that it is there whole or not at all."""
    if path.exists():
        return
    draft = path.with_name(f"keys.{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Losing this race is fine: the other process's key is the home's key.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the home folder {home} cannot be made: {error.strerror}",
            hint="set NEWSLETTER_HOME to a folder that can be written to",
        ) from None


def _is_local(host: str) -> bool:
    return "." not in host or host.replace(".", "").isdigit()
