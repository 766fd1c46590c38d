"""A change of address, as each of its two mailboxes sees it. GET and HEAD show; POST changes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from newsletter import own_page
from newsletter.tokens import MoveToken
from newsletter.web.asking import NO_TICK, again, is_ticked
from newsletter.web.forms import Form
from newsletter.web.pages import AnySite, Site, client_ip
from newsletter.web.public import READ
from subscribers.outcomes import Move

STATUS = {Move.OVER: 410}

router = APIRouter()


@router.api_route("/address/{token}", methods=READ)
def show_move(site: AnySite, token: str) -> Response:
    asked = own_page.read_move(site.app, token)
    return _page(site, token, asked)


@router.post("/address/{token}")
def answer_move(site: AnySite, request: Request, token: str, fields: Form) -> Response:
    """What the pressed button says (`do`): agree or refuse.

    To agree asks for a tick besides: a scanner in each mailbox must not move anybody. To refuse
    takes nothing from anyone, and does not.
    """
    asked = own_page.read_move(site.app, token)
    if note := again(site, fields):
        return _page(site, token, asked, note=note)
    agrees = fields.get("do") == "agree"
    if not agrees and fields.get("do") != "refuse":
        raise HTTPException(422)
    if agrees and not is_ticked(fields):
        return _page(site, token, asked, note=NO_TICK, status=422)
    outcome = own_page.answer_move(site.app, asked, agrees=agrees, network=client_ip(request))
    return _said(site, outcome)


def _page(
    site: Site, token: str, asked: MoveToken, *, note: str = "", status: int = 200
) -> Response:
    wish = own_page.look_at_move(site.app, asked)
    if wish is None:
        return _said(site, Move.OVER)
    if wish.has_agreed and not note:
        note = "This mailbox has agreed. We wait for the other one."
    return site.page(
        "web/move.html",
        status=status,
        token=token,
        shown=site.form_stamp(),
        wish=wish,
        is_new=asked.is_new,
        note=note,
    )


def _said(site: Site, outcome: Move) -> Response:
    return site.page("web/moved.html", status=STATUS.get(outcome, 200), outcome=outcome.value)
