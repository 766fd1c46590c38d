"""Who holds a batch: a process, named so that another on its machine can tell whether it runs."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
BOOT_ID = PROC / "sys/kernel/random/boot_id"
MAX_HOST_CHARS = 48  # the text form has to fit the 120 characters of batch.owner
DEAD_STATES = "ZXx"  # proc(5): a zombie runs no code, it only waits for its parent


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. Its text form is `host/boot/pid/start`.

    host: the machine's name and the pid namespace, since containers may share the former, and
    process ids mean something only within the latter. boot: the kernel's boot id; empty where
    there is none. start: clock ticks from boot to the process's start (proc(5), field 22), which
    tells a process from a later one of the same id.
    """

    host: str
    boot: str
    pid: int
    start: int

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(host=_host(), boot=_boot(), pid=pid, start=_start_ticks(pid) or 0)

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner `str()` wrote; None where the text is not one."""
        parts = text.split("/")
        if len(parts) != 4 or not (parts[2].isdecimal() and parts[3].isdecimal()):
            return None
        return cls(host=parts[0], boot=parts[1], pid=int(parts[2]), start=int(parts[3]))

    def __str__(self) -> str:
        return f"{self.host}/{self.boot}/{self.pid}/{self.start}"

    def is_known_dead_to(self, observer: Owner) -> bool:
        """Whether `observer`, a process running here, can be sure that this owner runs no more.

        Only on the same machine since the same boot; of any other owner nothing is known.
        """
        if not self.boot or (self.host, self.boot) != (observer.host, observer.boot):
            return False
        return _start_ticks(self.pid) != self.start


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


def _start_ticks(pid: int) -> int | None:
    """When a running process started, in clock ticks after boot; None when none runs."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in DEAD_STATES else int(fields[19])
