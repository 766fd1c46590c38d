"""What a reader's mail asks for: the pixel, and links by number. Never an address from outside."""

from __future__ import annotations

import base64
import re

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from newsletter.errors import StoreError, TokenError
from newsletter.tokens import DeliveryToken
from newsletter.tracking import events
from newsletter.tracking.events import EventKind
from newsletter.tracking.links import read_link
from newsletter.web.pages import AnySite, Site, client_ip
from newsletter.web.public import READ

# The smallest transparent GIF89a that every mail program shows.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_log = structlog.get_logger(__name__)

router = APIRouter()


@router.api_route("/o/{token}.gif", methods=READ)
def pixel(site: AnySite, request: Request, token: str) -> Response:
    """Always the picture; a fact is kept only of a GET with a good token."""
    try:
        delivery = site.app.keyring.read_delivery(token)
    except TokenError:
        return _picture()
    _note(site, request, delivery, EventKind.IMAGE_LOAD)
    return _picture()


@router.api_route("/c/{token}/{n}", methods=READ)
def click(site: AnySite, request: Request, token: str, n: str) -> Response:
    """To the stored link, also while the database is down. 404 for a link we never made."""
    url = None
    try:
        delivery = site.app.keyring.read_delivery(token)
    except TokenError:
        raise HTTPException(404) from None
    if _NUMBER.fullmatch(n):
        with site.app.session(readonly=True) as session:
            url = read_link(site.app.home, session, delivery.issue_id, int(n))
    if url is None:
        raise HTTPException(404)
    _note(site, request, delivery, EventKind.CLICK, link=int(n))
    return Response(status_code=302, headers={"Location": _as_header(url)})


def _note(
    site: Site,
    request: Request,
    delivery: DeliveryToken,
    kind: EventKind,
    *,
    link: int | None = None,
) -> None:
    """Appends the event; losing one is logged and never in a reader's way."""
    if request.method != "GET" or not delivery.subscriber_id:
        return
    try:
        with site.app.session() as session:
            events.append(
                session,
                issue_id=delivery.issue_id,
                subscriber_id=delivery.subscriber_id,
                kind=kind,
                link=link,
                at=site.app.clock(),
                method=request.method,
                agent=request.headers.get("user-agent", ""),
                network=client_ip(request),
            )
    except (StoreError, SQLAlchemyError, OverflowError) as error:
        _log.error(
            "event_lost",
            kind=str(kind),
            issue=delivery.issue_id,
            subscriber=delivery.subscriber_id,
            error=type(error).__name__,
        )


def _picture() -> Response:
    return Response(PIXEL, media_type="image/gif")


def _as_header(url: str) -> str:
    """The stored address as a header holds it: what is not ASCII, percent-encoded as UTF-8."""
    return "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in url)
