"""A check whose program is missing fails, with the way out: it is never passed over."""

from __future__ import annotations

from pathlib import Path

import outside_tools
import pytest

from newsletter.cli import toolbox
from newsletter.cli.toolbox import DebianPackage

MISSING = DebianPackage("spamassassin", "no-such-command", "the spam score")


def test_without_the_node_packages_linting_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(toolbox, "NODE_PACKAGES", tmp_path)
    with pytest.raises(pytest.fail.Exception, match="python3 -m newsletter test"):
        outside_tools.lint(tmp_path)


def test_without_spamassassin_scoring_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_tools, "DEBIAN_PACKAGES", (MISSING,))
    with pytest.raises(pytest.fail.Exception, match="not installed: spamassassin"):
        outside_tools.spam_scores({}, tmp_path)
