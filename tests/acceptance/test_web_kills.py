"""The serving process killed with -9 under load, and the importer beside it: every hit counts once.

Each request is told apart by its agent. What was answered is counted exactly once; what was still
on the wire when the process died, at most once.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hit_load import Told, load, request
from served import make_home
from sqlalchemy import text

from newsletter import hits
from newsletter.app import App, build_app
from newsletter.rehearsal.zygote import Zygote
from newsletter.settings import load_settings
from newsletter.tracking.events import EventKind
from newsletter.tracking.hitlog import Hit, HitLog, line_of

pytestmark = pytest.mark.slow

KILLS, CONNECTIONS = 20, 32
SHORTEST_S, LONGEST_S = 0.05, 0.6
IMPORT_KILLS, A_ROUND = 60, 40
WITHIN_S = 30


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "integration")]
    with Zygote(tmp_path_factory.mktemp("zygote"), paths=paths, warm=["hit_processes"]) as warm:
        yield warm


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an issue that two readers have."""
    return make_home(tmp_path_factory.mktemp("read") / "home", sent=True)


@pytest.fixture
def app(home: Path) -> Iterator[App]:
    app = build_app(load_settings(home=home))
    with app.session() as session:
        session.execute(text("DELETE FROM event"))
    yield app
    app.engine.dispose()


def counted(app: App) -> Counter[str]:
    """How often each request is an event, once everything was taken in."""
    assert [said for said in hits.take_in(app) if "damaged" not in said] == []
    with app.session(readonly=True) as session:
        return Counter(agent for (agent,) in session.execute(text("SELECT agent FROM event")))


def left(app: App) -> list[str]:
    return [file.name for file in (app.home / "hits").iterdir()]


def asking(app: App, life: int) -> Callable[[int], bytes]:
    """Loads and clicks of both readers, by turns; one in ten asks by HEAD."""
    tokens = [app.keyring.delivery(1, reader) for reader in (1, 2)]
    paths = [path for token in tokens for path in (f"/o/{token}.gif", f"/c/{token}/1")]

    def request_of(number: int) -> bytes:
        path = paths[number % len(paths)]
        method = "HEAD" if number % 10 == 0 and path.startswith("/c/") else "GET"
        return request(path, name_of(life, number), method=method)

    return request_of


def name_of(life: int, number: int) -> str:
    return f"{life}/{number}"


def one_life(zygote: Zygote, app: App, said: Path, life: int, chance: random.Random) -> Told:
    """Starts it, asks it, and kills it while it answers."""
    pid = zygote.start("hit_processes:serving", home=str(app.home), said=str(said))
    end = time.monotonic() + WITHIN_S
    while not said.exists():
        assert time.monotonic() < end, zygote.output.read_text()
        time.sleep(0.01)
    port = int(said.read_text().rpartition(":")[2])
    said.unlink()
    told = load(
        port,
        asking(app, life),
        seconds=chance.uniform(SHORTEST_S, LONGEST_S),
        connections=CONNECTIONS,
        after=lambda: os.kill(pid, signal.SIGKILL),
    )
    assert zygote.status(pid, within_s=WITHIN_S) == -signal.SIGKILL
    return told


def test_every_answered_hit_is_counted_once_whenever_the_web_process_is_killed(
    zygote: Zygote, app: App, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(6)
    answered: set[str] = set()
    asked: set[str] = set()
    importer = zygote.start("hit_processes:importing", home=str(app.home))
    for life in range(KILLS):
        told = one_life(zygote, app, tmp_path / "said", life, chance)
        assert set(told.answers.values()) <= {200, 302}
        asked |= {name_of(life, number) for number in range(told.asked)}
        answered |= {name_of(life, number) for number in told.answers}
        if life % 4 == 3:
            zygote.kill(importer)
            assert zygote.status(importer, within_s=WITHIN_S) == -signal.SIGKILL
            importer = zygote.start("hit_processes:importing", home=str(app.home))
    zygote.kill(importer)
    assert zygote.status(importer, within_s=WITHIN_S) == -signal.SIGKILL

    kept = counted(app)
    assert len(answered) > KILLS * CONNECTIONS
    assert [name for name in answered if kept[name] != 1] == []
    assert max(kept.values()) == 1
    assert set(kept) <= asked
    assert left(app) == []
    on_the_wire = len(asked - answered)
    record_property(
        "figure",
        f"kill -9 of the web process, {KILLS} times: {len(answered):,} answered hits counted once;"
        f" of {on_the_wire} on the wire {len(kept) - len(answered)} were written",
    )


def take_in_until(zygote: Zygote, home: Path, line: int, written: Path) -> int | None:
    """How an importer ended that dies at a line of ours."""
    where = {"home": str(home), "line": line, "written": str(written)}
    pid = zygote.start("hit_processes:taking_in", **where)
    return zygote.status(pid, within_s=WITHIN_S)


def test_every_hit_is_counted_once_wherever_the_importer_is_killed(
    zygote: Zygote, app: App, tmp_path: Path
) -> None:
    chance = random.Random(7)
    wanted = Counter[str]()
    killed, lines = 0, 1
    for number in range(IMPORT_KILLS):
        log = HitLog(app.home, max_bytes=4_000)
        for one in range(A_ROUND):
            agent = name_of(number, one)
            log.append(
                line_of(Hit(EventKind.CLICK, 1, 1 + one % 2, 1, app.clock(), "GET", agent, ""))
            )
            wanted[agent] += 1
        if number % 2:  # its last file has a living writer meanwhile
            log.close()
        where = 0 if number == 0 else chance.randint(1, lines)
        status = take_in_until(zygote, app.home, where, tmp_path / "lines")
        assert status in {0, -signal.SIGKILL}, zygote.output.read_text()
        killed += status != 0
        lines = int((tmp_path / "lines").read_text())
        log.close()
    assert killed > IMPORT_KILLS // 2
    assert counted(app) == wanted
    assert left(app) == []
