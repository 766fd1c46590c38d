"""Settings: `newsletter.toml` in the home or the current folder, overridden by NEWSLETTER_*."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from newsletter.doors import Networks, Origins, PuzzleTries, SignUps, SignUpsOrNone
from newsletter.errors import SettingsError
from newsletter.rates import Connections, Count, Day, DomainRates, Errors, PerSecond, WarmUp
from newsletter.theme import Palette, Theme

PREFIX = "NEWSLETTER_"
TESTS_PREFIX = "NEWSLETTER_TEST_"
FILE = "newsletter.toml"
OPEN_TABLES = ("rate_per_domain",)  # whose keys are the operator's own, not ours to know
_FROM_VARIABLE = "NEWSLETTER_FROM"  # `from` is a word of Python's: the field is `from_`
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEND_AT = re.compile(
    r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*\s+([01]?\d|2[0-3]):([0-5]\d)", re.IGNORECASE
)
# Controls, line ends and what turns the direction of reading: none of it is seen, all of it acts.
_NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|=\?")
_IN_ADDRESSES = re.compile(r"[A-Za-z0-9._~:/@%!$&*+,;=\[\]-]+")  # no quotes, no query, no fragment
_LIST_ID = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")


@dataclass(frozen=True, slots=True)
class SendAt:
    """A weekday (0 is Monday) and a wall-clock time, read from `tue 09:00`."""

    weekday: int
    at: time

    def __str__(self) -> str:
        return f"{WEEKDAYS[self.weekday]} {self.at:%H:%M}"


class Settings(BaseSettings):
    """Every setting, checked. Field names are the keys of newsletter.toml."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        populate_by_name=True,
    )

    home: Path = Path("var")
    database_url: SecretStr | None = None
    content_dir: Path = Path("content")
    templates_dir: Path = Path("templates")
    public_url: str = "http://127.0.0.1:8000"
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    name: str = Field(default="Weekly AI Tool Verdicts", min_length=1, max_length=60)
    from_: str = Field(default="", validation_alias=_FROM_VARIABLE)
    postal_address: str = Field(default="", max_length=300)
    language: str = "en"
    theme: Theme = Theme()
    list_id: str = ""
    reply_to: str = ""
    unsubscribe_mailto: str = ""
    bounces_to: str = ""
    editors: Annotated[tuple[str, ...], NoDecode] = ()
    operators: Annotated[tuple[str, ...], NoDecode] = ()
    tracking: bool = True
    timezone: ZoneInfo = ZoneInfo("UTC")
    send_at: Annotated[SendAt, NoDecode] = SendAt(1, time(9, 0))
    plan_ahead_hours: int = Field(default=24, ge=1, le=144)
    approval: Literal["required", "automatic"] = "required"
    catch_up_hours: int = Field(default=24, ge=1, le=144)
    provider: Literal["outbox", "smtp", "sendgrid"] = "outbox"
    smtp_url: SecretStr | None = None
    sendgrid_api_key: SecretStr | None = None
    sendgrid_url: str = "https://api.sendgrid.com"
    sendgrid_webhook_key: str = ""
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    webhook_freshness_minutes: int = Field(default=10, ge=1, le=1_440)
    smtp_connections: Connections = 4
    rate_per_second: PerSecond = None
    rate_per_hour: Count = None
    rate_per_day: Count = None
    rate_per_domain: Annotated[DomainRates, NoDecode] = Field(default_factory=dict)
    warm_up_from: Day = None
    warm_up: Annotated[WarmUp, NoDecode] = Field(default=(), validate_default=True)
    stop_after_errors: Errors = 100
    sunset_after_issues: int = Field(default=0, ge=0, le=520)  # 0: the rule is off
    seeds: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[Networks, NoDecode] = ()
    form_origins: Annotated[Origins, NoDecode] = ()
    sign_ups_per_ip: SignUps = 5
    sign_ups_per_hour: SignUps = 500
    votes_per_ip: SignUps = 20
    proof_of_work: PuzzleTries = 0
    disposable_domains: Path | None = None
    sign_ups_unsolved_per_hour: SignUpsOrNone = 20
    now: datetime | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        _path, values = read_file(_home(init_settings()))
        if "from" in values:
            values[_FROM_VARIABLE] = values.pop("from")
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)

    @field_validator(
        "secret_keys", "webhook_secrets", "editors", "operators", "seeds", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("public_url", "sendgrid_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or not _IN_ADDRESSES.fullmatch(value)
        ):
            raise ValueError("is not a base address; write it as https://verdicts.example.com")
        return value.rstrip("/")

    @field_validator("timezone", mode="before")
    @classmethod
    def _zone(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("is not a time zone; write one as Europe/Berlin") from None

    @field_validator("send_at", mode="before")
    @classmethod
    def _weekday_and_time(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _SEND_AT.fullmatch(value.strip())
        if match is None:
            raise ValueError("is not a weekday and a time; write it as `tue 09:00`")
        day = WEEKDAYS.index(match[1].lower())
        return SendAt(day, time(int(match[2]), int(match[3])))

    @field_validator("from_", "reply_to", "unsubscribe_mailto", "bounces_to")
    @classmethod
    def _one_mailbox(cls, value: str) -> str:
        if value and not mailbox(value).addr_spec.isascii():
            raise ValueError("has letters no mail header takes; write its domain as xn--...")
        return value

    @field_validator("bounces_to")
    @classmethod
    def _room_for_a_token(cls, value: str) -> str:
        # 64 octets before the @ (RFC 5321), of which `+` and a token take 49.
        if value and len(mailbox(value).username) > 15:
            raise ValueError("has more than 15 characters before the @; write bounces@example.com")
        return value

    @field_validator("editors", "operators", "seeds")
    @classmethod
    def _mailboxes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            mailbox(one)
        return value

    @field_validator("warm_up")
    @classmethod
    def _with_its_start(cls, value: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if "warm_up_from" not in info.data:  # it has a fault of its own
            return value
        start = info.data["warm_up_from"]
        if value and start is None:
            raise ValueError("needs warm_up_from, the day it starts on, as 2026-11-23")
        if start is not None and not value:
            raise ValueError("is missing beside warm_up_from; write it as 50,100,500,1000,5000")
        return value

    @field_validator("list_id")
    @classmethod
    def _label(cls, value: str) -> str:
        if value and not _LIST_ID.fullmatch(value):
            raise ValueError("is not a list id; write one as verdicts.example.com (RFC 2919)")
        return value

    @field_validator("language")
    @classmethod
    def _tag(cls, value: str) -> str:
        if not _LANGUAGE.fullmatch(value):
            raise ValueError("is not a language; write its tag as en, pt-BR or ar (BCP 47)")
        return value

    @field_validator("name", "postal_address")
    @classmethod
    def _plain_line(cls, value: str) -> str:
        if _NOT_PLAIN.search(value):
            raise ValueError("holds a control character or `=?`; write plain text on one line")
        return value

    @field_validator("now")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs an offset; write it as 2026-11-24T09:00:00Z")
        return value.astimezone(UTC) if value else None

    @property
    def database(self) -> str:
        """The database's URL; by default a file in the home."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'newsletter.db'}"


def mailbox(text: str) -> Address:
    """One address with or without a name; raises ValueError saying how to write it."""
    name, spec = parseaddr(text)
    try:
        address = Address(display_name=name, addr_spec=spec)
    except (MessageError, ValueError, IndexError):
        address = Address()
    if not (address.username and "." in address.domain) or "=?" in text or not text.isprintable():
        raise ValueError("is not one address; write it as Verdicts <news@example.com>")
    return address


def load_settings(**overrides: Any) -> Settings:
    """Reads and checks all settings; raises SettingsError naming the setting and the fix."""
    refuse_unknown(os.environ, read_file(_home(overrides))[1])
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_faults(error)), hint="mend it in the environment or in newsletter.toml"
        ) from None


def read_file(home: Path) -> tuple[Path | None, dict[str, Any]]:
    """newsletter.toml of the home, else of the current folder: its path and its values."""
    path = next((p for p in (home / FILE, Path(FILE)) if _is_file(p)), None)
    if path is None:
        return None, {}
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", hint="mend the file") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its folder may not be looked into; who opens the home says so
        return False


def refuse_unknown(environ: Mapping[str, str], file_values: Mapping[str, Any]) -> None:
    """Raises SettingsError for the first key that no setting has, naming the nearest one."""
    known = [key for key, _value in flat(Settings.model_construct())]
    given = {
        name: name.removeprefix(PREFIX).lower().replace("__", ".")
        for name in environ
        if name.startswith(PREFIX) and not name.startswith(TESTS_PREFIX)
    } | {key: key for key, _value in flat(file_values)}
    for name, key in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            spelled = variable_of(near) if name.startswith(PREFIX) else near
            raise SettingsError(f"there is no setting {name}", hint=f"did you mean {spelled}?")


def setting_key(field: str) -> str:
    """A field's name as people write it: `from_` is `from`."""
    return field.rstrip("_")


def variable_of(key: str) -> str:
    """`theme.accent` as a variable: NEWSLETTER_THEME__ACCENT."""
    return PREFIX + key.upper().replace(".", "__")


def flat(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """(key, value) of settings or of a file's tables, nested ones as `theme.dark.accent`."""
    for key, value in _members(values):
        if isinstance(value, Mapping | Palette) and prefix + key not in OPEN_TABLES:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _members(values: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(values, Mapping):
        return values.items()
    names = (
        Settings.model_fields if isinstance(values, Settings) else (f.name for f in fields(values))
    )
    return ((setting_key(name), getattr(values, name)) for name in names)


def described(settings: Settings) -> Iterable[tuple[str, str, str]]:
    """Every setting as (key, value with secrets masked, where it comes from)."""
    path, values = read_file(settings.home)
    in_file = {key for key, _value in flat(values)}
    for key, value in flat(settings):
        shown = "********" if _secret(value) else _shown(value)
        yield key, shown, _source(key, settings, str(path) if key in in_file else "")


def _source(key: str, settings: Settings, file: str) -> str:
    """file: the one that has the key, or ""."""
    variable = variable_of(key)
    if os.environ.get(variable):
        return variable
    if file:
        return file
    field = "from_" if key == "from" else key
    return "command line" if field in settings.model_fields_set else "default"


def _secret(value: Any) -> bool:
    return isinstance(value, SecretStr) or (
        isinstance(value, tuple) and any(isinstance(part, SecretStr) for part in value)
    )


def _shown(value: Any) -> str:
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_shown(one)}" for key, one in value.items())
    if isinstance(value, float):
        return f"{value:.12g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _home(overrides: Mapping[str, Any]) -> Path:
    return Path(overrides.get("home") or os.environ.get("NEWSLETTER_HOME") or "var")


def _faults(error: ValidationError) -> Iterable[str]:
    for fault in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in fault["loc"] if isinstance(part, str)) or "settings"
        key = setting_key(place.removeprefix(PREFIX).lower())
        message = fault["msg"].removeprefix("Value error, ")
        yield f"setting {key} ({variable_of(key)}): {message}"
