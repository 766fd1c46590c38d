"""A reader's own page: their name, a pause, the way out. GET and HEAD show; only POST changes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from newsletter import readers
from newsletter.readers import Preferences
from newsletter.tokens import DeliveryToken
from newsletter.web.audience import HURRIED, MAX_SHOWN_ADDRESS
from newsletter.web.forms import Form, is_hurried
from newsletter.web.pages import AnySite, Site, client_ip, sentence
from newsletter.web.public import READ
from subscribers.errors import AddressError

SOURCE = "page:preferences"
MAX_SHOWN_NAME = 200  # what is put back into the form

router = APIRouter()


@router.api_route("/preferences", methods=READ)
def show_ask(site: AnySite) -> Response:
    return _ask_page(site)


@router.post("/preferences")
def ask(site: AnySite, fields: Form) -> Response:
    """One and the same answer whatever we know of the address; the link comes by mail."""
    email = fields.get("email", "")
    if fields.get("website") or _came_hurried(site, fields.get("shown", "")):
        return _ask_page(site, email, note=HURRIED)
    try:
        readers.send_preferences_link(site.app, email)
    except AddressError as error:
        return _ask_page(site, email, error=_told(error), status=422)
    return site.page("web/preferences_asked.html")


@router.api_route("/preferences/{token}", methods=READ)
def show_preferences(site: AnySite, token: str) -> Response:
    asked = readers.read_preferences(site.app, token)
    return _page(site, token, asked)


@router.post("/preferences/{token}")
def change_preferences(site: AnySite, request: Request, token: str, fields: Form) -> Response:
    """What the pressed button says (`do`): name, pause, resume or leave. Pressed twice, done once.

    Leaving here is asked for on a page, so it waits for a person; a mail program's one-click goes
    to the unsubscribe address.
    """
    asked = readers.read_preferences(site.app, token)
    name = fields.get("name", "")[: MAX_SHOWN_NAME + 1]
    if not asked.subscriber_id or _came_hurried(site, fields.get("shown", "")):
        typed = name if fields.get("do") == "name" else None
        return _page(site, token, asked, typed=typed, note=HURRIED, status=_bad_if_nobody(asked))
    reader, app, network = asked.subscriber_id, site.app, client_ip(request)
    match fields.get("do"):
        case "name":
            try:
                readers.set_name(app, reader, fields.get("name", ""))
            except AddressError as error:
                told = _told(error)
                return _page(site, token, asked, typed=name, error=told, status=422)
            note = "Saved."
        case "pause":
            readers.pause(app, reader, source=SOURCE, network=network)
            note = "Paused. No issue comes until you resume."
        case "resume":
            readers.resume(app, reader, source=SOURCE, network=network)
            note = "Resumed. The next issue comes to you."
        case "leave":
            agent = request.headers.get("user-agent", "")
            readers.leave(app, asked, source=SOURCE, network=network, agent=agent)
            return site.page("web/unsubscribed.html", form=site.sign_up_form())
        case _:
            raise HTTPException(422)
    return _page(site, token, asked, note=note)


def _page(
    site: Site,
    token: str,
    asked: DeliveryToken,
    *,
    typed: str | None = None,
    note: str = "",
    error: str = "",
    status: int = 200,
) -> Response:
    """The page as things stand now. typed: a name not saved yet, to be put back."""
    if not asked.subscriber_id:
        return site.page("web/public_copy.html", status=status)
    chosen: Preferences | None = readers.preferences(site.app, asked.subscriber_id)
    if chosen is None:
        return site.page("web/preferences_over.html", status=410, form=site.sign_up_form())
    return site.page(
        "web/preferences.html",
        status=status,
        token=token,
        shown=site.form_stamp(),
        chosen=chosen,
        name=chosen.name if typed is None else typed,
        note=note,
        error=error,
    )


def _ask_page(
    site: Site, email: str = "", *, note: str = "", error: str = "", status: int = 200
) -> Response:
    form = site.sign_up_form(email=email[:MAX_SHOWN_ADDRESS], note=note, error=error)
    return site.page("web/preferences_ask.html", status=status, form=form)


def _came_hurried(site: Site, stamp: str) -> bool:
    return is_hurried(site.app.keyring, stamp, now=site.app.clock())


def _bad_if_nobody(asked: DeliveryToken) -> int:
    return 200 if asked.subscriber_id else 400


def _told(error: AddressError) -> str:
    return f"{sentence(error.what)} {sentence(error.hint)}"
