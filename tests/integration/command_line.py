"""The command line in this process: what a command says, and the status it ends with."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from newsletter import cli


@dataclass(frozen=True)
class Said:
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
