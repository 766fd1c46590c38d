"""Who sees the studio and the desk: browsers on this machine, with the key where one is wanted."""

from __future__ import annotations

import ipaddress
import secrets

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from newsletter import screens
from newsletter.app import App
from newsletter.web.pages import AnySite, client_ip
from newsletter.web.public import READ

FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
OPEN = "/open/{key}"
A_YEAR_S = 366 * 86_400


def at_this_machine(request: Request) -> None:
    """403 for a visitor from elsewhere, for a forwarded one, and for a foreign host name.

    A proxy on this machine connects from loopback as well: its headers and the name it was asked
    for give it away, mostly. The name also stops a page elsewhere that points its own name at
    127.0.0.1.
    """
    is_forwarded = any(name in request.headers for name in FORWARDING)
    if is_forwarded or not (_is_loopback(client_ip(request)) and _is_local_name(request)):
        raise HTTPException(403)


def only_this_machine(site: AnySite, request: Request) -> None:
    """As above, and 403 without the key where one is wanted."""
    at_this_machine(request)
    if screens.wants_key(site.app):
        shown = request.cookies.get(screens.cookie_of(site.app), "")
        if not _is_key(site.app, shown):
            raise HTTPException(403)


router = APIRouter(dependencies=[Depends(at_this_machine)])


@router.api_route(OPEN, methods=READ)
def open_screens(site: AnySite, key: str) -> Response:
    """The address that `newsletter screens` shows: the browser keeps the key, and is led on."""
    if not _is_key(site.app, key):
        raise HTTPException(403)
    answer = RedirectResponse("/studio", 303)
    # Lax: a link in the mail of an issue's figures leads here from a mail program's page.
    answer.set_cookie(
        screens.cookie_of(site.app), key, max_age=A_YEAR_S, httponly=True, samesite="lax"
    )
    return answer


def _is_key(app: App, shown: str) -> bool:
    return secrets.compare_digest(shown.encode(), screens.key_of(app).encode())


def _is_loopback(ip: str) -> bool:
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _is_local_name(request: Request) -> bool:
    name = request.url.hostname or ""
    return name == "localhost" or _is_loopback(name)
