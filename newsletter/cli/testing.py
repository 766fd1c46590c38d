"""`newsletter test`: everything CI runs, with what it needs, and one line at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.screen import say
from newsletter.cli.toolbox import fill_toolbox
from newsletter.errors import RefusedError

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = "tests/benchmarks"
GOLDENS = "tests/mail_checks/test_golden_screens.py"
RENEW_GOLDENS = "NEWSLETTER_TEST_RENEW_GOLDENS"
WORKERS = "3"  # on two cores: many tests wait, for a process, a browser or a time-out

STATIC = (
    ("ruff check", ("-m", "ruff", "check", ".")),
    ("ruff format", ("-m", "ruff", "format", "--check", ".")),
    ("mypy", ("-m", "mypy")),
    ("import-linter", ("-c", "from importlinter.cli import lint_imports_command as c; c()")),
)
# Stealing leaves tests of one module with one worker, which makes the homes they share once.
SPREAD = ("-n", WORKERS, "--dist", "worksteal")
TOGETHER = ("tests", f"--ignore={BENCHMARKS}", "-p", "no:benchmark", *SPREAD)
QUICK = (*TOGETHER, "-m", "not slow and not browser")
ALONE = (BENCHMARKS,)  # nothing may run beside a measurement


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of some checks or tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def run_everything(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Under two minutes: no slow, browser or benchmark test.")
    ] = False,
    renew_goldens: Annotated[
        bool, typer.Option("--renew-goldens", help="Only take the golden screenshots anew.")
    ] = False,
) -> None:
    """Run everything CI runs. Further arguments go to pytest, which then runs alone."""
    _require_a_checkout()
    if context.args:
        raise typer.Exit(_run("-m", "pytest", *context.args))
    if renew_goldens or not quick:
        fill_toolbox()
    if renew_goldens:
        os.environ[RENEW_GOLDENS] = "1"
        raise typer.Exit(_run("-m", "pytest", "-q", GOLDENS))
    tally = Tally()
    for name, command in STATIC:
        say(f"== {name}")
        tally += Tally(failed=1) if _run(*command) else Tally(passed=1)
    for arguments in (QUICK,) if quick else (TOGETHER, ALONE):
        say(f"== pytest {' '.join(arguments)}")
        tally += _pytest(arguments)
    say(str(tally))
    raise typer.Exit(1 if tally.failed else 0)


def _require_a_checkout() -> None:
    if not (ROOT / "tests").is_dir() or find_spec("pytest") is None:
        raise RefusedError(
            "the tests need a checkout and their own packages",
            hint="run `python3 -m newsletter test` in the checkout: it gets them",
        )


def _pytest(arguments: Sequence[str]) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status = _run("-m", "pytest", "-q", *arguments, f"--junitxml={report}")
        tally = _tally_of(report)
    # Status 1 is counted in the report; any other means pytest itself came to grief.
    return tally if status in (0, 1) else tally + Tally(failed=1)


def _tally_of(report: Path) -> Tally:
    if not report.is_file():
        return Tally()
    tests = failed = skipped = 0
    for suite in _suites(report):
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return Tally(tests - failed - skipped, failed, skipped)


def _suites(report: Path) -> Iterator[ET.Element]:
    return ET.parse(report).getroot().iter("testsuite")  # noqa: S314  (written by us just now)


def _run(*arguments: str) -> int:
    """Runs Python with `arguments` in the checkout, without the settings of this shell."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NEWSLETTER_") or name.startswith("NEWSLETTER_TEST_")
    }
    # Three workers and hundreds of processes would each compile everything anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603
