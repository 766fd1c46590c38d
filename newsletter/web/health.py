"""For whoever watches the process: is it up, and can it work?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from newsletter.errors import StoreError
from newsletter.store.engine import HEAD
from newsletter.tracking.events import EventKind
from newsletter.web.hits import Tally
from newsletter.web.pages import AnySite, Site
from newsletter.web.public import READ

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # what Prometheus asks for

router = APIRouter()


@router.api_route("/healthz", methods=READ)
def healthz() -> Response:
    return Response("ok\n", media_type="text/plain")


@router.api_route("/readyz", methods=READ)
def readyz(site: AnySite) -> Response:
    """200 when the database answers and its schema is this version's; else 503 and why."""
    fault = _fault(site)
    if fault:
        return Response(f"not ready: {fault}\n", 503, media_type="text/plain")
    return Response("ready\n", media_type="text/plain")


@router.api_route("/metrics", methods=READ)
def metrics(request: Request) -> Response:
    """What this process counted since it started, in Prometheus's text format.

    hits_lost above 0 wants somebody's attention: the disk of the home is full, or not writable.
    """
    tally: Tally = request.app.state.hits.tally
    lines = [
        *_counted("newsletter_hits_total", "Image loads and clicks written down.", tally.kept),
        *_counted("newsletter_hits_lost_total", "Those that could not be.", tally.lost),
    ]
    return Response("".join(f"{line}\n" for line in lines), media_type=METRICS_TYPE)


def _counted(name: str, is_what: str, counts: Mapping[EventKind, int]) -> Iterator[str]:
    yield f"# HELP {name} {is_what}"
    yield f"# TYPE {name} counter"
    for kind in (EventKind.IMAGE_LOAD, EventKind.CLICK):
        yield f'{name}{{kind="{kind.value}"}} {counts.get(kind, 0)}'


def _fault(site: Site) -> str:
    try:
        with site.app.session(readonly=True) as session:
            found = session.connection().execute(text("SELECT version_num FROM alembic_version"))
            schema = found.scalar()
    except StoreError as error:
        return f"the database cannot be used; {error.hint}"
    return "" if schema == HEAD else f"the database has schema {schema}, this version needs {HEAD}"
