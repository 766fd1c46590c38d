"""Every test starts without the settings of the shell it was called from."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Two busy cores are no fault of an example: timings live in tests/benchmarks.
settings.register_profile("house", deadline=None, database=None)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("NEWSLETTER_") and not name.startswith("NEWSLETTER_TEST_"):
            monkeypatch.delenv(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what passing tests measured: the properties they recorded as `figure`."""
    figures = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
        for figure in sorted(figures):
            terminalreporter.line(figure)
