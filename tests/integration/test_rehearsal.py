"""`newsletter rehearse`: a real home is only read, and the issue goes to invented readers."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from publication import SLOT, WEEK, finished, open_home, readers, store
from typer.testing import CliRunner

from newsletter import pipeline
from newsletter.app import App
from newsletter.cli import program
from newsletter.cli.rehearse import DEFAULT_FAULTS
from newsletter.errors import LedgerError, NotFoundError, RefusedError
from newsletter.rehearsal import room, stage, supervisor
from newsletter.rehearsal.certificate import Certificate
from newsletter.rehearsal.faults import Faults
from newsletter.rehearsal.performance import rehearse
from newsletter.rehearsal.stage_log import StageLog
from newsletter.rehearsal.supervisor import Plan
from newsletter.rendering.rendered import RenderedIssue

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

SUBSCRIBERS = 3


@pytest.fixture(scope="module")
def planned_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real home with an issue planned and not approved, and with readers of its own; copy it."""
    app = open_home(tmp_path_factory.mktemp("planned") / "home")
    store(app, finished("Left vs Right"))
    readers(app, SUBSCRIBERS)
    pipeline.plan(app)
    app.engine.dispose()
    return app.home


@pytest.fixture
def app(planned_home: Path, tmp_path: Path) -> App:
    """An application on a copy of it, closed."""
    app = open_home(Path(shutil.copytree(planned_home, tmp_path / "real")))
    app.engine.dispose()
    return app


def _plan(provider: str = "smtp", faults: str = "none", **more: Any) -> Plan:
    given = {"readers": 60, "kills": 0, "senders": 1, "seed": 1, **more}
    return Plan(faults=Faults.parse(faults), provider=provider, **given)


