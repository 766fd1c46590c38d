"""Addresses we must not write to. `is_suppressed` is the one question everybody asks.

A suppression is keyed by address and outlives its subscriber. One at a time stands for an address;
lifted ones stay as history. A complaint outranks the other reasons and no operator lifts it: the
person does, with a fresh double opt-in (`consent.confirm`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.errors import AudienceError
from subscribers.models import Suppression, SuppressionReason

# The partial unique index makes "one standing suppression an address" a fact of the database, so
# two bounces arriving together make one row.
_INSERT = text(
    "INSERT INTO suppression (address_key, reason, at, detail, lifted_because)"
    " VALUES (:address_key, :reason, :at, :detail, '')"
    " ON CONFLICT (address_key) WHERE lifted_at IS NULL DO NOTHING"
).bindparams(bindparam("at", type_=UTCDateTime()))

# In whose place each may come; a person's decision gives way to the complaint alone.
_OUTRANKED = {
    SuppressionReason.COMPLAINT: frozenset(SuppressionReason) - {SuppressionReason.COMPLAINT},
    SuppressionReason.HARD_BOUNCE: frozenset({SuppressionReason.SOFT_BOUNCES}),
}


def is_suppressed(session: Session, address_key: str) -> SuppressionReason | None:
    """Why mail to this address is forbidden, or None."""
    reason = session.exec(select(Suppression.reason).where(*_stands(address_key))).first()
    return SuppressionReason(reason) if reason else None


def standing_complaint(session: Session, address_key: str) -> Suppression | None:
    """The complaint that stands for this address, if one does."""
    standing = _locked(session, address_key)
    is_complaint = standing is not None and standing.reason == SuppressionReason.COMPLAINT
    return standing if is_complaint else None


def suppress(
    session: Session,
    address_key: str,
    reason: SuppressionReason,
    *,
    detail: str,
    now: datetime,
) -> bool:
    """Forbids mail to this address; True where that is news.

    Idempotent: a standing suppression keeps its reason and its date, unless the new one outranks
    it. So a complaint takes the place of any other, and a mailbox that is not there the place of
    one that refused for a while, whichever is heard of first. Raises AudienceError for a blank key.
    """
    if not address_key.strip():
        raise AudienceError("a suppression needs an address", hint="give the address's key")
    session.flush()
    standing = _locked(session, address_key)
    if standing is not None:
        if standing.reason not in _OUTRANKED.get(reason, ()):
            return False
        because = f"a {reason.replace('_', ' ')} took its place"
        _lift(session, standing, because=because, now=now)
    row = {"address_key": address_key, "reason": str(reason), "at": now, "detail": detail}
    return session.connection().execute(_INSERT, row).rowcount == 1


def lift(session: Session, address_key: str, *, because: str, now: datetime) -> bool:
    """An operator lifts a suppression, saying why; False where none stands.

    Raises AudienceError for a complaint, and where no reason is given.
    """
    if not because.strip():
        raise AudienceError("lifting a suppression needs a reason", hint="say why it is lifted")
    standing = _locked(session, address_key)
    if standing is None:
        return False
    if standing.reason == SuppressionReason.COMPLAINT:
        raise AudienceError(
            "this address complained about our mail: an operator cannot lift that",
            hint="the person can sign up again and confirm; that lifts it",
        )
    _lift(session, standing, because=because.strip(), now=now)
    return True


def lift_complaint(session: Session, complaint: Suppression, *, now: datetime) -> None:
    """For `consent.confirm` alone: the person asked again and confirmed."""
    _lift(session, complaint, because="confirmed again by a fresh double opt-in", now=now)


def standing(session: Session) -> list[Suppression]:
    """Every suppression that stands, newest first."""
    return list(
        session.exec(
            select(Suppression)
            .where(col(Suppression.lifted_at).is_(None))
            .order_by(col(Suppression.at).desc(), col(Suppression.id).desc())
        )
    )


def _lift(session: Session, standing: Suppression, *, because: str, now: datetime) -> None:
    standing.lifted_at = now
    standing.lifted_because = because
    session.add(standing)
    session.flush()


def _locked(session: Session, address_key: str) -> Suppression | None:
    """The row that stands, locked where the database locks rows (SQLite locks them all)."""
    return session.exec(
        select(Suppression)
        .where(*_stands(address_key))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()


def _stands(address_key: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Suppression.address_key) == address_key, col(Suppression.lifted_at).is_(None)
