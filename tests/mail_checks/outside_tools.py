"""The programs that look at mails, each run once for many of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

import pytest

from newsletter.cli.toolbox import (
    DEBIAN_PACKAGES,
    NODE_PACKAGES,
    node_packages_are_current,
    node_program,
)

GET_THEM = "a full `python3 -m newsletter test` installs it"
AXE = NODE_PACKAGES / "node_modules" / "axe-core" / "axe.min.js"

_SCORE = "X-Spam-Points"  # our own header: the points of each rule, which the usual one leaves out
_SPAMASSASSIN = (
    "spamassassin",
    "--local",  # no look-up of any kind
    "--nocreate-prefs",
    "--cf=use_bayes 0",  # nor what this machine may have learnt
    "--cf=use_auto_welcomelist 0",
    "--cf=report_safe 0",
    "--cf=add_header all Points _SCORE_ _TESTSSCORES(,)_",
)


@dataclass(frozen=True, slots=True)
class SpamScore:
    """points: 5.0 is spam by default. rules: those that were hit, with their points."""

    points: float
    rules: Mapping[str, float]

    def __str__(self) -> str:
        rules = ", ".join(f"{name} {points:+.1f}" for name, points in sorted(self.rules.items()))
        return f"{self.points:.1f} ({rules})"


def require_debian_packages(*names: str) -> None:
    """Fails the test, with the way out, where one of the test run's packages is not installed."""
    missing = [one.name for one in DEBIAN_PACKAGES if one.name in names and not one.is_there]
    if missing:
        pytest.fail(f"not installed: {', '.join(missing)}; {GET_THEM}")


def require_node_packages() -> None:
    """The same for the checkers that exist only for Node."""
    if not node_packages_are_current():
        pytest.fail(f"not installed, or not as locked: tests/tools/node; {GET_THEM}")


def lint(folder: Path) -> dict[str, list[str]]:
    """The faults of each `.mjml` and `.html` file of a folder, by its name."""
    require_node_packages()
    command = [str(node_program()), str(NODE_PACKAGES / "lint_mails.mjs"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spam_scores(messages: Mapping[str, bytes], folder: Path) -> dict[str, SpamScore]:
    """What SpamAssassin's local rules make of each message. folder: an empty one, to work in."""
    require_debian_packages("spamassassin")
    paths = [folder / f"{number}.eml" for number in range(len(messages))]
    for path, message in zip(paths, messages.values(), strict=True):
        path.write_bytes(message)
    done = subprocess.run(
        [*_SPAMASSASSIN, *map(str, paths)],
        env={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    # What it prints are the messages one after the other, each opened by its own headers.
    answers = re.split(rb"^(?=X-Spam-Checker-Version:)", done.stdout, flags=re.MULTILINE)[1:]
    return dict(zip(messages, map(_score, answers), strict=True))


def _score(answer: bytes) -> SpamScore:
    points, _, rules = str(BytesHeaderParser().parsebytes(answer)[_SCORE]).partition(" ")
    pairs = (rule.strip().split("=") for rule in rules.split(",") if "=" in rule)
    return SpamScore(float(points), {name: float(value) for name, value in pairs})
