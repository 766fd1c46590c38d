"""APScheduler as a clock: one tick a minute, and beside it what must not wait for a long one.

It decides nothing: it fires twice in one DST night and once in the other, forgets what it missed,
and two of them know nothing of each other. The tables know (`newsletter.tick`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Event

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from newsletter.app import App, provider_of
from newsletter.errors import NewsletterError
from newsletter.letters import drain_system_mail
from newsletter.tick import hear_readers, tick

EVERY_SECONDS = 60
MAIL_EVERY_SECONDS = 10
HEAR_EVERY_SECONDS = 20
_log = structlog.get_logger()
# It warns whenever a job is still at work when its time comes again: a tick that sends an issue is.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


class Scheduler:
    """Ticks in a thread of its own from start() to stop().

    A tick takes as long as the issue it sends, which may be hours. Who signs up meanwhile waits for
    no issue: another thread sends the system mails, by a provider of its own, since a provider
    serves one thread at a time. A third hears what readers and providers tell.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._mail_app = replace(app, provider=provider_of(app.settings))
        self._troubles: dict[str, str] = {}
        self._stopping = Event()
        self._clock = BackgroundScheduler(timezone=UTC)
        self._every(EVERY_SECONDS, self._tick)
        self._every(MAIL_EVERY_SECONDS, partial(self._beside, "system mail", self._send_mail))
        self._every(HEAR_EVERY_SECONDS, partial(self._beside, "hearing readers", self._hear))

    def _every(self, seconds: float, job: Callable[[], None]) -> None:
        self._clock.add_job(
            job,
            "interval",
            seconds=seconds,
            next_run_time=datetime.now(UTC),  # the first at once: a restart catches up
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        self._clock.start()

    def stop(self) -> None:
        """Waits for what is running, which ends after what it has on the wire."""
        self._stopping.set()
        self._clock.shutdown(wait=True)

    def _tick(self) -> None:
        done: list[str] = []
        try:
            tick(self._app, should_stop=self._stopping.is_set, done=done)
        except NewsletterError as error:
            # The next tick tries again: a locked database or a full disk must not end the clock.
            _log.error("tick failed", what=error.what, next=error.hint)
        for sentence in done:
            _log.info("tick", done=sentence)

    def _beside(self, name: str, work: Callable[[], None]) -> None:
        if self._stopping.is_set():
            return
        try:
            work()
        except NewsletterError as error:
            if error.what != self._troubles.get(name):  # said once, not six times a minute
                _log.error(f"{name} failed", what=error.what, next=error.hint)
            self._troubles[name] = error.what
        else:
            self._troubles.pop(name, None)

    def _send_mail(self) -> None:
        mails = drain_system_mail(self._mail_app)
        if mails.submitted or mails.failed or mails.uncertain:
            _log.info(
                "system mail",
                submitted=mails.submitted,
                failed=mails.failed,
                uncertain=mails.uncertain,
            )

    def _hear(self) -> None:
        for sentence in hear_readers(self._app, should_stop=self._stopping.is_set):
            _log.info("heard", done=sentence)
