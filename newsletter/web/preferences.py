"""A reader's own page: every choice of theirs on one form. GET and HEAD show; POST changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from newsletter import own_page
from newsletter.own_page import OwnPage
from newsletter.tokens import DeliveryToken
from newsletter.web import limits
from newsletter.web.asking import HURRIED, MAX_SHOWN_ADDRESS, again, told
from newsletter.web.forms import Form
from newsletter.web.pages import AnySite, Site, client_ip
from newsletter.web.public import READ
from subscribers.address import EmailAddress
from subscribers.choices import MAX_TOPICS, Choices
from subscribers.errors import AddressError, ChoiceError
from subscribers.outcomes import Frequency

MAX_SHOWN_NAME = 200  # what is put back into the form
MAX_FIELDS = MAX_TOPICS + 20
TOPIC = "topic."  # and a number: how a topic's box is called

ASKED_TO_MOVE = (
    "Asked. If that address can take your mail, a mail is on its way to both: press the button "
    "behind each within seven days. Until then nothing changes."
)
DATA_LINK = "Done: the link to your data is on its way, once in 24 hours at most."

router = APIRouter()


async def read_choices(request: Request) -> Mapping[str, str]:
    """The text fields of the page's forms: a box a topic is more than other forms have."""
    form = await request.form(max_files=1, max_fields=MAX_FIELDS)
    try:
        return {name: value for name, value in form.multi_items() if isinstance(value, str)}
    finally:
        await form.close()


ChoicesForm = Annotated[Mapping[str, str], Depends(read_choices)]


@router.api_route("/preferences", methods=READ)
def show_ask(site: AnySite) -> Response:
    return _ask_page(site)


@router.post("/preferences")
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
    own_page.send_preferences_link(site.app, address, may_mail=may_mail)
    return site.page("web/preferences_asked.html")


@router.api_route("/preferences/{token}", methods=READ)
def show_preferences(site: AnySite, token: str) -> Response:
    asked = own_page.read_preferences(site.app, token)
    return _page(site, token, asked)


@router.post("/preferences/{token}")
def change_preferences(
    site: AnySite, request: Request, token: str, fields: ChoicesForm
) -> Response:
    """What the pressed button says (`do`): save, move or data. Pressed twice, done once.

    The form comes filled in with what stands, so sending it as it came changes nothing.
    """
    asked = own_page.read_preferences(site.app, token)
    if not asked.subscriber_id:
        return _page(site, token, asked, status=400)
    if note := again(site, fields):
        return _page(site, token, asked, typed=fields, note=note)
    match fields.get("do"):
        case "save":
            return _save(site, request, token, asked, fields)
        case "move":
            return _move(site, token, asked, fields)
        case "data":
            own_page.send_own_data_link(site.app, asked.subscriber_id)
            return _page(site, token, asked, note=DATA_LINK)
        case _:
            raise HTTPException(422)


def _save(
    site: Site, request: Request, token: str, asked: DeliveryToken, fields: Mapping[str, str]
) -> Response:
    found = own_page.look(site.app, asked.subscriber_id)
    if found is None:
        return _page(site, token, asked)
    chosen = _chosen(found, fields)
    until = fields.get("until", found.until)
    try:
        own_page.save(
            site.app,
            asked.subscriber_id,
            chosen,
            until=until,
            network=client_ip(request),
            issue_id=asked.issue_id,
            agent=request.headers.get("user-agent", ""),
        )
    except (AddressError, ChoiceError) as error:
        wrong = "name" if isinstance(error, AddressError) else "choice"
        return _page(site, token, asked, typed=fields, error=told(error), wrong=wrong, status=422)
    return _page(site, token, asked, note="Saved.")


def _move(site: Site, token: str, asked: DeliveryToken, fields: Mapping[str, str]) -> Response:
    try:
        own_page.ask_to_move(site.app, asked.subscriber_id, fields.get("email", ""))
    except AddressError as error:
        return _page(site, token, asked, typed=fields, error=told(error), wrong="email", status=422)
    return _page(site, token, asked, note=ASKED_TO_MOVE)


def _chosen(found: OwnPage, fields: Mapping[str, str]) -> Choices:
    """What the form says; what it does not speak of stays. `boxes`: unticked boxes are not sent."""
    now = found.chosen
    frequency = fields.get("frequency", "")
    mail = fields.get("mail", "paused" if now.is_paused else "comes")
    chosen = replace(
        now,
        name=fields.get("name", now.name),
        frequency=Frequency(frequency) if frequency in set(Frequency) else now.frequency,
        language=fields.get("language", now.language),
        timezone=fields.get("timezone", now.timezone),
        is_paused=mail == "paused",
    )
    if "boxes" not in fields:
        return chosen
    topics = frozenset(topic for name, topic in fields.items() if name.startswith(TOPIC))
    return replace(chosen, topics=topics, is_tracked="tracked" in fields)


def _page(
    site: Site,
    token: str,
    asked: DeliveryToken,
    *,
    typed: Mapping[str, str] | None = None,
    note: str = "",
    error: str = "",
    wrong: str = "",
    status: int = 200,
) -> Response:
    """The page as things stand now. typed: what is not saved yet, to be put back; wrong: where."""
    if not asked.subscriber_id:
        return site.page("web/public_copy.html", status=status)
    found = own_page.look(site.app, asked.subscriber_id)
    if found is None:
        return site.page("web/preferences_over.html", status=410, form=site.sign_up_form())
    fields = typed or {}
    chosen = _chosen(found, fields) if fields.get("do") == "save" else found.chosen
    return site.page(
        "web/preferences.html",
        status=status,
        token=token,
        leave=site.app.keyring.unsubscribe(asked.issue_id, asked.subscriber_id),
        shown=site.form_stamp(),
        page=found,
        chosen=chosen,
        name=chosen.name[: MAX_SHOWN_NAME + 1],
        until=fields.get("until", found.until)[:10],
        email=fields.get("email", "")[:MAX_SHOWN_ADDRESS],
        note=note,
        error=error,
        wrong=wrong,
    )


def _ask_page(
    site: Site, email: str = "", *, note: str = "", error: str = "", status: int = 200
) -> Response:
    form = site.sign_up_form(email=email[:MAX_SHOWN_ADDRESS], note=note, error=error)
    return site.page("web/preferences_ask.html", status=status, form=form)
