"""An operator's commands from a terminal: proof as CSV, settling by evidence, sending again."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Newsletter, commands
from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from served import copied
from sqlalchemy import text

from newsletter import pipeline
from newsletter.app import App
from newsletter.cli import proof_file
from newsletter.delivery.proof import Explanation
from newsletter.errors import RefusedError

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each


@pytest.fixture(scope="module")
def sent_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four readers of an issue that went out; copy it, never write to it."""
    app = open_home(tmp_path_factory.mktemp("sent") / "home")
    store(app, finished("Left vs Right"))
    readers(app, 4)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    app.engine.dispose()
    return app.home


@pytest.fixture
def app(sent_home: Path, tmp_path: Path) -> Iterator[App]:
    """Four readers of an issue that went out; the second and the third have no answer."""
    app = open_home(copied(sent_home, tmp_path))
    change(
        app,
        "UPDATE delivery SET state='uncertain', reason='=HYPERLINK(\x1b[2J)\nno answer',"
        " receipt='' WHERE subscriber_id IN (2, 3)",
    )
    change(app, "UPDATE issue SET state='sending', done_at=NULL")
    yield app
    app.engine.dispose()


def change(app: App, statement: str) -> None:
    with app.session() as session:
        session.execute(text(statement))


@pytest.fixture
def newsletter(
    app: App, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Newsletter]:
    monkeypatch.setenv("NEWSLETTER_HOME", str(app.home))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-24T12:00:00Z")

    yield from commands(monkeypatch, capfd)


def test_the_proof_is_a_row_a_candidate_in_the_ledgers_order(newsletter: Newsletter) -> None:
    said = newsletter("issue", "proof", WEEK, "--csv")
    assert said.code == 0
    assert said.out.splitlines()[0] == (
        "subscriber_id,address,state,reason,attempts,changed_at,receipt"
    )
    assert [row["subscriber_id"] for row in said.csv] == ["1", "2", "3", "4"]
    first = said.csv[0]
    assert first["receipt"]
    assert {name: first[name] for name in ("address", "state", "reason", "attempts")} == {
        "address": "reader1@example.com",
        "state": "submitted",
        "reason": "",
        "attempts": "1",
    }
    assert first["changed_at"] == "2026-11-23T10:00:00Z"


def test_no_cell_of_the_proof_runs_in_a_spreadsheet_or_steers_a_terminal(
    newsletter: Newsletter,
) -> None:
    said = newsletter("issue", "proof", WEEK, "--csv", "-")
    assert "\x1b" not in said.out
    assert len(said.out.splitlines()) == 5
    assert said.csv[1]["reason"].startswith("'=HYPERLINK(")


def test_an_erased_reader_is_in_the_proof_without_an_address(
    newsletter: Newsletter, app: App
) -> None:
    change(app, "UPDATE subscriber SET status='erased' WHERE id=4")
    assert newsletter("issue", "proof", "--csv").csv[3]["address"] == ""


def test_a_proof_that_does_not_hold_exits_1_in_every_form(
    newsletter: Newsletter, app: App, tmp_path: Path
) -> None:
    change(app, "UPDATE delivery SET reason='' WHERE subscriber_id=2")
    forms: tuple[tuple[str, ...], ...] = (("--json",), ("--csv",), (str(tmp_path / "p"), "--csv"))
    for form in forms:
        said = newsletter("issue", "proof", WEEK, *form)
        assert said.code == 1
    assert said.err == (
        "error: the account does not hold\n  next: see `newsletter issue proof 2026-W48`\n"
    )


