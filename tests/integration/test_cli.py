"""The command line as a person types it: what it says, what it refuses, what it loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Newsletter, commands

from newsletter.cli.screen import clean

SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"
ROOT = Path(__file__).parents[2]
HEAVY = (
    "sqlmodel", "sqlalchemy", "jinja2", "mjml", "premailer", "fastapi", "apscheduler", "alembic",
    "pydantic", "structlog", "lxml", "uvicorn",
)  # fmt: skip
CONSENT = ("--consent", "ticked the box at our stand", "--given-on", "2026-05-31")


@pytest.fixture
def newsletter(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    """Runs a command in a home of the test's own, on Monday 23 November 2026."""
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.chdir(ROOT)

    yield from commands(monkeypatch, capfd)


@pytest.fixture
def planned(newsletter: Newsletter) -> Newsletter:
    """The same, with the seed's comparison imported and the week planned."""
    assert newsletter("content", "import").code == 0
    assert newsletter("issue", "plan").code == 0
    return newsletter


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['newsletter', '--help']\n"
        "from newsletter.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Usage: newsletter" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "loaded:"


def test_an_unknown_option_is_a_usage_error(newsletter: Newsletter) -> None:
    said = newsletter("issue", "show", "--nope")
    assert said.code == 2
    assert "--nope" in said.err


