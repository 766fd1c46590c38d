"""Image loads a second that survive kill -9, beside one FastAPI endpoint that adds a row for each.

Both verify the same token, know agent and network, and answer the same picture, under the same
uvicorn with the same loop and parser, in a process of their own; what asks is in another. The row
goes through SQLModel into our own SQLite file, as the program kept it before there was a log. A hit
is as safe from kill -9 when it is answered; from a crash of the machine a second later (the row: at
once, which is most of what it costs; figures with `synchronous = NORMAL`, where a row is exactly as
safe as a hit, stand beside it). Absolute figures drift with the machine; ratios of one run hold.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from served import make_home

from newsletter.app import load_keys
from newsletter.settings import load_settings
from newsletter.tokens import Keyring

pytestmark = pytest.mark.slow

ROUNDS, SECONDS, WARM_UP_S, CONNECTIONS = 3, 2.0, 0.5, 32
TIMES_GOAL, P99_GOAL_MS = 20, 10
WAYS = ("log", "row", "row, NORMAL")

PROGRAM = """
import sys
from fastapi import FastAPI, Request, Response
from sqlalchemy import event
from sqlmodel import Session

from newsletter.app import build_app
from newsletter.settings import load_settings
from newsletter.store.feedback import Event
from newsletter.web import server
from newsletter.web.hits import PIXEL
from subscribers.consent import truncate_network

home, way = sys.argv[1:]
app = build_app(load_settings(home=home))


def with_a_row_a_request(app, **_options):
    api = FastAPI()

    @api.get("/o/{token}.gif")
    def pixel(token: str, request: Request) -> Response:
        delivery = app.keyring.read_delivery(token)
        with Session(app.engine) as session:
            session.add(
                Event(
                    issue_id=delivery.issue_id,
                    subscriber_id=delivery.subscriber_id,
                    kind="image_load",
                    at=app.clock(),
                    method=request.method,
                    agent=request.headers.get("user-agent", "")[:300],
                    network=truncate_network(request.client.host),
                )
            )
            session.commit()
        return Response(PIXEL, media_type="image/gif")

    return api


if way != "log":
    server.create_app = with_a_row_a_request
if way == "row, NORMAL":
    event.listen(app.engine, "connect", lambda c, _: c.execute("PRAGMA synchronous = NORMAL"))
say = lambda url: print(url, flush=True)
server.serve(app, host="127.0.0.1", port=0, scheduler=None, on_ready=say)
"""

ASKING = """
import json, sys
from hit_load import load, request

port, path, seconds, connections = int(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:])
agent = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
whole = request(path, agent)
told = load(port, lambda _number: whole, seconds=seconds, connections=int(connections))
assert set(told.answers.values()) == {200}
print(json.dumps([len(told.answers), told.rate, told.percentile(0.5), told.percentile(0.99)]))
"""


@contextmanager
def site(home: Path, way: str) -> Iterator[tuple[int, int]]:
    """(process id, port) of one that serves in that way."""
    command = [sys.executable, "-c", PROGRAM, str(home), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, urlsplit(process.stdout.readline().strip()).port or 0
        finally:
            process.terminate()
            process.wait(timeout=10)


def asked(port: int, path: str, seconds: float) -> tuple[int, float, float, float]:
    """(answers, a second, p50 in ms, p99 in ms) of a process that asks and does nothing else."""
    program = [sys.executable, "-c", ASKING, str(port), path, str(seconds), str(CONNECTIONS)]
    here = str(Path(__file__).parents[1] / "integration")
    said = subprocess.run(program, capture_output=True, text=True, check=True, cwd=here).stdout
    count, rate, p50, p99 = json.loads(said)
    return count, rate, p50 * 1e3, p99 * 1e3


def cpu_s(pid: int) -> float:
    """What the process has used of a processor by now (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one_round(home: Path, way: str, path: str) -> tuple[int, tuple[float, ...]]:
    """How many answers there were, and the figures: a second, p50 and p99 in ms, CPU us each."""
    with site(home, way) as (pid, port):
        warm, *_ = asked(port, path, WARM_UP_S)
        before = cpu_s(pid)
        count, rate, p50, p99 = asked(port, path, SECONDS)
        return warm + count, (rate, p50, p99, (cpu_s(pid) - before) / count * 1e6)


def test_a_hit_in_the_log_costs_a_twentieth_of_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = make_home(tmp_path / "home", sent=True)
    path = f"/o/{Keyring(load_keys(load_settings(home=home))).delivery(1, 1)}.gif"
    rounds: dict[str, list[tuple[float, ...]]] = {way: [] for way in WAYS}
    answers = Counter[str]()
    for _ in range(ROUNDS):  # by turns, so that a busy moment of the machine hits all
        for way in WAYS:
            count, figures = one_round(home, way, path)
            rounds[way].append(figures)
            answers[way] += count
    lines = [file.read_bytes().count(b"\n") for file in (home / "hits").glob("*.log")]
    assert sum(lines) == answers["log"]  # each of them is on record
    shown = {way: max(rounds[way]) for way in WAYS}  # the best of each: the least disturbed
    ratio, as_safe = (shown["log"][0] / shown[way][0] for way in WAYS[1:])
    is_fast = all(map(find_spec, ("uvloop", "httptools")))
    with capsys.disabled():
        for way, (rate, p50, p99, cpu_us) in shown.items():
            print(f"\n  {way}: {rate:,.0f} a second, p50 {p50:.1f} ms, p99 {p99:.1f} ms,", end="")
            print(f" {cpu_us:,.0f} us of CPU each", end="")
        print(
            f"\n  {CONNECTIONS} connections, {'with' if is_fast else 'without'} uvloop and"
            f" httptools: {ratio:.1f} times a row's rate (goal {TIMES_GOAL}),"
            f" {as_safe:.1f} with synchronous = NORMAL; p99 goal {P99_GOAL_MS} ms"
        )
    # Half the goal holds on a machine that others use, too: what fails here is the code.
    assert ratio > TIMES_GOAL / 2
    assert shown["log"][2] < shown["row"][2] / 2  # the slowest answers
