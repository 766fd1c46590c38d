"""APScheduler as a clock: one tick a minute, system mails every few seconds, nothing else.

It decides nothing: it fires twice in one DST night and once in the other, forgets what it missed,
and two of them know nothing of each other. The tables know (`newsletter.tick`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from newsletter.app import App, provider_of
from newsletter.errors import NewsletterError
from newsletter.tick import drain_system_mail, tick

EVERY_SECONDS = 60
MAIL_EVERY_SECONDS = 10
_log = structlog.get_logger()
# It warns whenever a job is still at work when its time comes again: a tick that sends an issue is.
logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


class Scheduler:
    """Ticks in a thread of its own from start() to stop().

    A tick takes as long as the issue it sends, which may be hours. Who signs up meanwhile waits for
    no issue: another thread sends the system mails, by a provider of its own, since a provider
    serves one thread at a time.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._mail_app = replace(app, provider=provider_of(app.settings))
        self._mail_trouble = ""
        self._stopping = Event()
        self._clock = BackgroundScheduler(timezone=UTC)
        self._every(EVERY_SECONDS, self._tick)
        self._every(MAIL_EVERY_SECONDS, self._send_system_mail)

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

    def _send_system_mail(self) -> None:
        if self._stopping.is_set():
            return
        try:
            mails = drain_system_mail(self._mail_app)
        except NewsletterError as error:
            if error.what != self._mail_trouble:  # said once, not six times a minute
                _log.error("system mail failed", what=error.what, next=error.hint)
            self._mail_trouble = error.what
            return
        self._mail_trouble = ""
        if mails.submitted or mails.failed or mails.uncertain:
            _log.info(
                "system mail",
                submitted=mails.submitted,
                failed=mails.failed,
                uncertain=mails.uncertain,
            )
