"""The log of hits as a file: what survives a kill, a full disk and a hand that deletes."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import StoreError
from newsletter.tracking import hitlog
from newsletter.tracking.events import EventKind
from newsletter.tracking.hitlog import Hit, HitLog, line_of, read_line

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 24, 9, 30, 0, 123_456, tzinfo=UTC)
HITS = st.builds(
    Hit,
    kind=st.sampled_from([EventKind.IMAGE_LOAD, EventKind.CLICK]),
    issue_id=st.integers(0, 2**32 - 1),
    subscriber_id=st.integers(1, 2**63 - 1),
    link=st.none() | st.integers(1, 99_999),
    at=st.datetimes(timezones=st.just(UTC)),
    method=st.sampled_from(["GET", "HEAD"]),
    agent=st.text(max_size=hitlog.MAX_AGENT_CHARACTERS),
    network=st.sampled_from(["", "198.51.100.0/24", "2001:db8:1::/48"]),
)


def hit(number: int = 1, agent: str = "Mozilla/5.0") -> Hit:
    return Hit(EventKind.CLICK, 1, number, 2, AT, "GET", agent, "198.51.100.0/24")


def files(home: Path) -> list[Path]:
    return sorted((home / "hits").glob("*.log"))


def numbers(home: Path) -> list[int]:
    """Whose hits can be read, file by file."""
    lines = [line for file in files(home) for line in file.read_bytes().splitlines()]
    return [one.subscriber_id for one in map(read_line, lines) if one]


def in_a_child(work: Callable[[], None]) -> int:
    """Does `work` in a fork; how that ended, as `os.waitstatus_to_exitcode` says it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@given(one=HITS)
def test_a_hit_comes_back_as_it_was_written(one: Hit) -> None:
    line = line_of(one)
    assert read_line(line) == one
    assert read_line(line.rstrip(b"\n")) == one
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.rstrip(b"\n").decode().isprintable()


@given(one=HITS, place=st.integers(0), byte=st.integers(0, 255))
def test_a_line_with_a_byte_changed_or_torn_off_is_recognised(
    one: Hit, place: int, byte: int
) -> None:
    line = line_of(one).rstrip(b"\n")
    place %= len(line)
    changed = line[:place] + bytes([byte]) + line[place + 1 :]
    assert changed == line or read_line(changed) is None
    assert read_line(line[:place]) is None
    assert read_line(line[place + 1 :]) is None


@given(line=st.binary(max_size=200))
def test_anything_else_is_no_hit(line: bytes) -> None:
    assert read_line(line) is None


def test_an_agent_s_tricks_stay_within_its_line_and_its_length() -> None:
    agent = 'x\r\n00000000 ["click"]\n\x00\x1b[2J"' + "é" * 1_000
    read = read_line(line_of(hit(agent=agent)))
    assert read is not None
    assert read.agent == agent[: hitlog.MAX_AGENT_CHARACTERS]


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    def write_and_die() -> None:
        log = HitLog(tmp_path)
        for number in range(1, 501):
            log.append(line_of(hit(number)))
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_a_child(write_and_die) == -signal.SIGKILL
    assert numbers(tmp_path) == list(range(1, 501))


def test_a_file_is_locked_while_its_process_lives_and_free_after(tmp_path: Path) -> None:
    log = HitLog(tmp_path)
    log.append(line_of(hit()))
    with files(tmp_path)[0].open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        log.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_nobody_but_us_may_read_it(tmp_path: Path) -> None:
    log = HitLog(tmp_path)
    log.append(line_of(hit()))
    assert files(tmp_path)[0].stat().st_mode & 0o077 == 0
    assert (tmp_path / "hits").stat().st_mode & 0o077 == 0
    log.close()


def test_a_log_without_hits_leaves_no_file(tmp_path: Path) -> None:
    HitLog(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_its_size_is_followed_by_another(tmp_path: Path) -> None:
    line = line_of(hit())
    log = HitLog(tmp_path, max_bytes=3 * len(line))
    for _ in range(7):
        log.append(line)
    log.close()
    assert sorted(file.stat().st_size // len(line) for file in files(tmp_path)) == [1, 3, 3]


def test_it_can_be_written_to_after_it_was_closed(tmp_path: Path) -> None:
    log = HitLog(tmp_path)
    for number in (1, 2):
        log.append(line_of(hit(number)))
        log.close()
    assert sorted(numbers(tmp_path)) == [1, 2]


def test_on_a_full_disk_half_a_record_is_taken_back(tmp_path: Path) -> None:
    line = line_of(hit(1))

    def fill() -> None:
        log = HitLog(tmp_path)
        log.append(line)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(line) + 30,) * 2)
        for _ in range(3):
            with pytest.raises(StoreError, match="cannot be written"):
                log.append(line_of(hit(2)))
        assert files(tmp_path)[0].stat().st_size == len(line)
        os._exit(7)

    assert in_a_child(fill) == 7
    assert numbers(tmp_path) == [1]


def test_where_even_that_fails_the_torn_end_is_the_end_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, line = HitLog(tmp_path), line_of(hit(1))
    log.append(line)
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    def refused(_descriptor: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", half)
        broken.setattr(os, "ftruncate", refused)
        with pytest.raises(StoreError):
            log.append(line_of(hit(2)))
    log.append(line_of(hit(3)))
    log.close()
    assert numbers(tmp_path) == [1, 3]
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("what", ["hits", "home"])
def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path, what: str) -> None:
    home = tmp_path / "home"
    if what == "hits":
        home.mkdir()
        (home / "hits").write_text("in the way")
    with pytest.raises(StoreError, match=r"home/hits") as refused:
        HitLog(home).append(line_of(hit()))
    assert refused.value.hint


def test_a_folder_that_knows_no_locks_is_one_clear_error_and_fills_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_descriptor: int, _how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refused)
    log = HitLog(tmp_path)
    for _ in range(3):
        with pytest.raises(StoreError, match="not supported"):
            log.append(line_of(hit()))
    assert list((tmp_path / "hits").iterdir()) == []


def test_a_draft_that_an_importer_takes_for_a_dead_one_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, refusals = fcntl.flock, iter([BlockingIOError(11, "held"), None])

    def held_once(descriptor: int, how: int) -> None:
        refusal = next(refusals, None)
        if refusal is not None:
            raise refusal
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", held_once)
    log = HitLog(tmp_path)
    log.append(line_of(hit(9)))
    assert numbers(tmp_path) == [9]
    log.close()


def until(true: Callable[[], bool], *, within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def test_a_file_deleted_under_it_is_noticed_and_another_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hitlog, "SYNC_EVERY_S", 0.01)
    log = HitLog(tmp_path)
    log.append(line_of(hit(1)))
    files(tmp_path)[0].unlink()
    number = iter(range(2, 100_000))

    def is_there_again() -> bool:
        log.append(line_of(hit(next(number))))
        return bool(files(tmp_path))

    assert until(is_there_again)
    log.close()


def test_a_quiet_file_is_given_up_after_an_hour_so_that_it_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hitlog, "SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(hitlog, "MAX_AGE_S", 0.0)
    log = HitLog(tmp_path)
    log.append(line_of(hit()))

    def is_free() -> bool:
        with files(tmp_path)[0].open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    assert until(is_free)
    log.close()


def test_the_disk_is_asked_beside_the_answers_and_once_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(hitlog, "SYNC_EVERY_S", 0.05)
    monkeypatch.setattr(os, "fdatasync", synced.append)
    log = HitLog(tmp_path)
    for number in range(500):
        log.append(line_of(hit(number)))
    assert len(synced) < 10
    assert until(lambda: bool(synced))
    log.close()
