"""`newsletter serve`: the pages, with the scheduler inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import say

if TYPE_CHECKING:
    from newsletter.app import App

HOST, PORT = "127.0.0.1", 8000
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
        on_ready=lambda address: say(f"serving {address} (Ctrl-C ends it)"),
    )


def _local_port(public_url: str) -> int:
    """Links on this machine shall lead here; behind a proxy the port is anybody's choice."""
    parts = urlsplit(public_url)
    return parts.port if parts.hostname in LOCAL and parts.port else PORT
