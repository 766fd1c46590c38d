"""The whole list out and into an empty one: all of it, or a clear no."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import open_engine, session_on
from subscribers import consent, erasure, suppression, whole
from subscribers.address import EmailAddress
from subscribers.errors import ImportRefusedError
from subscribers.models import (
    ConsentRecord,
    Engagement,
    Subscriber,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
    SuppressionReason,
)
from subscribers.whole import MEMBERS, export_whole, import_whole

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

NOW = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def emptied(database: Engine, tmp_path: Path) -> Iterator[Engine]:
    """A second, empty list: the first one as it was before anybody was on it."""
    copy = tmp_path / "second.db"
    with database.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))
        connection.exec_driver_sql("BEGIN")
    engine = open_engine(f"sqlite:///{copy}")
    yield engine
    engine.dispose()


def furnish(session: Session) -> None:
    """People in every state there is, with all that can be known of them."""
    for number, name in enumerate(("Ann", '=HYPERLINK("x")', "'t Hooft", "Zoë\u2028李")):
        address = EmailAddress.parse(f"Reader{number}@bücher.example")
        signed = consent.sign_up(
            session, address, source="form", wording='One,\r\n"a" week', network="192.0.2.7",
            now=NOW,
        )  # fmt: skip
        found = session.get(Subscriber, signed.subscriber_id)
        assert found is not None
        found.name, found.language, found.is_tracked = name, "de", number != 1
        found.paused_until = NOW + timedelta(days=number) if number else None
        session.add(found)
        session.flush()
        if number != 3:
            consent.confirm(
                session, signed.subscriber_id, issued_at=NOW, source="page", network="", now=NOW
            )
    session.add(SubscriberTag(subscriber_id=1, tag="-vip"))
    session.add(SubscriberTopic(subscriber_id=2, topic="Developer Tools"))
    session.add(Engagement(subscriber_id=1, last_human_at=NOW, issues_without=2, soft_bounces=1))
    consent.unsubscribe(session, 2, source="page", network="", now=NOW)
    for address in ("a@example.com", "b@example.com"):
        suppression.suppress(session, address, SuppressionReason.MANUAL, detail="=said so", now=NOW)
    suppression.lift(session, "b@example.com", because="asked", now=NOW)
    erasure.erase(session, 3, fingerprint_of=lambda key: key[::-1], source="page", now=NOW)
    session.flush()


def contents(session: Session) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the list, in order; whose it is by address, not by id."""
    session.flush()
    run = session.connection().exec_driver_sql
    keys = {row[0]: row[1] for row in run("SELECT id, address_key FROM subscriber")}
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for model in (
        Subscriber, ConsentRecord, SubscriberTag, SubscriberTopic, Engagement, Suppression,
    ):  # fmt: skip
        table = model.__tablename__
        order = "id" if "id" in model.model_fields else "subscriber_id"
        rows = run(f"SELECT * FROM {table} ORDER BY {order}").mappings()
        tables[table] = [
            tuple(
                keys[value] if name == "subscriber_id" else value
                for name, value in row.items()
                if name != "id"
            )
            for row in rows
        ]
    return tables


def zipped(database: Engine) -> bytes:
    target = io.BytesIO()
    with session_on(database, readonly=True) as session:
        export_whole(session, target)
    return target.getvalue()


