"""The FastAPI application: every page and endpoint, behind one guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from newsletter.app import App
from newsletter.web import (
    addresses,
    audience,
    embed,
    faults,
    health,
    hits,
    leaving,
    own_data,
    preferences,
    public,
    screens,
    sign_up_api,
    stats,
    studio,
    votes,
    webhooks,
)
from newsletter.web.guard import PAGE_POLICY, Guard
from newsletter.web.pages import Site, build_pages


class Scheduler(Protocol):
    """What ticks while the pages are served."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class WebSite(FastAPI):
    """The application, with the hits of readers' mail answered in front of all of it."""

    def __init__(self, front: hits.Hits, **options: Any) -> None:
        super().__init__(**options)
        self.state.hits = self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await self._front.answer(scope, send):
            await super().__call__(scope, receive, send)


def create_app(app: App, *, lifespan_scheduler: Scheduler | None = None) -> FastAPI:
    """The site of `app`; the scheduler, if any, runs from its start to its shutdown."""
    api = WebSite(
        hits.Hits(app),
        title=app.publication.name,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would answer with the Host header's address
        lifespan=_lifespan(lifespan_scheduler),
    )
    api.state.site = Site(app, build_pages(app))
    proving = embed.PROVING if app.settings.proof_of_work else ""
    api.state.webhook_keys = webhooks.keys_of(app.settings)
    api.add_middleware(
        Guard,
        broken=faults.broken,
        page_policy=PAGE_POLICY + proving,
        larger_bodies=webhooks.LARGER_BODIES,
    )
    faults.install(api)
    own_pages = (preferences, addresses, own_data, leaving)
    local = (screens, studio, stats)
    rooms = (public, votes, audience, sign_up_api, embed, *own_pages, hits, *local, health)
    for room in (*rooms, webhooks):
        api.include_router(room.router)
    return api


def _lifespan(
    scheduler: Scheduler | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        if scheduler is not None:
            scheduler.start()
        try:
            yield
        finally:
            if scheduler is not None:
                await to_thread.run_sync(scheduler.stop)
            await to_thread.run_sync(api.state.hits.close)

    return lifespan
