"""A million people imported in flat memory, beside csv.DictReader and an ORM object a row.

Absolute figures drift with the machine and are printed for orientation; ratios within one run hold.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forks import in_a_process
from timing import seconds

from newsletter.store import search
from newsletter.store.engine import open_engine, session_on, upgrade
from subscribers.address import EmailAddress
from subscribers.exports import export_lines
from subscribers.models import ConsentRecord, Subscriber
from subscribers.transfer import Stated, judged, take_in

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
STATED = Stated("import:list.csv", "ticked the box at our stand", "2026-11-20")
FEW, SAMPLE, MANY = 10_000, 4_000, 1_000_000
TIME_GOAL_S, MEMORY_GOAL_MB = 60.0, 200
EXPORT_GROWS_MB = 40  # from ten thousand to a million people: a page is in memory, and caches


def test_a_million_people_are_imported_and_exported_in_flat_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    came, went = {}, {}
    own, _ = in_a_process(lambda: 0.0)
    for count in (FEW, MANY):
        people, home = written(tmp_path / f"{count}.csv", count), made(tmp_path / f"{count}.db")
        came[count] = in_a_process(lambda p=people, h=home: seconds(lambda: import_(p, h)))  # type: ignore[misc]
        went[count] = in_a_process(lambda h=home: seconds(lambda: export(h)))  # type: ignore[misc]
        assert in_a_process(lambda h=home, n=count: held(h, n))[1] == count  # type: ignore[misc]
    with capsys.disabled():
        print(
            f"\n  {MANY:,} people imported in {came[MANY][1]:.1f} s (goal {TIME_GOAL_S:.0f});"
            f" peak memory {came[MANY][0]:.0f} MB, of {FEW:,} people {came[FEW][0]:.0f} MB"
            f" (goal: flat, at most {MEMORY_GOAL_MB}; {own:.0f} of it are the test runner's);"
            f" exported in {went[MANY][1]:.1f} s at {went[MANY][0]:.0f} MB,"
            f" of {FEW:,} {went[FEW][0]:.0f} MB"
        )
    # A fork begins with what the test runner holds: what the work adds is what counts.
    assert came[MANY][0] - own < MEMORY_GOAL_MB
    assert went[MANY][0] - went[FEW][0] < EXPORT_GROWS_MB
    assert went[MANY][1] < came[MANY][1]  # it writes no index, and took longer once


def test_an_import_beside_a_row_at_a_time_through_the_orm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = written(tmp_path / "people.csv", SAMPLE)
    home, other = made(tmp_path / "ours.db"), made(tmp_path / "theirs.db")
    ours = in_a_process(lambda: seconds(lambda: import_(people, home)))
    theirs = in_a_process(lambda: seconds(lambda: through_the_orm(people, other)))
    with capsys.disabled():
        print(
            f"\n  {SAMPLE:,} people: {ours[1] / SAMPLE * 1e6:.0f} us each, by DictReader and an ORM"
            f" object and a flush a row {theirs[1] / SAMPLE * 1e6:.0f} us"
            f" ({theirs[1] / ours[1]:.0f} times as long)"
        )
    assert theirs[1] > ours[1]


def written(path: Path, count: int) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "name", "tags"))
        writer.writerows(rows(count))
    return path


def rows(count: int) -> Iterator[tuple[str, str, str]]:
    """In no order, as lists are: an index that grows at its end would flatter us."""
    for n in range(count):
        mixed = n * 7_368_787 % 10_000_019
        yield f"reader.{mixed}@mail{mixed % 500}.example.com", f"Reader {n}", "vip" * (n % 10 == 0)


def made(path: Path) -> Path:
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


def import_(people: Path, home: Path) -> None:
    engine = open_engine(f"sqlite:///{home}")
    with (
        people.open("rb") as stream,
        judged(stream, STATED, now=NOW) as read,
        session_on(engine) as session,
    ):
        report = take_in(session, read, now=NOW)
        search.catch_up(session)  # so that they can be searched for: the command does it, too
    assert report.added == report.rows


def export(home: Path) -> None:
    engine = open_engine(f"sqlite:///{home}")
    with session_on(engine, readonly=True) as session, Path(os.devnull).open("w") as nowhere:
        nowhere.writelines(export_lines(session))


def held(home: Path, count: int) -> float:
    engine = open_engine(f"sqlite:///{home}")
    with session_on(engine, readonly=True) as session:
        run = session.connection().exec_driver_sql
        people = run("SELECT count(*) FROM subscriber WHERE status = 'active'").scalar()
        proofs = run("SELECT count(*) FROM consent_record").scalar()
        tags = run("SELECT count(*) FROM subscriber_tag").scalar()
    assert (people, proofs, tags) == (count, count, (count + 9) // 10)
    return float(count)


def through_the_orm(people: Path, home: Path) -> None:
    engine = open_engine(f"sqlite:///{home}")
    with people.open(newline="") as file, session_on(engine) as session:
        for row in csv.DictReader(file):
            address = EmailAddress.parse(row["email"])
            subscriber = Subscriber(
                address=address.given,
                address_key=address.key,
                name=row["name"],
                status="active",
                created_at=NOW,
                confirmed_at=NOW,
            )
            session.add(subscriber)
            session.flush()
            assert subscriber.id is not None
            session.add(
                ConsentRecord(
                    subscriber_id=subscriber.id,
                    action="imported",
                    at=NOW,
                    source=STATED.source,
                    wording=STATED.consent,
                    given_on=STATED.given_on,
                )
            )
            session.flush()
