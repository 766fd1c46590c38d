"""Coming and going: sign up, confirm, leave. GET and HEAD show; only POST changes anything."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from newsletter import readers
from newsletter.web.forms import Fields, Form, LenientForm, is_hurried
from newsletter.web.pages import AnySite, Site, client_ip, sentence
from newsletter.web.public import READ
from subscribers.consent import Confirmation
from subscribers.errors import AddressError

MAX_SHOWN_ADDRESS = 320  # what is put back into the form

HURRIED = "That came back faster than a person types. Please press the button once more."

router = APIRouter()


@router.post("/subscribe")
def subscribe(site: AnySite, request: Request, fields: Form) -> Response:
    """One and the same answer whatever we know of the address: new, confirmed or suppressed."""
    email = fields.get("email", "")
    if fields.get("website") or _is_hurried(site, fields):
        return _form_again(site, email, note=HURRIED)
    try:
        readers.sign_up(site.app, email, source="form", network=client_ip(request))
    except AddressError as error:
        return _form_again(
            site, email, error=f"{sentence(error.what)} {sentence(error.hint)}", status=422
        )
    return site.page("web/check_inbox.html")


@router.api_route("/confirm/{token}", methods=READ)
def show_confirm(site: AnySite, token: str) -> Response:
    readers.read_confirm(site.app, token)
    return _confirm_page(site, token)


@router.post("/confirm/{token}")
def confirm(site: AnySite, request: Request, token: str, fields: Form) -> Response:
    readers.read_confirm(site.app, token)
    if _is_hurried(site, fields):
        return _confirm_page(site, token, note=HURRIED)
    outcome = readers.confirm(site.app, token, source="mail:confirm", network=client_ip(request))
    if outcome is Confirmation.NOT_POSSIBLE:
        return site.page("web/confirm_over.html", status=410, form=site.sign_up_form())
    return site.page("web/confirmed.html")


@router.api_route("/unsubscribe/{token}", methods=READ)
def show_unsubscribe(site: AnySite, token: str) -> Response:
    left = readers.read_unsubscribe(site.app, token)
    if not left.subscriber_id:
        return site.page("web/public_copy.html")
    own_page = site.app.keyring.preferences(left.issue_id, left.subscriber_id)
    return site.page("web/unsubscribe.html", token=token, preferences=own_page)


@router.post("/unsubscribe/{token}")
def unsubscribe(site: AnySite, request: Request, token: str, fields: LenientForm) -> Response:
    """At once, for the page's button and for a mail program's (RFC 8058): 200, no redirect.

    Idempotent. The body decides nothing but what is recorded as the source.
    """
    left = readers.read_unsubscribe(site.app, token)
    if not left.subscriber_id:
        return site.page("web/public_copy.html", status=400)
    is_one_click = fields.get("List-Unsubscribe") == "One-Click"
    readers.unsubscribe(
        site.app,
        token,
        source="mail:one-click" if is_one_click else "page",
        network=client_ip(request),
        agent=request.headers.get("user-agent", ""),
    )
    return site.page("web/unsubscribed.html", form=site.sign_up_form())


def _is_hurried(site: Site, fields: Fields) -> bool:
    stamp = fields.get("shown", "")
    return is_hurried(site.app.keyring, stamp, now=site.app.clock())


def _form_again(
    site: Site, email: str, *, note: str = "", error: str = "", status: int = 200
) -> Response:
    form = site.sign_up_form(email=email[:MAX_SHOWN_ADDRESS], note=note, error=error)
    return site.page("web/subscribe.html", status=status, form=form)


def _confirm_page(site: Site, token: str, *, note: str = "") -> Response:
    return site.page("web/confirm.html", token=token, shown=site.form_stamp(), note=note)
