"""What is written down about consent: append-only records, stated dates, shortened networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlmodel import Session, col, select

from subscribers.errors import AudienceError
from subscribers.models import ConsentAction, ConsentRecord

MAX_SOURCE_CHARS = 200


def consent_history(session: Session, subscriber_id: int) -> list[ConsentRecord]:
    """Everything this person agreed to and took back, oldest first."""
    return list(
        session.exec(
            select(ConsentRecord)
            .where(ConsentRecord.subscriber_id == subscriber_id)
            .order_by(col(ConsentRecord.id))
        )
    )


def record(
    session: Session,
    subscriber_id: int,
    action: ConsentAction,
    *,
    source: str,
    wording: str = "",
    given_on: str = "",
    network: str = "",
    version: str = "",
    detail: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Appends one consent record; of `network` only the shortened form is kept.

    version: of the wording; by default `version_of` it. detail: what else belongs to the act, of
    JSON's types.
    """
    session.add(
        ConsentRecord(
            subscriber_id=subscriber_id,
            action=action,
            at=now,
            source=source[:MAX_SOURCE_CHARS],
            wording=wording,
            version=version or version_of(wording),
            detail=dict(detail or {}),
            given_on=given_on,
            network=truncate_network(network),
        )
    )
    session.flush()


def version_of(wording: str) -> str:
    """A short hash of a form's words: another text is another version, by itself; "" of none."""
    return sha256(wording.encode()).hexdigest()[:12] if wording else ""


def stated_consent(consent: str, given_on: str, *, now: datetime) -> tuple[str, str]:
    """The consent an operator states: its words, and its date as 2026-05-31.

    Raises AudienceError where the words are blank, or the date is blank, no date, or in the future
    (a day is allowed for time zones).
    """
    wording = consent.strip()
    if not wording:
        raise AudienceError(
            "no consent is stated",
            hint="say what these people agreed to and how, e.g. 'ticked the box at our stand'",
        )
    try:
        day = date.fromisoformat(given_on.strip())
    except ValueError:
        raise AudienceError(
            "the date on which the consent was given is missing or is no date",
            hint="write it as 2026-05-31",
        ) from None
    if day > (now + timedelta(days=1)).date():
        raise AudienceError(
            f"the consent would have been given in the future, on {day.isoformat()}",
            hint="write the day on which it was given",
        )
    return wording, day.isoformat()


def truncate_network(ip: str) -> str:
    """The network of an IP: /24 of IPv4, /48 of IPv6, "" where it cannot be read. Idempotent."""
    try:
        address = ipaddress.ip_interface(ip.strip()).ip
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Network((int(address), 24), strict=False))
    return str(ipaddress.IPv6Network((int(address), 48), strict=False))
