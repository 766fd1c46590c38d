"""Who holds a batch: a process, named so that another on its machine can tell whether it runs."""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
MAX_HOST_CHARS = 40  # the text form has to fit the 120 characters of batch.owner
DEAD_STATES = "ZXx"  # proc(5): a zombie runs no code, it only waits for its parent

_runs = itertools.count(1)
_on_duty: set[int] = set()  # the runs of this process that have not ended


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, or one sender's run in it. Its text form is `host/boot/pid/start/run`.

    host: the machine's name and the pid namespace, since containers may share the former, and
    process ids mean something only within the latter. boot: the kernel's boot id; empty where
    there is none. start: clock ticks from boot to the process's start (proc(5), field 22), which
    tells a process from a later one of the same id. run: which of the process's senders, from 1;
    0 for the process itself.
    """

    host: str
    boot: str
    pid: int
    start: int
    run: int = 0

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(host=_host(), boot=_boot(), pid=os.getpid(), start=_own_start_ticks())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner `str()` wrote; None where the text is not one."""
        host, boot, *numbers = text.split("/") if text.count("/") == 4 else ("", "")
        if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            return None
        return cls(host, boot, *map(int, numbers))

    def __str__(self) -> str:
        return f"{self.host}/{self.boot}/{self.pid}/{self.start}/{self.run}"

    def is_known_dead_to(self, observer: Owner) -> bool:
        """Whether `observer`, a process running here, can be sure that this owner runs no more.

        Only on the same machine since the same boot; of any other owner nothing is known.
        """
        if not self.boot or (self.host, self.boot) != (observer.host, observer.boot):
            return False
        if (self.pid, self.start) == (observer.pid, observer.start):
            return self.run != 0 and self.run not in _on_duty
        return _has_ended(self.pid, self.start)


@contextmanager
def on_duty() -> Iterator[Owner]:
    """One sender's run in this process. Once it has ended, what it still held is free at once.

    A run that failed while it recorded answers (a full disk) must not keep its batch until the
    lease is over, only because its process lives on.
    """
    run = next(_runs)
    _on_duty.add(run)
    try:
        yield replace(Owner.current(), run=run)
    finally:
        _on_duty.discard(run)


def _host() -> str:
    try:
        namespace = (PROC / "self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return f"{platform.node()[:MAX_HOST_CHARS].replace('/', '-')}:{namespace}"


def _boot() -> str:
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _has_ended(pid: int, start: int) -> bool:
    """Whether that very process is seen to run no more. What cannot be looked at may run."""
    try:
        return _start_ticks(pid) != start
    except (FileNotFoundError, ProcessLookupError):
        return not _is_hidden(pid)
    except OSError:  # no more open files, say: that is our trouble, not its end
        return False


def _is_hidden(pid: int) -> bool:
    """Whether a process runs that /proc does not show: somebody else's, under `hidepid`."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _own_start_ticks() -> int:
    try:
        return _start_ticks(os.getpid()) or 0
    except OSError:
        return 0


def _start_ticks(pid: int) -> int | None:
    """When a running process started, in clock ticks after boot; None for a dead one not buried.

    Raises OSError where there is none, or where it cannot be looked at.
    """
    stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    # The second field is the program's name in brackets and may hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in DEAD_STATES else int(fields[19])
