"""Events as SendGrid documents them, signed with a key of our own."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from newsletter.providers.sendgrid_events import SIGNATURE, TIMESTAMP
from newsletter.providers.sendgrid_payload import delivery_mark

PATH = "/webhooks/sendgrid"


class Signer:
    """Somebody with a private key. public: as the setting wants it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        known = self._key.public_key()
        der = known.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = base64.b64encode(der).decode()
        self.pem = known.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def headers(self, body: bytes, at: datetime) -> dict[str, str]:
        timestamp = str(int(at.timestamp()))
        signature = self._key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            SIGNATURE: base64.b64encode(signature).decode(),
            TIMESTAMP: timestamp,
            "content-type": "application/json",
        }


def told(
    word: str,
    mark: str | None,
    at: datetime,
    *,
    event_id: str | None = None,
    message: str = "",
    **more: Any,
) -> dict[str, Any]:
    """One event; mark: `nl_delivery`. Its id differs with all that it says."""
    named = message or f"14c5d75ce93.dfd.{mark}.filter0001.16648.0"
    event: dict[str, Any] = {
        "email": "reader@example.com",
        "timestamp": int(at.timestamp()),
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "event": word,
        "category": ["weekly", "verdicts"],
        "sg_event_id": event_id or f"{word}-{mark}-{int(at.timestamp())}",
        "sg_message_id": named,
        **_PARTICULARS.get(word, {}),
        **more,
    }
    return event | ({"nl_delivery": mark} if mark is not None else {})


def as_body(*events: Any) -> bytes:
    """As SendGrid writes it: a line an event, and a line end behind the last."""
    return ("[" + ",\r\n".join(json.dumps(one) for one in events) + "]\r\n").encode()


def mark_of(envelope: Any) -> str:
    return delivery_mark(envelope)


def life(mark: str, at: datetime) -> list[dict[str, Any]]:
    """Everything that may be told of one message that arrives after a delay."""
    return [
        told("processed", mark, at),
        told("deferred", mark, at + timedelta(seconds=5)),
        told("delivered", mark, at + timedelta(seconds=65)),
        told("open", mark, at + timedelta(seconds=90)),
        told("click", mark, at + timedelta(seconds=95)),
    ]


_PARTICULARS: Mapping[str, Mapping[str, Any]] = {
    "processed": {"send_at": 0},
    "delivered": {"response": "250 OK", "ip": "167.89.101.76", "tls": 1},
    "deferred": {"response": "400 try again later", "attempt": "5"},
    "bounce": {"reason": "550 5.1.1 No such user", "status": "5.1.1", "type": "bounce"},
    "dropped": {"reason": "Bounced Address", "status": "5.0.0"},
    "open": {"useragent": "Mozilla/4.0", "ip": "255.255.255.255", "sg_machine_open": True},
    "click": {"useragent": "Mozilla/4.0", "url": "https://example.com/", "ip": "255.255.255.255"},
    "group_unsubscribe": {"asm_group_id": 10, "url": "https://example.com/"},
    "group_resubscribe": {"asm_group_id": 10},
}
