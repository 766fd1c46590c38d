"""From an error to a page: one clear sentence, what to do next, and the fitting status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from newsletter.errors import (
    ExpiredTokenError,
    NewsletterError,
    NotFoundError,
    RefusedError,
    StoreError,
    TemplateError,
    TokenError,
)
from newsletter.web.pages import sentence, site_of
from subscribers.errors import AddressError, AudienceError, UnknownSubscriberError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a reader is told: never an internal message, unless it was written for them."""

    title: str
    what: str
    hint: str


FAULTS: Mapping[int, Fault] = {
    400: Fault(
        "That did not come through.",
        "The request was cut off or mangled on its way.",
        "Go back, load the page again, and send it once more.",
    ),
    403: Fault(
        "Only from this machine.",
        "Studio and desk answer to a browser on the machine that serves them, and to no proxy.",
        "Open them there: the command newsletter screens shows the address.",
    ),
    404: Fault(
        "There is nothing here.",
        "The address is mistyped, or the page was never published.",
        "The front page lists what there is.",
    ),
    405: Fault(
        "Not at this address.",
        "This address answers a form or a link, not this kind of request.",
        "Start from the front page.",
    ),
    409: Fault(
        "Not possible any more.",
        "Things have moved on since this page was made.",
        "Start from the front page.",
    ),
    413: Fault(
        "That is too much.",
        "A form here is a few lines long; this was over 64 KB.",
        "Go back and send less.",
    ),
    422: Fault(
        "That cannot be used as it is.",
        "Something in the form is missing or not what it should be.",
        "Go back and correct it.",
    ),
    500: Fault(
        "Something broke on our side.",
        "It is not your doing, and nothing of yours was changed.",
        "Try again in a minute. If it stays broken, reply to any of our mails.",
    ),
    503: Fault(
        "We cannot reach our records.",
        "Nothing was changed. Links in our mails keep working meanwhile.",
        "Try again in a few minutes.",
    ),
}

# The first class that fits decides; anything else of ours is a 500.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (ExpiredTokenError, 410),
    (TokenError, 400),
    (NotFoundError, 404),
    (UnknownSubscriberError, 404),
    (RefusedError, 409),
    (AddressError, 422),
    (AudienceError, 400),
    (StoreError, 503),
)
FOR_READERS = (TokenError, AddressError)  # their messages are written for whoever sent the request


def install(api: FastAPI) -> None:
    """Registers a page for every error this program raises on purpose."""
    api.add_exception_handler(HTTPException, _http_fault)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(NewsletterError, _ours)
    api.add_exception_handler(AudienceError, _ours)


def fault_page(
    request: Request,
    status: int,
    *,
    fault: Fault | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The error page; a bare one where even that template does not render."""
    shown = fault or FAULTS.get(status) or FAULTS[500 if status >= 500 else 400]
    site = site_of(request)
    try:
        return site.page("web/fault.html", status=status, headers=headers, fault=shown)
    except TemplateError as error:
        _log.error("template_failed", error=error.what)
        return Response(f"{shown.title} {shown.hint}\n", status, headers, media_type="text/plain")


def broken(request: Request) -> Response:
    return fault_page(request, 500)


async def _http_fault(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return fault_page(request, status, headers=headers)


async def _invalid(request: Request, _error: Exception) -> Response:
    return fault_page(request, 422)


async def _ours(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    if isinstance(error, FOR_READERS):
        return fault_page(request, status, fault=_fault_of(error))
    if status >= 500:
        _log.error("page_failed", error=type(error).__name__, what=getattr(error, "what", ""))
    headers = {"Retry-After": "120"} if status == 503 else None
    return fault_page(request, status, headers=headers)


def _fault_of(error: NewsletterError | AudienceError) -> Fault:
    title = "This link has expired." if isinstance(error, ExpiredTokenError) else ""
    title = title or ("This link does not work." if isinstance(error, TokenError) else "")
    return Fault(title or FAULTS[422].title, sentence(error.what), sentence(error.hint))
