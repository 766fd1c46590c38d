"""Leaving, by a mail program's one click or on a page, and taking it back within half an hour."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from newsletter import readers
from newsletter.tokens import DeliveryToken
from newsletter.web.asking import NO_TICK, again, is_ticked
from newsletter.web.forms import Fields, LenientForm
from newsletter.web.pages import AnySite, Site, client_ip
from newsletter.web.public import READ
from subscribers.leaving import MAX_WORDS_CHARS
from subscribers.outcomes import LeavingReason, Return

ONE_CLICK = "mail:one-click"

WHY = {
    LeavingReason.TOO_OFTEN: "It comes too often",
    LeavingReason.NOT_USEFUL: "It is of no use to me",
    LeavingReason.NOT_EXPECTED: "I had expected something else",
    LeavingReason.NEVER_ASKED: "I never signed up",
    LeavingReason.OTHER: "Something else",
}

router = APIRouter()


@router.api_route("/unsubscribe/{token}", methods=READ)
def show_unsubscribe(site: AnySite, token: str) -> Response:
    asked = readers.read_unsubscribe(site.app, token)
    return _page(site, token, asked, {})


@router.post("/unsubscribe/{token}")
def unsubscribe(site: AnySite, request: Request, token: str, fields: LenientForm) -> Response:
    """A mail program's one click (RFC 8058): at once, 200, no redirect, whatever the body says.

    Only what comes from the form of our page, which its stamp tells, waits for a person.
    """
    asked = readers.read_unsubscribe(site.app, token)
    if not asked.subscriber_id:
        return site.page("web/public_copy.html", status=400)
    is_one_click = fields.get("List-Unsubscribe") == "One-Click"
    if "shown" in fields and not is_one_click:
        if note := again(site, fields):
            return _page(site, token, asked, fields, note=note)
        if not is_ticked(fields):
            return _page(site, token, asked, fields, note=NO_TICK, status=422)
    why = fields.get("why", "")
    readers.leave(
        site.app,
        asked,
        source=ONE_CLICK if is_one_click else readers.BY_PAGE,
        network=client_ip(request),
        agent=request.headers.get("user-agent", ""),
        why=LeavingReason(why) if why in set(LeavingReason) else None,
        words=fields.get("words", ""),
    )
    undo = "" if is_one_click else readers.undo_token(site.app, asked.subscriber_id)
    form = site.sign_up_form()
    return site.page("web/unsubscribed.html", form=form, undo=undo, shown=form.shown)


@router.api_route("/undo/{token}", methods=READ)
def show_undo(site: AnySite, token: str) -> Response:
    readers.read_undo(site.app, token)
    return _undo_page(site, token)


@router.post("/undo/{token}")
def undo(site: AnySite, request: Request, token: str, fields: LenientForm) -> Response:
    """Back as they were before they left; pressed twice, done once."""
    readers.read_undo(site.app, token)
    if note := again(site, fields):
        return _undo_page(site, token, note=note)
    outcome = readers.take_back(site.app, token, network=client_ip(request))
    if outcome is Return.OVER:
        return site.page("web/confirm_over.html", status=410, form=site.sign_up_form())
    return site.page("web/returned.html")


def _page(
    site: Site,
    token: str,
    asked: DeliveryToken,
    fields: Fields,
    *,
    note: str = "",
    status: int = 200,
) -> Response:
    """The page, with what was chosen already put back into it."""
    if not asked.subscriber_id:
        return site.page("web/public_copy.html", status=status)
    own_page = site.app.keyring.preferences(asked.issue_id, asked.subscriber_id)
    return site.page(
        "web/unsubscribe.html",
        status=status,
        token=token,
        preferences=own_page,
        shown=site.form_stamp(),
        note=note,
        reasons=WHY,
        why=fields.get("why", ""),
        words=fields.get("words", "")[:MAX_WORDS_CHARS],
    )


def _undo_page(site: Site, token: str, *, note: str = "") -> Response:
    return site.page("web/undo.html", undo=token, shown=site.form_stamp(), note=note)
