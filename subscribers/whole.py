"""The whole list in one file, and back into an empty one: nothing of it is lost on the way.

A zip of CSV files, one a table: subscribers, their choices, consent records, tags, topics, what is
known of their behaviour, and suppressions, lifted ones too. A subscriber is named by their address
key, since ids differ from list to list; the order stays. Every column of a table goes along, so a
column that is added to a model is in the file without a word said here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Integer,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

from subscribers.address import EmailAddress
from subscribers.errors import AddressError, ImportRefusedError
from subscribers.models import (
    ConsentRecord,
    Engagement,
    Subscriber,
    SubscriberStatus,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
)
from subscribers.spreadsheet import Row, read_exactly, unguard, write_row

FORMAT = 1
ABOUT = "about.json"
MAX_MEMBER_BYTES = 4 * 1024 * 1024 * 1024
PAGE_ROWS = 900
OWNER = "subscriber"  # the column with the address key of whom a row belongs to
CHOICES = ("language", "timezone", "frequency", "paused_until", "is_tracked")


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the zip. columns: of its table; is_owned: by a subscriber, whom OWNER names."""

    name: str
    table: Table
    columns: tuple[str, ...]
    is_owned: bool

    @property
    def header(self) -> tuple[str, ...]:
        return (OWNER, *self.columns) if self.is_owned else self.columns


def _table(model: type[SQLModel]) -> Table:
    return model.__table__  # type: ignore[attr-defined,no-any-return]


def _member(name: str, model: type[SQLModel], *, without: Sequence[str] = ()) -> _Member:
    table = _table(model)
    left_out = {"id", "subscriber_id", *without}
    columns = tuple(
        column.name
        for column in table.columns
        if column.name not in left_out and column.computed is None
    )
    return _Member(name, table, columns, is_owned="subscriber_id" in table.columns)


_SUBSCRIBERS = _member("subscribers.csv", Subscriber, without=CHOICES)
_CHOICES = _Member("choices.csv", _table(Subscriber), CHOICES, is_owned=True)
_OWNED = (
    _member("consent.csv", ConsentRecord),
    _member("tags.csv", SubscriberTag),
    _member("topics.csv", SubscriberTopic),
    _member("engagement.csv", Engagement),
)
_SUPPRESSIONS = _member("suppressions.csv", Suppression)
MEMBERS = (_SUBSCRIBERS, _CHOICES, *_OWNED, _SUPPRESSIONS)


def export_whole(session: Session, target: BinaryIO) -> dict[str, int]:
    """Writes the whole list as a zip; how many rows each file has."""
    session.flush()
    counts: dict[str, int] = {}
    with zipfile.ZipFile(target, "w") as archive:
        for member in MEMBERS:
            counts[member.name] = 0
            with archive.open(_info(member.name), "w", force_zip64=True) as raw:
                raw.write(write_row(member.header).encode())
                for row in _rows_of(session, member):
                    raw.write(write_row(map(_cell, row)).encode())
                    counts[member.name] += 1
        archive.writestr(_info(ABOUT), json.dumps({"format": FORMAT, "rows": counts}, indent=2))
    return counts


