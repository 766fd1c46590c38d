"""APScheduler as a clock: one tick a minute, nothing else.

It decides nothing: it fires twice in one DST night and once in the other, forgets what it missed,
and two of them know nothing of each other. The tables know (`newsletter.tick`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from newsletter.app import App
from newsletter.errors import NewsletterError
from newsletter.tick import tick

EVERY_SECONDS = 60
_log = structlog.get_logger()


class Scheduler:
    """Ticks in a thread of its own from start() to stop()."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stopping = Event()
        self._clock = BackgroundScheduler(timezone=UTC)
        self._clock.add_job(
            self._tick,
            "interval",
            seconds=EVERY_SECONDS,
            next_run_time=datetime.now(UTC),  # the first tick at once: a restart catches up
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        self._clock.start()

    def stop(self) -> None:
        """Waits for a running tick, which ends after what it has on the wire."""
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
