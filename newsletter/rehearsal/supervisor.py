"""Starts a stage and senders, kills senders at seeded moments, and starts them again."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from newsletter.errors import RefusedError
from newsletter.rehearsal import account, room, stage
from newsletter.rehearsal.account import Left
from newsletter.rehearsal.faults import Faults
from newsletter.rehearsal.sender import Ending
from newsletter.rehearsal.zygote import Zygote

SENDER: Final = "newsletter.rehearsal.sender:run"
MAX_IDLE_ROUNDS: Final = 5  # rounds in a row in which nobody was answered for
LOOK_EVERY_S: Final = 0.002
TELL_EVERY_S = 1.0
_STARTS_WITHIN_S = 20.0
_ENDS_WITHIN_S = 10.0
_LAST_KILL_AT = 0.9  # of the way: later ones might find nobody to strike
_LATEST_DELAY_S = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to an issue. kills: of sender processes. seed: of every choice made by chance."""

    readers: int
    faults: Faults
    kills: int
    senders: int
    provider: str
    seed: int
    chunking: bool = True


@dataclass(slots=True)
class Course:
    """How it went.

    failed: senders that ended with an error. stopped: why it was given up, or "". seconds: real
    ones, of all rounds.
    """

    kills: int = 0
    rounds: int = 0
    failed: int = 0
    stopped: str = ""
    seconds: float = 0.0


@contextmanager
def staged(zygote: Zygote, folder: Path, plan: Plan) -> Iterator[int]:
    """The port of a stage, which has taken all that was sent to it once this is left."""
    job = f"newsletter.rehearsal.{plan.provider}_stage:run"
    arguments = {"folder": str(folder), "faults": str(plan.faults), "seed": plan.seed}
    if plan.provider == "smtp":
        arguments["chunking"] = plan.chunking
    pid = zygote.start(job, **arguments)
    try:
        yield _port(zygote, folder, pid)
    finally:
        zygote.kill(pid, signal.SIGTERM)
        if zygote.status(pid, within_s=_ENDS_WITHIN_S) is None:
            zygote.kill(pid)


def _port(zygote: Zygote, folder: Path, pid: int) -> int:
    until = time.monotonic() + _STARTS_WITHIN_S
    while not (folder / stage.PORT).exists():
        if zygote.status(pid, within_s=LOOK_EVERY_S) is not None or time.monotonic() > until:
            raise RefusedError(
                "the rehearsal's server did not start", hint=f"see {zygote.output}, then try again"
            )
    return int((folder / stage.PORT).read_text(encoding="ascii"))


@dataclass(slots=True)
class Kills:
    """When to strike: each moment is a number of things the stage has done by then."""

    moments: list[int]
    chance: random.Random
    log: Path

    @classmethod
    def of(cls, plan: Plan, log: Path) -> Kills:
        chance = random.Random(f"kills {plan.seed}")  # noqa: S311  (not a secret: repeatable)
        last = int(plan.readers * _LAST_KILL_AT)
        moments = sorted(chance.randint(0, last) for _ in range(plan.kills))
        return cls(moments, chance, log)

    def are_due(self) -> bool:
        return bool(self.moments) and _lines(self.log) >= self.moments[0]

    def strike(self, zygote: Zygote, running: set[int]) -> int | None:
        """Kills one of them; its id, or None where it had ended by itself just then."""
        time.sleep(self.chance.uniform(0.0, _LATEST_DELAY_S))
        victim = self.chance.choice(sorted(running))
        zygote.kill(victim)
        if zygote.status(victim, within_s=_ENDS_WITHIN_S) != -signal.SIGKILL:
            return None
        self.moments.pop(0)
        return victim


