"""Warm processes in a moment: a process that has everything imported, and forks on demand.

It is a fresh program without threads or connections, so what it forks is a clean copy. It is spoken
to in lines of JSON on its two pipes: `["start", "module:function", arguments]` is answered by
`["started", pid]`; every end is told as `["ended", pid, status]`. When its caller is gone it kills
what it started and goes, too.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from newsletter.errors import RefusedError
from newsletter.settings import PREFIX, TESTS_PREFIX

WARM: Final = (
    "newsletter.pipeline",
    "newsletter.providers.smtp",
    "newsletter.providers.sendgrid",
    "newsletter.rehearsal.sender",
    "newsletter.rehearsal.smtp_stage",
    "newsletter.rehearsal.sendgrid_stage",
)


class Zygote:
    """The caller's end. Processes are killed when it is left.

    folder: their current folder; what they print lands in its `processes.log`. paths: where else
    modules are found.
    """

    def __init__(
        self, folder: Path, *, paths: Sequence[str] = (), warm: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._arguments = [json.dumps([[*paths], [*WARM, *warm]])]
        self._ended: dict[int, int] = {}
        self._buffer = b""

    def __enter__(self) -> Self:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  (this very program)
                [sys.executable, "-m", __name__, *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=self._folder,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is its caller's affair
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(BrokenPipeError):
            self._pipe_in.close()
        self._pipe_out.close()
        self._process.wait()

    @property
    def output(self) -> Path:
        """What the processes print, tracebacks among it."""
        return self._folder / "processes.log"

    def start(self, job: str, **arguments: Any) -> int:
        """Calls `module:function` in a process of its own; its id."""
        self._pipe_in.write(json.dumps(["start", job, arguments]).encode() + b"\n")
        self._pipe_in.flush()
        while True:
            said = self._hear(None)
            if said is None:
                raise self._is_gone()
            if said[0] == "started":
                return int(said[1])

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """With -9 unless told otherwise; a process that has ended stays ended."""
        self._hear_all(0.0)
        if pid not in self._ended:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def status(self, pid: int, *, within_s: float | None = 0.0) -> int | None:
        """Its exit status, negative for a signal; None while it runs. within_s: None for ever."""
        until = None if within_s is None else time.monotonic() + within_s
        while pid not in self._ended:
            left_s = None if until is None else max(0.0, until - time.monotonic())
            if self._hear(left_s) is None and left_s is not None:
                break
        return self._ended.get(pid)

    def _hear_all(self, within_s: float) -> None:
        while self._hear(within_s) is not None:
            pass

    def _hear(self, within_s: float | None) -> list[Any] | None:
        """The next thing it says; None where that takes longer."""
        while b"\n" not in self._buffer:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pipe_out, selectors.EVENT_READ)
                if not selector.select(within_s):
                    return None
            data = os.read(self._pipe_out.fileno(), 65_536)
            if not data:
                raise self._is_gone()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        said: list[Any] = json.loads(line)
        if said[0] == "ended":
            self._ended[said[1]] = said[2]
        return said

    @property
    def _pipe_in(self) -> Any:
        return self._process.stdin

    @property
    def _pipe_out(self) -> Any:
        return self._process.stdout

    def _is_gone(self) -> RefusedError:
        return RefusedError(
            "the process that starts the rehearsal's senders has ended",
            hint=f"see {self.output}, then rehearse again",
        )


def _environment() -> dict[str, str]:
    """Without this shell's settings: a rehearsal must not find the real database in them."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) or name.startswith(TESTS_PREFIX)
    } | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


# The other end.


def _main(paths: Iterable[str], warm: Iterable[str]) -> None:
    sys.path[:0] = paths
    for module in warm:
        importlib.import_module(module)
    wake_out, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
    _listen(wake_out)


def _listen(wake: int) -> None:
    running: set[int] = set()
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 65_536)
                if key.fd == wake:
                    _reap(running)
                elif data:
                    *lines, buffer = (buffer + data).split(b"\n")
                    for line in lines:
                        _, job, arguments = json.loads(line)
                        running.add(_fork(job, arguments))
                else:
                    _leave(running)


def _fork(job: str, arguments: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        _tell("started", pid)
        return pid
    status = 1
    try:
        _be_on_its_own()
        module, _, function = job.partition(":")
        getattr(importlib.import_module(module), function)(**arguments)
        status = 0
    except BaseException:  # noqa: BLE001  (whatever happens, this process must not go on)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _be_on_its_own() -> None:
    """Nothing of the zygote's pipes stays open; what is printed goes where errors go."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)


def _reap(running: set[int]) -> None:
    for pid in tuple(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running.discard(pid)
            _tell("ended", pid, os.waitstatus_to_exitcode(status))


def _leave(running: Iterable[int]) -> None:
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _tell(*said: object) -> None:
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
