"""A list moves house: exported, wiped, imported, killed half-way; nothing lost, nothing half."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import MONDAY_NOON, Newsletter, Said, commands, process
from publication import open_home

from newsletter.app import App, build_app
from newsletter.settings import load_settings

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


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `newsletter ...` in the home that is named first."""
    monkeypatch.setenv("NEWSLETTER_NOW", MONDAY_NOON)

    def at_home(newsletter: Newsletter) -> Run:
        def run(home: Path, *arguments: str) -> Said:
            monkeypatch.setenv("NEWSLETTER_HOME", str(home))
            return newsletter(*arguments)

        return run

    yield from map(at_home, commands(monkeypatch, capfd))


def out(said: Said) -> str:
    """What a command that did its work said."""
    assert said.code == 0, said.err
    return said.out


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
    open_home(home).engine.dispose()
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
    run: Run, step: int, people: Path, empty: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(empty, home)
    command = ("subscribers", "import", str(people), *CONSENT)
    killed = process(home, str(step), *command, code=DOOMED)
    assert killed.code == -9, killed.err
    assert everything(home) == [0, 0, 0, 0]
    assert run(home, *command, "--json").json["added"] == READERS
    assert everything(home) == [READERS, READERS, READERS, 1]


@pytest.mark.slow
def test_a_list_is_exported_wiped_and_imported_and_is_the_same(
    run: Run, empty: Path, tmp_path: Path
) -> None:
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
    rehearsed = out(run(home, *command, "--dry-run"))
    assert "email_address -> email" in rehearsed
    assert everything(home) == [0, 0, 0, 0]
    said = out(run(home, *command, "--errors", str(errors)))
    assert "read as kit" in said
    assert "1 (hard bounce)" in said
    errors.write_text(errors.read_text().replace("nobody", "eve@example.com"))
    out(run(home, "subscribers", "import", str(errors), "--consent", "our old form"))
    out(run(home, "subscribers", "unsubscribe", "bob@example.com"))
    out(process(home, "subscribers", "export", "--whole", str(tmp_path / "list.zip")))

    shutil.copytree(empty, new)  # the wipe: a new house
    out(process(new, "subscribers", "import", "--whole", str(tmp_path / "list.zip")))
    for shape in ("plain", "mailchimp", "substack", "ghost", "buttondown", "kit", "listmonk"):
        command = ("subscribers", "export", "--as", shape)
        assert out(run(home, *command)) == out(run(new, *command))
    for address in ("ann@example.com", "bob@example.com", "eve@example.com"):
        command = ("subscribers", "show", address, "--json")
        before, after = (run(place, *command).json for place in (home, new))
        assert before["consent"] == after["consent"]
        # The operators' log belongs to the house, not to the list; ids may differ.
        assert before | dict.fromkeys(("id", "operators")) == after | dict.fromkeys(
            ("id", "operators")
        )
    shown = [out(run(place, "suppressions", "list", "--json")) for place in (home, new)]
    assert shown[0] == shown[1]
    assert "angry@example.com" in shown[0]
    again = run(new, "subscribers", "import", "--whole", str(tmp_path / "list.zip"))
    assert again.code == 1
    assert "empty one" in again.err
