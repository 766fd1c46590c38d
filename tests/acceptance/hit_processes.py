"""What is killed: a process that serves, one that takes in what it wrote. Forked by a zygote."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from kill_points import each_line_of_ours

from newsletter import hits
from newsletter.app import build_app
from newsletter.settings import load_settings
from newsletter.tracking import hit_import
from newsletter.web import server

CHUNK_BYTES = 2_000  # some ten hits: many transactions to be killed in


def serving(home: str, said: str) -> None:
    """Serves until it is killed; its address is in the file `said`, whole or not at all."""

    def say(url: str) -> None:
        draft = Path(f"{said}.tmp")
        draft.write_text(url)
        draft.rename(said)

    app = build_app(load_settings(home=home))
    server.serve(app, host="127.0.0.1", port=0, scheduler=None, on_ready=say)


def importing(home: str) -> None:
    """Takes in without a pause until it is killed."""
    app = build_app(load_settings(home=home))
    while True:
        list(hits.take_in(app))


def taking_in(home: str, line: int, written: str) -> None:
    """Takes in once, until it reaches that line of ours (0: none); writes how many there were."""
    app = build_app(load_settings(home=home))
    total = 0

    def strike(reached: int) -> None:
        nonlocal total
        total = reached
        if reached == line:
            os.kill(os.getpid(), signal.SIGKILL)

    each_line_of_ours(strike)
    hit_import.take_in(app.engine, app.home, now=app.clock(), chunk_bytes=CHUNK_BYTES)
    sys.settrace(None)
    Path(written).write_text(str(total))
