"""Thousands of sign-ups, through sockets: what they cause, and what they are told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn
from publication import open_home
from sign_up_door import API, PROXY
from sqlalchemy import text

from newsletter.app import App
from newsletter.store.engine import not_waiting_for_the_disk
from newsletter.web.app import create_app

FLOOD, STREAM, AT_ONCE = 10_000, 600, 2
Answer = tuple[int, tuple[tuple[str, str], ...], bytes]


@dataclass(frozen=True)
class Door:
    app: App
    port: int

    def mails(self) -> int:
        with self.app.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM system_mail")).scalar_one())


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    app = open_home(tmp_path / "home", **PROXY)
    with socket.create_server(("127.0.0.1", 0)) as listener, not_waiting_for_the_disk(app.engine):
        config = uvicorn.Config(
            create_app(app), log_level="warning", proxy_headers=False, date_header=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Door(app, listener.getsockname()[1])
        server.should_exit = True
        thread.join()
    app.engine.dispose()


def posted(door: Door, numbers: range, form: Callable[[int], tuple[str, str]]) -> set[Answer]:
    """The different answers to one connection's share of the flood, the form's or the endpoint's
    by turns. form: a number's (e-mail address, IP)."""
    stamp = door.app.keyring.form(door.app.clock().replace(hour=9))
    connection = HTTPConnection("127.0.0.1", door.port, timeout=60)
    answers = set()
    for n in numbers:
        email, ip = form(n)
        fields = {"email": email, "shown": stamp, "website": ""}
        kind = "json" if n % 2 else "x-www-form-urlencoded"
        headers = {"Content-Type": f"application/{kind}", "X-Forwarded-For": ip}
        body = json.dumps(fields) if n % 2 else urlencode(fields)
        connection.request("POST", API if n % 2 else "/subscribe", body, headers)
        answer = connection.getresponse()
        answers.add((answer.status, tuple(answer.getheaders()), answer.read()))
    connection.close()
    return answers


def flood(door: Door, count: int, form: Callable[[int], tuple[str, str]]) -> set[Answer]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        shares = [range(start, count, AT_ONCE) for start in range(AT_ONCE)]
        return set().union(*pool.map(lambda share: posted(door, share, form), shares))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "form", "mails"),
    [
        pytest.param(
            FLOOD, lambda n: (f"r{n}@example.com", "198.51.100.7"), 5, id="from one visitor"
        ),
        pytest.param(
            STREAM, lambda n: ("r@example.com", f"10.{n >> 8}.{n & 255}.1"), 1, id="one mailbox"
        ),
        pytest.param(
            STREAM, lambda n: (f"r{n}@example.com", f"10.{n >> 8}.{n & 255}.1"), 500, id="in all"
        ),
    ],
)
def test_a_flood_of_sign_ups_causes_the_allowed_mails_and_is_answered_alike(
    door: Door, count: int, form: Callable[[int], tuple[str, str]], mails: int
) -> None:
    answers = flood(door, count, form)
    assert door.mails() == mails
    assert sorted(status for status, _headers, _body in answers) == [200, 202]
