"""Senders killed with -9 at 100 points, from freezing to the last reply, and started again.

What counts is the server's own log: nobody is in it twice. See `kill_points` for the killing.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kill_points
import pytest

from newsletter import pipeline
from newsletter.app import App, build_app
from newsletter.rehearsal import account, room, stage, supervisor
from newsletter.rehearsal.faults import Faults
from newsletter.rehearsal.room import Script, Stagecraft
from newsletter.rehearsal.stage_log import StageLog
from newsletter.rehearsal.supervisor import Plan
from newsletter.rehearsal.zygote import Zygote
from newsletter.settings import load_settings
from newsletter.store.states import DeliveryState

READERS, BATCH = 160, 40
CONNECTIONS, AT_ONCE = 2, 8  # so that what may be uncertain is much less than a batch
WITHIN_S = 60
WAYS = ("smtp, chunking", "smtp, plain", "sendgrid")
SENDERS = (1, 2, 4)


@dataclass(frozen=True)
class Point:
    """One place to strike: a way to send, how many senders, and the seed of their deaths."""

    way: str
    senders: int
    seed: int

    def __str__(self) -> str:
        return f"{self.way}, {self.senders} at once, seed {self.seed}"

    @property
    def provider(self) -> str:
        return self.way.partition(",")[0]

    @property
    def chunking(self) -> bool:
        return self.way == "smtp, chunking"

    @property
    def plan(self) -> Plan:
        return Plan(
            readers=READERS,
            faults=Faults({}),
            kills=0,
            senders=self.senders,
            provider=self.provider,
            seed=self.seed,
            chunking=self.chunking,
        )


POINTS = [Point(WAYS[n % 3], SENDERS[n // 3 % 3], n) for n in range(100)]
QUICK = {0, 5, 7}  # each way; one, two and four senders


def _parameters() -> list[Any]:
    return [
        pytest.param(point, id=str(point), marks=() if n in QUICK else pytest.mark.slow)
        for n, point in enumerate(POINTS)
    ]


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    here = str(Path(__file__).parent)
    folder = tmp_path_factory.mktemp("zygote")
    with Zygote(folder, paths=[here], warm=[kill_points.__name__]) as warm:
        yield warm


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Script:
    """The real seed comparison's issue."""
    app = build_app(load_settings(home=tmp_path_factory.mktemp("real")))
    pipeline.import_content(app)
    pipeline.plan(app)
    made = room.script_of(app, "latest")
    app.engine.dispose()
    return Script(
        made.week, made.slot_at, made.rendered, {**made.settings, "smtp_connections": CONNECTIONS}
    )


@pytest.fixture(scope="module")
def homes(script: Script, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home nobody has sent from yet, by provider; copy it."""
    folder = tmp_path_factory.mktemp("homes")
    for provider in ("smtp", "sendgrid"):
        craft = Stagecraft(provider, READERS, BATCH, AT_ONCE if provider == "sendgrid" else 250, 30)
        room.furnish(folder / provider, script, craft)
    return {provider: folder / provider for provider in ("smtp", "sendgrid")}


@pytest.fixture(scope="module")
def lengths(
    zygote: Zygote, homes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, int]:
    """How many lines of our code a run takes that nobody kills, by way."""
    found = {}
    for way in WAYS:
        point = Point(way, 1, 0)
        folder = tmp_path_factory.mktemp("unkilled") / "home"
        shutil.copytree(homes[point.provider], folder)
        with supervisor.staged(zygote, folder, point.plan) as port:
            where = {"folder": str(folder), "port": port, "written": str(folder / "lines")}
            pid = zygote.start("kill_points:counted", **where)
            assert zygote.status(pid, within_s=WITHIN_S) == 0, zygote.output.read_text()
        found[way] = int((folder / "lines").read_text())
    return found


def _strike(zygote: Zygote, folder: Path, port: int, lines: list[int]) -> int:
    """Senders side by side, each until its line; how many died there."""
    pids = [
        zygote.start("kill_points:doomed", folder=str(folder), port=port, line=line)
        for line in lines
    ]
    statuses = Counter(zygote.status(pid, within_s=WITHIN_S) for pid in pids)
    assert set(statuses) <= {0, -9}, zygote.output.read_text()
    return statuses[-9]


def _restart(zygote: Zygote, folder: Path, port: int, senders: int) -> None:
    where = {"folder": str(folder), "port": port, "ahead_s": 0}
    pids = [zygote.start(supervisor.SENDER, **where) for _ in range(senders)]
    statuses = {zygote.status(pid, within_s=WITHIN_S) for pid in pids}
    assert statuses == {0}, zygote.output.read_text()


def _opened(folder: Path) -> App:
    return room.enter(folder, port=1)


@pytest.mark.parametrize("point", _parameters())
def test_a_killed_sender_doubles_nobody_and_leaves_in_doubt_only_what_was_on_the_wire(
    point: Point,
    zygote: Zygote,
    homes: dict[str, Path],
    lengths: dict[str, int],
    tmp_path: Path,
) -> None:
    chance = random.Random(point.seed)
    share = lengths[point.way] // point.senders
    lines = [chance.randint(1, share) for _ in range(point.senders)]
    kills = 0
    while not kills:
        folder = tmp_path / f"until {lines}"
        shutil.copytree(homes[point.provider], folder)
        with supervisor.staged(zygote, folder, point.plan) as port:
            kills = _strike(zygote, folder, port, lines)
            _restart(zygote, folder, port, point.senders)
        # A run differs from the next by a few looks at its sockets, so it may end before the line.
        lines = [max(1, line * 9 // 10) for line in lines]

    app = _opened(folder)
    proof, told = account.read(app, room.the_issue(app))
    on_the_wire = room.on_the_wire(app.sending_provider, chunking=point.chunking)
    app.engine.dispose()
    log = StageLog.read(folder / stage.LOG)
    assert log.doubled == []
    assert proof.holds
    assert proof.states["submitted"] + proof.states["uncertain"] == READERS
    assert proof.states["uncertain"] <= kills * on_the_wire
    accepted = {line.reader for line in log.accepted}
    submitted = {who for who, one in told.items() if one.state is DeliveryState.SUBMITTED}
    assert submitted <= accepted <= set(told)
    assert all(one.reason for one in told.values() if one.state is DeliveryState.UNCERTAIN)
