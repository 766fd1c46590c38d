"""Killed with -9 at any instant, from freezing to the last receipt, and started again.

A sender runs in a process of its own and kills itself when it reaches the n-th line of our code, so
every point between two lines is reached by some n, and the same seed is the same death again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import postroom
import pytest
from postroom import FOLDER, NOW, Wire, prove
from sqlalchemy import Engine, text

import newsletter
from newsletter.delivery import freezing
from newsletter.providers.base import Envelope, Provider, Unlogged
from newsletter.providers.outbox import Outbox
from newsletter.store.engine import open_engine, session_on

OUR_CODE = str(Path(newsletter.__file__).parent)
READERS, BATCH, HAND_OVER = 50, 10, 4
DEATHS = 3  # in a row, before a sender is let through
QUICK_SEEDS = range(6)
SLOW_SEEDS = range(100, 125)
SEEDS = [*QUICK_SEEDS, *(pytest.param(seed, marks=pytest.mark.slow) for seed in SLOW_SEEDS)]


@pytest.fixture(autouse=True)
def small_hand_overs(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in (Wire, Outbox):
        monkeypatch.setattr(provider, "at_once", HAND_OVER)


def freeze_and_send(database_file: Path, issue_id: int, provider: Provider) -> None:
    """What a person does after a crash, too: the same again."""
    engine = open_engine(f"sqlite:///{database_file}")
    with session_on(engine) as session:
        query = text("SELECT frozen_at IS NULL FROM issue WHERE id = :id")
        if session.execute(query, {"id": issue_id}).scalar_one():
            freezing.freeze(session, issue_id=issue_id, now=NOW, batch_size=BATCH)
            session.execute(text("UPDATE issue SET state = 'sending'"))
    postroom.deliver(engine, issue_id, provider)
    engine.dispose()


def each_line_of_ours(reached: Callable[[int], None]) -> None:
    """Calls `reached` with the number of every line of the newsletter about to run from now on."""
    lines = 0

    def on_line(_frame: FrameType, what: str, _value: Any) -> Any:
        nonlocal lines
        if what == "line":
            lines += 1
            reached(lines)
        return on_line

    def on_call(frame: FrameType, _what: str, _value: Any) -> Any:
        return on_line if frame.f_code.co_filename.startswith(OUR_CODE) else None

    sys.settrace(on_call)


def lines_of_a_whole_run(work: Callable[[], None], written: Path) -> int:
    def counted() -> None:
        total = 0

        def note(line: int) -> None:
            nonlocal total
            total = line

        each_line_of_ours(note)
        work()
        sys.settrace(None)
        written.write_text(str(total))

    assert os.waitpid(postroom.start_process(counted), 0)[1] == 0
    return int(written.read_text())


def die_at(line: int, work: Callable[[], None]) -> bool:
    """Runs `work` until the line; whether it died there (it may have ended before)."""

    def doomed() -> None:
        def strike(reached: int) -> None:
            if reached == line:
                os.kill(os.getpid(), signal.SIGKILL)

        each_line_of_ours(strike)
        work()
        sys.settrace(None)

    status = os.waitpid(postroom.start_process(doomed), 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
    return status != 0


@pytest.fixture
def issue(database: Engine) -> int:
    """An approved issue with an audience not frozen yet; nobody is connected to the database."""
    postroom.add_readers(database, READERS)
    postroom.add_readers(database, 3, status="unsubscribed")
    issue_id = postroom.add_issue(database, state="approved")
    database.dispose()
    return issue_id


@pytest.fixture(scope="session")
def length(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many lines of our code a run takes that nobody kills."""
    home = tmp_path_factory.mktemp("unkilled")
    path = home / "newsletter.db"
    path.write_bytes(migrated_file.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    postroom.add_readers(engine, READERS)
    issue_id = postroom.add_issue(engine, state="approved")
    engine.dispose()
    patch = pytest.MonkeyPatch()
    patch.setattr(Outbox, "at_once", HAND_OVER)
    outbox = Outbox(home / "outbox")
    total = lines_of_a_whole_run(lambda: freeze_and_send(path, issue_id, outbox), home / "lines")
    patch.undo()
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_an_outbox_has_one_file_a_reader_however_often_its_sender_is_killed(
    database: Engine, database_file: Path, tmp_path: Path, issue: int, length: int, seed: int
) -> None:
    root = tmp_path / "outbox"
    chance = random.Random(seed)

    def send() -> None:
        freeze_and_send(database_file, issue, Outbox(root))

    deaths = sum(die_at(chance.randint(1, length), send) for _ in range(DEATHS))
    assert deaths, "the seed's first point lies within an unkilled run"
    send()

    found = prove(database, issue)
    assert (found.holds, found.complete) == (True, True)
    assert {state: n for state, n in found.states.items() if n} == {
        "submitted": READERS,
        "excluded": 3,
    }
    expected = [f"{postroom.message_id(n)}.eml" for n in range(1, READERS + 1)]
    files = sorted((root / FOLDER).iterdir())
    assert [path.name for path in files] == expected
    assert {path.read_bytes()[-len(postroom.BODY) :] for path in files} == {postroom.BODY}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_provider_that_remembers_nothing_gets_nothing_twice_and_every_unknown_is_named(
    database: Engine, database_file: Path, tmp_path: Path, issue: int, length: int, seed: int
) -> None:
    wire = Wire(tmp_path / "wire")
    chance = random.Random(seed)

    def send() -> None:
        freeze_and_send(database_file, issue, wire)

    # Fewer lines than with an outbox, so not every one of these is reached.
    deaths = sum(die_at(chance.randint(1, length), send) for _ in range(DEATHS))
    send()

    found = prove(database, issue)
    assert found.holds
    assert found.states["planned"] == found.states["attempting"] == 0
    times = Counter(wire.taken())
    assert set(times.values()) <= {1}
    states = postroom.states(database, issue)
    # Taken, or uncertain with a reason (the proof holds): nobody is lost in silence.
    assert {id_ for id_, state in states.items() if state == "submitted"} <= set(times)
    missing = set(range(1, READERS + 1)) - set(times)
    assert all(states[id_] == "uncertain" for id_ in missing)
    assert found.states["uncertain"] <= deaths  # one message is on this wire at a time


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_one_of_two_senders_killed_from_outside_loses_and_doubles_nobody(
    database: Engine, database_file: Path, tmp_path: Path, issue: int, seed: int
) -> None:
    """Struck by another process, also in the middle of a write or a commit."""
    root = tmp_path / "outbox"
    chance = random.Random(seed)
    after = chance.randint(1, READERS - 1)

    def send() -> None:
        freeze_and_send(database_file, issue, Outbox(root))

    send_slowly = _slowed(send)
    with session_on(database) as session:
        freezing.freeze(session, issue_id=issue, now=NOW, batch_size=3)
        session.execute(text("UPDATE issue SET state = 'sending'"))
    database.dispose()
    victim, survivor = postroom.start_process(send_slowly), postroom.start_process(send_slowly)
    for _ in range(30_000):
        if sum(1 for _ in root.rglob("*.eml")) >= after:
            break
        time.sleep(0.001)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    assert os.waitpid(survivor, 0)[1] == 0
    send()

    found = prove(database, issue)
    assert (found.holds, found.complete) == (True, True)
    assert found.states["submitted"] == READERS
    assert len(list(root.rglob("*.eml"))) == READERS


def _slowed(work: Callable[[], None]) -> Callable[[], None]:
    """Larger messages, so that a kill finds a write under way."""

    def slowly() -> None:
        postroom.BODY = postroom.BODY * 2_000
        work()

    return slowly


def test_a_death_at_the_first_line_and_at_the_last_are_both_survived(
    database: Engine, database_file: Path, tmp_path: Path, issue: int, length: int
) -> None:
    root = tmp_path / "outbox"

    def send() -> None:
        freeze_and_send(database_file, issue, Outbox(root))

    assert die_at(1, send)
    assert not die_at(100 * length, send)
    assert prove(database, issue).complete


def test_the_wire_would_show_a_message_sent_twice(tmp_path: Path) -> None:
    wire = Wire(tmp_path / "wire")
    envelope = Envelope(1, "reader@example.com", "", "m@example.com", {})
    for _ in range(2):
        list(wire.submit(postroom.mailing(), [envelope], Unlogged()))
    assert wire.taken() == [1, 1]
