"""The FastAPI application: every page and endpoint, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from anyio import to_thread
from fastapi import FastAPI

from newsletter.app import App
from newsletter.web import (
    addresses,
    audience,
    embed,
    faults,
    health,
    leaving,
    own_data,
    preferences,
    public,
    sign_up_api,
    studio,
    tracking,
)
from newsletter.web.guard import PAGE_POLICY, Guard
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
    proving = embed.PROVING if app.settings.proof_of_work else ""
    api.add_middleware(Guard, broken=faults.broken, page_policy=PAGE_POLICY + proving)
    faults.install(api)
    own_pages = (preferences, addresses, own_data, leaving)
    for room in (public, audience, sign_up_api, embed, *own_pages, tracking, studio, health):
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
