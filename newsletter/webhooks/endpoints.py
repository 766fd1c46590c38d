"""Who is told: endpoints an operator adds, with a secret of their own, and takes away again.

The operator types the address, so one in a private network is theirs to use: their own automation
is the common case. Refused is what no receiver of theirs can be, or what would give something away:
credentials in the address (they would be in every log on the way), link-local and multicast
addresses (a cloud's metadata service is link-local), and plain http to anywhere but this machine,
unless it is insisted on. A name that leads to such an address is not caught; but redirects are not
followed, and nothing of an answer is kept or shown but its status, so nothing is read through us.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from newsletter.errors import NotFoundError, RefusedError
from newsletter.providers.standard_webhooks import new_secret
from newsletter.store.feedback import WebhookEndpoint
from newsletter.webhooks import facts, messages, old_secrets
from newsletter.webhooks.kinds import Kind
from subscribers import audit

MOST = 20  # endpoints at a time: each is a lane of its own in a round of calls
MAX_URL_CHARACTERS = 2_000
ADD, REMOVE, ROTATE = "add webhook", "remove webhook", "rotate webhook secret"
BY_ITSELF = "the endpoint itself"

_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as operators see it: without its secret. waiting, failed: messages.

    failing_since: of the calls since which it took nothing, the first. held_until: it asked not to
    be called before. old_secret_until: older secrets sign beside the newest until then.
    """

    id: int
    url: str
    kinds: tuple[str, ...]
    sends_addresses: bool
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_because: str
    waiting: int = 0
    failed: int = 0
    failing_since: datetime | None = None
    held_until: datetime | None = None
    old_secret_until: datetime | None = None


def host_of(url: str) -> str:
    """What of an address may stand in a log: its path and query are often a secret."""
    return urlsplit(url).hostname or ""


def checked(url: str, *, insecure: bool = False) -> str:
    """The address, if it can be an endpoint's; raises RefusedError, which shows no part of it."""
    fault = _fault_of(url, insecure=insecure)
    if fault:
        raise RefusedError(
            f"the address cannot be an endpoint's: {fault}",
            hint="write it as https://hooks.example.com/newsletter",
        )
    return url


def _fault_of(url: str, *, insecure: bool) -> str:
    """What is wrong with it; "" for nothing."""
    if len(url) > MAX_URL_CHARACTERS or not _PLAIN.fullmatch(url):
        return f"it is not plain ASCII without blanks, of at most {MAX_URL_CHARACTERS} characters"
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return "it cannot be read"
    if parts.scheme not in ("https", "http") or not host:
        return "it does not begin with https:// and a host"
    if "@" in parts.netloc:
        return "it holds a user name; messages are signed, the receiver needs none"
    if parts.fragment:
        return "it has a part after #, which no server sees"
    where = _ip(host)
    if where is not None and (where.is_link_local or where.is_multicast or where.is_unspecified):
        return f"{where} is no receiver's address"
    if parts.scheme == "http" and not (insecure or _is_here(host)):
        return "without TLS anybody on the way can read it; with --insecure it is taken"
    return ""


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        where = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(where, "ipv4_mapped", None) or where


def _is_here(host: str) -> bool:
    where = _ip(host)
    return host == "localhost" or (where is not None and where.is_loopback)


def add(
    session: Session,
    url: str,
    kinds: tuple[Kind, ...],
    *,
    sends_addresses: bool,
    insecure: bool,
    by: str,
    now: datetime,
) -> tuple[Endpoint, str]:
    """A new endpoint and its secret, which is shown this once.

    It is told of what happens from now on. Raises RefusedError for an address that cannot be one,
    for one that is an endpoint already, and where there are `MOST`.
    """
    checked(url, insecure=insecure)
    if sends_addresses and urlsplit(url).scheme == "http" and not _is_here(host_of(url)):
        raise RefusedError(
            "readers' addresses do not travel without TLS",
            hint="give the endpoint https, or leave --with-addresses out",
        )
    standing = session.exec(_standing()).all()
    if any(one.url == url for one in standing):
        raise RefusedError(
            "this address is an endpoint already", hint="see `newsletter webhooks list`"
        )
    if len(standing) >= MOST:
        raise RefusedError(
            f"there are {MOST} endpoints, which is the most",
            hint="take one away with `newsletter webhooks remove`",
        )
    facts.catch_up(session, now=now)  # so that all that is behind us is no news to it
    row = WebhookEndpoint(
        url=url,
        secret=new_secret(),
        id_key=token_hex(16),
        kinds=list(kinds),
        sends_addresses=sends_addresses,
        added_at=now,
        added_by=by,
    )
    session.add(row)
    session.flush()
    _on_record(session, ADD, row, by=by, now=now, kinds=list(kinds), addresses=sends_addresses)
    return _shown(row), row.secret


