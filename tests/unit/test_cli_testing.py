"""The account that `newsletter test` ends with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from newsletter.cli import testing
from newsletter.cli.testing import Tally

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

def test_passes(): pass

def test_fails(): assert False

@pytest.mark.skip(reason="to be counted")
def test_skipped(): pass

@pytest.fixture
def broken(): raise ValueError

def test_errs(broken): pass
"""


def test_tallies_add_up_and_read_as_one_plain_line() -> None:
    assert str(Tally(3, 1) + Tally(2, 0)) == "5 passed, 1 failed"
    assert str(Tally(3, 0, 2)) == "3 passed, 0 failed, 2 skipped"


def test_passes_failures_errors_and_skips_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    assert testing._pytest([str(tmp_path), f"--rootdir={tmp_path}", "-c", "/dev/null"]) == Tally(
        1, 2, 1
    )
    assert "1 passed" in capfd.readouterr().out


def test_a_run_that_comes_to_grief_is_a_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert testing._pytest([str(tmp_path / "nowhere")]).failed == 1
    capfd.readouterr()


def test_arguments_go_to_pytest_and_its_status_comes_back() -> None:
    command = [sys.executable, "-m", "newsletter", "test", "tests/unit/test_weeks.py", "-q"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert " passed in " in ran.stdout.splitlines()[-1]
    command[-2] = "tests/unit/test_nowhere.py"
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode != 0


def test_ci_runs_exactly_the_one_command() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "python3 -m newsletter test"
    assert lines[1] == "set -euo pipefail"
