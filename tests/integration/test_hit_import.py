"""From the log of hits to events: each line once, whatever is broken, late, torn or doubled."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import postroom
import pytest
from hit_logs import LATER, hit, look, names, readers, rows
from postroom import NOW, states
from sqlalchemy import Engine, text

from newsletter.delivery import evidence
from newsletter.errors import StoreError
from newsletter.store.engine import open_engine, session_on
from newsletter.tracking import hit_import
from newsletter.tracking.events import SETTLE
from newsletter.tracking.hit_import import Taken, take_in
from newsletter.tracking.hitlog import HitLog, line_of

pytestmark = pytest.mark.slow

READERS = 5


@pytest.fixture
def issue(database: Engine) -> int:
    return postroom.frozen_issue(database, READERS)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[HitLog]:
    one = HitLog(tmp_path)
    yield one
    one.close()


def append(home: Path, raw: bytes) -> None:
    """As a disk or a hand would, past the log."""
    with (home / "hits" / names(home)[-1]).open("ab") as file:
        file.write(raw)


def test_a_hit_becomes_an_event_that_waits_to_be_classified(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    early, late = LATER - timedelta(minutes=7), LATER - timedelta(minutes=5)
    log.append(line_of(hit(issue, 2, late)))
    log.append(line_of(hit(issue, 2, early, agent="é\n")))
    assert look(database, tmp_path) == Taken(hits=2)
    kept = rows(database, "SELECT kind, link, method, agent, network, label FROM event ORDER BY id")
    assert kept[0] == ("click", 2, "GET", "Mozilla/5.0", "198.51.100.0/24", "")
    assert kept[1][3] == "é\n"
    due = f"{late + SETTLE:%Y-%m-%d %H:%M:%S.%f}"
    waiting = "SELECT issue_id, subscriber_id, due_at FROM to_classify"
    assert rows(database, waiting) == [(issue, 2, due)]
    log.append(line_of(hit(issue, 2, early)))
    assert look(database, tmp_path) == Taken(hits=1)
    assert rows(database, waiting) == [(issue, 2, due)]  # the later instant stands


def test_a_file_is_read_while_it_grows_and_goes_with_its_process(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    for reader in (1, 2, 3):
        log.append(line_of(hit(issue, reader)))
        assert look(database, tmp_path).hits == 1
        assert look(database, tmp_path) == Taken()
    assert len(rows(database, "SELECT * FROM hit_log")) == 1
    log.append(line_of(hit(issue, 4)))
    log.close()
    assert look(database, tmp_path).hits == 1
    assert readers(database) == [1, 2, 3, 4]
    assert names(tmp_path) == []


def test_nothing_to_take_in_asks_no_database(tmp_path: Path) -> None:
    nowhere = open_engine(f"sqlite:///{tmp_path}")  # a folder: whoever connects fails
    assert look(nowhere, tmp_path / "none") == Taken()
    (tmp_path / "hits").mkdir()
    assert look(nowhere, tmp_path) == Taken()


def test_small_chunks_and_a_bounded_call_bring_the_same(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    for number in range(40):
        log.append(line_of(hit(issue, 1 + number % READERS)))
    first = look(database, tmp_path, chunk_bytes=300, most_chunks=3)
    assert 0 < first.hits < 10
    assert not first.is_all
    assert look(database, tmp_path, chunk_bytes=300) == Taken(hits=40 - first.hits)
    assert readers(database) == [1 + number % READERS for number in range(40)]


def test_damaged_lines_are_skipped_counted_and_logged_without_a_word_of_them(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, capsys: pytest.CaptureFixture[str]
) -> None:
    log.append(line_of(hit(issue, 1)))
    append(tmp_path, line_of(hit(issue, 2, agent="secret")).replace(b"secret", b"sacred"))
    append(tmp_path, b"\x00\x00\xff\r\n\n")
    log.append(line_of(hit(issue, 3)))
    assert look(database, tmp_path) == Taken(hits=2, damaged=3)
    assert readers(database) == [1, 3]
    said = capsys.readouterr().out
    assert "hits_damaged" in said
    assert names(tmp_path)[0] in said
    assert "sacred" not in said


def test_a_torn_last_line_waits_for_its_end_while_its_process_lives(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    line = line_of(hit(issue, 2))
    log.append(line_of(hit(issue, 1)))
    append(tmp_path, line[:50])
    assert look(database, tmp_path) == Taken(hits=1)
    assert look(database, tmp_path) == Taken()
    append(tmp_path, line[50:])
    assert look(database, tmp_path) == Taken(hits=1)


@pytest.mark.parametrize("torn", [b"c0ffee00 [", b"\x00" * 10_000])
def test_a_torn_end_of_a_dead_process_is_no_hit_and_is_told_of(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, torn: bytes
) -> None:
    log.append(line_of(hit(issue)))
    log.close()
    append(tmp_path, torn)
    assert look(database, tmp_path, chunk_bytes=20_000) == Taken(hits=1, damaged=1)
    assert names(tmp_path) == []


def test_zeros_longer_than_any_line_are_passed_over(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue, 1)))
    append(tmp_path, b"\x00" * 100_000 + b"\n")
    log.append(line_of(hit(issue, 2)))
    taken = look(database, tmp_path, chunk_bytes=8_192)
    assert (taken.hits, taken.damaged > 0) == (2, True)


def test_an_offset_beyond_the_end_of_a_file_is_a_file_that_was_read(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue, 1)))
    log.append(line_of(hit(issue, 2)))
    assert look(database, tmp_path).hits == 2
    log.close()
    (name,) = names(tmp_path)
    os.truncate(tmp_path / "hits" / name, 100)  # a crash of the whole machine: not yet on the disk
    assert look(database, tmp_path) == Taken()
    assert readers(database) == [1, 2]
    assert names(tmp_path) == []


def test_a_reader_who_is_gone_leaves_a_fact_that_is_nobody_s(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    with session_on(database) as session:
        session.execute(text("UPDATE subscriber SET status = 'erased' WHERE id = 2"))
    log.append(line_of(hit(issue, 2)))
    log.append(line_of(hit(issue, 999)))
    assert look(database, tmp_path) == Taken(hits=2)
    kept = rows(database, "SELECT issue_id, subscriber_id, agent, network, link FROM event")
    assert kept == [(issue, None, "", "", 2)] * 2
    assert rows(database, "SELECT * FROM to_classify") == []


def test_a_hit_of_an_issue_on_no_record_is_counted_and_holds_nothing_up(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    for number in (issue, issue + 1, issue):
        log.append(line_of(hit(number)))
    assert look(database, tmp_path) == Taken(hits=2, unknown=1)
    assert len(readers(database)) == 2


def test_a_clock_that_was_wrong_costs_no_hit_and_its_instant_is_one_that_can_be(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    with session_on(database) as session:
        session.execute(text("UPDATE issue SET frozen_at = '2026-11-24 09:00:00.000000'"))
    frozen = datetime(2026, 11, 24, 9, tzinfo=NOW.tzinfo)
    now = frozen + timedelta(days=1)
    for at in (frozen.replace(year=1970), now + timedelta(days=9_000), now - timedelta(hours=1)):
        log.append(line_of(hit(issue, at=at)))
    assert take_in(database, tmp_path, now=now).hits == 3
    instants = [at for (at,) in rows(database, "SELECT at FROM event ORDER BY id")]
    wanted = [frozen, now, now - timedelta(hours=1)]
    assert instants == [f"{at:%Y-%m-%d %H:%M:%S.%f}" for at in wanted]
    due = rows(database, "SELECT due_at FROM to_classify")
    assert due == [(f"{now + SETTLE:%Y-%m-%d %H:%M:%S.%f}",)]


def test_a_store_that_refuses_half_way_keeps_nothing_and_loses_nothing(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue)))
    with session_on(database) as session:
        session.execute(text("ALTER TABLE to_classify RENAME TO elsewhere"))
    with pytest.raises(StoreError):
        look(database, tmp_path)
    assert readers(database) == []
    with session_on(database) as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO to_classify"))
    assert look(database, tmp_path) == Taken(hits=1)


def test_a_folder_that_is_none_is_one_clear_error(database: Engine, tmp_path: Path) -> None:
    (tmp_path / "hits").write_text("in the way")
    with pytest.raises(StoreError, match="hits") as refused:
        look(database, tmp_path)
    assert refused.value.hint


def test_a_file_deleted_by_hand_takes_only_itself_away(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(line_of(hit(issue, 1)))
    log.close()
    log.append(line_of(hit(issue, 2)))
    first = names(tmp_path)[0]
    waiting = hit_import._waiting

    def deleted_meanwhile(folder: Path) -> list[str]:
        found = waiting(folder)
        (folder / first).unlink()
        return found

    monkeypatch.setattr(hit_import, "_waiting", deleted_meanwhile)
    assert look(database, tmp_path) == Taken(hits=1)
    assert readers(database) == [2]


def test_who_still_has_a_file_open_that_another_finished_takes_in_nothing_of_it(
    database: Engine, tmp_path: Path, issue: int, log: HitLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(line_of(hit(issue)))
    log.close()
    opened = hit_import._opened

    @contextmanager
    def opened_and_then_slow(path: Path) -> Iterator[int | None]:
        with opened(path) as descriptor:
            monkeypatch.setattr(hit_import, "_opened", opened)
            assert look(database, tmp_path) == Taken(hits=1)
            assert names(tmp_path) == []
            yield descriptor

    monkeypatch.setattr(hit_import, "_opened", opened_and_then_slow)
    assert look(database, tmp_path) == Taken()
    assert readers(database) == [1]


def test_a_draft_of_a_dead_process_goes_and_strangers_stay(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue)))
    log.close()
    for name in ("20261124T090000.000000-00000000.tmp", "notes.txt"):
        (tmp_path / "hits" / name).write_text("not ours\n")
    assert look(database, tmp_path) == Taken(hits=1)
    assert names(tmp_path) == ["notes.txt"]


def test_a_database_of_an_older_backup_takes_in_again_what_it_lacks(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    log.append(line_of(hit(issue, 1)))
    look(database, tmp_path)
    database.dispose()
    backup = (tmp_path / "newsletter.db").read_bytes()
    log.append(line_of(hit(issue, 2)))
    look(database, tmp_path)
    database.dispose()
    for file in tmp_path.glob("newsletter.db*"):
        file.unlink()
    (tmp_path / "newsletter.db").write_bytes(backup)
    assert look(database, tmp_path) == Taken(hits=1)
    assert readers(database) == [1, 2]


def test_importers_side_by_side_take_in_each_hit_once(
    database: Engine, tmp_path: Path, issue: int
) -> None:
    logs = [HitLog(tmp_path, max_bytes=2_000) for _ in range(3)]
    for number in range(300):
        logs[number % 3].append(line_of(hit(issue, 1 + number % READERS, agent=f"no {number}")))
    logs[0].close()
    database.dispose()
    pids = [_importing(tmp_path) for _ in range(4)]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    kept = Counter(agent for (agent,) in rows(database, "SELECT agent FROM event"))
    assert kept == {f"no {number}": 1 for number in range(300)}
    for one in logs:
        one.close()
    assert look(database, tmp_path) == Taken()
    assert names(tmp_path) == []


def _importing(home: Path) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            engine = open_engine(f"sqlite:///{home / 'newsletter.db'}")
            for _ in range(5):
                take_in(engine, home, now=LATER, chunk_bytes=400)
            status = 0
        finally:
            os._exit(status)
    return pid


def test_an_imported_hit_settles_an_uncertain_delivery(
    database: Engine, tmp_path: Path, issue: int, log: HitLog
) -> None:
    with session_on(database) as session:
        session.execute(text("UPDATE delivery SET state = 'uncertain', reason = 'no answer'"))
    log.append(line_of(hit(issue, 2)))
    assert look(database, tmp_path).hits == 1
    with session_on(database) as session:
        assert evidence.settle_by_events(session, issue, LATER) == 1
    assert states(database, issue)[2] == "submitted"
