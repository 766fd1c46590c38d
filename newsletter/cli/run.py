"""`newsletter run`: the scheduler, for one tick or until a signal."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, print_json, say

LOOK_EVERY_S = 0.5  # for a signal: waiting for one without a time-out could miss it


def run(
    once: Annotated[
        bool, typer.Option("--once", help="Do what is due now (NEWSLETTER_NOW), and return.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Do what is due, every minute: plan, send, drain system mails."""
    if once:
        _tick(as_json=as_json)
    else:
        _until_a_signal()


def _tick(*, as_json: bool) -> None:
    from newsletter.tick import tick

    done: list[str] = []
    try:
        tick(open_app(), done=done)
    finally:  # what was done is said even where a part of it failed
        if as_json:
            print_json({"done": done})
        for sentence in [] if as_json else done:
            say(sentence)
    if not done and not as_json:
        say("nothing was due")


def _until_a_signal() -> None:
    from newsletter.cli.signals import StopWish
    from newsletter.scheduler import Scheduler

    scheduler = Scheduler(open_app(running_clock=True))
    with StopWish() as stop:
        scheduler.start()
        say("running; Ctrl-C ends it")
        while not stop():
            time.sleep(LOOK_EVERY_S)
        scheduler.stop()
