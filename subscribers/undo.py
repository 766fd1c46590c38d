"""Taking an operator's act back, for exactly those whom nothing has changed since.

Who has unsubscribed, complained, resumed or been tagged again since then stays as they are, counted
by reason. An undo is an entry of its own, and is not undone itself: the act is done again instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import TextClause, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers import audit, effects
from subscribers.bulk import PAGE, Account, Act, Judged, close, having, note, without
from subscribers.effects import AFTER, BulkAction
from subscribers.errors import AudienceError
from subscribers.models import AuditEntry

UNDO = "undo"

_PAGE_OF_ROWS = (
    " FROM audit_row r JOIN subscriber s ON s.id = r.subscriber_id{joins}"
    " WHERE r.entry_id = :entry_id AND r.subscriber_id > :after_id"
    f" ORDER BY r.subscriber_id LIMIT {PAGE}"
)


def _judging(reason: str, *, before: str, joins: str = "") -> TextClause:
    """A page of an entry's rows by primary key, each with why it cannot be taken back, or ''."""
    return text(
        f"SELECT s.id, s.address, {before} AS before, CASE {reason} ELSE '' END AS reason"
        + _PAGE_OF_ROWS.format(joins=joins)
    )


# A later act on the same tag wrote rows of its own: found by `ix_audit_row_subscriber_id`.
_TAGGED_SINCE = (
    "WHEN EXISTS (SELECT 1 FROM audit_row later WHERE later.subscriber_id = r.subscriber_id"
    " AND later.entry_id > r.entry_id AND later.before IN (:having, :without))"
    " THEN 'tagged or untagged since'"
)
_HAS_TAG = "EXISTS (SELECT 1 FROM subscriber_tag t WHERE t.subscriber_id = s.id AND t.tag = :tag)"
_TAG = _judging(
    f"{_TAGGED_SINCE} WHEN NOT {_HAS_TAG} THEN 'the tag is gone since'", before=":having"
)
_UNTAG = _judging(f"{_TAGGED_SINCE} WHEN {_HAS_TAG} THEN 'has the tag again'", before=":without")
# Whatever a reader or an operator did with consent since then is a newer record than the act's own,
# which names it as its source.
_STATUS = _judging(
    "WHEN p.id IS NOT NULL THEN 'suppressed since: ' || replace(p.reason, '_', ' ')"
    " WHEN c.id IS NULL OR c.source <> :source"
    " THEN COALESCE(replace(c.action, '_', ' '), 'changed') || ' since'"
    " WHEN s.status <> :after THEN s.status || ' since'",
    before="s.status",
    joins=" LEFT JOIN suppression p ON p.address_key = s.address_key"
    " AND p.lifted_at IS NULL AND p.at >= :at"
    " LEFT JOIN consent_record c ON c.id ="
    " (SELECT max(n.id) FROM consent_record n WHERE n.subscriber_id = s.id)",
).bindparams(bindparam("at", type_=UTCDateTime()))
_SUPPRESS = _judging(
    "WHEN p.id IS NULL THEN 'lifted since, or at another address'"
    " WHEN p.detail <> :source THEN 'suppressed again since: ' || replace(p.reason, '_', ' ')",
    before="'suppressed'",
    joins=" LEFT JOIN suppression p ON p.address_key = s.address_key AND p.lifted_at IS NULL",
)
_JUDGE: Mapping[BulkAction, TextClause] = {
    BulkAction.TAG: _TAG,
    BulkAction.UNTAG: _UNTAG,
    BulkAction.PAUSE: _STATUS,
    BulkAction.RESUME: _STATUS,
    BulkAction.UNSUBSCRIBE: _STATUS,
    BulkAction.SUPPRESS: _SUPPRESS,
}


@dataclass(frozen=True, slots=True)
class Undoable:
    """An entry that can be taken back."""

    entry: AuditEntry
    act: Act


def undoable(session: Session, entry_id: int) -> Undoable:
    """Raises AudienceError for an entry that is unknown, was undone, or cannot be."""
    entry = audit.entry(session, entry_id)
    if entry.undone_by is not None:
        raise AudienceError(
            f"entry {entry_id} was undone by entry {entry.undone_by}",
            hint="to have it back, do the act again",
        )
    if entry.action not in list(BulkAction):
        raise AudienceError(
            f"entry {entry_id}, `{entry.action}`, cannot be undone",
            hint=f"only these can: {', '.join(BulkAction)}",
        )
    return Undoable(entry, Act(BulkAction(entry.action), str(entry.detail.get("tag", ""))))


def preview_undo(session: Session, entry_id: int) -> Account:
    """What `undo` would do at this moment; raises as `undoable`."""
    found, account = undoable(session, entry_id), Account()
    for rows in _pages(session, found):
        account.take(rows)
    _count_erased(found, account)
    return account


def undo(session: Session, entry_id: int, *, by: str, now: datetime) -> tuple[int | None, Account]:
    """Takes an act back: the id of the undo's own entry (None where nobody is left), the account.

    Raises as `undoable`.
    """
    found, undo_id, account = undoable(session, entry_id), None, Account()
    for rows in _pages(session, found):
        affected = account.take(rows)
        if affected and undo_id is None:
            undo_id = audit.record(session, by=by, action=UNDO, detail={}, readers=0, now=now)
        if undo_id is not None:
            note(session, undo_id, affected)
    _count_erased(found, account)
    if undo_id is None:
        return None, account
    act = found.act
    effects.take_back(
        session, act.action, tag=act.tag, entry_id=undo_id, undone_id=entry_id, now=now
    )
    close(session, undo_id, account, {"undoes": entry_id, "act": act.named})
    audit.entry(session, entry_id).undone_by = undo_id
    session.flush()
    return undo_id, account


def _count_erased(found: Undoable, account: Account) -> None:
    """An erasure takes a reader's rows out of the log: who is missing there was erased."""
    missing = found.entry.readers - account.affected - account.left_out.total()
    if missing:
        account.left_out["erased"] += missing


def _pages(session: Session, found: Undoable) -> Iterator[list[Judged]]:
    session.flush()
    entry_id, act = audit.id_of(found.entry), found.act
    values = {
        "entry_id": entry_id,
        "source": effects.source_of(entry_id),
        "at": found.entry.at,
        "after": AFTER.get(act.action, ""),
        "tag": act.tag,
        "having": having(act.tag),
        "without": without(act.tag),
    }
    after_id, statement = 0, _JUDGE[act.action]
    while True:
        found_rows = session.connection().execute(statement, {**values, "after_id": after_id})
        rows = [Judged(row.id, row.address, row.before, row.reason) for row in found_rows]
        if not rows:
            return
        yield rows
        after_id = rows[-1].id
