"""An owner that cannot be looked at is not dead for that."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postroom import start_process

from newsletter.delivery import owner as module
from newsletter.delivery.owner import Owner


@pytest.fixture
def alive() -> Iterator[Owner]:
    """An owner in another process that runs."""
    child = start_process(lambda: time.sleep(30))
    me = Owner.current()
    start = module._start_ticks(child)
    assert start is not None
    yield Owner(me.host, me.boot, child, start)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_with_no_open_files_left_nobody_is_taken_for_dead(
    alive: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = Owner.current()
    assert not alive.is_known_dead_to(me)

    def too_many(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_text", too_many)
    assert not alive.is_known_dead_to(me)


def test_a_process_that_proc_does_not_show_is_not_taken_for_dead(
    alive: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under hidepid, for another user's sender."""
    me = Owner.current()
    monkeypatch.setattr(module, "PROC", tmp_path)
    assert not alive.is_known_dead_to(me)


def test_a_killed_process_is_dead_before_and_after_its_parent_has_buried_it() -> None:
    child = start_process(lambda: time.sleep(30))
    me = Owner.current()
    owner = Owner(me.host, me.boot, child, module._start_ticks(child) or 0)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert owner.is_known_dead_to(me)
    os.waitpid(child, 0)
    assert owner.is_known_dead_to(me)