def _contents(folder: Path) -> dict[str, str]:
    """Every file with what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _failed(certificate: Certificate) -> list[str]:
    return [f"{one.name}: {one.found}" for one in certificate.failed]


def test_a_rehearsal_changes_no_byte_of_the_home_and_takes_no_reader_and_no_key_from_it(
    app: App, tmp_path: Path
) -> None:
    before = _contents(app.home)
    certificate = rehearse(app, WEEK, _plan(), keep=tmp_path / "kept")
    app.engine.dispose()
    assert certificate.is_certified, _failed(certificate)
    assert _contents(app.home) == before
    key = (app.home / "keys").read_text().strip()
    left = b"".join(path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file())
    assert b"reader.1@example.com" in left
    assert b"reader1@example.com" not in left  # the real home's
    assert key.encode() not in left
    assert (tmp_path / "kept" / "keys").read_text().strip() != key


@pytest.mark.slow
def test_what_is_rehearsed_is_the_issue_itself(app: App, tmp_path: Path) -> None:
    script = room.script_of(app, WEEK)
    with app.session(readonly=True) as session:
        stored = pipeline.issues.rendered(session, 1)
    assert script.rendered.sha256 == stored.sha256
    assert rehearse(app, "latest", _plan(), keep=tmp_path / "kept").evidence.proof.issue == WEEK


def test_an_issue_that_went_out_is_rehearsed_from_its_stored_render(app: App) -> None:
    pipeline.approve(app, WEEK, by="the editor")
    pipeline.send(app, WEEK)
    sent = room.script_of(app, WEEK)
    with app.session(readonly=True) as session:
        assert sent.rendered.sha256 == pipeline.issues.rendered(session, 1).sha256


def test_connections_and_limits_are_the_publications_own(tmp_path: Path) -> None:
    limits = {"rate_per_hour": 500, "warm_up_from": "2026-11-01", "warm_up": (50, 100)}
    app = open_home(tmp_path / "real", smtp_connections=2, **limits)
    script = room.Script(WEEK, SLOT, _an_issue(), room.carried(app))
    room.furnish(tmp_path / "home", script, room.Stagecraft("smtp", 1, 1, 250, 1.0))
    rehearsed = room.enter(tmp_path / "home", port=1)
    for name in ("smtp_connections", *limits):
        assert getattr(rehearsed.settings, name) == getattr(app.settings, name)
    assert room.on_the_wire(rehearsed.sending_provider, chunking=False) == 2
    app.engine.dispose()
    rehearsed.engine.dispose()


def _an_issue() -> RenderedIssue:
    return RenderedIssue("A subject", "", "<p>Hello</p>", "Hello", "", ())


def test_an_issue_that_is_not_there_is_not_rehearsed(app: App) -> None:
    with pytest.raises(NotFoundError):
        rehearse(app, "2026-W01", _plan())


def test_a_folder_to_keep_must_be_empty(app: App, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a file").touch()
    with pytest.raises(RefusedError, match="is not empty"):
        rehearse(app, WEEK, _plan(), keep=tmp_path / "full")


FAULTS = "429=4%,4xx=8%,5xx=4%,bounce=5%,slow=3%,drop=4%"


@pytest.mark.parametrize("provider", ["smtp", "sendgrid"])
@pytest.mark.parametrize("senders", [1, 2])
@pytest.mark.slow
def test_an_issue_survives_faults_and_kills(app: App, provider: str, senders: int) -> None:
    plan = _plan(provider, FAULTS, readers=300, kills=3, senders=senders, seed=senders)
    certificate = rehearse(app, WEEK, plan)
    assert certificate.is_certified, _failed(certificate)
    assert certificate.evidence.course.kills == 3
    met = certificate.to_dict()["faults_met"]
    assert len(met) >= (6 if provider == "smtp" else 4), met


@pytest.mark.parametrize("provider", ["smtp", "sendgrid"])
@pytest.mark.slow
def test_a_time_out_after_accepting_leaves_that_message_uncertain(
    app: App, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SMTP_SILENCE_S", 0.5)
    monkeypatch.setattr(room, "SENDGRID_SILENCE_S", 0.5)
    certificate = rehearse(app, WEEK, _plan(provider, "timeout=6%", seed=4))
    assert certificate.is_certified, _failed(certificate)
    assert certificate.evidence.log.faults.total() > 0
    assert certificate.evidence.uncertain >= certificate.evidence.log.faults.total()


@pytest.mark.slow
def test_messages_deferred_for_minutes_and_hours_go_out_in_seconds(app: App) -> None:
    certificate = rehearse(app, WEEK, _plan(faults="4xx=60%", readers=30))
    assert certificate.is_certified, _failed(certificate)
    assert certificate.evidence.proof.states["submitted"] == 30
    assert certificate.evidence.course.rounds > 3


@pytest.mark.slow
def test_the_same_seed_makes_the_same_faults_again_and_no_scratch_home_is_left(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    plan = _plan(faults="4xx=20%,5xx=10%,bounce=10%")
    first, second = rehearse(app, WEEK, plan), rehearse(app, WEEK, plan)
    assert _shown(first) == _shown(second)
    assert list(scratch.iterdir()) == []


def _shown(certificate: Certificate) -> tuple[Any, ...]:
    lines = certificate.evidence.log.lines
    return certificate.evidence.proof.states, sorted((line.what, line.reader) for line in lines)


@pytest.mark.slow
def test_the_publications_rate_is_kept(tmp_path: Path) -> None:
    app = open_home(tmp_path / "real", rate_per_second=100)
    store(app, finished("Left vs Right"))
    pipeline.plan(app)
    certificate = rehearse(app, WEEK, _plan())
    assert certificate.is_certified, _failed(certificate)
    assert certificate.conditions[-1].name == "the publication's rate is kept"


@pytest.mark.slow
def test_a_server_that_takes_nobody_is_accounted_for(app: App) -> None:
    certificate = rehearse(app, WEEK, _plan(faults="bounce=100%"))
    assert certificate.is_certified, _failed(certificate)
    assert certificate.evidence.proof.states["bounced"] == 60


@pytest.mark.slow
def test_a_ledger_that_lies_is_found_out(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate reads the stage's log, not only what the sender believes."""
    monkeypatch.setattr(StageLog, "read", lambda path: StageLog(_read(path).lines[1:]))
    certificate = rehearse(app, WEEK, _plan())
    assert _failed(certificate) == ["nobody is lost in silence: 1 readers without a word"]