def test_an_unknown_setting_is_named_with_the_nearest_known_one(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TIMEZON", "UTC")
    said = newsletter("settings")
    assert said.code == 1
    assert said.err == (
        "error: there is no setting NEWSLETTER_TIMEZON\n  next: did you mean NEWSLETTER_TIMEZONE?\n"
    )


def test_settings_say_where_each_value_comes_from(newsletter: Newsletter) -> None:
    settings = newsletter("settings", "--json").json
    assert isinstance(settings, dict)
    assert settings["now"]["source"] == "NEWSLETTER_NOW"
    assert settings["send_at"] == {"value": "tue 09:00", "source": "default"}


def test_a_damaged_database_is_an_error_with_a_next_step_and_no_traceback(
    newsletter: Newsletter, database_file: Path
) -> None:
    database_file.write_bytes(b"no database at all" * 100)
    said = newsletter("issue", "list")
    assert said.code == 1
    assert said.err.startswith("error: ")
    assert "  next: " in said.err
    assert "Traceback" not in said.err


def test_an_unexpected_fault_is_one_line_without_what_it_may_hold(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(**_: object) -> None:
        raise ZeroDivisionError("someone@example.com")

    monkeypatch.setattr("newsletter.settings.load_settings", faulty)
    said = newsletter("settings")
    assert said.code == 1
    assert "unexpected ZeroDivisionError" in said.err
    assert "NEWSLETTER_TEST_TRACEBACK=1" in said.err
    assert "someone@example.com" not in said.err


def test_content_is_checked_imported_and_listed(newsletter: Newsletter) -> None:
    assert "no fault" in newsletter("content", "check", "--samples").out
    assert newsletter("content", "import", "--dry-run").out.endswith(
        "would be new 1, changed 0, unchanged 0\n"
    )
    assert newsletter("content", "list", "--json").json == []
    assert newsletter("content", "import", "--json").json == {
        "dry_run": False,
        "new": [SEED],
        "changed": [],
        "unchanged": [],
    }
    assert newsletter("content", "import").out == "new 0, changed 0, unchanged 1\n"
    assert newsletter("content", "list").out.startswith(f"{SEED}\tfinished\t")


def test_a_broken_content_file_is_refused_with_file_line_and_field(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    broken = tmp_path / f"{SEED}.md"
    original = (ROOT / "content" / "comparisons" / f"{SEED}.md").read_text()
    broken.write_text(original.replace("status: finished", "status: ready"))
    said = newsletter("content", "check", str(broken))
    assert said.code == 1
    assert f"{broken}:" in said.err
    assert "status" in said.err
    faults = newsletter("content", "check", str(broken), "--json")
    assert faults.code == 1
    assert isinstance(faults.json, dict)
    assert [problem["field"] for problem in faults.json["problems"]] == ["status"]


def test_a_new_comparison_is_a_draft_that_loads(
    newsletter: Newsletter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tmp_path / "content"
    (content / "comparisons").mkdir(parents=True)
    reviewers = (ROOT / "content" / "reviewers.yaml").read_text()
    (content / "reviewers.yaml").write_text(reviewers)
    monkeypatch.setenv("NEWSLETTER_CONTENT_DIR", str(content))
    assert newsletter("content", "new", "Left Tool vs Right Tool").code == 0
    path = content / "comparisons" / "left-tool-vs-right-tool.md"
    assert newsletter("content", "check", str(path)).code == 0
    again = newsletter("content", "new", "Left Tool vs Right Tool")
    assert again.code == 1
    assert "exists already" in again.err
    assert newsletter("content", "new", "Left Tool").code == 1


def test_an_issue_is_planned_shown_and_checked(planned: Newsletter) -> None:
    shown = planned("issue", "show")
    assert "Issue 2026-W48: planned" in shown.out
    assert f"lead\t{SEED}\t" in shown.out
    assert "none yet" in shown.out
    details = planned("issue", "show", "2026-w48", "--json").json
    assert isinstance(details, dict)
    assert details["items"] == [SEED]
    assert details["choices"][0]["reason"]
    assert details["slot_at"] == "2026-11-24T09:00:00Z"
    assert planned("issue", "check", "latest").code == 0
    again = planned("issue", "plan", "--week", "2026-W48")
    assert again.code == 1
    assert "has an issue already" in again.err


def test_an_issue_that_is_not_there_is_refused(newsletter: Newsletter) -> None:
    for command in ("show", "check", "proof"):
        said = newsletter("issue", command)
        assert said.code == 1
        assert "there is no issue yet" in said.err
    assert "is not a week" in newsletter("issue", "show", "next-week").err


def test_a_rendered_issue_is_written_as_files(planned: Newsletter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert planned("issue", "render", "latest", "--out", str(out)).code == 0
    assert {path.name for path in out.iterdir()} == {
        "issue.html", "issue.txt", "issue.mjml", "issue.json", "sample.eml",
    }  # fmt: skip
    facts = json.loads((out / "issue.json").read_text())
    assert facts["bytes"]["html"] == len((out / "issue.html").read_bytes())
    assert {"subject", "preheader", "links", "findings", "sha256"} <= set(facts)
    assert b"List-Unsubscribe:" in (out / "sample.eml").read_bytes()


def test_a_folder_that_cannot_be_written_to_is_said(planned: Newsletter, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = planned("issue", "render", "latest", "--out", str(tmp_path / "file" / "out"))
    assert said.code == 1
    assert "name another folder with --out" in said.err


def test_an_edit_voids_the_approval_and_says_why(planned: Newsletter) -> None:
    assert planned("issue", "approve", "latest", "--by", "Ed").code == 0
    assert planned("issue", "edit", "latest", "--subject", "A plain subject").code == 0
    shown = planned("issue", "show").out
    assert "A plain subject" in shown
    assert "void since" in shown
    refused = planned("issue", "send", "latest")
    assert refused.code == 1
    assert "error: " in refused.err
    assert "next: " in refused.err


def test_an_edit_without_a_change_is_a_usage_error(planned: Newsletter) -> None:
    assert planned("issue", "edit", "latest").code == 2


def test_an_approved_issue_is_sent_once_and_accounted_for(
    planned: Newsletter, tmp_path: Path
) -> None:
    for address in ("ann@example.com", "bo@example.com"):
        assert planned("subscribers", "add", address, *CONSENT).code == 0
    assert planned("subscribers", "unsubscribe", "bo@example.com").code == 0
    assert planned("issue", "proof").code == 1
    assert planned("issue", "approve", "latest", "--by", "Ed").code == 0
    sent = planned("issue", "send", "latest")
    assert sent.code == 0
    assert "answered for" in sent.err
    assert "The account holds, and nothing is open." in sent.out
    assert planned("issue", "send", "latest").code == 0
    assert len(list((tmp_path / "outbox" / "2026-W48").glob("*.eml"))) == 1
    account = planned("issue", "proof", "2026-W48", "--json").json
    assert isinstance(account, dict)
    assert account["excluded"] == {"unsubscribed": 1}
    assert account["states"]["submitted"] == 1
    assert account["holds"] is account["complete"] is True
    reader = planned("subscribers", "show", "bo@example.com", "--json").json
    assert isinstance(reader, dict)
    assert reader["deliveries"] == [
        {"issue": "2026-W48", "state": "excluded", "reason": "unsubscribed"}
    ]


def test_a_cancelled_issue_says_so(planned: Newsletter) -> None:
    assert planned("issue", "cancel", "latest", "--by", "Ed").code == 0
    issues = planned("issue", "list", "--json").json
    assert isinstance(issues, list)
    assert [(issue["week"], issue["state"]) for issue in issues] == [("2026-W48", "cancelled")]


def test_run_once_does_what_is_due_at_the_given_instant(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    newsletter("content", "import")
    newsletter("subscribers", "add", "ann@example.com", *CONSENT)
    planned = newsletter("run", "--once", "--json").json
    assert isinstance(planned, dict)
    assert any("2026-W48: planned" in sentence for sentence in planned["done"])
    assert newsletter("issue", "approve", "latest").code == 0
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-24T09:00:00Z")
    assert "2026-W48: 1 of 1 submitted" in newsletter("run", "--once").out
    assert newsletter("run", "--once").out == "nothing was due\n"


def test_the_slots_to_come_are_listed_across_the_clock_change(
    newsletter: Newsletter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("NEWSLETTER_NOW", "2027-03-21T12:00:00Z")
    slots = newsletter("schedule", "next", "--count", "2", "--json").json
    assert isinstance(slots, list)
    assert [slot["slot_at"] for slot in slots] == ["2027-03-23T08:00:00Z", "2027-03-30T07:00:00Z"]
    assert "Tue 30 Mar 2027 09:00 CEST" in newsletter("schedule", "next", "-n", "2").out
    assert "tue 09:00 Europe/Berlin" in newsletter("schedule", "show").out


def test_a_list_is_imported_with_its_consent_and_comes_out_again(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("email,name\nann@example.com,Ann\nnobody\n")
    refused = newsletter("subscribers", "import", str(people))
    assert refused.code == 1
    assert "no consent is stated" in refused.err
    dry = newsletter("subscribers", "import", str(people), *CONSENT, "--dry-run")
    assert dry.code == 0
    assert "nothing was written" in dry.out
    assert newsletter("subscribers", "list", "--json").json == []
    errors = tmp_path / "errors.csv"
    said = newsletter("subscribers", "import", str(people), *CONSENT, "--errors", str(errors))
    assert said.code == 0
    assert "line 3" in said.out
    assert errors.read_text().startswith("email,name,line,reason")
    listed = newsletter("subscribers", "list", "--status", "active", "--search", "ann").out
    assert listed.startswith("ann@example.com\tAnn\tactive\t")
    assert newsletter("subscribers", "list", "--status", "nobody").code == 2
    counts = newsletter("subscribers", "count", "--json").json
    assert isinstance(counts, dict)
    assert counts["active"] == 1
    exported = newsletter("subscribers", "export").out
    target = tmp_path / "export.csv"
    assert newsletter("subscribers", "export", str(target)).code == 0
    assert target.read_text(encoding="utf-8") == exported.replace("\r\n", "\n")
    assert "ann@example.com,Ann,active" in exported


def test_an_unknown_reader_and_a_missing_file_are_said(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    assert "is not on the list" in newsletter("subscribers", "show", "no@example.com").err
    said = newsletter("subscribers", "import", str(tmp_path / "none.csv"), *CONSENT)
    assert said.code == 1
    assert "cannot be read" in said.err


def test_a_name_cannot_steer_the_terminal() -> None:
    assert not {"\x1b", "\x07", "\u202e"} & set(clean("\x1b[2JMallory\x07 \u202eevil"))
    for name in ("Zoë 李娜", "नेहा शर्मा", "رضا\u200cپور", "a\xa0b"):
        assert clean(name) == name


def test_a_terminal_without_unicode_is_no_fault(newsletter: Newsletter) -> None:
    newsletter("subscribers", "add", "li@example.com", "--name", "李娜", *CONSENT)
    listed = subprocess.run(
        [sys.executable, "-m", "newsletter", "subscribers", "list"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.startswith("li@example.com\t\\u674e\\u5a1c\tactive")


def test_the_database_is_upgraded_and_checked(newsletter: Newsletter) -> None:
    assert newsletter("db", "upgrade").code == 0
    checked = newsletter("db", "check", "--json")
    assert checked.code == 0
    assert isinstance(checked.json, dict)
    assert checked.json["differences"] == []


def test_output_into_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    ran = subprocess.run(
        f"{sys.executable} -m newsletter schedule next -n 500 | head -n 1",
        shell=True,
        cwd=ROOT,
        env={"NEWSLETTER_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(ran.stdout.splitlines()) == 1
    assert ran.stderr == ""
