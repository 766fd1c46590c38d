"""A long export: page after page, whoever is left out, and nothing of one reader with another."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, TextClause, bindparam, event, text
from sqlmodel import Session
from sqlmodel.sql.sqltypes import UTCDateTime

from newsletter.store.engine import session_on
from subscribers import export_pages, suppression
from subscribers.dialects import DIALECTS, PLAIN
from subscribers.exports import export_lines
from subscribers.models import (
    ConsentRecord,
    Subscriber,
    SubscriberTag,
    SubscriberTopic,
    SuppressionReason,
)

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 9, 30, 15, 123456, tzinfo=UTC)
MANY = 40
STATUSES = ("active", "erased", "unsubscribed", "paused", "pending")
# What they did, and which of it is told: the newest consent; of mere sign-ups the first.
STORIES: tuple[tuple[tuple[str, ...], int], ...] = (
    ((), 0),
    (("signed_up", "signed_up"), 0),
    (("signed_up", "confirmed", "signed_up"), 1),
    (("confirmed", "unsubscribed", "added"), 2),
)
ODD = text("s.id % 2 = :odd").bindparams(odd=1)
LATE = text("s.created_at >= :day").bindparams(
    bindparam("day", NOW + timedelta(days=MANY - 3), type_=UTCDateTime())
)


@pytest.fixture(params=[1, 51], ids=["side by side", "far apart"])
def session(database: Engine, request: pytest.FixtureRequest) -> Iterator[Session]:
    with session_on(database) as session:
        for number in range(1, MANY + 1):
            put(session, number, number * request.param)
        session.flush()
        yield session


def put(session: Session, number: int, id_: int) -> None:
    """A reader of whom everything names their number."""
    key, at = f"r{number}@example.com", NOW + timedelta(days=number)
    status = STATUSES[number % 5]
    session.add(
        Subscriber(
            id=id_, address=key, address_key=key, name=f"N {number}", status=status, created_at=at
        )
    )
    session.flush()
    for place, action in enumerate(STORIES[number % 4][0]):
        words = f"{place} {number}"
        session.add(
            ConsentRecord(subscriber_id=id_, action=action, at=at, source="form", wording=words)
        )
        session.flush()
    session.add_all(SubscriberTag(subscriber_id=id_, tag=f"t{n}") for n in range(number % 3))
    session.add_all(
        SubscriberTopic(subscriber_id=id_, topic=f"o{n}") for n in range(number // 3 % 3)
    )
    if number % 7 == 0:
        suppression.suppress(session, key, SuppressionReason.MANUAL, detail="", now=NOW)
    if number % 14 == 0:
        suppression.lift(session, key, because="mended", now=NOW)


def rows(session: Session, only: TextClause | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(export_lines(session, PLAIN, only=only)))))


def expected(number: int) -> dict[str, str]:
    at = (NOW + timedelta(days=number)).isoformat(timespec="seconds")
    actions, place = STORIES[number % 4]
    action = actions[place] if actions else ""
    return {
        "email": f"r{number}@example.com",
        "name": f"N {number}",
        "status": STATUSES[number % 5],
        "suppressed": "manual" if number % 14 == 7 else "",
        "created_at": at,
        "confirmed_at": "",
        "unsubscribed_at": "",
        "consent": action,
        "consent_at": at if action else "",
        "consent_source": "form" if action else "",
        "consent_wording": f"{place} {number}" if action else "",
        "consent_given_on": "",
        "tags": ",".join(f"t{n}" for n in range(number % 3)),
        "topics": ",".join(f"o{n}" for n in range(number // 3 % 3)),
    }


LISTED = [number for number in range(1, MANY + 1) if STATUSES[number % 5] != "erased"]


@pytest.mark.parametrize("page_rows", [1, 7, 2000])
def test_every_line_tells_of_one_reader_however_long_a_page_is(
    session: Session, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_pages, "PAGE_ROWS", page_rows)
    monkeypatch.setattr(export_pages, "MAX_IDS", 5)
    assert rows(session) == [expected(number) for number in LISTED]


@pytest.mark.parametrize("page_rows", [3, 2000])
def test_a_part_of_the_list_is_exported_as_it_stands_in_the_whole(
    session: Session, page_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_pages, "PAGE_ROWS", page_rows)
    whole, odd, late = rows(session), rows(session, ODD), rows(session, LATE)
    assert odd == [row for row, number in zip(whole, LISTED, strict=True) if number % 2]
    assert late == whole[-4:]


def test_a_page_of_people_without_a_word_does_not_end_the_export(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_pages, "PAGE_ROWS", 1)  # a page is one reader, pending or not
    lines = list(export_lines(session, DIALECTS["ghost"]))
    assert len(lines) == 1 + sum(STATUSES[number % 5] != "pending" for number in LISTED)


@pytest.mark.parametrize(
    ("shape", "tables"),
    [
        ("plain", {"subscriber", "consent_record", "subscriber_tag", "subscriber_topic"}),
        ("ghost", {"subscriber", "subscriber_tag"}),
        ("substack", {"subscriber"}),
    ],
)
def test_only_what_a_shape_writes_is_read(session: Session, shape: str, tables: set[str]) -> None:
    asked: list[str] = []
    event.listen(
        session.get_bind(),
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_rest: asked.append(statement),
    )
    list(export_lines(session, DIALECTS[shape]))
    words = " ".join(asked).split()
    read = {name for word, name in pairwise(words) if word == "FROM"}
    assert read - {"suppression"} == tables


def test_instants_are_told_in_utc_to_the_second_however_they_were_kept(session: Session) -> None:
    update = text(
        "UPDATE subscriber SET created_at = :at, confirmed_at = :short WHERE name = 'N 2'"
    )
    kept = {"at": "2026-01-02 03:04:05.999999", "short": "2026-01-02 03:04:05"}
    session.connection().execute(update, kept)
    (row,) = [row for row in rows(session) if row["name"] == "N 2"]
    assert row["created_at"] == row["confirmed_at"] == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize("number", [6, 7], ids=["of the page", "beside the page"])
def test_memory_follows_the_readers_of_a_page_and_not_what_they_did(
    session: Session, number: int
) -> None:
    even = text("s.id % 2 = 0")
    before = peak_bytes(session, even)
    insert = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
        " INSERT INTO consent_record (subscriber_id, action, at, source, network, given_on,"
        " wording) SELECT id, 'added', created_at, 'form', '', '', 'yes ' || i FROM n, subscriber"
        " WHERE name = :name"
    )
    session.connection().execute(insert, {"name": f"N {number}"})
    assert peak_bytes(session, even) < before + 2_000_000


def peak_bytes(session: Session, only: TextClause) -> int:
    rows(session, only)
    tracemalloc.start()
    rows(session, only)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_what_is_beside_the_readers_of_a_page_is_not_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[set[int]] = []
    consents = export_pages._consents

    def noting(session: Session, ids: Sequence[int]) -> dict[int, Sequence[object]]:
        found = consents(session, ids)
        kept.append(found.keys() - set(ids))
        return found

    monkeypatch.setattr(export_pages, "_consents", noting)
    rows(session, ODD)
    assert kept == [set()]
