"""`newsletter suppressions`, from a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each


@pytest.fixture
def home(database_file: Path) -> Path:
    return database_file.parent


def _run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "newsletter", *arguments],
        env={**os.environ, "NEWSLETTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_suppressed_address_is_listed_and_shown_until_it_is_lifted(home: Path) -> None:
    _run(home, "subscribers", "add", "ann@example.com", "--consent", "on paper")
    assert "suppressed" in _run(home, "suppressions", "add", "Ann@example.com").stdout
    assert "already" in _run(home, "suppressions", "add", "ann@example.com").stdout
    (listed,) = json.loads(_run(home, "suppressions", "list", "--json").stdout)
    assert (listed["address"], listed["reason"]) == ("ann@example.com", "manual")
    shown = json.loads(_run(home, "subscribers", "show", "ann@example.com", "--json").stdout)
    assert shown["suppressed"] == "manual"
    refused = _run(home, "suppressions", "remove", "ann@example.com")
    assert (refused.returncode, "needs a reason" in refused.stderr) == (1, True)
    lifted = _run(home, "suppressions", "remove", "ann@example.com", "--because", "a mistake")
    assert "may be written to again" in lifted.stdout
    assert json.loads(_run(home, "suppressions", "list", "--json").stdout) == []


def test_what_is_no_address_is_refused(home: Path) -> None:
    refused = _run(home, "suppressions", "add", "nobody")
    assert refused.returncode == 1
    assert "next:" in refused.stderr
