"""The FastAPI application: every page and endpoint, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from anyio import to_thread
from fastapi import FastAPI

from newsletter.app import App
from newsletter.web import audience, faults, health, preferences, public, studio, tracking
from newsletter.web.guard import Guard
from newsletter.web.pages import Site, build_pages


class Scheduler(Protocol):
    """What ticks while the pages are served."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


def create_app(app: App, *, lifespan_scheduler: Scheduler | None = None) -> FastAPI:
    """The site of `app`; the scheduler, if any, runs from its start to its shutdown."""
    api = FastAPI(
        title=app.publication.name,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would answer with the Host header's address
        lifespan=_lifespan(lifespan_scheduler),
    )
    api.state.site = Site(app, build_pages(app))
    api.add_middleware(Guard, broken=faults.broken)
    faults.install(api)
    for room in (public, audience, preferences, tracking, studio, health):
        api.include_router(room.router)
    return api


def _lifespan(
    scheduler: Scheduler | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
        if scheduler is not None:
            scheduler.start()
        try:
            yield
        finally:
            if scheduler is not None:
                await to_thread.run_sync(scheduler.stop)

    return lifespan
