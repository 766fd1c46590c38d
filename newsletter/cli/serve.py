"""`newsletter serve`: the pages, with the scheduler inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import say

if TYPE_CHECKING:
    from newsletter.app import App

HOST = "127.0.0.1"
LOCAL = ("127.0.0.1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = HOST,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port; the public address's if local, or 8000."),
    ] = None,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Pages only: another process runs the weeks.")
    ] = False,
) -> None:
    """Serve sign-up, comparisons, archive, tracking and previews; run the weeks beside it."""
    serve_app(open_app(running_clock=True), host=host, port=port, with_scheduler=not no_scheduler)


def serve_app(app: App, *, host: str, port: int | None, with_scheduler: bool) -> None:
    from newsletter.scheduler import Scheduler
    from newsletter.web import server

    server.serve(
        app,
        host=host,
        port=_local_port(app.publication.url) if port is None else port,
        scheduler=Scheduler(app) if with_scheduler else None,
        on_ready=lambda address: _tell(app, address),
    )


def _tell(app: App, address: str) -> None:
    from newsletter import screens

    say(f"serving {address} (Ctrl-C ends it)")
    if screens.wants_key(app):
        say("`newsletter screens` shows where a browser on this machine opens studio and desk")


def show_screens(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port that `serve` was given.")
    ] = None,
) -> None:
    """Show where a browser on this machine opens studio and desk; keep the address to yourself."""
    from newsletter import screens

    app = open_app()
    path = f"/open/{screens.key_of(app)}" if screens.wants_key(app) else "/studio"
    say(screens.address(app, path, port=port or screens.PORT))


def _local_port(public_url: str) -> int:
    """Links on this machine shall lead here; behind a proxy the port is anybody's choice."""
    from newsletter.screens import PORT

    parts = urlsplit(public_url)
    return parts.port if parts.hostname in LOCAL and parts.port else PORT
