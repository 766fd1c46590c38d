"""SendGrid's Event Webhook: from the body of its POST to our events, and whether it signed it.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event: an array of objects in
any order, told again for 24 hours until it is answered with 2xx. Its documents name no compressed
bodies, and none is taken. What SendGrid calls things stands in the tables here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from newsletter.errors import SettingsError
from newsletter.providers import told
from newsletter.providers.standard_webhooks import is_fresh
from newsletter.providers.told import (
    MAX_DETAIL_CHARACTERS,
    MAX_WORD_CHARACTERS,
    Kind,
    ProviderEvent,
    kept,
    text_of,
)
from subscribers import bounces

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"

KINDS: Final[Mapping[str, Kind]] = {
    "processed": Kind.PROCESSED,
    "delivered": Kind.DELIVERED,
    "deferred": Kind.DEFERRED,
    "bounce": Kind.BOUNCED,
    "blocked": Kind.BLOCKED,
    "dropped": Kind.DROPPED,
    "spamreport": Kind.COMPLAINED,
    "unsubscribe": Kind.UNSUBSCRIBED,
    "group_unsubscribe": Kind.UNSUBSCRIBED,
    "group_resubscribe": Kind.RESUBSCRIBED,
    "open": Kind.OPENED,
    "click": Kind.CLICKED,
}
# Of a bounce, its `type`, then its `bounce_classification`.
BOUNCE_TYPES: Final[Mapping[str, Kind]] = {
    "blocked": Kind.BLOCKED,
    "expired": Kind.BLOCKED,
}
BOUNCE_CLASSES: Final[Mapping[str, Kind]] = {"invalid address": Kind.INVALID}

_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}", re.ASCII)


def read_events(body: bytes) -> tuple[ProviderEvent, ...]:
    """The events of a POST, in its order. Raises ValueError where it is no JSON array."""
    return tuple([_read(element) for element in told.read_array(body)])


def _read(element: Any) -> ProviderEvent:
    word = element.get("event") if isinstance(element, dict) else None
    if not isinstance(word, str):
        return told.unknown(element)
    get = element.get
    kind = _kind(element, word)
    words, status, request = get("reason") or get("response"), get("status"), get("nl_request")
    detail = kept(words, MAX_DETAIL_CHARACTERS) if words else ""
    code = _code(status, detail) if status or detail else ""
    mark = text_of(get("nl_delivery"), 200)
    event_id, twin = _names(element, (mark, word, kind, code, detail))
    return ProviderEvent(  # by place: named ones take half as long again, a thousand times
        event_id,
        twin,
        kind,
        text_of(word, MAX_WORD_CHARACTERS),
        told.instant(get("timestamp")),
        mark,
        "",
        "",
        text_of(request, 64) if request else "",
        code,
        detail,
        told.raw_of(element) if kind is Kind.UNKNOWN else "",
    )


def _kind(element: Mapping[str, Any], word: str) -> Kind:
    kind = KINDS.get(word, Kind.UNKNOWN)
    if kind is not Kind.BOUNCED:
        return kind
    of_type = BOUNCE_TYPES.get(text_of(element.get("type"), 40).lower())
    of_class = BOUNCE_CLASSES.get(text_of(element.get("bounce_classification"), 40).lower())
    return of_type or of_class or kind


def _names(element: Mapping[str, Any], said: Sequence[str]) -> tuple[str, str]:
    """Its id and its twin; what lacks message or instant is known by all that it says.

    SendGrid's id may differ when it tells something again: message, instant and all that follows
    from it (said) are the same then, and one message may be refused twice in a second.
    """
    get = element.get
    message = get("sg_message_id") or get("nl_delivery") or get("smtp-id")
    at = text_of(get("timestamp"), 40)
    if isinstance(message, str) and at:
        twin = told.twin_of(message, at, said)
    else:
        twin = told.digest("whole", told.as_json(element))
    own = get("sg_event_id")
    return (told.own_id(own) if isinstance(own, str) else "") or f"twin:{twin}", twin


def _code(status: Any, detail: str) -> str:
    """The enhanced status, where it gives one; else the first in its words."""
    if isinstance(status, str) and _CODE.fullmatch(status):
        return status
    return bounces.code_in(detail)[:16] if detail else ""


@lru_cache(maxsize=8)
def read_key(text: str) -> EllipticCurvePublicKey:
    """The public key of the setting `sendgrid_webhook_key`: base64 of its DER, or PEM.

    Raises SettingsError for anything but a key on the curve P-256.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import (
        load_der_public_key,
        load_pem_public_key,
    )

    try:
        is_pem = text.lstrip().startswith("-----BEGIN")
        key = (
            load_pem_public_key(text.strip().replace("\\n", "\n").encode())
            if is_pem
            else load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
        )
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        key = None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise SettingsError(
            "sendgrid_webhook_key is not the public key of a Signed Event Webhook",
            hint="copy the Verification Key from SendGrid's Mail Settings, Event Webhook",
        )
    return key


def is_signed(
    key: EllipticCurvePublicKey,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    freshness: timedelta,
) -> bool:
    """Whether SendGrid signed just these bytes, within `freshness` of now.

    ECDSA on P-256 with SHA-256 over the timestamp and the body; the signature is DER in base64.
    headers: by lower-case name. Whatever is wrong, the answer is no.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    timestamp = headers.get(TIMESTAMP, "")
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        key.verify(signature, timestamp.encode("latin-1") + body, ECDSA(SHA256()))
    except (ValueError, InvalidSignature):  # no base64, no DER, letters no header has
        return False
    return is_fresh(timestamp, now=now, freshness=freshness)
