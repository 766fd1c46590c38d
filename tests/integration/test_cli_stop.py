"""A send that is told to stop, as the command line does it: nothing lost, nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from publication import open_home, planned_and_approved, readers

from newsletter import pipeline

ROOT = Path(__file__).parents[2]
READERS = 3_000


def _newsletter(home: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "NEWSLETTER_HOME": str(home),
        "NEWSLETTER_NOW": "2026-11-23T12:00:00Z",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "newsletter", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _done(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def _outbox(home: Path) -> list[Path]:
    return list((home / "outbox" / "2026-W48").glob("*.eml"))


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with an approved issue and many readers; copy it."""
    app = open_home(tmp_path_factory.mktemp("approved") / "home")
    pipeline.import_content(app)
    readers(app, READERS)
    planned_and_approved(app)
    app.engine.dispose()
    return app.home


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_send_goes_on_and_nobody_gets_it_twice(
    approved: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    home = shutil.copytree(approved, tmp_path / "home")
    sending = _newsletter(home, "issue", "send", "latest")
    while not _outbox(home) and sending.poll() is None:
        time.sleep(0.01)
    sending.send_signal(stop)
    out, err = sending.communicate(timeout=60)
    assert "Traceback" not in err
    if stop is signal.SIGKILL:
        assert sending.returncode == -stop
    else:
        assert sending.returncode == 128 + stop
        assert "goes on" in out
    assert len(_outbox(home)) < READERS
    again = _done(_newsletter(home, "issue", "send", "latest"))
    assert "The account holds, and nothing is open." in again
    line = re.compile(rb"^To: (.+)\r$", re.MULTILINE)
    addressees = {line.findall(path.read_bytes())[0] for path in _outbox(home)}
    assert len(_outbox(home)) == len(addressees) == READERS
