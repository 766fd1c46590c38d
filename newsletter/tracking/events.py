"""Facts about a delivery, appended and never changed: an image load, a click, an unsubscription."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.consent import truncate_network

MAX_AGENT_CHARACTERS = 300
SETTLE = timedelta(seconds=30)  # what belongs together has come in by then


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


APPEND = text(
    "INSERT INTO event (issue_id, subscriber_id, kind, link, at, method, agent, network)"
    " VALUES (:issue_id, :subscriber_id, :kind, :link, :at, :method, :agent, :network)"
).bindparams(bindparam("at", type_=UTCDateTime()))

# By primary key. A pair that is listed already is looked at when its latest event has settled.
TO_CLASSIFY = text(
    "INSERT INTO to_classify (issue_id, subscriber_id, due_at)"
    " VALUES (:issue_id, :subscriber_id, :due_at) ON CONFLICT (issue_id, subscriber_id)"
    " DO UPDATE SET due_at = excluded.due_at WHERE excluded.due_at > to_classify.due_at"
).bindparams(bindparam("due_at", type_=UTCDateTime()))


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
    """Appends one event, and has its label looked for (`tracking.classify`); the caller commits.

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
    connection = session.connection()
    connection.execute(APPEND, row)
    if issue_id is not None and subscriber_id is not None:
        due = {"issue_id": issue_id, "subscriber_id": subscriber_id, "due_at": at + SETTLE}
        connection.execute(TO_CLASSIFY, due)
