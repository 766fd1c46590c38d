"""`python3 -m newsletter` in a checkout: with small packages of our own, and without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from newsletter import __main__ as bootstrap

ROOT = Path(__file__).parents[2]
BASE_PYTHON = sys._base_executable  # no virtual environment: nothing of ours can be imported
PROGRAM = """
import os, sys

def main():
    print("ran", os.getpid(), *sys.argv[1:], flush=True)
    if sys.argv[1:] == ["wait"]:
        import time
        time.sleep(60)
"""


@dataclass(frozen=True)
class Checkout:
    root: Path
    wheels: Path

    @property
    def marker(self) -> Path:
        return self.root / ".venv" / "newsletter-setup"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BASE_PYTHON, "-m", "newsletter", *arguments],
            cwd=self.root,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return _checkout(tmp_path)


@pytest.fixture(scope="module")
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has set itself up to run, in the folder that its `.venv` was made for."""
    folder = tmp_path_factory.mktemp("runtime") / "here"
    folder.mkdir()
    first = _checkout(folder).run("demo", "--serve")
    assert first.returncode == 0, first.stderr
    assert first.stdout.split()[0::2] == ["ran", "demo"]
    assert "setting up .venv" in first.stderr
    shutil.copytree(folder, folder.parent / "kept", symlinks=True)
    return folder


@pytest.fixture
def set_up(runtime_folder: Path) -> Checkout:
    """The same as it was then, whatever the tests before have done to it."""
    shutil.rmtree(runtime_folder)
    shutil.copytree(runtime_folder.parent / "kept", runtime_folder, symlinks=True)
    return Checkout(runtime_folder / "checkout", runtime_folder / "wheels")


def _checkout(folder: Path) -> Checkout:
    """A checkout whose locks name tiny packages that lie in a folder."""
    made = Checkout(folder / "checkout", folder / "wheels")
    package = made.root / "newsletter"
    (package / "cli").mkdir(parents=True)
    (package / "locks").mkdir()
    made.wheels.mkdir()
    (made.root / "pyproject.toml").write_text("")
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "newsletter" / name, package / name)
    (package / "cli" / "__init__.py").write_text(PROGRAM)
    runtime = [_wheel(made.wheels, name) for name in bootstrap.NEEDED["runtime"]]
    tests = [_wheel(made.wheels, name) for name in bootstrap.NEEDED["test"]]
    (package / "locks" / "runtime.lock").write_text("\n".join(runtime) + "\n")
    (package / "locks" / "test.lock").write_text("\n".join(runtime + tests) + "\n")
    return made


