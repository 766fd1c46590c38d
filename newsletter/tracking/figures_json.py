"""Figures as plain values for JSON and back: for files, for pages, and to be kept.

What can be derived (a rate, its interval, a sum) is written for whoever reads the JSON, and left
aside when it is read back.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from newsletter.tracking.figures import Labelled, Share

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A figure as dicts, lists, texts and numbers; instants as `2026-11-24T09:00:00Z`."""
    if is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return plain | _derived(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def from_plain(kind: type[T], plain: Any) -> T:
    """What `to_plain` was given. Raises KeyError, TypeError or ValueError for anything else."""
    return _read(kind, plain)  # type: ignore[no-any-return]


def _derived(value: Any) -> dict[str, Any]:
    if isinstance(value, Labelled):
        return {"total": value.total}
    if isinstance(value, Share):
        low, high = value.interval
        return {"rate": value.rate, "low": low, "high": high}
    return {}


def _read(kind: Any, plain: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # `int | None` and the like
        inner = next(part for part in parts if part is not types.NoneType)
        return None if plain is None else _read(inner, plain)
    if origin is tuple:
        return tuple(_read(parts[0], one) for one in plain)
    if origin is not None:  # a mapping, its keys are texts
        return {key: _read(parts[1], one) for key, one in plain.items()}
    if is_dataclass(kind):
        return _dataclass(kind, plain)
    if kind in (datetime, date):
        return kind.fromisoformat(plain)
    return kind(plain) if issubclass(kind, StrEnum) else plain


def _dataclass(kind: Any, plain: Mapping[str, Any]) -> Any:
    """A figure kept by an earlier version may lack what was added since: its default stands."""
    known = _hints(kind)
    return kind(**{name: _read(of, plain[name]) for name, of in known.items() if name in plain})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    named = {field.name for field in fields(kind)}
    return {name: of for name, of in get_type_hints(kind).items() if name in named}
