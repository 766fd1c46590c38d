"""Facts about a delivery, appended and never changed: an image load, a click, an unsubscription."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.consent import truncate_network

MAX_AGENT_CHARACTERS = 300


class EventKind(StrEnum):
    IMAGE_LOAD = "image_load"  # something fetched the pixel: a person, a proxy, a scanner
    CLICK = "click"  # something followed a link
    UNSUBSCRIBE = "unsubscribe"  # left through this issue's link
    VOTE = "vote"  # pressed ship or skip
    PREFERENCES = "preferences"  # changed their choices through this issue's link


class Label(StrEnum):
    """What an event is taken for; "" in the store until it was looked at."""

    HUMAN = "human"
    MACHINE = "machine"
    UNKNOWN = "unknown"


_APPEND = text(
    "INSERT INTO event (issue_id, subscriber_id, kind, link, at, method, agent, network)"
    " VALUES (:issue_id, :subscriber_id, :kind, :link, :at, :method, :agent, :network)"
).bindparams(bindparam("at", type_=UTCDateTime()))


def append(
    session: Session,
    *,
    issue_id: int | None,
    subscriber_id: int | None,
    kind: EventKind | str,
    link: int | None,
    at: datetime,
    method: str,
    agent: str,
    network: str,
) -> None:
    """Appends one event; the caller commits.

    agent: cut at 300 characters. network: an IP or a network; kept as /24 of IPv4, /48 of IPv6.
    """
    row = {
        "issue_id": issue_id,
        "subscriber_id": subscriber_id,
        "kind": str(kind),
        "link": link,
        "at": at,
        "method": method[:8],
        "agent": agent[:MAX_AGENT_CHARACTERS],
        "network": truncate_network(network),
    }
    session.connection().execute(_APPEND, row)
