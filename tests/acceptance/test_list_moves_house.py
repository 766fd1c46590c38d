"""A list moves house: exported, wiped, imported, killed half-way; nothing lost, nothing half."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.app import App, build_app
from newsletter.settings import load_settings

ROOT = Path(__file__).parents[2]
READERS = 4_500
CONSENT = ("--consent", "ticked the box", "--given-on", "2026-05-31")
# An import that strikes itself with -9 when it is told of its progress for the n-th time.
DOOMED = """
import os, signal, sys
from newsletter import cli
from newsletter.cli import import_progress

told, step = 0, int(sys.argv[1])
def strike(self, progress):
    global told
    told += 1
    if told == step:
        os.kill(os.getpid(), signal.SIGKILL)

import_progress.ImportProgress.__call__ = strike
sys.argv = ["newsletter", *sys.argv[2:]]
cli.main()
"""
STEPS = 2 + 1 + 5  # told of while reading, at its end, and for each 900 people written


def run(home: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "NEWSLETTER_HOME": str(home),
        "NEWSLETTER_NOW": "2026-11-23T12:00:00Z",
    }
    program = ["-c", code] if code else ["-m", "newsletter"]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def done(home: Path, *arguments: str) -> str:
    ended = run(home, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    path.write_text(
        "email,name,tags\n"
        + "".join(f"reader{n}@example.com,Reader {n},vip\n" for n in range(READERS))
    )
    return path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with nobody on its list; copy it."""
    home = tmp_path_factory.mktemp("empty") / "home"
    done(home, "subscribers", "count")
    return home


def opened(home: Path) -> Iterator[App]:
    app = build_app(load_settings(home=home))
    yield app
    app.engine.dispose()


def everything(home: Path) -> list[int]:
    """How many readers, consent records, tags and log entries there are."""
    for app in opened(home):
        with app.session(readonly=True) as session:
            ask = session.connection().exec_driver_sql
            return [
                int(ask(f"SELECT count(*) FROM {table}").scalar() or 0)
                for table in ("subscriber", "consent_record", "subscriber_tag", "audit_entry")
            ]
    raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 4, 6, STEPS])
def test_an_import_killed_with_9_leaves_nothing_and_can_be_run_again(
    step: int, people: Path, empty: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(empty, home)
    command = ("subscribers", "import", str(people), *CONSENT)
    killed = run(home, str(step), *command, code=DOOMED)
    assert killed.returncode == -9, killed.stderr
    assert everything(home) == [0, 0, 0, 0]
    assert json.loads(done(home, *command, "--json"))["added"] == READERS
    assert everything(home) == [READERS, READERS, READERS, 1]


@pytest.mark.slow
def test_a_list_is_exported_wiped_and_imported_and_is_the_same(empty: Path, tmp_path: Path) -> None:
    home, new = tmp_path / "home", tmp_path / "new"
    shutil.copytree(empty, home)
    listed = tmp_path / "kit.csv"
    listed.write_text(
        "id,first_name,email_address,state,created_at,tags\n"
        "1,Ann,ann@example.com,active,2023-01-27T11:43:55Z,vip\n"
        "2,=Bob,bob@example.com,active,2023-01-27T11:43:55Z,\n"
        "3,,gone@example.com,bounced,2023-01-27T11:43:55Z,\n"
        "4,,angry@example.com,complained,2023-01-27T11:43:55Z,\n"
        "5,,nobody,active,2023-01-27T11:43:55Z,\n"
    )
    errors = tmp_path / "errors.csv"
    command = ("subscribers", "import", str(listed), "--consent", "our old form")
    rehearsed = done(home, *command, "--dry-run")
    assert "email_address -> email" in rehearsed
    assert everything(home) == [0, 0, 0, 0]
    said = done(home, *command, "--errors", str(errors))
    assert "read as kit" in said
    assert "1 (hard bounce)" in said
    errors.write_text(errors.read_text().replace("nobody", "eve@example.com"))
    done(home, "subscribers", "import", str(errors), "--consent", "our old form")
    done(home, "subscribers", "unsubscribe", "bob@example.com")
    done(home, "subscribers", "export", "--whole", str(tmp_path / "list.zip"))

    shutil.copytree(empty, new)  # the wipe: a new house
    done(new, "subscribers", "import", "--whole", str(tmp_path / "list.zip"))
    for shape in ("plain", "mailchimp", "substack", "ghost", "buttondown", "kit", "listmonk"):
        command = ("subscribers", "export", "--as", shape)
        assert done(home, *command) == done(new, *command)
    for address in ("ann@example.com", "bob@example.com", "eve@example.com"):
        command = ("subscribers", "show", address, "--json")
        before, after = (json.loads(done(place, *command)) for place in (home, new))
        assert before["consent"] == after["consent"]
        # The operators' log belongs to the house, not to the list; ids may differ.
        assert before | dict.fromkeys(("id", "operators")) == after | dict.fromkeys(
            ("id", "operators")
        )
    shown = [done(place, "suppressions", "list", "--json") for place in (home, new)]
    assert shown[0] == shown[1]
    assert "angry@example.com" in shown[0]
    again = run(new, "subscribers", "import", "--whole", str(tmp_path / "list.zip"))
    assert again.returncode == 1
    assert "empty one" in again.stderr
