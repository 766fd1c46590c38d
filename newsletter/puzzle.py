"""A proof of work for forms: ALTCHA's protocol, version 1, with SHA-256.

We hash a salt and a secret number, and sign the hash; the visitor's machine tries numbers until it
finds ours. Nothing is kept: the signature says that the puzzle was ours, the salt until when it is
good. That one solution opens the door once only is the caller's to see to: see `Solution.nonce`.

Forty lines of our own, because the `altcha` package reads the machine's clock, compares signatures
in a time that depends on them, and fails on a payload whose parts are of the wrong type. The tests
hold ours against it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

LIFETIME = timedelta(minutes=30)
ALGORITHM = "SHA-256"
NONCE_BYTES = 12
MAX_PAYLOAD_CHARS = 2_000

# Read strictly, so that no digit of the salt can be passed off as one of the number's.
_SALT = re.compile(r"([0-9a-f]{24})\?expires=([1-9][0-9]{0,11})&")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """What the visitor's machine gets; field names are the protocol's."""

    challenge: str
    salt: str
    signature: str
    max_number: int

    def as_json(self) -> dict[str, Any]:
        return {
            "algorithm": ALGORITHM,
            "challenge": self.challenge,
            "maxnumber": self.max_number,
            "salt": self.salt,
            "signature": self.signature,
        }


@dataclass(frozen=True, slots=True)
class Solution:
    """A puzzle of ours, solved in time. nonce: what is the same when it is handed in again."""

    nonce: str
    posed_at: datetime


def pose(key: bytes, *, nonce: bytes, number: int, max_number: int, now: datetime) -> Puzzle:
    """A puzzle with the answer `number`, 0 to max_number; `nonce` is NONCE_BYTES random bytes."""
    salt = f"{nonce.hex()}?expires={int((now + LIFETIME).timestamp())}&"
    challenge = _challenge(salt, number)
    return Puzzle(challenge, salt, _signature(key, challenge), max_number)


def read_solution(key: bytes, payload: str, *, now: datetime) -> Solution | None:
    """What the form's field `altcha` holds; None where it is not a solution of ours that is good.

    The puzzle's difficulty lies in what we signed: who knows the number has found it.
    """
    match _decoded(payload):
        case {"salt": str(salt), "number": int(number), "signature": str(signature)}:
            pass
        case _:
            return None
    written = _SALT.fullmatch(salt)
    if written is None or isinstance(number, bool) or not 0 <= number < 1 << 63:
        return None
    if not hmac.compare_digest(
        signature.encode("utf-8", "replace"), _signature(key, _challenge(salt, number)).encode()
    ):
        return None
    expires = datetime.fromtimestamp(int(written[2]), now.tzinfo)
    if not timedelta() <= expires - now <= LIFETIME:
        return None
    return Solution(written[1], expires - LIFETIME)


def _decoded(payload: str) -> object:
    if len(payload) > MAX_PAYLOAD_CHARS:
        return None
    try:
        return json.loads(base64.b64decode(payload, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None


def _challenge(salt: str, number: int) -> str:
    return hashlib.sha256(f"{salt}{number}".encode()).hexdigest()


def _signature(key: bytes, challenge: str) -> str:
    return hmac.new(key, challenge.encode(), hashlib.sha256).hexdigest()
