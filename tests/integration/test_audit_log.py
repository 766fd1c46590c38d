"""The audit log: who did what, to whom; and nobody's address in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from desk_people import NOW, person
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import session_on
from subscribers import audit, bulk, erasure
from subscribers.bulk import Choice, act_of
from subscribers.effects import BulkAction
from subscribers.errors import AudienceError


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def record(session: Session, action: str = "import", by: str = "Olga", hours: int = 0) -> int:
    at = NOW + timedelta(hours=hours)
    return audit.record(session, by=by, action=action, detail={}, readers=0, now=at)


def test_entries_come_newest_first_and_can_be_narrowed(session: Session) -> None:
    first, second, third = (
        record(session),
        record(session, "add", "Otto", 1),
        record(session, hours=2),
    )

    def ids(**wanted: object) -> list[int | None]:
        return [entry.id for entry in audit.entries(session, **wanted)]  # type: ignore[arg-type]

    assert ids() == [third, second, first]
    assert ids(by="Otto") == ids(action="add") == [second]
    assert ids(since=NOW + timedelta(hours=1)) == [third, second]
    assert ids(limit=1) == [third]
    assert ids(before_id=third) == [second, first]


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        ({"where": 'address = "ann.smith@example.com"'}, {"where": 'address = "…@example.com"'}),
        ({"files": ["a b@c.example", 3]}, {"files": ["a …@c.example", 3]}),
        ({"left_out": {"bob@x.example": 1}}, {"left_out": {"…@x.example": 1}}),
        ({"rows": 12, "list": "people.csv"}, {"rows": 12, "list": "people.csv"}),
    ],
)
def test_no_address_enters_an_entry(
    session: Session, detail: dict[str, object], kept: dict[str, object]
) -> None:
    id_ = audit.record(session, by="Olga", action="import", detail=detail, readers=1, now=NOW)
    assert audit.entry(session, id_).detail == kept


def test_what_was_searched_for_is_not_kept(session: Session) -> None:
    person(session, "ann")
    entry, _ = bulk.perform(
        session, act_of(BulkAction.TAG, "vip"), Choice(search="ann"), by="Olga", now=NOW
    )
    assert entry is not None
    detail = audit.entry(session, entry).detail
    assert detail == {"tag": "vip", "chosen": {"by_search": True}}
    assert "ann" not in json.dumps(detail)


def test_somebody_is_always_named(session: Session) -> None:
    with pytest.raises(AudienceError, match="nobody is named"):
        record(session, by="  ")
    id_ = record(session, by=" Olga\nthe  first ")
    assert audit.entry(session, id_).by == "Olga the first"


def test_readers_of_an_entry_are_shown_as_they_are_now_and_the_erased_are_gone(
    session: Session,
) -> None:
    ann, bob = person(session, "ann"), person(session, "bob")
    entry, _ = bulk.perform(
        session, act_of(BulkAction.PAUSE), Choice(ids=(ann, bob)), by="Olga", now=NOW
    )
    assert entry is not None
    erasure.erase(session, bob, fingerprint_of=lambda key: key[:3], source="operator", now=NOW)
    (shown,) = audit.touched(session, entry)
    assert (shown.address, shown.before, shown.status) == ("ann@example.com", "active", "paused")
    assert audit.touched(session, entry, after_id=ann) == []
    assert audit.entry(session, entry).readers - audit.count_touched(session, entry) == 1
    assert [one.id for one in audit.of_reader(session, ann)] == [entry]
    assert audit.of_reader(session, bob) == []
