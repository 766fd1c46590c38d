"""What a bulk action writes, and what takes it back: whole statements over the rows of an entry.

Who is affected stands in `audit_row` first; each statement then walks the rows of one entry by the
table's primary key and changes each reader by theirs. So a million readers cost this program no
memory, and who is logged and who is changed are the same people by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import TextClause, bindparam, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from subscribers.models import ConsentAction


class BulkAction(StrEnum):
    TAG = "tag"  # put a tag on
    UNTAG = "untag"  # take a tag off
    PAUSE = "pause"  # no issues until resumed
    RESUME = "resume"  # issues again, for those whom operators or the sunset rule paused
    UNSUBSCRIBE = "unsubscribe"  # off the list; only their own sign-up, or an undo, leads back
    SUPPRESS = "suppress"  # never write to the address, for an operator's reason


TAGGING = (BulkAction.TAG, BulkAction.UNTAG)
# What a changed status is afterwards, and the consent record that says so.
AFTER = {
    BulkAction.PAUSE: "paused",
    BulkAction.RESUME: "active",
    BulkAction.UNSUBSCRIBE: "unsubscribed",
}
_SAID = {
    BulkAction.PAUSE: ConsentAction.PAUSED,
    BulkAction.RESUME: ConsentAction.RESUMED,
    BulkAction.UNSUBSCRIBE: ConsentAction.UNSUBSCRIBED,
}
_UNSAID = {
    BulkAction.PAUSE: ConsentAction.RESUMED,
    BulkAction.RESUME: ConsentAction.PAUSED,
    BulkAction.UNSUBSCRIBE: ConsentAction.RESTORED,
}

_NOW = bindparam("now", type_=UTCDateTime())

_PUT_TAG = text(
    "INSERT INTO subscriber_tag (subscriber_id, tag)"
    " SELECT subscriber_id, :tag FROM audit_row WHERE entry_id = :entry_id"
)
_TAKE_TAG = text(
    "DELETE FROM subscriber_tag WHERE tag = :tag AND subscriber_id IN"
    " (SELECT subscriber_id FROM audit_row WHERE entry_id = :entry_id)"
)
_PAUSE = text(
    "UPDATE subscriber SET status = 'paused', paused_until = NULL"
    " WHERE id IN (SELECT subscriber_id FROM audit_row WHERE entry_id = :entry_id)"
)
_RESUME = text(
    "UPDATE subscriber SET status = 'active', paused_until = NULL"
    " WHERE id IN (SELECT subscriber_id FROM audit_row WHERE entry_id = :entry_id)"
)
_UNSUBSCRIBE = text(
    "UPDATE subscriber SET status = 'unsubscribed', unsubscribed_at = :now"
    " WHERE id IN (SELECT subscriber_id FROM audit_row WHERE entry_id = :entry_id)"
).bindparams(_NOW)
_RECORD = text(
    "INSERT INTO consent_record (subscriber_id, action, at, source, wording, given_on, network)"
    " SELECT subscriber_id, :said, :now, :source, '', '', ''"
    " FROM audit_row WHERE entry_id = :entry_id"
).bindparams(_NOW)
# A complaint that came between on another connection stands, and outranks this.
_SUPPRESS = text(
    "INSERT INTO suppression (address_key, reason, at, detail, lifted_because)"
    " SELECT s.address_key, 'manual', :now, :source, '' FROM audit_row r"
    " JOIN subscriber s ON s.id = r.subscriber_id WHERE r.entry_id = :entry_id"
    " ON CONFLICT (address_key) WHERE lifted_at IS NULL DO NOTHING"
).bindparams(_NOW)

# `undone_id` is the entry taken back: its rows know what each reader was.
_STATUS_AS_BEFORE = text(
    "UPDATE subscriber SET status = (SELECT r.before FROM audit_row r"
    " WHERE r.entry_id = :undone_id AND r.subscriber_id = subscriber.id),"
    " unsubscribed_at = CASE WHEN status = 'unsubscribed' THEN NULL ELSE unsubscribed_at END"
    " WHERE id IN (SELECT subscriber_id FROM audit_row WHERE entry_id = :entry_id)"
)
_LIFT = text(
    "UPDATE suppression SET lifted_at = :now, lifted_because = :source"
    " WHERE lifted_at IS NULL AND detail = :undone_source AND address_key IN"
    " (SELECT s.address_key FROM audit_row r JOIN subscriber s ON s.id = r.subscriber_id"
    " WHERE r.entry_id = :entry_id)"
).bindparams(_NOW)

_DO: Mapping[BulkAction, tuple[TextClause, ...]] = {
    BulkAction.TAG: (_PUT_TAG,),
    BulkAction.UNTAG: (_TAKE_TAG,),
    BulkAction.PAUSE: (_PAUSE, _RECORD),
    BulkAction.RESUME: (_RESUME, _RECORD),
    BulkAction.UNSUBSCRIBE: (_UNSUBSCRIBE, _RECORD),
    BulkAction.SUPPRESS: (_SUPPRESS,),
}
_UNDO: Mapping[BulkAction, tuple[TextClause, ...]] = {
    BulkAction.TAG: (_TAKE_TAG,),
    BulkAction.UNTAG: (_PUT_TAG,),
    BulkAction.PAUSE: (_STATUS_AS_BEFORE, _RECORD),
    BulkAction.RESUME: (_STATUS_AS_BEFORE, _RECORD),
    BulkAction.UNSUBSCRIBE: (_STATUS_AS_BEFORE, _RECORD),
    BulkAction.SUPPRESS: (_LIFT,),
}


def source_of(entry_id: int) -> str:
    """What consent records and suppressions made by an entry name as their source."""
    return f"operator:entry-{entry_id}"


def apply(session: Session, action: BulkAction, *, tag: str, entry_id: int, now: datetime) -> None:
    """Does to every reader of the entry what it says."""
    values = {"tag": tag, "entry_id": entry_id, "source": source_of(entry_id), "now": now}
    _run(session, _DO[action], {**values, "said": str(_SAID.get(action, ""))})


def take_back(
    session: Session, action: BulkAction, *, tag: str, entry_id: int, undone_id: int, now: datetime
) -> None:
    """Makes every reader of the entry what they were before the entry `undone_id`."""
    values = {"tag": tag, "entry_id": entry_id, "source": source_of(entry_id), "now": now}
    undone = {"undone_id": undone_id, "undone_source": source_of(undone_id)}
    _run(session, _UNDO[action], {**values, **undone, "said": str(_UNSAID.get(action, ""))})


def _run(
    session: Session, statements: tuple[TextClause, ...], values: Mapping[str, object]
) -> None:
    connection = session.connection()
    for statement in statements:
        connection.execute(statement, dict(values))
    session.expire_all()  # rows read earlier in this session are out of date now