@dataclass(slots=True)
class Senders:
    """The sender processes of one rehearsal, round after round."""

    zygote: Zygote
    folder: Path
    port: int
    plan: Plan
    kills: Kills
    left: Callable[[], Left]
    tell: Callable[[str], None]
    course: Course = field(default_factory=Course)
    ahead: timedelta = timedelta()
    told_at: float = field(default_factory=time.monotonic)

    def work(self) -> Course:
        """Until everybody is answered for, or nothing moves any more."""
        idle, before = 0, -1
        while not self.course.stopped:
            endings = self._round()
            if not endings:
                raise self._all_failed()
            left = self.left()
            if not left.count:
                break
            idle = idle + 1 if left.count == before else 0
            before = left.count
            if idle == MAX_IDLE_ROUNDS:
                self.course.stopped = _why(endings) or "nothing moved any more"
            self._let_time_pass(left, endings)
        return self.course

    def _all_failed(self) -> RefusedError:
        said = self.zygote.output.read_text(encoding="utf-8", errors="replace").strip()
        last = next((line for line in reversed(said.splitlines()) if line[:1].strip()), "")
        return RefusedError(
            f"every sender of the rehearsal ended with an error: {last[:300]}",
            hint="keep its folder with --keep DIR, and read processes.log there",
        )

    def _round(self) -> list[Ending]:
        """Senders until all have ended by themselves; each that is killed has a successor."""
        self.course.rounds += 1
        started = time.monotonic()
        running = {self._start() for _ in range(self.plan.senders)}
        try:
            return self._watch(running)
        finally:  # nobody is left but where this was broken off
            for pid in running:
                self.zygote.kill(pid)
            self.course.seconds += time.monotonic() - started

    def _watch(self, running: set[int]) -> list[Ending]:
        """Until `running` is empty."""
        endings: list[Ending] = []
        while running:
            if self.kills.are_due() and (victim := self.kills.strike(self.zygote, running)):
                self.course.kills += 1
                running.remove(victim)
                running.add(self._start())
            self._say()
            self.zygote.status(min(running), within_s=LOOK_EVERY_S)
            for pid in [pid for pid in running if self.zygote.status(pid) is not None]:
                running.remove(pid)
                endings += self._ended(pid)
        return endings

    def _say(self) -> None:
        """How far it is, now and then."""
        if time.monotonic() - self.told_at >= TELL_EVERY_S:
            self.told_at = time.monotonic()
            seen, kills = _lines(self.kills.log), self.course.kills
            done = f"{seen:,} answers, {kills} of {self.plan.kills} kills"
            self.tell(f"round {self.course.rounds}: {done}")

    def _start(self) -> int:
        return self.zygote.start(
            SENDER, folder=str(self.folder), port=self.port, ahead_s=self.ahead.total_seconds()
        )

    def _ended(self, pid: int) -> list[Ending]:
        ending = Ending.read(self.folder, pid)
        if ending is None or self.zygote.status(pid) != 0:
            self.course.failed += 1
            return []
        return [ending]

    def _let_time_pass(self, left: Left, endings: list[Ending]) -> None:
        """Jumps to when the last of those who wait are due, or to when a limit lets go."""
        instants = [datetime.fromisoformat(one.goes_on_at) for one in endings if one.goes_on_at]
        if left.due_at is not None:
            instants.append(left.due_at)
        if instants:
            self.ahead = max(self.ahead, max(instants) - datetime.now(UTC) + timedelta(seconds=1))


def run(
    zygote: Zygote, folder: Path, plan: Plan, tell: Callable[[str], None] = lambda sentence: None
) -> Course:
    """The whole course of a rehearsal on a furnished home; the stage's log is complete after it.

    tell: told about once a second how far it is.
    """
    with staged(zygote, folder, plan) as port:
        app = room.enter(folder, port=port)
        issue_id = room.the_issue(app)
        kills = Kills.of(plan, folder / stage.LOG)
        try:
            return Senders(
                zygote, folder, port, plan, kills, lambda: account.left(app, issue_id), tell
            ).work()
        finally:
            app.engine.dispose()


def _why(endings: list[Ending]) -> str:
    return next((ending.stopped for ending in endings if ending.stopped), "")


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except FileNotFoundError:
        return 0
