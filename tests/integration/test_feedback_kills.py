"""Killed at any instant while it takes events in: told again, each is there once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from inbound_home import SETTINGS
from postroom import start_process
from publication import open_home
from told_home import column, home_of_issues, say, take

pytestmark = pytest.mark.slow

KILLS = 6
WORDS = ("processed", "deferred", "delivered", "open", "bounce", "group_unsubscribe", "spamreport")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return home_of_issues(tmp_path_factory.mktemp("told") / "home")


def test_killed_at_any_instant_nothing_is_lost_and_nothing_is_doubled(
    home: Path, tmp_path: Path
) -> None:
    chance = random.Random(6)
    calm = Path(shutil.copytree(home, tmp_path / "calm"))
    stormy = Path(shutil.copytree(home, tmp_path / "stormy"))
    expected = taken(calm)
    cut_short = 0
    for _ in range(KILLS):
        child = start_process(lambda: taken(stormy))
        time.sleep(chance.uniform(0.05, 0.6))
        os.kill(child, signal.SIGKILL)
        cut_short += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert cut_short
    assert taken(stormy) == expected


def test_killed_after_the_commit_and_before_the_answer_the_retry_changes_nothing(
    home: Path, tmp_path: Path
) -> None:
    stormy = Path(shutil.copytree(home, tmp_path / "stormy"))

    def unanswered() -> None:
        taken(stormy)
        os.kill(os.getpid(), signal.SIGKILL)

    child = start_process(unanswered)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    before = outcome(stormy)
    assert before[0]
    assert taken(stormy) == before


def taken(home: Path) -> list[list[Any]]:
    """Every event in calls of three, each its own transaction; what is on record then."""
    app = open_home(home, **SETTINGS)
    events = [
        say(app, reader, word, issue_id)
        for issue_id in (1, 2, 3)
        for reader in (1, 2, 3, 4)
        for word in WORDS[: 3 + reader]
    ]
    for start in range(0, len(events), 3):
        take(app, *events[start : start + 3])
    app.engine.dispose()
    return outcome(home)


def outcome(home: Path) -> list[list[Any]]:
    app = open_home(home, **SETTINGS)
    queries = (
        "SELECT event_id FROM provider_event ORDER BY 1",
        "SELECT issue_id || '/' || subscriber_id || state || reason FROM delivery ORDER BY 1",
        "SELECT address_key || reason FROM suppression WHERE lifted_at IS NULL ORDER BY 1",
        "SELECT subscriber_id || action FROM consent_record ORDER BY 1",
        "SELECT subscriber_id || kind || issue_id FROM event ORDER BY 1",
        "SELECT subscriber_id || kind FROM system_mail ORDER BY 1",
    )
    found = [column(app, query) for query in queries]
    app.engine.dispose()
    return found
