"""Coming: sign up, confirm. GET and HEAD show; only POST changes anything."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from newsletter import readers
from newsletter.web import limits
from newsletter.web.asking import HURRIED, MAX_SHOWN_ADDRESS, STALE, again, told
from newsletter.web.forms import Form
from newsletter.web.pages import AnySite, Site, client_ip
from newsletter.web.public import READ
from subscribers.consent import Confirmation
from subscribers.errors import AddressError

FROM_ELSEWHERE = "One thing more: please press the button once more, here, and you are done."
UNPROVED = (
    "The sum that your browser worked out for us was wrong, was handed in before, or came too late."
    " Please press the button once more."
)
WHY_AGAIN = {
    limits.Taken.HURRIED: HURRIED,
    limits.Taken.STALE: STALE,
    limits.Taken.UNPROVED: UNPROVED,
}

router = APIRouter()


@router.post("/subscribe")
def subscribe(site: AnySite, request: Request, fields: Form) -> Response:
    """One and the same answer whatever we know of the address: new, confirmed or suppressed."""
    email = fields.get("email", "")
    try:
        taken = limits.sign_up(site, request, fields, source="form")
    except AddressError as error:
        return _form_again(site, email, error=told(error), status=422)
    if taken is limits.Taken.YES:
        return site.page("web/check_inbox.html")
    return _form_again(
        site, email, note=WHY_AGAIN[taken] if fields.get("shown") else FROM_ELSEWHERE
    )


@router.api_route("/confirm/{token}", methods=READ)
def show_confirm(site: AnySite, token: str) -> Response:
    readers.read_confirm(site.app, token)
    return _confirm_page(site, token)


@router.post("/confirm/{token}")
def confirm(site: AnySite, request: Request, token: str, fields: Form) -> Response:
    """A moment, and no tick: at the door a second question costs readers, and where a patient
    scanner presses the button, it takes nothing: the welcome mail has the way out.
    """
    readers.read_confirm(site.app, token)
    if note := again(site, fields):
        return _confirm_page(site, token, note=note)
    outcome = readers.confirm(site.app, token, source="mail:confirm", network=client_ip(request))
    if outcome is Confirmation.NOT_POSSIBLE:
        return site.page("web/confirm_over.html", status=410, form=site.sign_up_form())
    return site.page("web/confirmed.html")


def _form_again(
    site: Site, email: str, *, note: str = "", error: str = "", status: int = 200
) -> Response:
    form = site.sign_up_form(email=email[:MAX_SHOWN_ADDRESS], note=note, error=error)
    return site.page("web/subscribe.html", status=status, form=form)


def _confirm_page(site: Site, token: str, *, note: str = "") -> Response:
    return site.page("web/confirm.html", token=token, shown=site.form_stamp(), note=note)
