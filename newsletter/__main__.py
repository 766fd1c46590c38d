"""`python3 -m newsletter`: runs the program; in a fresh checkout it sets itself up first.

Standard library only, and spelled so that any Python 3 can read it far enough to be told that it is
too old. Where the dependencies can be imported this is the command line and nothing else. Otherwise
`.venv` is made next to pyproject.toml from a hash-pinned lock file, and the program is executed in
this process's place, so that a signal reaches it and not a wrapper.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
MARKER = VENV / "newsletter-setup"  # "begun", or the lock that was installed whole
ONCE = "_NEWSLETTER_SET_UP"  # set for the program that follows a set-up: never a second in a row
NEEDED = {
    "runtime": ("typer", "sqlmodel", "mjml", "premailer", "fastapi", "apscheduler", "uvicorn"),
    "test": ("pytest", "mypy", "ruff", "importlinter", "playwright", "xdist"),
}
PROBE = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (who has an older one reads this line)
        stop("Python 3.11 or newer is needed, this is " + sys.version.split()[0], "install one")
    test = sys.argv[1:2] == ["test"]
    needed = NEEDED["runtime"] + (NEEDED["test"] if test else ())
    already_set_up = os.environ.pop(ONCE, "")
    if all(map(find_spec, needed)):
        from newsletter.cli import main as run

        run()
    elif already_set_up:
        stop("the set-up in " + str(VENV) + " is damaged", "remove that folder, and start again")
    else:
        set_up("test" if test else "runtime", needed)


def set_up(kind: str, needed: "tuple[str, ...]") -> None:
    """Makes `.venv` hold the packages of the lock `kind`, and goes on in it."""
    if not (ROOT / "pyproject.toml").is_file():
        stop("packages this program needs are missing", "install it again, with its dependencies")
    try:
        with (ROOT / "pyproject.toml").open() as gate:
            one_at_a_time(gate.fileno())
            if is_foreign():
                use_foreign(needed)
            elif not is_whole(kind):
                install(kind, gate.fileno())
                os.environ[ONCE] = "1"
        os.execv(str(PYTHON), [str(PYTHON), "-m", "newsletter", *sys.argv[1:]])  # noqa: S606
    except OSError as error:
        stop(str(VENV) + " cannot be used: " + str(error), "make it writable, or free disk space")


def one_at_a_time(gate: int) -> None:
    import fcntl

    try:
        fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another start is setting up .venv; waiting for it")
        fcntl.flock(gate, fcntl.LOCK_EX)


def is_foreign() -> bool:
    """There is a `.venv` that somebody else made."""
    return VENV.is_dir() and not MARKER.is_file() and any(VENV.iterdir())


def use_foreign(needed: "tuple[str, ...]") -> None:
    inside = Path(sys.prefix) == VENV
    probe = [str(PYTHON), "-c", PROBE, *needed]
    if inside or not PYTHON.exists() or subprocess.run(probe, check=False).returncode:  # noqa: S603
        stop(str(VENV) + " was not made by this program, and lacks packages", "move it away")


def is_whole(kind: str) -> bool:
    """The marker names this lock, or the tests' one, which holds the other."""
    if not PYTHON.exists() or Path(sys.prefix) == VENV:
        return False  # this very environment was found wanting
    return MARKER.is_file() and MARKER.read_text() in (signature(kind), signature("test"))


def signature(kind: str) -> str:
    return kind + " " + hashlib.sha256(lock_of(kind).read_bytes()).hexdigest()


def lock_of(kind: str) -> Path:
    return ROOT / "newsletter" / "locks" / (kind + ".lock")


def install(kind: str, gate: int) -> None:
    """Safe to interrupt: the marker says "begun" until everything is there."""
    say("setting up .venv with the packages of " + lock_of(kind).name + ", once: half a minute")
    if not PYTHON.exists() or not MARKER.is_file() or MARKER.read_text() == "begun":
        make_venv()
    MARKER.write_text("begun")
    fetch(lock_of(kind), gate)
    add_checkout()
    MARKER.write_text(signature(kind))
    say("set up")


def make_venv() -> None:
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        stop("this Python cannot make environments", "apt-get install python3-venv")
    import venv

    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir()
    MARKER.write_text("begun")
    try:
        venv.create(VENV, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError as error:
        stop(str(VENV) + " cannot be made: " + str(error), "apt-get install python3-venv")


def fetch(lock: Path, gate: int) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--no-user"]
    command += ["--no-compile", "--no-deps", "--require-hashes", "-r", str(lock)]
    # pip inherits the gate: killed before its child, this process leaves it shut.
    done = subprocess.run(  # noqa: S603  (our own command)
        command, pass_fds=(gate,), stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        faults = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = (faults or ["ERROR: it gave no reason"])[-1][len("ERROR: ") :]
        if "Retrying" in done.stderr:  # what it says last is then that it found no version
            reason = "the package index cannot be reached"
        stop(
            "pip could not install " + lock.name + ": " + reason,
            "check the network, or name a package index with PIP_INDEX_URL, and start again",
        )


def add_checkout() -> None:
    """What `pip install -e .` would do, without building anything."""
    for packages in (VENV / "lib").glob("python3*/site-packages"):
        (packages / "newsletter-checkout.pth").write_text(str(ROOT) + "\n")
    program = VENV / "bin" / "newsletter"
    program.write_text('#!/bin/sh\nexec "' + str(PYTHON) + '" -m newsletter "$@"\n')
    program.chmod(0o755)


def say(line: str) -> None:
    print("newsletter: " + line, file=sys.stderr, flush=True)


def stop(what: str, step: str) -> None:
    print("error: " + what + "\n  next: " + step, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted; nothing is lost, start again")
        sys.exit(130)
