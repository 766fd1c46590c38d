"""Rebuilding and own templates as a person asks for them: on the command line and on the site."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import Newsletter
from served import ISSUE_PATH, make_home, served

from newsletter.theme import Theme

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each


@pytest.fixture
def newsletter(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, said_by: Newsletter
) -> Newsletter:
    """Runs a command in a home with a planned issue."""
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.chdir(database_file.parent)

    for command in (("content", "import"), ("issue", "plan")):
        assert said_by(*command).code == 0
    return said_by


def test_verify_says_the_same_bytes_with_their_hash_or_what_differs(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    code, out, _err = newsletter("issue", "rebuild", "latest", "--verify")
    assert (code, out.count("\n")) == (0, 1)
    assert re.fullmatch(r"2026-W48 rebuilds to the same bytes: sha256 [0-9a-f]{64}\n", out)
    assert newsletter("templates", "copy", "weekly/subject.txt")[0] == 0
    own = tmp_path / "templates" / "email" / "weekly" / "subject.txt"
    own.write_text("Another subject")
    code, out, _err = newsletter("issue", "rebuild", "latest", "--verify")
    assert code == 1
    assert out.startswith("2026-W48 does not rebuild: sha256 ")
    assert "  template weekly/subject.txt was the bundled one and is the publication's own" in out
    code, out, _err = newsletter("issue", "rebuild", "latest", "--verify", "--json")
    answer = json.loads(out)
    assert (code, answer["holds"], len(answer["differences"])) == (1, False, 1)
    assert answer["sha256"] != answer["stored_sha256"]


def test_rebuilt_files_are_those_that_were_rendered(newsletter: Newsletter, tmp_path: Path) -> None:
    assert newsletter("issue", "render", "latest", "--out", "first")[0] == 0
    assert newsletter("issue", "rebuild", "latest", "--out", "second")[0] == 0
    for name in ("issue.html", "issue.txt", "issue.mjml", "issue.json", "sample.eml"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_rebuilding_for_nothing_is_a_usage_error(newsletter: Newsletter) -> None:
    code, _out, err = newsletter("issue", "rebuild", "latest")
    assert code == 2
    assert "--verify" in err


def test_own_templates_are_listed_copied_and_shown_with_the_issue(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    code, out, _err = newsletter("templates", "copy", "weekly/body.mjml")
    own = tmp_path / "templates" / "email" / "weekly" / "body.mjml"
    assert (code, out) == (0, "templates/email/weekly/body.mjml\n")
    listed = json.loads(newsletter("templates", "list", "--json")[1])
    assert [one["name"] for one in listed if one["origin"] == "own"] == ["email/weekly/body.mjml"]
    code, out, _err = newsletter("issue", "check", "latest")
    assert code == 0
    assert "own template: weekly/body.mjml" in out.splitlines()
    own.write_text(own.read_text().replace("{{ addresses.unsubscribe|attr }}", "https://x.example"))
    code, out, _err = newsletter("issue", "check", "latest")
    assert code == 1
    assert "own template weekly/body.mjml" in out.split("error: ")[1]
    assert "weekly/body.mjml" in newsletter("issue", "show", "latest")[1]
    code, _out, err = newsletter("templates", "copy", "weekly/body.mjml")
    assert code == 1
    assert "already" in err


def test_the_archive_lists_each_issue_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    with served(make_home(tmp_path / "home", sent=True)) as site:
        sha256 = site.get(ISSUE_PATH).headers["X-Issue-SHA256"]
        assert f"SHA-256 <code>{sha256}</code>" in site.get("/issues").text
        assert sha256 not in site.get(ISSUE_PATH).text


def test_the_site_wears_the_theme_and_lets_the_mails_logo_through(tmp_path: Path) -> None:
    theme = Theme(accent="#123456", logo_url="https://cdn.example.net/logo.png")
    with served(make_home(tmp_path / "home", sent=True), theme=theme) as site:
        assert "#123456" in site.get("/static/site.css").text
        policy = site.get(ISSUE_PATH).headers["Content-Security-Policy"]
        assert "img-src 'self' http://127.0.0.1:8000 https://cdn.example.net;" in policy