def test_export_wipe_import_gives_the_same_list(emptied: Engine, database: Engine) -> None:
    with session_on(database) as session:
        furnish(session)
        before = contents(session)
    taken = zipped(database)
    with session_on(emptied) as session:
        counts = import_whole(session, io.BytesIO(taken))
        assert contents(session) == before
    assert all(counts.values())
    assert zipped(emptied) == taken


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@pytest.mark.slow
@given(
    st.lists(st.tuples(_TEXTS, _TEXTS, st.none() | st.datetimes(timezones=st.just(UTC)))),
    st.text("'=+-@\t\r\n,\"; ", max_size=6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_whatever_a_cell_holds_comes_back(
    emptied: Engine, database: Engine, rows: list[tuple[str, str, datetime | None]], odd: str
) -> None:
    target = io.BytesIO()
    with session_on(database) as session:
        for number, (name, wording, at) in enumerate([*rows, (odd, odd, None)]):
            key = f"r{number}@example.com"
            one = Subscriber(
                address=key, address_key=key, name=name, status="active", created_at=NOW,
                unsubscribed_at=at,
            )  # fmt: skip
            session.add(one)
            session.flush()
            assert one.id is not None
            session.add(
                ConsentRecord(
                    subscriber_id=one.id,
                    action="added",
                    at=NOW,
                    source="x",
                    wording=wording,
                    detail={name: wording},
                )
            )
        before = contents(session)
        export_whole(session, target)
        session.rollback()
    with session_on(emptied) as session:
        import_whole(session, target)
        assert contents(session) == before
        session.rollback()


def test_every_column_of_a_reader_is_in_the_file() -> None:
    for model in (Subscriber, ConsentRecord, SubscriberTag, Engagement, Suppression):
        in_files = {
            name for m in MEMBERS if m.table.name == model.__tablename__ for name in m.columns
        }
        assert in_files == set(model.model_fields) - {"id", "subscriber_id"}


def rewritten(taken: bytes, **changes: bytes | None) -> bytes:
    """The zip with a member replaced (`subscribers=...`), or left out for None."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(taken)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = changes.get(name.partition(".")[0], old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target.getvalue()


def member(taken: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(taken)) as archive:
        return archive.read(name)


def damages(taken: bytes) -> Iterator[tuple[bytes, str]]:
    people, proofs = member(taken, "subscribers.csv"), member(taken, "consent.csv")
    yield b"", "no zip"
    yield b"email\nann@example.com\n", "no zip"
    yield taken[: len(taken) // 2], "no zip"
    yield rewritten(taken, about=None), "none of ours"
    yield rewritten(taken, about=b"[]"), "none of ours"
    yield rewritten(taken, about=json.dumps({"format": 9, "rows": {}}).encode()), "another version"
    yield rewritten(taken, consent=None), "consent.csv is missing"
    yield rewritten(taken, consent=b"email\r\n"), "other columns"
    yield rewritten(taken, tags=member(taken, "tags.csv").splitlines(True)[0]), "has not the rows"
    yield rewritten(taken, subscribers=people.replace(b"Reader0@", b"Someone@", 1)), "cannot be"
    yield rewritten(taken, subscribers=people.replace(b",active,", b",keen,")), "cannot be"
    yield rewritten(taken, subscribers=people + b'"open'), "never closed"
    yield rewritten(taken, subscribers=people + b"\xff\xfe"), "not UTF-8"
    yield rewritten(taken, subscribers=people + b"one cell\r\n"), "cannot be read"
    yield rewritten(taken, consent=proofs.replace(b"reader0@", b"nobody@")), "not in subscribers"


def test_a_damaged_file_is_refused_and_nothing_of_it_imported(
    emptied: Engine, database: Engine
) -> None:
    with session_on(database) as session:
        furnish(session)
    for damaged, says in damages(zipped(database)):
        with pytest.raises(ImportRefusedError, match=says), session_on(emptied) as session:
            import_whole(session, io.BytesIO(damaged))
        with session_on(emptied, readonly=True) as session:
            assert not any(contents(session).values())


@pytest.mark.parametrize("first", ["a reader", "a suppression"])
def test_a_list_that_has_anything_on_it_takes_no_whole_list(database: Engine, first: str) -> None:
    taken = zipped(database)
    with session_on(database) as session:
        if first == "a reader":
            furnish(session)
        else:
            reason = SuppressionReason.MANUAL
            suppression.suppress(session, "a@example.com", reason, detail="", now=NOW)
    with pytest.raises(ImportRefusedError, match="empty one"), session_on(database) as session:
        import_whole(session, io.BytesIO(taken))


def test_a_member_that_unpacks_to_terabytes_is_refused(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = zipped(database)
    monkeypatch.setattr(whole, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(ImportRefusedError, match="more than 10"), session_on(database) as session:
        import_whole(session, io.BytesIO(taken))
