"""`newsletter issue check`: findings by rule, what to do, and how old the data is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from newsletter import cli

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def newsletter(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """A publication whose week is planned, and whose pages nobody serves."""
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("NEWSLETTER_PUBLIC_URL", "http://127.0.0.1:1")
    monkeypatch.chdir(ROOT)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["newsletter", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), capfd.readouterr().out

    assert run("content", "import")[0] == 0
    assert run("issue", "plan")[0] == 0
    yield run
    structlog.reset_defaults()  # the command line sent this process's logs to stderr


def test_a_clean_issue_is_told_with_the_rules_and_the_age_of_the_data(newsletter: Run) -> None:
    code, out = newsletter("issue", "check")
    assert code == 0
    assert out.startswith("2026-W48: 0 errors, 0 warnings\n")
    assert "rules\nclient support: caniemail " in out
    assert "client shares: Litmus" in out


def test_findings_stand_by_rule_with_the_reason_each_place_and_what_to_do(newsletter: Run) -> None:
    newsletter(
        "issue", "edit", "latest", "--subject", "RE: MISTRAL WINS", "--intro", "TODO, or TBD."
    )
    code, out = newsletter("issue", "check")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "2026-W48: 3 errors, 1 warning"
    unfinished = lines.index(
        "error: words-unfinished. A writer's note to themselves is about to reach the readers."
    )
    assert lines[unfinished + 1 : unfinished + 4] == [
        "  'TODO' is still there (intro)",
        "  'TBD' is still there (intro)",
        "  next: finish that text, or take it out",
    ]
    kinds = [line.partition(":")[0] for line in lines if line.startswith(("error", "warning"))]
    assert kinds == sorted(kinds)


def test_json_carries_findings_rules_and_data(newsletter: Run) -> None:
    newsletter("issue", "edit", "latest", "--subject", "Fwd: Mistral")
    code, out = newsletter("issue", "check", "--json")
    told = json.loads(out)
    assert code == 1
    assert [one["rule"] for one in told["findings"]] == ["subject-reply"]
    rules = {rule["id"]: rule for rule in told["rules"]}
    assert rules["subject-reply"]["explanation"].endswith(".")
    assert told["data"]["support_updated"] > "2026"
    assert told["data"]["shares_as_of"]
    assert told["sha256"]


def test_a_live_check_asks_for_each_link_and_blames_nobody_for_silence(newsletter: Run) -> None:
    code, out = newsletter("issue", "check", "--live")
    assert code == 0
    assert "2026-W48: 0 errors, 0 warnings, 1 link without a page" in out
    assert "warning: link-dead. A reader who follows a link finds a page there." in out
    assert "http://127.0.0.1:1/comparisons/claude-haiku" in out
    code, out = newsletter("issue", "check", "--live", "--json")
    assert [one["rule"] for one in json.loads(out)["findings"]] == ["link-dead"]
