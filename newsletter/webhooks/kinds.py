"""What an endpoint can be told of, and the body that tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from newsletter.errors import RefusedError
from subscribers.models import ConsentAction


class Kind(StrEnum):
    ISSUE_SENT = "issue.sent"  # nothing of it is left to send
    CONFIRMED = "subscriber.confirmed"  # a reader is on the list by their own word
    UNSUBSCRIBED = "subscriber.unsubscribed"  # a reader is on it no more: left, or erased
    COMPLAINED = "subscriber.complained"  # a reader called our mail spam
    TEST = "webhook.test"  # an operator tries the endpoint; nobody asks for it


OFFERED = tuple(kind for kind in Kind if kind is not Kind.TEST)

# Each goes by its record's own word as `because`. Who comes back after leaving is confirmed again:
# who mirrors the list would lose them else. What operators add and import is not told, for it may
# be a million at once, and they know.
TOLD_OF: Mapping[ConsentAction, Kind] = {
    ConsentAction.CONFIRMED: Kind.CONFIRMED,
    ConsentAction.RETURNED: Kind.CONFIRMED,
    ConsentAction.RESTORED: Kind.CONFIRMED,
    ConsentAction.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
    ConsentAction.ERASED: Kind.UNSUBSCRIBED,
}


def parse(words: Iterable[str]) -> tuple[Kind, ...]:
    """The kinds named, each once, in our order; all of them where none is. Raises RefusedError."""
    wanted = set(words)
    unknown = sorted(wanted - set(OFFERED))
    if unknown:
        raise RefusedError(
            f"there is no kind {unknown[0]}", hint=f"the kinds are {', '.join(OFFERED)}"
        )
    return tuple(kind for kind in OFFERED if not wanted or kind in wanted)


def body(kind: Kind, at: datetime, data: Mapping[str, Any]) -> str:
    """JSON as Standard Webhooks recommends it: type, timestamp (when it happened), data.

    data: ids and words, never an address: what is kept here outlives an erasure.
    """
    told = {"type": kind, "timestamp": stamp(at), "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def with_address(told: str, address: str) -> str:
    """The same body with the reader's address in its data, for this one call."""
    whole = json.loads(told)
    whole["data"]["address"] = address
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def subscriber_of(told: str) -> int | None:
    """Whose body it is; None for nobody's."""
    found = json.loads(told)["data"].get("subscriber")
    return found if isinstance(found, int) else None


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC: `2026-11-24T09:00:00Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
