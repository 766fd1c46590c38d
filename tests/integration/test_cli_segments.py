"""`newsletter segments`, from a terminal."""

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


@pytest.mark.slow
def test_a_segment_is_saved_shown_listed_and_counted(home: Path) -> None:
    _run(home, "subscribers", "add", "ann@example.com", "--consent", "on paper")
    saved = _run(home, "segments", "save", "at-example", "domain = 'example.com'")
    assert "at-example: 1 reader, 1 of them active" in saved.stdout
    shown = json.loads(_run(home, "segments", "show", "at-example", "--json").stdout)
    assert (shown["rule"], shown["readers"]) == ('domain = "example.com"', 1)
    (listed,) = json.loads(_run(home, "segments", "list", "--json").stdout)
    assert listed["name"] == "at-example"
    counted = json.loads(_run(home, "segments", "count", "status = paused", "--json").stdout)
    assert counted == {"readers": 0, "active": 0}


def test_a_rule_that_cannot_be_read_is_shown_with_its_word(home: Path) -> None:
    refused = _run(home, "segments", "count", "trackd")
    assert refused.returncode == 1
    assert "  trackd\n  ^^^^^^" in refused.stderr
    assert "did you mean tracked?" in refused.stderr