def test_the_proof_goes_into_a_file_whole(newsletter: Newsletter, tmp_path: Path) -> None:
    file = tmp_path / "proof.csv"
    said = newsletter("issue", "proof", WEEK, "--csv", str(file))
    assert said.out == f"{file}: 4 candidates\n"
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode(), newline="")))
    assert [row["state"] for row in rows] == ["submitted", "uncertain", "uncertain", "submitted"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["proof.csv"]


def test_a_file_that_cannot_be_written_is_refused_and_nothing_is_left(
    newsletter: Newsletter, tmp_path: Path
) -> None:
    said = newsletter("issue", "proof", WEEK, str(tmp_path / "no" / "such"), "--csv")
    assert said.code == 1
    assert "cannot be written: No such file" in said.err


def test_a_proof_broken_off_leaves_the_file_of_before(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "proof.csv"
    file.write_text("of before")

    def broken(_one: Explanation) -> tuple[str, ...]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(proof_file, "_cells", broken)
    with pytest.raises(RefusedError, match="No space left"):
        proof_file.write_proof(app, WEEK, file)
    assert file.read_text() == "of before"
    assert not list(tmp_path.glob(".proof*"))


@pytest.mark.slow
def test_the_memory_a_proof_takes_does_not_grow_with_the_audience(app: App, tmp_path: Path) -> None:
    few = _peak(app, tmp_path)
    change(
        app,
        "WITH RECURSIVE n(id) AS (SELECT 10 UNION ALL SELECT id + 1 FROM n WHERE id < 30000)"
        " INSERT INTO subscriber (id, address, address_key, name, status, created_at,"
        " confirmed_at, confirmations_sent)"
        " SELECT id, 'r' || id || '@example.com', 'r' || id || '@example.com', '', 'active',"
        " '2026-11-01 00:00:00.000000', '2026-11-01 00:00:00.000000', 0 FROM n",
    )
    change(
        app,
        "INSERT INTO delivery (issue_id, subscriber_id, batch_id, state, reason, attempts,"
        " changed_at, receipt) SELECT 1, id, 1, 'submitted', '', 1,"
        " '2026-11-24 09:00:00.000000', '' FROM subscriber WHERE id >= 10",
    )
    assert _peak(app, tmp_path) < few + 3_000_000


def _peak(app: App, folder: Path) -> int:
    proof_file.write_proof(app, WEEK, folder / "proof.csv")
    tracemalloc.start()
    proof_file.write_proof(app, WEEK, folder / "proof.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_proof_has_one_form_at_a_time(newsletter: Newsletter) -> None:
    assert newsletter("issue", "proof", WEEK, "--csv", "--json").code == 2
    assert newsletter("issue", "proof", WEEK, "a-file").code == 2


def test_evidence_settles_what_it_proves_and_says_by_what(newsletter: Newsletter, app: App) -> None:
    change(
        app,
        "INSERT INTO event (issue_id, subscriber_id, kind, at, method, agent, network)"
        " VALUES (1, 2, 'image_load', '2026-11-24 09:05:00.000000', 'GET', '', '')",
    )
    tried = newsletter("issue", "settle", WEEK, "--by-evidence", "--dry-run")
    assert tried.out.splitlines()[0] == "1 would be submitted, 1 still uncertain"
    settled = newsletter("issue", "settle", WEEK, "--by-evidence", "--json").json
    assert settled == {"dry_run": False, "submitted": 1, "by": {"image_load": 1}, "held": 1}
    rows = newsletter("issue", "proof", WEEK, "--csv").csv
    assert [row["state"] for row in rows] == ["submitted", "submitted", "uncertain", "submitted"]
    assert rows[1]["reason"] == "proven by an image load"


def test_evidence_takes_no_word_beside_it(newsletter: Newsletter) -> None:
    assert newsletter("issue", "settle", WEEK, "--by-evidence", "--taken").code == 2


def test_a_resend_says_who_is_refused_and_exits_1(newsletter: Newsletter) -> None:
    addresses = ("reader2@example.com", "reader1@example.com")
    said = newsletter("issue", "resend", WEEK, *addresses, "--by", "Ann")
    assert said.code == 1
    assert said.out.splitlines() == [
        "1 is planned again",
        "reader1@example.com\thas it already; --again sends it twice",
        "`newsletter issue send 2026-W48` sends them, or the next tick",
    ]


def test_a_resend_by_a_second_word_says_that_it_is_the_second(newsletter: Newsletter) -> None:
    said = newsletter("issue", "resend", WEEK, "reader1@example.com", "--again", "--dry-run")
    assert said.code == 0
    assert said.out.splitlines() == [
        "1 would be planned again",
        "1 reader will have it twice, by your word",
    ]
    assert newsletter("issue", "proof", WEEK, "--json").json["states"]["planned"] == 0


def test_a_resend_to_nobody_is_a_usage_error(newsletter: Newsletter) -> None:
    assert newsletter("issue", "resend", WEEK).code == 2


def test_a_resend_as_json_counts_and_names(newsletter: Newsletter, app: App) -> None:
    change(app, "UPDATE delivery SET state='failed' WHERE subscriber_id=2")
    assert newsletter("issue", "resend", WEEK, "--failed", "--json").json == {
        "dry_run": False,
        "planned": 1,
        "twice": 0,
        "refused_count": 0,
        "refused": [],
    }


def test_a_correction_is_written_approved_listed_and_sent_by_its_name(
    newsletter: Newsletter, app: App
) -> None:
    ref = f"{WEEK}/correction"
    written = newsletter("issue", "correct", WEEK, "--text", "Wrong.\n\nRight.", "--json").json
    assert (written["ref"], written["kind"], written["corrects_id"]) == (ref, "correction", 1)
    assert "sent by hand" in newsletter("issue", "approve", ref, "--by", "Ann").out
    shown = newsletter("issue", "show", ref).out
    assert shown.startswith(f"Issue {ref}: approved\n")
    assert "when it is sent by hand" in shown
    rows = [line.split("\t")[:3] for line in newsletter("issue", "list").out.splitlines()]
    assert sorted(rows) == [
        [WEEK, "sending", "2026-11-24 09:00 UTC"],
        [ref, "approved", "by hand"],
    ]
    sent = newsletter("issue", "send", ref)
    assert sent.code == 0
    assert sent.out.splitlines()[0] == f"Issue {ref}: 4 candidates"
    assert len(newsletter("issue", "proof", ref, "--csv").csv) == 4
    assert newsletter("issue", "rebuild", ref, "--verify").code == 0


def test_a_correction_without_words_is_refused(newsletter: Newsletter) -> None:
    assert newsletter("issue", "correct", WEEK).code == 2
    said = newsletter("issue", "correct", WEEK, "--text", " ")
    assert said.err == "error: the correction says nothing\n  next: give it with --text\n"
