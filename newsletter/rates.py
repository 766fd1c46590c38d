"""Rates and numbers as operators write them, each checked with an error that says how."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

LEAST_A_SECOND = 0.0001  # one in three hours: below, write it as messages a day
MOST_A_SECOND = 1_000_000
MOST_MESSAGES = 1_000_000_000
_WHOLE = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_A_RATE = f"from {LEAST_A_SECOND} to {MOST_A_SECOND:,}"
_DOMAINS = "write messages a second for each domain, as gmail.com=5,outlook.com=2"
_WARM_UP = "write the most messages on the first, second, ... day, as 50,100,500,1000,5000"


def whole_number(value: object) -> int | None:
    """A number of ASCII digits; None for anything else."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def _is_rate(number: float | None) -> bool:
    return number is not None and LEAST_A_SECOND <= number <= MOST_A_SECOND


def _per_second(value: object) -> object:
    if value is None:
        return None
    number = _number(value)
    if not _is_rate(number):
        raise ValueError(f"is not a rate; write messages a second as 10 or 0.5, {_A_RATE}")
    return number


def _count(value: object) -> object:
    if value is None:
        return None
    number = whole_number(value)
    if number is None or not 1 <= number <= MOST_MESSAGES:
        raise ValueError("is not a number of messages; write a whole number, as 5000")
    return number


def _domain_rates(value: object) -> dict[str, float]:
    pairs = _pairs(value)
    if pairs is None:
        raise ValueError(f"is not a table of domains; {_DOMAINS}")
    rates: dict[str, float] = {}
    for domain, rate in pairs:
        name, number = _ascii_domain(domain.strip()), _number(rate)
        if number is None or not _is_rate(number):
            raise ValueError(f"has no rate for {name}; {_DOMAINS}, {_A_RATE}")
        if name in rates:
            raise ValueError(f"names {name} twice; write each domain once")
        rates[name] = number
    return rates


def _pairs(value: object) -> list[tuple[str, object]] | None:
    if isinstance(value, Mapping):
        return list(_dotted(value))
    if not isinstance(value, str):
        return None
    cut = (part.partition("=") for part in value.split(",") if part.strip())
    return [(domain, rate) for domain, _equals, rate in cut]


def _dotted(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """`gmail.com = 5` without quotes is a table in a table to TOML, and means the same to us."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _ascii_domain(domain: str) -> str:
    from subscribers.address import EmailAddress  # heavy; only who has such a setting needs it
    from subscribers.errors import AddressError

    try:
        return EmailAddress.parse(f"reader@{domain}").ascii_domain
    except AddressError:
        raise ValueError(f"holds {domain!r}, which is no mail domain; {_DOMAINS}") from None


def _warm_up(value: object) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    given = [part for part in parts if part != ""] if isinstance(parts, list | tuple) else [None]
    days = [day for day in map(whole_number, given) if day and day <= MOST_MESSAGES]
    if len(days) != len(given):
        raise ValueError(f"is not a list of whole numbers; {_WARM_UP}")
    if days != sorted(days):
        raise ValueError(f"falls from one day to the next, but a warm-up only rises; {_WARM_UP}")
    return tuple(days)


def _day(value: object) -> object:
    if value is None or type(value) is date:
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("is not a day; write it as 2026-11-23") from None


def _errors(value: object) -> object:
    number = whole_number(value)
    if number is None or number > MOST_MESSAGES or number < 0:
        raise ValueError("is not a number of errors; write it as 100, or 0 for never")
    return number


def _connections(value: object) -> object:
    number = whole_number(value)
    if number is None or not 1 <= number <= 100:
        raise ValueError("is not a number of connections; write one from 1 to 100")
    return number


PerSecond = Annotated[float | None, BeforeValidator(_per_second)]
Count = Annotated[int | None, BeforeValidator(_count)]
DomainRates = Annotated[Mapping[str, float], BeforeValidator(_domain_rates)]
WarmUp = Annotated[tuple[int, ...], BeforeValidator(_warm_up)]
Day = Annotated[date | None, BeforeValidator(_day)]
Errors = Annotated[int, BeforeValidator(_errors)]
Connections = Annotated[int, BeforeValidator(_connections)]
