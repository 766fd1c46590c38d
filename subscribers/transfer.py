"""Lists in and out: a CSV of people with stated consent becomes subscribers, and back.

An import reads the whole file first and writes afterwards, in one transaction of the caller's: a
list that is refused leaves nothing behind. Every row is accounted for. Whoever left stays away,
whoever is suppressed stays suppressed, and the rows that were rejected come back as a CSV that can
be mended and imported again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.audience import MAX_IDS, in_chunks, page
from subscribers.errors import AudienceError, ImportRefusedError
from subscribers.evidence import MAX_SOURCE_CHARS, stated_consent
from subscribers.intake import ImportReport, Plan, Rejected, read_list
from subscribers.models import (
    ConsentAction,
    ConsentRecord,
    Subscriber,
    SubscriberStatus,
    Suppression,
)
from subscribers.spreadsheet import write_row

__all__ = ["ImportReport", "Rejected", "export_csv", "import_csv", "write_rejected"]

ROWS_AT_ONCE = 1000

EXPORTED = (
    "email",
    "name",
    "status",
    "suppressed",
    "created_at",
    "confirmed_at",
    "unsubscribed_at",
    "consent",
    "consent_at",
    "consent_source",
    "consent_wording",
    "consent_given_on",
)


def import_csv(
    session: Session,
    data: bytes,
    *,
    source: str,
    consent: str,
    given_on: str,
    now: datetime,
    dry_run: bool = False,
) -> ImportReport:
    """Adds the people of a CSV with the columns `email` and, optionally, `name`.

    consent: what they agreed to and how; given_on: the date, as 2026-05-31. They become active with
    a consent record; who waits for a confirmation becomes active too. A dry run reports the same
    and writes nothing. Raises ImportRefusedError, before anything is written, for a file that
    cannot be read as a whole and for consent that is not stated.
    """
    try:
        wording, day = stated_consent(consent, given_on, now=now)
    except AudienceError as error:
        raise ImportRefusedError(error.what, hint=error.hint) from None
    plan = read_list(data)
    session.flush()
    for keys in in_chunks(list(plan.wanted), MAX_IDS):
        _compare(session, plan, keys)
    if not dry_run:
        stated = {
            "action": str(ConsentAction.IMPORTED),
            "at": now,
            "source": source[:MAX_SOURCE_CHARS],
            "wording": wording,
            "given_on": day,
        }
        _write(session, plan, stated)
    return plan.report()


def write_rejected(report: ImportReport) -> str:
    """The rejected rows as CSV: mend `email` and `name`, and import the same file again."""
    lines = [write_row(("email", "name", "line", "reason"))]
    lines += [write_row((r.email, r.name, str(r.line), r.reason)) for r in report.rejected]
    return "".join(lines)


def export_csv(session: Session) -> Iterator[str]:
    """The whole list as lines of CSV, a page at a time; the erased are not on it.

    `consent` is the newest act by which the person agreed; instants are UTC. Cells that a
    spreadsheet would run as formulas have an apostrophe in front, which an import takes off.
    """
    yield write_row(EXPORTED)
    after_id = 0
    while subscribers := page(session, after_id=after_id, limit=MAX_IDS):
        after_id = subscribers[-1].id or after_id
        consents = _consents(session, [s.id for s in subscribers if s.id is not None])
        reasons = _suppressions(session, [s.address_key for s in subscribers])
        for subscriber in subscribers:
            if subscriber.status != SubscriberStatus.ERASED:
                consent = consents.get(subscriber.id or 0)
                yield write_row(
                    _cells(subscriber, consent, reasons.get(subscriber.address_key, ""))
                )


def _cells(
    subscriber: Subscriber, consent: ConsentRecord | None, suppressed: str
) -> tuple[str, ...]:
    about = (
        subscriber.address,
        subscriber.name,
        subscriber.status,
        suppressed,
        _instant(subscriber.created_at),
        _instant(subscriber.confirmed_at),
        _instant(subscriber.unsubscribed_at),
    )
    if consent is None:
        return (*about, "", "", "", "", "")
    given = (consent.action, _instant(consent.at), consent.source, consent.wording)
    return (*about, *given, consent.given_on)


def _instant(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else ""


def _consents(session: Session, ids: Sequence[int]) -> dict[int, ConsentRecord]:
    """For each id the newest consent given; a sign-up counts only where nothing better is known."""
    found: dict[int, ConsentRecord] = {}
    query = select(ConsentRecord).where(
        col(ConsentRecord.subscriber_id).in_(ids),
        ConsentRecord.action != ConsentAction.UNSUBSCRIBED,
    )
    for entry in session.exec(query.order_by(col(ConsentRecord.id))):
        if entry.action != ConsentAction.SIGNED_UP or entry.subscriber_id not in found:
            found[entry.subscriber_id] = entry
    return found


def _suppressions(session: Session, keys: Sequence[str]) -> dict[str, str]:
    query = select(Suppression.address_key, Suppression.reason).where(
        col(Suppression.address_key).in_(keys), col(Suppression.lifted_at).is_(None)
    )
    return dict(session.exec(query).all())


def _compare(session: Session, plan: Plan, keys: Sequence[str]) -> None:
    """Sorts a chunk of wanted people by what the database knows of them."""
    suppressed = _suppressions(session, keys)
    query = select(Subscriber.address_key, Subscriber.id, Subscriber.status).where(
        col(Subscriber.address_key).in_(keys)
    )
    known = {key: (id_, status) for key, id_, status in session.exec(query)}
    for key in keys:
        id_, status = known.get(key, (None, ""))
        if key in suppressed:
            plan.kept_suppressed += 1
        elif id_ is None:
            plan.new.append(plan.wanted[key])
        elif status == SubscriberStatus.PENDING:
            plan.pending.append((id_, plan.wanted[key].name))
        elif status in (SubscriberStatus.ACTIVE, SubscriberStatus.PAUSED):
            plan.already += 1
        else:
            plan.kept_unsubscribed += 1


_INSTANT = bindparam("at", type_=UTCDateTime())
_ADD = text(
    "INSERT INTO subscriber"
    " (address, address_key, name, status, created_at, confirmed_at, confirmations_sent)"
    " VALUES (:address, :address_key, :name, 'active', :at, :at, 0)"
    " ON CONFLICT (address_key) DO NOTHING"
).bindparams(_INSTANT)
# Where a sign-up of the same address came between on another connection, its row stands and keeps
# its own records: hence "active, and without a record so far".
_PROVE_NEW = text(
    "INSERT INTO consent_record (subscriber_id, action, at, source, wording, given_on, network)"
    " SELECT s.id, :action, :at, :source, :wording, :given_on, '' FROM subscriber s"
    " WHERE s.address_key IN :keys AND s.status = 'active'"
    " AND NOT EXISTS (SELECT 1 FROM consent_record c WHERE c.subscriber_id = s.id)"
    " ORDER BY s.id"
).bindparams(_INSTANT, bindparam("keys", expanding=True))
_ACTIVATE = text(
    "UPDATE subscriber SET status = 'active', confirmed_at = COALESCE(confirmed_at, :at),"
    " name = CASE WHEN :name = '' THEN name ELSE :name END"
    " WHERE id = :id AND status = 'pending'"
).bindparams(_INSTANT)
_PROVE = text(
    "INSERT INTO consent_record (subscriber_id, action, at, source, wording, given_on, network)"
    " VALUES (:id, :action, :at, :source, :wording, :given_on, '')"
).bindparams(_INSTANT)


def _write(session: Session, plan: Plan, stated: dict[str, object]) -> None:
    connection = session.connection()
    for people in in_chunks(plan.new, ROWS_AT_ONCE):
        connection.execute(
            _ADD,
            [
                {
                    "address": one.address.given,
                    "address_key": one.address.key,
                    "name": one.name,
                    "at": stated["at"],
                }
                for one in people
            ],
        )
        for some in in_chunks(people, MAX_IDS):
            connection.execute(_PROVE_NEW, {**stated, "keys": [one.address.key for one in some]})
    for waiting in in_chunks(plan.pending, ROWS_AT_ONCE):
        rows = [{**stated, "id": id_, "name": name} for id_, name in waiting]
        connection.execute(
            _ACTIVATE, [{key: row[key] for key in ("at", "id", "name")} for row in rows]
        )
        connection.execute(_PROVE, rows)
    session.expire_all()  # rows read earlier in this session are out of date now
