"""Events of a provider we have no words of: told in ours, by whoever translates them.

A JSON array of objects, or one object:

    {"id": "evt_1", "type": "bounced", "time": "2026-11-24T09:00:07Z",
     "message_id": "<2026-w48.5a0c@example.com>", "code": "5.1.1", "reason": "550 No such user"}

type: a word of `told.Kind`. time: RFC 3339, or seconds since 1970. Which message: its Message-ID,
or in `delivery` the token of its return path or of its links. id: the same when it is told again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from newsletter.providers import told
from newsletter.providers.told import Kind, ProviderEvent, text_of
from subscribers import bounces

_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


def read_events(body: bytes) -> tuple[ProviderEvent, ...]:
    """The events of a POST, in its order. Raises ValueError where it is no array and no object."""
    return tuple([_read(element) for element in told.read_array(body)])


def _read(element: Any) -> ProviderEvent:
    word = element.get("type") if isinstance(element, dict) else None
    if not isinstance(word, str):
        return told.unknown(element)
    kind = _kind(word)
    detail = told.kept(element.get("reason", ""), told.MAX_DETAIL_CHARACTERS)
    code, at = _code(element.get("code"), detail), _instant(element.get("time"))
    event_id, twin = _names(element, at, (word, kind, code, detail))
    return ProviderEvent(
        event_id,
        twin,
        kind,
        text_of(word, told.MAX_WORD_CHARACTERS),
        at,
        message_id=text_of(element.get("message_id"), 320).strip("<> "),
        token=text_of(element.get("delivery"), 200),
        code=code,
        detail=detail,
        raw=told.raw_of(element) if kind is Kind.UNKNOWN else "",
    )


def _kind(word: str) -> Kind:
    try:
        return Kind(word)
    except ValueError:
        return Kind.UNKNOWN


def _names(element: Mapping[str, Any], at: datetime | None, said: Sequence[str]) -> tuple[str, str]:
    """Its id and its twin. Without an instant it is no other event's: two may say the same."""
    event_id = told.own_id(element.get("id"))
    message = element.get("message_id") or element.get("delivery")
    if isinstance(message, str) and at is not None:
        twin = told.twin_of(message, at.isoformat(), said)
    else:
        twin = told.digest("whole", told.as_json(element))
    return event_id or f"twin:{twin}", twin


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str) or "T" not in value:
        return told.instant(value)
    try:
        at = datetime.fromisoformat(value)
        return told.instant(at.astimezone(UTC).timestamp()) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _code(given: Any, detail: str) -> str:
    if isinstance(given, str) and _CODE.fullmatch(given):
        return given
    return bounces.code_in(detail)[:16] if detail else ""
