"""One's own data: the link by mail, the file, the erasure. GET and HEAD show; POST acts."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from newsletter import own_page
from newsletter.web import limits
from newsletter.web.asking import (
    HURRIED,
    MAX_SHOWN_ADDRESS,
    NO_TICK,
    again,
    is_ticked,
    told,
)
from newsletter.web.forms import Form
from newsletter.web.pages import AnySite, Site
from newsletter.web.public import READ
from subscribers.address import EmailAddress
from subscribers.errors import AddressError

AS_A_FILE = {"Content-Disposition": 'attachment; filename="your-data.json"'}

router = APIRouter()


@router.api_route("/your-data", methods=READ)
def show_ask(site: AnySite) -> Response:
    return _ask_page(site)


@router.post("/your-data")
def ask(site: AnySite, request: Request, fields: Form) -> Response:
    """One and the same answer whatever we know of the address; the link comes by mail."""
    email = fields.get("email", "")
    if note := again(site, fields) or (fields.get("website") and HURRIED):
        return _ask_page(site, email, note=note)
    try:
        address = EmailAddress.parse(email)
    except AddressError as error:
        return _ask_page(site, email, error=told(error), status=422)
    may_mail = limits.may_mail_link(site, request)
    own_page.send_data_link(site.app, address, may_mail=may_mail)
    return site.page("web/own_data_asked.html")


@router.api_route("/your-data/{token}", methods=READ)
def show(site: AnySite, token: str) -> Response:
    return _page(site, token, own_page.read_own_data(site.app, token))


@router.post("/your-data/{token}")
def act(site: AnySite, token: str, fields: Form) -> Response:
    """What the pressed button says (`do`): fetch or erase. Erased is erased, so it takes a tick."""
    reader = own_page.read_own_data(site.app, token)
    if note := again(site, fields):
        return _page(site, token, reader, note=note)
    match fields.get("do"):
        case "fetch":
            held = own_page.export(site.app, reader)
            if held is None:
                return _nobody(site)
            body = json.dumps(held, indent=2, ensure_ascii=False)
            return Response(body, headers=AS_A_FILE, media_type="application/json")
        case "erase" if is_ticked(fields):
            own_page.erase(site.app, reader)
            return site.page("web/erased.html")
        case "erase":
            return _page(site, token, reader, note=NO_TICK, status=422)
        case _:
            raise HTTPException(422)


def _page(site: Site, token: str, reader: int, *, note: str = "", status: int = 200) -> Response:
    if not own_page.is_on_record(site.app, reader):
        return _nobody(site)
    shown = site.form_stamp()
    return site.page("web/own_data.html", status=status, token=token, shown=shown, note=note)


def _nobody(site: Site) -> Response:
    return site.page("web/erased.html", status=410)


def _ask_page(
    site: Site, email: str = "", *, note: str = "", error: str = "", status: int = 200
) -> Response:
    form = site.sign_up_form(email=email[:MAX_SHOWN_ADDRESS], note=note, error=error)
    return site.page("web/own_data_ask.html", status=status, form=form)