def remove(session: Session, endpoint_id: int, *, because: str, by: str, now: datetime) -> Endpoint:
    """It is told nothing from now on; what waited for it is dropped. Raises NotFoundError.

    `waiting`: how many messages that were.
    """
    row = standing(session, endpoint_id)
    row.removed_at, row.removed_because = now, because
    session.add(row)
    dropped = messages.drop(session, endpoint_id, now=now)
    old_secrets.forget_all(session, endpoint_id)
    _on_record(session, REMOVE, row, by=by, now=now, because=because)
    return _shown(row, waiting=dropped)


def rotate(
    session: Session, endpoint_id: int, *, keep: timedelta, by: str, now: datetime
) -> tuple[Endpoint, str]:
    """A new secret, which is shown this once; the one before signs beside it for `keep`.

    So do those before that one, each to its own end, if that comes first. Raises NotFoundError, and
    RefusedError where too many sign already.
    """
    row = standing(session, endpoint_id)
    session.refresh(row, with_for_update=True)  # the losing case: another rotates; we rotate theirs
    until = now + keep
    old_secrets.retire(session, endpoint_id, row.secret, until=until, now=now)
    row.secret = new_secret()
    session.add(row)
    session.flush()
    _on_record(session, ROTATE, row, by=by, now=now, old_until=until.isoformat())
    counts = messages.counted(session).get(endpoint_id, {})
    return _shown(row, **counts, old_secret_until=until), row.secret


def standing(session: Session, endpoint_id: int) -> WebhookEndpoint:
    """Raises NotFoundError for one there is not, or no more."""
    found = session.get(WebhookEndpoint, endpoint_id)
    if found is None or found.removed_at is not None:
        gone = found is not None
        raise NotFoundError(
            f"endpoint {endpoint_id} was removed"
            if gone
            else f"there is no endpoint {endpoint_id}",
            hint="see `newsletter webhooks list`",
        )
    return found


def is_anybody(session: Session) -> bool:
    """Whether there is an endpoint at all."""
    return session.exec(_standing().limit(1)).first() is not None


def listed(session: Session, *, also_removed: bool = False) -> list[Endpoint]:
    """The endpoints, oldest first, with how many messages wait and how many failed for good."""
    query = select(WebhookEndpoint) if also_removed else _standing()
    counts, ends = messages.counted(session), old_secrets.ends(session)
    return [
        _shown(row, **counts.get(row.id or 0, {}), old_secret_until=ends.get(row.id or 0))
        for row in session.exec(query.order_by(col(WebhookEndpoint.id)))
    ]


def _standing() -> Any:
    return select(WebhookEndpoint).where(col(WebhookEndpoint.removed_at).is_(None))


def _shown(
    row: WebhookEndpoint,
    waiting: int = 0,
    failed: int = 0,
    old_secret_until: datetime | None = None,
) -> Endpoint:
    return Endpoint(
        id=row.id or 0,
        url=row.url,
        kinds=tuple(row.kinds),
        sends_addresses=row.sends_addresses,
        added_at=row.added_at,
        added_by=row.added_by,
        removed_at=row.removed_at,
        removed_because=row.removed_because,
        waiting=waiting,
        failed=failed,
        failing_since=row.failing_since,
        held_until=row.held_until,
        old_secret_until=old_secret_until,
    )


def _on_record(
    session: Session, action: str, row: WebhookEndpoint, *, by: str, now: datetime, **detail: Any
) -> None:
    told = {"endpoint": row.id, "host": host_of(row.url), **detail}
    audit.record(session, by=by, action=action, detail=told, readers=0, now=now)
