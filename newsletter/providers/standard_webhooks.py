"""Webhooks signed as Standard Webhooks says: made for those we tell, checked of those who tell us.

What is signed is `id.timestamp.body`, by HMAC-SHA256 with a secret both sides know; the signature
travels as `v1,<base64>`, several of them with spaces between while secrets are changed.
Specification 1.0.0: github.com/standard-webhooks/standard-webhooks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from newsletter.errors import SettingsError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
PREFIX: Final = "whsec_"
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64

_VERSION = "v1"
_TIMESTAMP = re.compile(r"[0-9]{10}", re.ASCII)  # seconds since 1970, until the year 2286
_ID = re.compile(r"[!-~]{1,256}")
_MAX_SIGNATURES = 16  # of one message: no more are looked at


def new_secret() -> str:
    """A secret of 32 random bytes, as people write it: `whsec_<base64>`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secret(text: str) -> bytes:
    """The key in `whsec_<base64>`, the prefix being optional.

    Raises SettingsError, which names no part of it, unless it holds 24 to 64 bytes.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise SettingsError(
            "a webhook secret is not base64 of 24 to 64 bytes",
            hint="write it as whsec_ and base64, as Standard Webhooks has it",
        )
    return key


def sign(*keys: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that go with `body`, signed by each key in this order.

    keys: of `read_secret`. message_id: what happened, the same on every attempt. at: of this
    attempt. Raises ValueError for an id that is empty, too long, or holds a full stop or space.
    """
    if not _ID.fullmatch(message_id) or "." in message_id:
        raise ValueError("an id is 1 to 256 letters without a full stop or a space")
    timestamp = str(int(at.timestamp()))
    macs = (_mac(key, message_id, timestamp, body) for key in keys)
    signatures = " ".join(f"{_VERSION},{base64.b64encode(mac).decode()}" for mac in macs)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: signatures}


def is_signed(
    keys: Iterable[bytes],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    freshness: timedelta,
) -> bool:
    """Whether `body` is from somebody who knows one of `keys`, signed within `freshness` of now.

    headers: by lower-case name. body: to the byte as it came. Whatever is wrong, the answer is no.
    """
    message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(message_id):
        return False
    given = _signatures(headers.get(SIGNATURE, ""))
    is_known = False
    for key in keys:  # all of them: how long it takes tells nothing
        mac = _mac(key, message_id, timestamp, body)
        for signature in given:
            is_known |= hmac.compare_digest(mac, signature)
    return is_known and is_fresh(timestamp, now=now, freshness=freshness)


def is_fresh(timestamp: str, *, now: datetime, freshness: timedelta) -> bool:
    """Whether `timestamp` is ten digits, an instant no further from `now` than `freshness`."""
    if not _TIMESTAMP.fullmatch(timestamp):
        return False
    return abs(int(timestamp) - now.timestamp()) <= freshness.total_seconds()


def _signatures(header: str) -> list[bytes]:
    """Those of our version; of other versions (`v1a`) there may be some beside them."""
    found = []
    for part in header.split(" ")[:_MAX_SIGNATURES]:
        version, _comma, encoded = part.partition(",")
        if version == _VERSION:
            try:
                found.append(base64.b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _mac(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    signed = b"%s.%s.%s" % (message_id.encode(), timestamp.encode("utf-8", "replace"), body)
    return hmac.digest(key, signed, "sha256")
