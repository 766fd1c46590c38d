"""For whoever watches the process: is it up, and can it work?"""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import text

from newsletter.errors import StoreError
from newsletter.store.engine import HEAD
from newsletter.web.pages import AnySite, Site
from newsletter.web.public import READ

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


def _fault(site: Site) -> str:
    try:
        with site.app.session(readonly=True) as session:
            found = session.connection().execute(text("SELECT version_num FROM alembic_version"))
            schema = found.scalar()
    except StoreError as error:
        return f"the database cannot be used; {error.hint}"
    return "" if schema == HEAD else f"the database has schema {schema}, this version needs {HEAD}"
