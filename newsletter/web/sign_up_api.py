"""Signing up as JSON, for forms on other sites: what they need to begin, and what they send.

`GET` gives the words to show, the stamp every sign-up carries and, where one is asked for, the
proof of work. `POST` answers 202 whatever we know of the address, 422 for what is no address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from newsletter import readers
from newsletter.errors import StoreError
from newsletter.web import limits
from newsletter.web.forms import QUICKEST_PERSON, Fields
from newsletter.web.pages import AnySite, Site, sentence
from newsletter.web.public import READ
from subscribers.errors import AddressError

PATH: Final = "/api/v1/sign-up"
JSON: Final = "application/json"
PREFLIGHT_S = 3_600  # how long a browser may remember what it may send

router = APIRouter()


async def read_json(request: Request) -> Fields:
    """The texts of a JSON object. Raises HTTPException 415 and 400.

    A foreign page can post other content types without asking its browser; JSON it cannot.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(415)
    try:
        sent = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    if not isinstance(sent, dict):
        raise HTTPException(400)
    return {name: value for name, value in sent.items() if isinstance(value, str)}


@router.api_route(PATH, methods=READ)
def begin(site: AnySite, request: Request) -> Response:
    """What a form needs before it is filled in."""
    posed = limits.puzzle_for(site)
    return _answer(
        site,
        request,
        200,
        {
            "shown": site.form_stamp(),
            "wait_s": QUICKEST_PERSON.total_seconds(),
            "wording": readers.FORM_WORDING,
            "altcha": posed.as_json() if posed else None,
        },
    )


@router.options(PATH)
def may_ask(site: AnySite, request: Request) -> Response:
    """What a browser asks before it lets a page of another site send JSON."""
    headers = allowed(site, request)
    if "Access-Control-Allow-Origin" in headers:
        headers |= {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "content-type",
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
    return Response(status_code=204, headers=headers)


@router.post(PATH)
def sign_up(
    site: AnySite, request: Request, fields: Annotated[Fields, Depends(read_json)]
) -> Response:
    """One and the same answer whatever we know of the address."""
    try:
        taken = limits.sign_up(site, request, fields, source="api")
    except AddressError as error:
        said = {"error": sentence(error.what), "hint": sentence(error.hint)}
        return _answer(site, request, 422, said)
    except StoreError:
        said = {"error": "We cannot reach our records.", "hint": "Try again in a few minutes."}
        return _answer(site, request, 503, said)
    status = "check_inbox" if taken is limits.Taken.YES else "again"
    return _answer(site, request, 202, {"status": status})


def allowed(site: Site, request: Request) -> dict[str, str]:
    """The headers that let a page of one of `form_origins` read an answer."""
    origin = request.headers.get("origin", "")
    headers = {"Vary": "Origin"}
    if origin in site.app.settings.form_origins:
        headers["Access-Control-Allow-Origin"] = origin
    return headers


def _answer(site: Site, request: Request, status: int, said: Mapping[str, Any]) -> Response:
    return Response(json.dumps(said) + "\n", status, allowed(site, request), media_type=JSON)
