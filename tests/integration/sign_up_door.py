"""What the tests of the sign-up share: a site with settings, visitors by IP, solved puzzles."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from served import Served, served
from sqlalchemy import event

API = "/api/v1/sign-up"
PROXY = {"trusted_proxies": ("127.0.0.1",)}
EASY = 1_000  # the easiest puzzle the settings allow
ONE_IP = "198.51.100.7"


def door(home: Path, **settings: Any) -> Any:
    """A site behind a proxy of its own, so that a visitor's IP is a header."""
    return served(home, **{**PROXY, **settings})


def come_from(ip: str) -> dict[str, str]:
    return {"X-Forwarded-For": ip}


def by_form(site: Served, email: str, *, ip: str = ONE_IP, **fields: str) -> Any:
    form = {"email": email, "shown": site.stamp(), "website": "", **fields}
    return site.client.post("/subscribe", data=form, headers=come_from(ip))


def by_api(site: Served, email: str, *, ip: str = ONE_IP, **fields: Any) -> Any:
    sent = {"email": email, "shown": site.stamp(), "website": "", **fields}
    return site.client.post(API, json=sent, headers=come_from(ip))


def mails(site: Served) -> int:
    return len(site.rows("system_mail"))


def solved(posed: Mapping[str, Any]) -> str:
    """What ALTCHA's protocol has a browser do."""
    for number in range(posed["maxnumber"] + 1):
        found = hashlib.sha256(f"{posed['salt']}{number}".encode()).hexdigest()
        if found == posed["challenge"]:
            keys = ("algorithm", "challenge", "salt", "signature")
            parts = {"number": number, **{key: posed[key] for key in keys}}
            return base64.b64encode(json.dumps(parts).encode()).decode()
    raise AssertionError("the puzzle has no solution")


def fresh_solution(site: Served) -> str:
    return solved(site.get(API).json()["altcha"])


@contextmanager
def statements(site: Served) -> Iterator[list[str]]:
    """The SQL that was run meanwhile, in order."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(" ".join(statement.split()))

    event.listen(site.app.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(site.app.engine, "before_cursor_execute", note)
