"""Files of the hit log that come back, cannot be read, or are of readers who want no tracking."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import postroom
import pytest
from hit_logs import LATER, hit, look, names, readers, rows
from postroom import NOW
from served import Served, copied, id_of, make_home, served
from sqlalchemy import Engine, text
from sqlmodel import Session

from newsletter import hits
from newsletter.store.engine import session_on
from newsletter.tracking import hit_import
from newsletter.tracking.events import EventKind
from newsletter.tracking.hit_import import Taken, take_in
from newsletter.tracking.hitlog import HitLog, line_of

pytestmark = pytest.mark.slow


@pytest.fixture
def issue(database: Engine) -> int:
    return postroom.frozen_issue(database, 5)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[HitLog]:
    one = HitLog(tmp_path)
    yield one
    one.close()


def test_a_file_that_comes_back_is_known_by_its_name(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue)))
    log.close()
    (name,) = names(tmp_path)
    copy = (tmp_path / "hits" / name).read_bytes()
    assert look(database, tmp_path).hits == 1
    (tmp_path / "hits" / name).write_bytes(copy)  # a crash, or a copy older than its database
    assert look(database, tmp_path) == Taken()
    assert readers(database) == [1]
    assert names(tmp_path) == []


def test_names_are_forgotten_after_weeks_unless_their_file_is_there(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    made = [f"202611{day}T090000.000000-00000000.log" for day in (10, 24)]
    with session_on(database) as session:
        for name in [*made, "20261109T090000.000000-00000000.log"]:
            session.execute(text(f"INSERT INTO hit_log VALUES ('{name}', 7)"))
    log.append(line_of(hit(issue)))
    (tmp_path / "hits" / made[0]).write_bytes(b"")
    with (tmp_path / "hits" / made[0]).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # held by its writer
        now = datetime(2026, 11, 11, tzinfo=NOW.tzinfo) + hit_import.KNOWN_FOR
        assert take_in(database, tmp_path, now=now).hits == 1
    kept = [str(name) for (name,) in rows(database, "SELECT name FROM hit_log ORDER BY name")]
    assert [name for name in kept if name.endswith("-00000000.log")] == made


def test_a_death_while_a_file_is_cleared_away_doubles_nothing(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue)))
    log.close()

    def dies(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            look(database, tmp_path)
    look(database, tmp_path)
    assert readers(database) == [1]
    assert names(tmp_path) == []


def test_what_cannot_be_read_is_named_and_holds_up_no_other(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, capsys: pytest.CaptureFixture[str]
) -> None:
    log.append(line_of(hit(issue, 1)))
    log.close()
    for name in ("0.log", "x.tmp"):
        (tmp_path / "hits" / name).mkdir()
    os.mkfifo(tmp_path / "hits" / "1.log")
    (tmp_path / "hits" / "2.log").symlink_to("2.log")  # opening it fails, also for root
    taken = look(database, tmp_path)
    assert taken.hits == 1
    assert [said.split(":")[0] for said in taken.unreadable] == ["0.log", "1.log", "2.log"]
    assert capsys.readouterr().out.count("hits_unreadable") == 3


@pytest.mark.parametrize("off", ["reader", "issue", "publication"])
def test_whoever_wants_no_tracking_by_now_leaves_a_fact_that_is_nobody_s(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, off: str
) -> None:
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state = 'uncertain', reason = 'no answer'"))
        if off == "reader":
            session.execute(text("UPDATE subscriber SET is_tracked = false WHERE id = 2"))
        if off == "issue":
            session.execute(text("UPDATE issue SET is_tracked = false"))
    proven: list[tuple[int, dict[int, str]]] = []

    def prove(_session: Session, issue_id: int, kinds: Mapping[int, EventKind]) -> None:
        proven.append((issue_id, {id_: str(kind) for id_, kind in kinds.items()}))

    log.append(line_of(hit(issue, 2)))
    log.append(line_of(replace(hit(issue, 3), method="HEAD")))
    is_on = off != "publication"
    assert take_in(database, tmp_path, now=LATER, tracking=is_on, prove=prove).hits == 2
    kept = rows(database, "SELECT subscriber_id, agent, network FROM event WHERE method = 'GET'")
    assert kept == [(None, "", "")]
    assert proven == [(issue, {2: "click"})]  # a mail that was read was taken
    waiting = 1 if off == "reader" else 0
    assert len(rows(database, "SELECT * FROM to_classify")) == waiting


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    home = make_home(tmp_path / "made", sent=True)
    (tmp_path / "copy").mkdir()
    with served(copied(home, tmp_path / "copy")) as one:
        yield one


def test_a_mail_that_was_read_was_taken_also_where_nothing_is_kept_of_its_reader(
    site: Served,
) -> None:
    reader = id_of(site)
    with site.app.session() as session:
        session.execute(text("UPDATE issue SET state = 'sending', done_at = NULL"))
        session.execute(text(f"UPDATE subscriber SET is_tracked = false WHERE id = {reader}"))
        session.execute(
            text(f"UPDATE delivery SET state = 'uncertain' WHERE subscriber_id = {reader}")
        )
    site.clock.forward(hours=1)
    link = f"/c/{site.app.keyring.delivery(1, reader)}/1"
    assert site.client.get(link).status_code == 302
    assert list(hits.take_in(site.app)) == []
    with site.app.session(readonly=True) as session:
        assert session.execute(text("SELECT subscriber_id FROM event")).scalars().all() == [None]
        reasons = text(f"SELECT reason FROM delivery WHERE subscriber_id = {reader}")
        assert session.execute(reasons).scalars().all() == ["proven by a click"]
        assert session.execute(text("SELECT state FROM issue")).scalars().all() == ["done"]


def test_a_tick_says_which_file_it_could_not_read(site: Served) -> None:
    (site.app.home / "hits" / "x.log").mkdir(parents=True)
    assert list(hits.take_in(site.app)) == [
        "a file of the hit log that cannot be read, x.log: it is no file"
    ]
