"""Opening the home for a command: settings, application, logs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from newsletter.app import App

IssueRef = Annotated[
    str,
    typer.Argument(
        metavar="ISSUE",
        help="A week (2026-W48), its correction (2026-W48/correction), an id, or latest.",
    ),
]
By = Annotated[str, typer.Option("--by", help="Who decides; the user of this shell by default.")]


def open_app(*, running_clock: bool = False) -> App:
    """The application on the settings of this environment. Raises SettingsError, StoreError."""
    from newsletter.app import build_app
    from newsletter.settings import load_settings

    log_to_stderr()
    return build_app(load_settings(), running_clock=running_clock)


def log_to_stderr() -> None:
    """Logs are lines of key=value on stderr, so that stdout stays the answer alone."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
