"""The demo whose readers have read: people and machines told apart, from one command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
READERS = 120


def run(home: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "newsletter", *arguments],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "NEWSLETTER_HOME": str(home),
            "NEWSLETTER_OPERATORS": "otto@example.com",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("reactions") / "home"
    said = run(home, "demo", "--reactions", "--subscribers", str(READERS))
    assert "voter" in said
    assert max(map(len, said.replace(str(home), "var").splitlines())) <= 80
    return home


@pytest.fixture(scope="module")
def figures(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(home, "issue", "stats", "latest", "--json"))
    return found


def test_its_figures_tell_people_from_machines_and_add_up(figures: dict[str, Any]) -> None:
    fall = figures["waterfall"]
    assert fall["candidates"] == READERS == fall["reached"]
    assert min(fall["loads"]["human"], fall["loads"]["machine"], fall["clicks"]["human"]) > 0
    assert fall["clicks"]["machine"] > 0  # scanners are among them, and no person's clicks
    assert fall["loads"]["total"] <= READERS
    assert fall["voters"] <= fall["clicks"]["human"] + fall["clicks"]["unknown"]
    assert figures["rules"]["machine_apple"] > 0


def test_its_readers_votes_are_on_the_comparisons(figures: dict[str, Any]) -> None:
    votes = [vote for one in figures["comparisons"] for vote in one["votes"]]
    assert sum(vote["ship"] + vote["skip"] for vote in votes) == 2 * figures["waterfall"]["voters"]


def test_the_report_of_the_first_day_waits_in_the_outbox_after_a_tick(home: Path) -> None:
    run(home, "run", "--once")
    reports = list((home / "outbox" / "system").glob("report.*.eml"))
    assert len(reports) == 1