_read = StageLog.read


# The command.


@pytest.fixture
def home(app: App, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEWSLETTER_HOME", str(app.home))
    return app.home


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(program, ["rehearse", *arguments])


def test_the_report_fits_a_screen_and_says_that_it_is_certified(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "TELL_EVERY_S", 0.0)
    ran = _run(WEEK, "--readers", "60", "--kills", "1", "--faults", "4xx=5%,bounce=5%,slow=1%")
    assert ran.exit_code == 0, ran.output
    assert max(len(line) for line in ran.stdout.splitlines()) <= 80
    assert ran.stdout.splitlines()[-1] == "Certified."
    assert f"Issue {WEEK} to 60 invented readers over SMTP" in ran.stdout
    assert "1 of 1 struck a running sender" in ran.stdout
    assert re.search(r"^round \d: \d+ answers, 1 of 1 kills$", ran.stderr, re.MULTILINE)


@pytest.mark.slow
def test_json_holds_conditions_figures_and_proof(home: Path) -> None:
    ran = _run("--readers", "40", "--kills", "0", "--faults", "none", "--seed", "7", "--json")
    shown = json.loads(ran.stdout)
    assert (shown["certified"], shown["seed"], shown["accepted"]) == (True, 7, 40)
    assert shown["proof"]["holds"]
    assert {one["holds"] for one in shown["conditions"]} == {True}


@pytest.mark.slow
def test_the_way_is_the_configured_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_PROVIDER", "sendgrid")
    few = ["--readers", "10", "--kills", "0", "--faults", "none", "--json"]
    assert json.loads(_run(*few).stdout)["provider"] == "sendgrid"


def test_a_rehearsal_that_is_not_certified_says_which_condition_failed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "on_the_wire", lambda *_, **__: -1)
    ran = _run("--readers", "40", "--kills", "1", "--faults", "none", "--seed", "3")
    assert isinstance(ran.exception, LedgerError)
    assert "few are uncertain (" in ran.exception.what
    assert "--seed 3 --keep DIR" in ran.exception.hint
    assert "NO   few are uncertain" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "Not certified."


def test_faults_that_cannot_be_read_are_pointed_at(home: Path) -> None:
    ran = _run("--faults", "drp=1%")
    assert isinstance(ran.exception, RefusedError)
    assert "did you mean drop?" in ran.exception.what


def test_a_home_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_HOME", str(tmp_path / "nowhere"))
    ran = _run()
    assert isinstance(ran.exception, NotFoundError)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_the_faults_of_every_day_are_survived_at_full_size(home: Path) -> None:
    ran = _run("--seed", "11", "--faults", DEFAULT_FAULTS, "--json")
    assert ran.exit_code == 0, ran.exception
    assert json.loads(ran.stdout)["kills"] == 3


@pytest.mark.slow
def test_a_killed_rehearsal_leaves_no_process_behind(tmp_path: Path) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path;"
        "from newsletter.rehearsal.zygote import Zygote;"
        "folder = Path(sys.argv[1]); zygote = Zygote(folder).__enter__();"
        "job = 'newsletter.rehearsal.smtp_stage:run';"
        "pid = zygote.start(job, folder=str(folder), faults='none', seed=1, chunking=True);"
        "(folder / 'pid').write_text(str(pid)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ran.returncode == -signal.SIGKILL
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_a_stage_that_cannot_start_is_said(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PORT", "no/such/folder")
    monkeypatch.setattr(Faults, "__str__", lambda _: "no faults at all")
    with pytest.raises(RefusedError, match="server did not start"):
        rehearse(app, WEEK, _plan())
