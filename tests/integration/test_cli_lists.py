"""Lists in and out, as an operator types it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from newsletter import cli
from newsletter.cli.import_progress import ImportProgress
from subscribers.transfer import Progress

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes

CONSENT = ("--consent", "ticked the box", "--given-on", "2026-05-31")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    database_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs a command of `newsletter subscribers`: its exit status, stdout and stderr."""
    monkeypatch.setenv("NEWSLETTER_HOME", str(database_file.parent))
    monkeypatch.setenv("NEWSLETTER_NOW", "2026-11-23T12:00:00Z")

    def told(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["newsletter", "subscribers", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capfd.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    yield told
    structlog.reset_defaults()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("Post;Wer;Wann\nann@example.com;Ann;2026-05-01\nnobody;Bob;2026-05-02\n")
    return path


MAPPED = ("--map", "Post=email", "--map", "wer=name", "--map", "Wann=consent_date")


def test_a_list_with_columns_of_its_own_is_mapped_by_hand(
    run: Run, people: Path, tmp_path: Path
) -> None:
    code, _, err = run("import", str(people), *CONSENT)
    assert code == 1
    assert "--map COLUMN=email" in err
    errors = tmp_path / "errors.csv"
    code, out, _ = run("import", str(people), *CONSENT, *MAPPED, "--errors", str(errors))
    assert code == 0
    assert "Wann -> consent_date" in out
    assert errors.read_text().startswith("Post,Wer,Wann,line,reason")
    shown = json.loads(run("show", "ann@example.com", "--json")[1])
    assert (shown["name"], shown["consent"][0]["given_on"]) == ("Ann", "2026-05-01")
    errors.write_text(errors.read_text().replace("nobody", "bob@example.com"))
    code, out, _ = run("import", str(errors), *CONSENT, *MAPPED, "--json")
    assert (json.loads(out)["added"], json.loads(out)["rejected"]) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("import", "LIST", *CONSENT, *MAPPED, "--errors", "LIST"), 1, "is the list itself"),
        (("import", "LIST", *CONSENT, "--map", "Post"), 2, "is no mapping"),
        (("import", "LIST", *CONSENT, "--map", "Post=phone"), 1, "cannot be taken"),
        (("import", "LIST", "--whole"), 1, "no zip file"),
        (
            ("import", "LIST", *CONSENT, *MAPPED, "--errors", "no/such/place"),
            1,
            "cannot be written",
        ),
        (("export", "--as", "pigeon"), 2, "is no shape"),
        (("export", "--whole"), 2, "needs a FILE"),
        (("export", "--segment", "nobody"), 1, "nobody"),
        (("export", "no/such/place.csv"), 1, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_changed(
    run: Run, people: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    before = people.read_text()
    ended, _, err = run(*(str(people) if word == "LIST" else word for word in arguments))
    assert ended == code
    assert says in err
    assert people.read_text() == before
    assert json.loads(run("count", "--json")[1])["active"] == 0


def test_an_export_is_whole_or_not_there_and_for_its_owner_alone(
    run: Run, people: Path, tmp_path: Path
) -> None:
    run("import", str(people), *CONSENT, *MAPPED)
    target = tmp_path / "out" / "list.csv"
    target.parent.mkdir()
    assert run("export", str(target), "--as", "ghost")[0] == 0
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o077 == 0
    assert target.read_text().splitlines()[1].startswith(",ann@example.com,Ann,,true")


def test_how_far_an_import_is_comes_line_by_line_in_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    with ImportProgress(clock=lambda: next(seconds)) as progress:
        for done in (10, 20, 30):
            progress(Progress("reading", done, 100))
        progress(Progress("writing", 900, 1000))
    assert capsys.readouterr().err == "reading: 20 %\nwriting: 90 %, 900 people\n"
