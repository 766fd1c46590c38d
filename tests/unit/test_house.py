"""The rules of the house, executable: what lies where, what is documented, which words are used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from newsletter import cli

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    "pyproject.toml", "newsletter", "templates", "content", "subscribers", "tests",
    "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", ".ci", "docs",
}  # fmt: skip
MAX_LINES = 400
# Words the glossary gives another name to; each would be a second word for a thing.
FORBIDDEN = re.compile(
    r"\b(campaigns?|blacklist\w*|blocklist\w*|mailshots?|newsletter_users?)\b", re.IGNORECASE
)


def _files(*folders: str, suffixes: set[str]) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes and "__pycache__" not in path.parts
    ]


def _tracked_or_new() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what is ignored cannot be told")
    return {line.split("/")[0] for line in listed.stdout.splitlines()}


def test_the_top_level_holds_the_agreed_names_and_nothing_else() -> None:
    assert _tracked_or_new() <= TOP_LEVEL


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    lines = {line.strip() for line in text.splitlines()}
    for requirement in wanted:
        line = next(line for line in lines if line.startswith(f'"{requirement}"'))
        assert re.search(r"#\s+\S+.*\S", line), f"no reason given for {requirement}"


def test_no_file_grows_over_four_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in _files("newsletter", "subscribers", "tests", suffixes={".py"})
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long


@pytest.mark.parametrize("kind", ["runtime", "test"])
def test_lock_files_hold_names_versions_and_hashes_and_no_address(kind: str) -> None:
    text = (ROOT / "newsletter" / "locks" / f"{kind}.lock").read_text()
    assert "://" not in text
    assert "--index" not in text
    pinned = [line for line in text.splitlines() if not line.startswith(" ")]
    assert pinned
    assert all(re.match(r"[a-z0-9._-]+==\S+.*\\$", line) for line in pinned)
    assert text.count("--hash=sha256:") >= len(pinned)


def test_imports_go_down_floor_by_floor() -> None:
    checked = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def _commands() -> set[str]:
    """Every command as it is typed: `issue plan`, `demo`."""
    found = set()
    for name, command in get_command(cli.program).commands.items():
        children = getattr(command, "commands", None)
        found |= {f"{name} {child}" for child in children} if children else {name}
    return found


def _documented() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "README.md", *_files("docs", suffixes={".md"})]:
        for match in re.finditer(r"(?<![\w/.])newsletter ((?:[a-z]+ ?)+)", _code_of(path)):
            yield path.name, match[1].strip()


def _code_of(path: Path) -> str:
    """What stands in code blocks and between backticks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", path.read_text(), re.DOTALL))


def test_every_documented_command_exists() -> None:
    commands = _commands()
    documented = list(_documented())
    assert documented
    for place, words in documented:
        first_two = " ".join(words.split()[:2])
        known = first_two in commands or words.split()[0] in commands
        assert known, f"{place} speaks of `newsletter {words}`"


def test_every_command_says_what_it_does() -> None:
    for name, command in get_command(cli.program).commands.items():
        assert command.help, name
        for child_name, child in getattr(command, "commands", {}).items():
            assert child.help, f"{name} {child_name}"


def test_the_glossary_is_kept() -> None:
    for path in _files(
        "newsletter", "subscribers", "templates", suffixes={".py", ".mjml", ".html", ".txt"}
    ):
        found = FORBIDDEN.search(path.read_text())
        assert found is None, f"{path.relative_to(ROOT)} says {found and found[0]!r}"
