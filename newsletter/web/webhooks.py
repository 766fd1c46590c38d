"""What providers tell us of mail we sent: signed to the byte, kept before they are answered.

Whatever is wrong with a signature, the answer is one and the same 403. Where the records cannot be
reached it is 503, and the provider tells it again: SendGrid for 24 hours. Without a key configured
there is no such address: 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from newsletter import feedback
from newsletter.providers import plain_events, sendgrid_events, standard_webhooks
from newsletter.providers.told import ProviderEvent, TooManyError
from newsletter.settings import Settings
from newsletter.web.pages import AnySite, Site

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SENDGRID: Final = "/webhooks/sendgrid"
EVENTS: Final = "/webhooks/events"
MAX_BODY_BYTES: Final = 2 * 1024 * 1024  # some 4,000 events; SendGrid sends far fewer at once
LARGER_BODIES: Final[Mapping[str, int]] = {SENDGRID: MAX_BODY_BYTES, EVENTS: MAX_BODY_BYTES}

_log = structlog.get_logger(__name__)

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Keys:
    """What signatures are checked with; None or empty where an address is closed."""

    sendgrid: EllipticCurvePublicKey | None
    secrets: Sequence[bytes]
    freshness: timedelta


def keys_of(settings: Settings) -> Keys:
    """Raises SettingsError for a key or a secret that is none: at the start, not at an event."""
    key, secrets = settings.sendgrid_webhook_key, settings.webhook_secrets
    return Keys(
        sendgrid_events.read_key(key) if key else None,
        [standard_webhooks.read_secret(one.get_secret_value()) for one in secrets],
        timedelta(minutes=settings.webhook_freshness_minutes),
    )


def _keys(request: Request) -> Keys:
    keys: Keys = request.app.state.webhook_keys
    return keys


async def _raw(request: Request) -> bytes:
    """The body to the byte: nothing else verifies."""
    return await request.body()


AnyKeys = Annotated[Keys, Depends(_keys)]
RawBody = Annotated[bytes, Depends(_raw)]


@router.post(SENDGRID)
def from_sendgrid(site: AnySite, request: Request, keys: AnyKeys, body: RawBody) -> Response:
    """SendGrid's Signed Event Webhook."""
    if keys.sendgrid is None:
        raise HTTPException(404)
    is_signed = sendgrid_events.is_signed(
        keys.sendgrid, request.headers, body, now=site.app.clock(), freshness=keys.freshness
    )
    if not is_signed:
        return _refused("sendgrid")
    return _taken(site, "sendgrid", sendgrid_events.read_events, body)


@router.post(EVENTS)
def from_others(site: AnySite, request: Request, keys: AnyKeys, body: RawBody) -> Response:
    """Any other provider's events, in our words; signed as Standard Webhooks says."""
    if not keys.secrets:
        raise HTTPException(404)
    is_signed = standard_webhooks.is_signed(
        keys.secrets, request.headers, body, now=site.app.clock(), freshness=keys.freshness
    )
    if not is_signed:
        return _refused("webhook")
    return _taken(site, "webhook", plain_events.read_events, body)


def _taken(
    site: Site, provider: str, read: Callable[[bytes], tuple[ProviderEvent, ...]], body: bytes
) -> Response:
    """Answered once all of it is committed. Raises StoreError, which is a 503."""
    try:
        events = read(body)
    except TooManyError as error:
        _log.warning("webhook_too_many", provider=provider, size_bytes=len(body))
        return Response(f"{error}: tell them in several calls\n", 413, media_type="text/plain")
    except ValueError:
        _log.warning("webhook_unreadable", provider=provider, size_bytes=len(body))
        return Response("this is no JSON array of events\n", 400, media_type="text/plain")
    done = feedback.take(site.app, provider, events)
    _log.info("webhook_taken", provider=provider, events=done.told, new=done.new)
    return Response(status_code=204)


def _refused(provider: str) -> Response:
    _log.warning("webhook_refused", provider=provider)
    return Response("the signature does not hold\n", 403, media_type="text/plain")
