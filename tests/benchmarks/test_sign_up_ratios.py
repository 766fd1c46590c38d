"""What the defences of a sign-up cost: its rate and its slowest answers, with them and without.

The site runs in a process of its own under uvicorn, as it does for operators. Without them means:
the same form, the same page, the same sign-up and mail, but no limits and no signed time.
Absolute figures drift with the machine and are printed for orientation; the ratio holds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode, urlsplit

import pytest

pytestmark = pytest.mark.slow

ROUNDS, A_ROUND, AT_ONCE = 4, 100, 2
LONGEST_TIMES, WARM_UP = 2.5, 20

# `/undefended` is what POST /subscribe would be.
PROGRAM = """
import sys
from datetime import timedelta
from fastapi import Request, Response
from newsletter import readers
from newsletter.app import build_app
from newsletter.settings import load_settings
from newsletter.web import app as site_app
from newsletter.web.forms import Form
from newsletter.web.pages import AnySite, client_ip
from newsletter.web.server import serve

many = 1_000_000
app = build_app(load_settings(home=sys.argv[1], sign_ups_per_ip=many, sign_ups_per_hour=many))
create_app = site_app.create_app

def with_another_door(app, **options):
    api = create_app(app, **options)

    @api.post("/undefended")
    def undefended(site: AnySite, request: Request, fields: Form) -> Response:
        readers.sign_up(site.app, fields["email"], source="form", network=client_ip(request))
        return site.page("web/check_inbox.html")

    return api

import newsletter.web.server
newsletter.web.server.create_app = with_another_door
stamp = app.keyring.form(app.clock() - timedelta(minutes=1))
say = lambda url: print(url, stamp, flush=True)
serve(app, host="127.0.0.1", port=0, scheduler=None, on_ready=say)
"""


@dataclass(frozen=True)
class Door:
    port: int
    stamp: str


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url, stamp = process.stdout.readline().split()
        yield Door(urlsplit(url).port or 0, stamp)
        process.terminate()
        process.wait(timeout=10)


def timed(door: Door, path: str, names: list[str]) -> list[float]:
    """How long each answer took, in seconds, over one connection."""
    connection = HTTPConnection("127.0.0.1", door.port, timeout=30)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    took = []
    for name in names:
        body = urlencode({"email": f"{name}@example.com", "shown": door.stamp, "website": ""})
        start = perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        took.append(perf_counter() - start)
        assert answer.status == 200
        assert b"Check your inbox" in text
    connection.close()
    return took


def one_round(door: Door, path: str, label: str, count: int) -> tuple[float, list[float]]:
    """(seconds for all, seconds for each) with AT_ONCE connections."""
    shares = [[f"{label}-{c}-{n}" for n in range(count // AT_ONCE)] for c in range(AT_ONCE)]
    start = perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        took = [one for share in pool.map(lambda s: timed(door, path, s), shares) for one in share]
    return perf_counter() - start, took


def test_the_defences_of_a_sign_up_cost_less_than_the_sign_up(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"with": "/subscribe", "without": "/undefended"}
    whole = dict.fromkeys(paths, 0.0)
    each: dict[str, list[float]] = {label: [] for label in paths}
    for label, path in paths.items():
        one_round(door, path, f"warm-{label}", WARM_UP)
    for number in range(ROUNDS):  # by turns, so that a busy moment of the machine hits both
        for label, path in paths.items():
            seconds, took = one_round(door, path, f"{label}-{number}", A_ROUND)
            whole[label] += seconds
            each[label] += took
    p99 = {label: sorted(took)[int(len(took) * 0.99)] for label, took in each.items()}
    rate = {label: len(each[label]) / whole[label] for label in paths}
    ratio = whole["with"] / whole["without"]
    with capsys.disabled():
        print(
            f"\n  sign-up with its defences: {rate['with']:,.0f} a second, "
            f"p99 {p99['with'] * 1e3:.0f} ms; without: {rate['without']:,.0f} a second, "
            f"p99 {p99['without'] * 1e3:.0f} ms"
            f"\n  {AT_ONCE} connections, each a commit to disk: {ratio:.2f} times the time, "
            f"p99 {p99['with'] / p99['without']:.2f} times"
        )
    assert ratio < LONGEST_TIMES
