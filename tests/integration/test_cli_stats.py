"""`newsletter issue stats` and `newsletter stats list`, as an operator types them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import facts
import pytest
from command_line import Newsletter
from facts import Did

from newsletter.store.engine import open_engine, session_on
from newsletter.tracking.figures import IssueFigures, ListFigures
from newsletter.tracking.figures_json import from_plain

pytestmark = pytest.mark.slow


@pytest.fixture
def run(database_file: Path, monkeypatch: pytest.MonkeyPatch, said_by: Newsletter) -> Newsletter:
    """Runs a command on a home with one issue of three readers, one of whom loaded its images."""
    engine = open_engine(f"sqlite:///{database_file}")
    with session_on(engine) as session:
        issue_id = facts.issue(session, ("delivered", "delivered", "excluded"))
        facts.did(session, issue_id, Did(1))
    engine.dispose()
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-12-01T09:00:00Z")
    return said_by


def test_an_issue_s_figures_are_told_in_plain_lines(run: Newsletter) -> None:
    code, out, _err = run("issue", "stats", "2026-W48")
    assert code == 0
    assert out.startswith("Issue 2026-W48")
    assert "as of 1 December 2026, 09:00 UTC" in out
    assert "50.0% (9.5-90.5%)" in out
    assert "\t" not in out
    assert "\x1b" not in out


def test_json_has_all_the_figures(run: Newsletter) -> None:
    _code, out, _err = run("issue", "stats", "latest", "--json")
    plain = json.loads(out)
    assert plain["waterfall"]["loads"] == {"human": 1, "unknown": 0, "machine": 0, "total": 1}
    assert plain["rates"]["loads"]["rate"] == 0.5
    figures = from_plain(IssueFigures, plain)
    assert figures.waterfall.excluded == {"unsubscribed": 1}
    _code, out, _err = run("stats", "list", "--json")
    assert from_plain(ListFigures, json.loads(out)).statuses == {"active": 3}


def test_csv_is_a_file_a_table_in_a_folder(run: Newsletter, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "figures"
    code, out, _err = run("issue", "stats", "latest", "--csv", str(folder))
    assert code == 0
    assert str(folder / "waterfall.csv") in out.splitlines()
    with (folder / "clients.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["mail_program", "readers"], ["Thunderbird", "1"]]


def test_csv_is_one_long_table_in_a_file(run: Newsletter, tmp_path: Path) -> None:
    code, out, _err = run("stats", "list", "--csv", str(tmp_path / "list.csv"))
    assert (code, out.splitlines()) == (0, [str(tmp_path / "list.csv")])
    with (tmp_path / "list.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["table", "row", "column", "value"]
    assert ["statuses", "1", "readers", "3"] in rows


def test_a_folder_that_cannot_be_written_to_is_refused(run: Newsletter, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    code, _out, err = run("issue", "stats", "latest", "--csv", str(tmp_path / "taken"))
    assert code == 1
    assert "cannot be written" in err


def test_figures_that_are_kept_are_counted_again_when_asked(
    run: Newsletter, database_file: Path
) -> None:
    run("issue", "stats", "latest")
    engine = open_engine(f"sqlite:///{database_file}")
    with session_on(engine) as session:
        session.connection().exec_driver_sql("UPDATE snapshot SET took_ms = 9999")
        facts.did(session, 1, Did(2))
    engine.dispose()
    assert "50.0% (9.5-90.5%)" in run("issue", "stats", "latest")[1]
    assert "100% (34.2-100%)" in run("issue", "stats", "latest", "--fresh")[1]


def test_an_issue_that_is_not_there_is_named(run: Newsletter) -> None:
    code, _out, err = run("issue", "stats", "2026-W01")
    assert code == 1
    assert "there is no issue 2026-W01" in err
