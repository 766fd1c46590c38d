"""The command line in this process, or in one of its own: what it says, the status it ends with."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
import typer.main

from newsletter import cli

ROOT = Path(__file__).parents[2]
MONDAY_NOON = "2026-11-23T12:00:00Z"
# The tree of commands is the same for every command, and making it takes longer than most of them.
_tree = cache(typer.main.get_command)


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out, newline="")))


Newsletter = Callable[..., Said]


def commands(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    """For a fixture to yield from: runs `newsletter ...` with the environment as it is."""
    monkeypatch.setattr(typer.main, "get_command", _tree)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["newsletter", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, captured.out, captured.err)

    yield run
    structlog.reset_defaults()  # the command line sent this process's logs to stderr


def process(home: Path, *arguments: str, now: str = MONDAY_NOON, code: str = "") -> Said:
    """Runs `newsletter ...` at `home` in a process of its own; `code`, where given, in its place.

    For what only a process shows: that it loads all it needs, dies, or tells the shell something.
    """
    program = ["-c", code] if code else ["-m", "newsletter"]
    ran = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env={**os.environ, "NEWSLETTER_HOME": str(home), "NEWSLETTER_NOW": now},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)
