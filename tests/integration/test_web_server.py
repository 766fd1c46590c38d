"""The process: its port, its signals, its scheduler."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from publication import open_home

from newsletter.errors import SettingsError
from newsletter.web.app import create_app
from newsletter.web.server import serve

PROGRAM = """
import sys
from newsletter.app import build_app
from newsletter.settings import load_settings
from newsletter.web.server import serve

class Ticks:
    def start(self): print("ticking", flush=True)
    def stop(self): print("stopped ticking", flush=True)

app = build_app(load_settings(home=sys.argv[1]))
serve(app, host=sys.argv[2], port=0, scheduler=Ticks(), on_ready=lambda url: print(url, flush=True))
print("ended well", flush=True)
"""


class Ticks:
    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self) -> None:
        self.said.append("start")

    def stop(self) -> None:
        self.said.append("stop")


def test_the_scheduler_lives_as_long_as_the_site(tmp_path: Path) -> None:
    ticks = Ticks()
    with TestClient(create_app(open_home(tmp_path / "home"), lifespan_scheduler=ticks)) as client:
        assert ticks.said == ["start"]
        assert client.get("/healthz").text == "ok\n"
    assert ticks.said == ["start", "stop"]


def test_a_taken_port_is_one_clear_error_and_nothing_starts(tmp_path: Path) -> None:
    app, ticks = open_home(tmp_path / "home"), Ticks()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1 port {port}.*in use") as refused:
            serve(app, host="127.0.0.1", port=port, scheduler=ticks)
    assert "--port" in refused.value.hint
    assert ticks.said == []


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 65_536), ("127.0.0.1", -1), ("198.51.100.7", 0)]
)
def test_a_place_that_cannot_be_served_on_is_one_clear_error(
    tmp_path: Path, host: str, port: int
) -> None:
    with pytest.raises(SettingsError, match="cannot serve on"):
        serve(open_home(tmp_path / "home"), host=host, port=port, scheduler=None)


@pytest.fixture(params=["127.0.0.1", "::1"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    if request.param == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), request.param]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as started:
        yield started
        if started.poll() is None:
            started.kill()


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("caught", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(process: subprocess.Popen[str], caught: signal.Signals) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "ticking\n"
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        assert answer.read() == b"ready\n"
    head = urllib.request.Request(f"{url}/", method="HEAD")
    with urllib.request.urlopen(head, timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"")
        assert "server" not in {name.lower() for name in answer.headers}
    process.send_signal(caught)
    assert process.wait(timeout=5) == 0
    assert process.stdout.read() == "stopped ticking\nended well\n"
    assert process.stderr.read() == ""