def _wheel(folder: Path, name: str) -> str:
    """Makes the smallest wheel of a module `name`; returns its line for a lock."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        file: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for file, text in files.items()
    }
    record = "".join(f"{file},sha256={digests[file]},{len(text)}\n" for file, text in files.items())
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.slow
def test_a_fresh_checkout_sets_itself_up_once_and_then_runs(set_up: Checkout) -> None:
    second = set_up.run("demo")  # the first is in `runtime_folder`
    assert second.returncode == 0
    assert second.stderr == ""
    assert second.stdout.split()[0::2] == ["ran", "demo"]


@pytest.mark.slow
def test_the_tests_get_their_own_packages_and_the_program_goes_on_with_them(
    set_up: Checkout,
) -> None:
    tests = set_up.run("test", "--quick")
    assert tests.returncode == 0, tests.stderr
    assert "test.lock" in tests.stderr
    again = set_up.run("demo")
    assert again.stderr == ""


def _has_begun(checkout: Checkout) -> bool:
    return checkout.marker.is_file() and checkout.marker.read_text() != ""


@pytest.mark.slow
def test_an_interrupted_set_up_is_made_anew(checkout: Checkout) -> None:
    interrupted = checkout.start("demo")
    while not _has_begun(checkout) and interrupted.poll() is None:
        pass
    interrupted.kill()
    interrupted.communicate()
    assert checkout.marker.read_text() == "begun"
    again = checkout.run("demo")
    assert again.returncode == 0, again.stderr
    assert checkout.marker.read_text().startswith("runtime ")


@pytest.mark.slow
def test_a_changed_lock_is_installed(set_up: Checkout) -> None:
    _want_a_newcomer(set_up)
    again = set_up.run("demo")
    assert "setting up" in again.stderr
    assert list(set_up.root.glob(".venv/lib/python3*/site-packages/newcomer.py"))


def _want_a_newcomer(checkout: Checkout) -> None:
    lock = checkout.root / "newsletter" / "locks" / "runtime.lock"
    lock.write_text(lock.read_text() + _wheel(checkout.wheels, "newcomer") + "\n")


@pytest.mark.slow
def test_two_at_once_set_up_one_after_the_other(checkout: Checkout) -> None:
    both = [checkout.start("demo"), checkout.start("demo")]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert sum("with the packages of" in err for _out, err in results) == 1


@pytest.mark.slow
def test_a_signal_reaches_the_program_and_not_a_wrapper(set_up: Checkout) -> None:
    process = set_up.start("wait")
    assert process.stdout is not None
    assert process.stdout.readline().split()[1] == str(process.pid)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


@pytest.mark.slow
def test_packages_that_cannot_be_had_are_one_clear_message(set_up: Checkout) -> None:
    _want_a_newcomer(set_up)
    shutil.rmtree(set_up.wheels)
    set_up.wheels.mkdir()
    refused = set_up.run("demo")
    assert refused.returncode == 1
    assert "error: pip could not install runtime.lock" in refused.stderr
    assert "next: check the network" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert set_up.marker.read_text() == "begun"


@pytest.mark.slow
def test_a_package_that_is_not_the_one_locked_is_refused(set_up: Checkout) -> None:
    _want_a_newcomer(set_up)
    with zipfile.ZipFile(set_up.wheels / "newcomer-1.0-py3-none-any.whl", "a") as wheel:
        wheel.writestr("newcomer_extra.py", "")
    refused = set_up.run("demo")
    assert refused.returncode == 1
    assert "error: pip could not install runtime.lock" in refused.stderr


def test_an_environment_of_somebody_elses_is_left_alone(checkout: Checkout) -> None:
    theirs = checkout.root / ".venv" / "theirs"
    theirs.parent.mkdir()
    theirs.touch()
    refused = checkout.run("demo")
    assert refused.returncode == 1
    assert "was not made by this program" in refused.stderr
    assert theirs.exists()


def test_without_a_checkout_the_missing_packages_are_named_as_such(checkout: Checkout) -> None:
    (checkout.root / "pyproject.toml").unlink()
    refused = checkout.run("demo")
    assert refused.returncode == 1
    assert "packages this program needs are missing" in refused.stderr
    assert not (checkout.root / ".venv").exists()


def test_a_python_without_ensurepip_is_told_which_debian_package_brings_it(
    checkout: Checkout,
) -> None:
    (checkout.root / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name: None if name == 'ensurepip' else found(name)\n"
    )
    refused = subprocess.run(
        [BASE_PYTHON, "-m", "newsletter", "demo"],
        cwd=checkout.root,
        env={**checkout.environment(), "PYTHONPATH": str(checkout.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "apt-get install python3-venv" in refused.stderr


def test_an_old_python_is_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit) as stopped:
        bootstrap.main()
    assert stopped.value.code == 1
    assert "Python 3.11 or newer is needed" in capsys.readouterr().err


def test_what_is_looked_for_is_locked_and_the_tests_lock_holds_the_other() -> None:
    locks = {
        kind: {
            line.split("==")[0]
            for line in (ROOT / "newsletter" / "locks" / f"{kind}.lock").read_text().splitlines()
            if "==" in line
        }
        for kind in ("runtime", "test")
    }
    assert locks["runtime"] < locks["test"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in _names(project["dependencies"]):
        assert name in locks["runtime"]
    for name in _names(project["optional-dependencies"]["test"]):
        assert name in locks["test"]


def _names(requirements: list[str]) -> list[str]:
    return [requirement.split(">")[0].split("[")[0].lower() for requirement in requirements]
