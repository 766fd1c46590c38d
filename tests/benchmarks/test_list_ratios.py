"""A million people imported in flat memory, beside csv.DictReader and an ORM object a row.

Absolute figures drift with the machine and are printed for orientation; ratios within one run hold.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forks import in_a_process

from newsletter.store import search
from newsletter.store.engine import open_engine, session_on, upgrade
from subscribers.address import EmailAddress
from subscribers.exports import export_lines
from subscribers.models import ConsentRecord, Subscriber
from subscribers.transfer import Stated, judged, take_in

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
STATED = Stated("import:list.csv", "ticked the box at our stand", "2026-11-20")
FEW, SAMPLE, MANY = 10_000, 20_000, 1_000_000
TIME_GOAL_S, MEMORY_GOAL_MB = 60.0, 200


def test_a_million_people_are_imported_and_exported_in_flat_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks, seconds, out = {}, {}, {}
    own, _ = in_a_process(lambda: 0.0)
    for count in (FEW, MANY):
        people, home = written(tmp_path / f"{count}.csv", count), made(tmp_path / f"{count}.db")
        peaks[count], seconds[count] = in_a_process(lambda p=people, h=home: imported(p, h))  # type: ignore[misc]
        out[count] = in_a_process(lambda h=home: exported(h))  # type: ignore[misc]
        assert in_a_process(lambda h=home, n=count: held(h, n))[1] == count  # type: ignore[misc]
    with capsys.disabled():
        print(
            f"\n  {MANY:,} people imported in {seconds[MANY]:.1f} s (goal {TIME_GOAL_S:.0f});"
            f" peak memory {peaks[MANY]:.0f} MB, of {FEW:,} people {peaks[FEW]:.0f} MB"
            f" (goal: flat, at most {MEMORY_GOAL_MB}; {own:.0f} of it are the test runner's);"
            f" exported in {out[MANY][1]:.1f} s at {out[MANY][0]:.0f} MB"
        )
    # A fork begins with what the test runner holds: what the work adds is what counts.
    assert peaks[MANY] - own < MEMORY_GOAL_MB


def test_an_import_beside_a_row_at_a_time_through_the_orm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = written(tmp_path / "people.csv", SAMPLE)
    ours = in_a_process(lambda: imported(people, made(tmp_path / "ours.db")))
    theirs = in_a_process(lambda: through_the_orm(people, made(tmp_path / "theirs.db")))
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


def imported(people: Path, home: Path) -> float:
    engine = open_engine(f"sqlite:///{home}")
    started = time.perf_counter()
    with (
        people.open("rb") as stream,
        judged(stream, STATED, now=NOW) as read,
        session_on(engine) as session,
    ):
        report = take_in(session, read, now=NOW)
        search.catch_up(session)  # so that they can be searched for: the command does it, too
    assert report.added == report.rows
    return time.perf_counter() - started


def exported(home: Path) -> float:
    engine = open_engine(f"sqlite:///{home}")
    started = time.perf_counter()
    with session_on(engine, readonly=True) as session, Path(os.devnull).open("w") as nowhere:
        nowhere.writelines(export_lines(session))
    return time.perf_counter() - started


def held(home: Path, count: int) -> float:
    engine = open_engine(f"sqlite:///{home}")
    with session_on(engine, readonly=True) as session:
        run = session.connection().exec_driver_sql
        people = run("SELECT count(*) FROM subscriber WHERE status = 'active'").scalar()
        proofs = run("SELECT count(*) FROM consent_record").scalar()
        tags = run("SELECT count(*) FROM subscriber_tag").scalar()
    assert (people, proofs, tags) == (count, count, (count + 9) // 10)
    return float(count)


def through_the_orm(people: Path, home: Path) -> float:
    engine = open_engine(f"sqlite:///{home}")
    started = time.perf_counter()
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
    return time.perf_counter() - started
