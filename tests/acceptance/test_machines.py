"""Machines at work on an issue for 1,000 readers: they move no human figure, and are shown.

Apple's prefetch loads every pixel within minutes. Scanners of three kinds read the mail of half the
readers: at once, patiently, and from many machines; each asks for every link by HEAD and GET, the
one nobody sees among them, loads the pixel and presses ship and skip.
"""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest
import uvicorn
from publication import SLOT, finished, open_home, planned_and_approved, store
from publication import readers as add_readers
from served import Clock
from sqlalchemy import text

from newsletter import hits, labels, pipeline, stats
from newsletter.app import App
from newsletter.editorial import votes
from newsletter.rendering.view import Verdict
from newsletter.store.engine import not_waiting_for_the_disk
from newsletter.tracking import events, links
from newsletter.tracking.figures import IssueFigures
from newsletter.web.app import create_app

pytestmark = pytest.mark.slow

READERS = 1_000
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
APPLE = "Mozilla/5.0"
SCANNERS = (CHROME, FIREFOX, SAFARI, THUNDERBIRD, "", "Barracuda Sentinel (EE)")
AT_HOME, AT_APPLE, AT_WORK = "198.51.100.7", "17.58.99.3", "203.0.113.9"
CLOUD = tuple(f"192.0.{n}.8" for n in range(2, 9))


@dataclass
class Scene:
    """An issue that was just sent, and a hand to do things with it at any time after."""

    app: App
    clock: Clock
    issue_id: int
    numbers: Sequence[int]  # of the links a person sees
    canary: int

    def does(self, reader: int, kind: str, after_s: float, **said: Any) -> None:
        known = {"link": None, "method": "GET", "agent": CHROME, "network": AT_HOME, **said}
        with self.app.session() as session:
            events.append(
                session,
                issue_id=self.issue_id,
                subscriber_id=reader,
                kind=kind,
                at=SLOT + timedelta(seconds=after_s),
                **known,
            )

    def votes(self, reader: int, verdict: Verdict, after_s: float, network: str = AT_HOME) -> None:
        with self.app.session() as session:
            slug = session.execute(_LEAD).scalar_one()
            tool = votes.open_poll(session, slug)[1].tool_slugs[0]
            question = votes.ask(session, issue_id=self.issue_id, slug=slug, tool=tool)
            votes.cast(
                session,
                question,
                verdict,
                subscriber_id=reader,
                issue_id=self.issue_id,
                at=SLOT + timedelta(seconds=after_s),
                agent=CHROME,
                network=network,
            )

    def figures(self) -> IssueFigures:
        """A day later, when everything was looked at."""
        self.clock.now = SLOT + timedelta(days=1)
        assert [*hits.take_in(self.app), *labels.take_in(self.app)] == []
        return stats.load(self.app, "latest", fresh=True)