def _info(name: str) -> zipfile.ZipInfo:
    """Without the time of day: the same list is the same file."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def import_whole(session: Session, source: BinaryIO) -> dict[str, int]:
    """Reads a zip of `export_whole` into an empty list; how many rows each file had.

    Raises ImportRefusedError for a list that is not empty, a file that is none of ours or damaged,
    and a row that cannot be: the caller's transaction is rolled back, and nothing was imported.
    """
    _refuse_unless_empty(session)
    try:
        with zipfile.ZipFile(source) as archive:
            expected = _about(archive)
            found = {member.name: _read(session, archive, member) for member in MEMBERS}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError):
        raise _unreadable("it is no zip file, or a damaged one") from None
    if found != expected:
        raise _unreadable("it has not the rows it says it has")
    session.expire_all()
    return found


def _rows_of(session: Session, member: _Member) -> Iterator[Sequence[Any]]:
    """By id, or by whose they are: a page at a time, by the primary key."""
    subscriber = _SUBSCRIBERS.table
    wanted: list[Any] = [member.table.c[name] for name in member.columns]
    query = select(*wanted)
    if member.table is not subscriber and member.is_owned:
        joined = member.table.join(subscriber, subscriber.c.id == member.table.c.subscriber_id)
        query = select(subscriber.c.address_key, *wanted).select_from(joined)
    elif member.is_owned:
        query = select(subscriber.c.address_key, *wanted)
    query = query.order_by(*member.table.primary_key.columns)
    yield from session.connection().execute(query.execution_options(yield_per=PAGE_ROWS))


def _read(session: Session, archive: zipfile.ZipFile, member: _Member) -> int:
    try:
        info = archive.getinfo(member.name)
    except KeyError:
        raise _unreadable(f"{member.name} is missing") from None
    if info.file_size > MAX_MEMBER_BYTES:
        raise _unreadable(f"{member.name} has more than {MAX_MEMBER_BYTES:,} bytes")
    count = 0
    with archive.open(info) as raw, closing(read_exactly(raw)) as rows:
        header = next(rows, Row(1, []))
        if tuple(header.cells) != member.header:
            raise _unreadable(f"{member.name} has other columns than this version writes")
        while some := list(islice(rows, PAGE_ROWS)):
            _write(session, member, [_parsed(member, row) for row in some])
            count += len(some)
    return count


def _write(session: Session, member: _Member, rows: list[dict[str, Any]]) -> None:
    connection = session.connection()
    if not member.is_owned:
        connection.execute(insert(member.table), rows)
        return
    subscriber = _SUBSCRIBERS.table
    keys = [row[OWNER] for row in rows]
    query = select(subscriber.c.address_key, subscriber.c.id).where(
        subscriber.c.address_key.in_(keys)
    )
    ids = {key: id_ for key, id_ in connection.execute(query)}  # noqa: C416  (rows are no tuples)
    for row in rows:
        owner = row.pop(OWNER)
        if owner not in ids:
            raise _unreadable(f"{member.name} speaks of somebody who is not in subscribers.csv")
        row["subscriber_id"] = ids[owner]
    if member.table is subscriber:
        _update(session, member, rows)
    else:
        connection.execute(insert(member.table), rows)


def _update(session: Session, member: _Member, rows: list[dict[str, Any]]) -> None:
    table = member.table
    statement = (
        update(table)
        .where(table.c.id == bindparam("subscriber_id"))
        .values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in CHOICES})
    )
    given = [
        {"subscriber_id": row["subscriber_id"], **{f"new_{name}": row[name] for name in CHOICES}}
        for row in rows
    ]
    session.connection().execute(statement, given)


def _parsed(member: _Member, row: Row) -> dict[str, Any]:
    if row.fault or len(row.cells) != len(member.header):
        raise _unreadable(f"line {row.line} of {member.name} cannot be read")
    cells = dict(zip(member.header, map(unguard, row.cells), strict=True))
    try:
        parsed = {name: _value(member.table.c[name], cells[name]) for name in member.columns}
        if member is _SUBSCRIBERS:
            _refuse_a_wrong_key(parsed)
    except (ValueError, AddressError):
        raise _unreadable(f"line {row.line} of {member.name} holds what cannot be") from None
    return {OWNER: cells[OWNER], **parsed} if member.is_owned else parsed


def _refuse_a_wrong_key(parsed: Mapping[str, Any]) -> None:
    """Whoever wrote the file: an address under another's key would slip past suppressions."""
    if SubscriberStatus(parsed["status"]) is SubscriberStatus.ERASED:
        return
    if EmailAddress.parse(parsed["address"]).key != parsed["address_key"]:
        raise ValueError


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _value(column: Column[Any], cell: str) -> Any:
    """What `_cell` was given. Raises ValueError."""
    kind = column.type
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    if not cell and column.nullable:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(cell)
    if isinstance(kind, Boolean):
        return bool(("false", "true").index(cell))
    if isinstance(kind, Integer):
        return int(cell)
    return json.loads(cell) if isinstance(kind, JSON) else cell


def _about(archive: zipfile.ZipFile) -> dict[str, int]:
    try:
        with archive.open(ABOUT) as raw:
            about = json.loads(raw.read(10_000))
        rows = about["rows"]
    except (KeyError, TypeError, ValueError):
        raise _unreadable("it is none of ours") from None
    if about.get("format") != FORMAT:
        raise _unreadable("it was written by another version")
    return dict(rows)


def _refuse_unless_empty(session: Session) -> None:
    session.flush()
    for member in (_SUBSCRIBERS, _SUPPRESSIONS):
        count = session.connection().execute(select(func.count()).select_from(member.table))
        if count.scalar():
            raise ImportRefusedError(
                "the whole list can be imported into an empty one only, and this one has people"
                " or suppressions",
                hint="name a new home with NEWSLETTER_HOME, or import a CSV, which adds to a list",
            )


def _unreadable(why: str) -> ImportRefusedError:
    return ImportRefusedError(
        f"the file is not a whole list that can be read: {why}",
        hint="take the file as `newsletter subscribers export --whole` wrote it; nothing was"
        " imported",
    )
