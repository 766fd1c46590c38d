"""`newsletter suppressions`, from a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import MONDAY_NOON, Newsletter, commands, process

pytestmark = pytest.mark.slow


@pytest.fixture
def newsletter(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", MONDAY_NOON)
    yield from commands(monkeypatch, capfd)


def test_a_suppressed_address_is_listed_and_shown_until_it_is_lifted(
    newsletter: Newsletter,
) -> None:
    newsletter("subscribers", "add", "ann@example.com", "--consent", "on paper")
    assert "suppressed" in newsletter("suppressions", "add", "Ann@example.com").out
    assert "already" in newsletter("suppressions", "add", "ann@example.com").out
    (listed,) = newsletter("suppressions", "list", "--json").json
    assert (listed["address"], listed["reason"]) == ("ann@example.com", "manual")
    shown = newsletter("subscribers", "show", "ann@example.com", "--json").json
    assert shown["suppressed"] == "manual"
    refused = newsletter("suppressions", "remove", "ann@example.com")
    assert (refused.code, "needs a reason" in refused.err) == (1, True)
    lifted = newsletter("suppressions", "remove", "ann@example.com", "--because", "a mistake")
    assert "may be written to again" in lifted.out
    assert newsletter("suppressions", "list", "--json").json == []


def test_what_is_no_address_is_refused(database_file: Path) -> None:
    refused = process(database_file.parent, "suppressions", "add", "nobody")
    assert refused.code == 1
    assert "next:" in refused.err