_LEAD = text(
    "SELECT comparison.slug FROM issue_item JOIN comparison"
    " ON comparison.id = issue_item.comparison_id ORDER BY issue_item.position LIMIT 1"
)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose issue went out to 1,000 readers; copy it, never write to it."""
    home = tmp_path_factory.mktemp("machines") / "home"
    app = open_home(home)
    with not_waiting_for_the_disk(app.engine):
        store(app, *(finished(f"Left {n} vs Right {n}") for n in range(5)))
        add_readers(app, READERS)
        planned_and_approved(app)
        pipeline.send(replace(app, clock=Clock(SLOT)), "latest")
    return home


@pytest.fixture
def scene(sent: Path, tmp_path: Path) -> Iterator[Scene]:
    home = Path(shutil.copytree(sent, tmp_path / "home", ignore=lambda *_: ["outbox"]))
    clock = Clock(SLOT)
    app = replace(open_home(home, trusted_proxies="127.0.0.1"), clock=clock)
    with app.session(readonly=True) as session:
        issue_id = session.execute(text("SELECT max(id) FROM issue")).scalar_one()
        rows = session.execute(text("SELECT n, label FROM issue_link ORDER BY n")).all()
    canary = next(n for n, label in rows if label == links.CANARY)
    with not_waiting_for_the_disk(app.engine):
        yield Scene(app, clock, issue_id, [n for n, _ in rows if n != canary], canary)


def people_read(scene: Scene) -> None:
    """A third of the readers open it in the afternoon, at home; some of them act."""
    for reader in range(1, READERS, 3):
        at = 7_200 + reader * 5
        scene.does(reader, "image_load", at, agent=GMAIL if reader % 2 else THUNDERBIRD)
        if reader % 4 == 0:
            scene.does(reader, "click", at + 40, link=scene.numbers[reader % 3])
        if reader % 10 == 0:
            scene.votes(reader, Verdict.SHIP if reader % 20 else Verdict.SKIP, at + 90)
        if reader % 100 == 0:
            scene.does(reader, "unsubscribe", at + 200, method="POST")


def apple_prefetches(scene: Scene) -> None:
    for reader in range(1, READERS + 1):
        scene.does(reader, "image_load", 5 + reader, agent=APPLE, network=AT_APPLE)


def scanners_read(scene: Scene) -> None:
    chance = random.Random(6)
    for reader in range(1, READERS, 2):
        if reader % 3 == 0:  # at once, before the mail is in the mailbox
            scan(scene, chance, reader, start_s=1, every_s=0.1, networks=[AT_WORK])
        elif reader % 3 == 1:  # a link in some 20 seconds, a program a request
            scan(scene, chance, reader, start_s=400, every_s=20, networks=[AT_WORK])
        else:  # the same from machines of a cloud
            scan(scene, chance, reader, start_s=400, every_s=3, networks=CLOUD)


def scan(
    scene: Scene,
    chance: random.Random,
    reader: int,
    *,
    start_s: float,
    every_s: float,
    networks: Sequence[str],
) -> None:
    wanted = [*scene.numbers, scene.canary]
    chance.shuffle(wanted)
    at = start_s
    for n in wanted:
        for method in ("HEAD", "GET"):
            at += every_s * chance.uniform(0.2, 1)
            agent, network = chance.choice(SCANNERS), chance.choice(networks)
            said = {"method": method, "agent": agent, "network": network}
            scene.does(reader, "click", at, link=n, **said)
    scene.does(reader, "image_load", at, agent=chance.choice(SCANNERS), network=networks[0])
    scene.votes(reader, Verdict.SHIP, at + 1, network=networks[0])


def human(figures: IssueFigures) -> dict[str, Any]:
    """Every figure that speaks of people."""
    waterfall = figures.waterfall
    return {
        "loads": waterfall.loads.human,
        "clicks": waterfall.clicks.human,
        "voters": waterfall.voters,
        "unsubscribed": waterfall.unsubscribed,
        "rates": {name: share.count for name, share in figures.rates.items()},
        "links": {one.n: one.readers.human for one in figures.links if one.readers.human},
        "comparisons": [
            (one.slug, one.readers.human, [(vote.ship, vote.skip) for vote in one.votes])
            for one in figures.comparisons
        ],
        "hours": [(one.hour, one.loads.human, one.clicks.human) for one in figures.hours],
    }


def test_prefetches_and_scanners_move_no_human_figure_and_are_shown_as_machines(
    scene: Scene,
) -> None:
    people_read(scene)
    before = scene.figures()
    heard = alive(scene.app)
    assert before.waterfall.loads.human > 300
    assert before.waterfall.clicks.human > 50
    assert before.waterfall.voters > 20
    apple_prefetches(scene)
    scanners_read(scene)
    after = scene.figures()
    assert human(after) == human(before)
    assert alive(scene.app) == heard
    assert after.waterfall.loads.machine > 600
    assert after.waterfall.clicks.machine > 400
    assert after.waterfall.suspects > 400
    assert {"machine_apple", "head", "canary", "scanner_agent"} <= set(after.rules)
    assert after.unlabelled == 0


def alive(app: App) -> list[int]:
    """Of whom a sign of life is known."""
    query = "SELECT subscriber_id FROM engagement WHERE last_human_at IS NOT NULL ORDER BY 1"
    with app.session(readonly=True) as session:
        return list(session.execute(text(query)).scalars())


@contextmanager
def on_a_port(app: App) -> Iterator[str]:
    """The pages of `app` on a real socket of this machine; where."""
    server = uvicorn.Server(uvicorn.Config(create_app(app), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class _Web:
    """Requests as they stand, of any program on any network; redirects are not followed."""

    def __init__(self, at: str) -> None:
        self._at, self._opener = at, build_opener(_Stay)

    def ask(self, path: str, *, agent: str, network: str, method: str = "GET") -> int:
        headers = {"User-Agent": agent, "X-Forwarded-For": network}
        request = Request(f"{self._at}{path}", method=method, headers=headers)
        try:
            with self._opener.open(request, timeout=10) as answer:
                return int(answer.status)
        except HTTPError as answer:
            return answer.code


def test_the_same_over_http_for_one_reader_of_each_kind(scene: Scene) -> None:
    """1 is read by a person, 2 by Apple's prefetch, 3 by a scanner, 4 by both a person and one."""
    token = scene.app.keyring.delivery
    with on_a_port(scene.app) as at:
        web = _Web(at)

        def scanned(reader: int) -> None:
            for n in (*scene.numbers, scene.canary):
                for method, agent in (("HEAD", CHROME), ("GET", FIREFOX)):
                    path = f"/c/{token(scene.issue_id, reader)}/{n}"
                    asked = web.ask(path, agent=agent, network=AT_WORK, method=method)
                    assert asked == 302
                    scene.clock.forward(seconds=15)

        def read(reader: int) -> None:
            mine = token(scene.issue_id, reader)
            assert web.ask(f"/o/{mine}.gif", agent=THUNDERBIRD, network=AT_HOME) == 200
            scene.clock.forward(seconds=30)
            path = f"/c/{mine}/{scene.numbers[0]}"
            assert web.ask(path, agent=SAFARI, network=AT_HOME) == 302

        scene.clock.forward(minutes=1)
        pixel = f"/o/{token(scene.issue_id, 2)}.gif"
        assert web.ask(pixel, agent=APPLE, network=AT_APPLE) == 200
        scanned(3)
        scanned(4)
        scene.clock.forward(hours=2)
        read(1)
        read(4)
    figures = scene.figures().waterfall
    assert (figures.loads.human, figures.loads.unknown, figures.loads.machine) == (2, 0, 1)
    assert (figures.clicks.human, figures.clicks.unknown, figures.clicks.machine) == (2, 0, 1)
    assert alive(scene.app) == [1, 4]
    told = labels.of_reader(scene.app, "reader3@example.com")
    assert {one["label"] for one in told} == {"machine"}
    assert [one["rule"] for one in told].count("head") * 2 == len(told)
