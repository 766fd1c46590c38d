"""Signed tokens for links: short, bound to one purpose, without an address inside.

A token is base64url of `purpose (1 byte) | key id (1 byte) | payload | MAC (16 bytes)`. The MAC is
keyed BLAKE2b over purpose, key id and payload: 128 bits, 0.4 us a token with a pre-keyed hash. The
first key signs; every key of the list verifies, so a key can be rotated without breaking old mail.
Only the canonical spelling of a token is accepted, so one token has one URL.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from hashlib import blake2b
from struct import Struct

from newsletter.errors import ExpiredTokenError, SettingsError, TokenError

MAC_BYTES = 16
MIN_KEY_BYTES = 16
CONFIRM_LIFETIME = timedelta(days=7)
MOVE_LIFETIME = timedelta(days=7)
OWN_DATA_LIFETIME = timedelta(hours=24)
UNDO_LIFETIME = timedelta(minutes=30)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIR = Struct(">IQ")  # issue id (0: none), subscriber id (0: nobody, a public copy)
_TIMED = Struct(">QI")  # subscriber id, issued at (seconds since 1970)
_PRECISE = Struct(">QQ")  # subscriber id, an instant (microseconds since 1970)
_STAMP = Struct(">Q")  # milliseconds since 1970


class Purpose(IntEnum):
    """What a token may be used for; part of what is signed."""

    DELIVERY = 1  # pixel and clicks of one issue for one reader
    UNSUBSCRIBE = 2  # leave; never expires
    CONFIRM = 3  # confirm a sign-up; expires
    FORM = 4  # the instant a form was shown
    PREFERENCES = 5  # see and change one's own choices; never expires
    MOVE_FROM = 6  # the old mailbox's say on a change of address; expires
    MOVE_TO = 7  # the new mailbox's say; expires
    OWN_DATA = 8  # fetch or erase all that is held on oneself; expires
    UNDO = 9  # take one leaving back; expires
    VOTE = 10  # ship or skip, through one issue for one reader; never expires
    BOUNCE = 31  # which message a bounce is about; stands in an address


@dataclass(frozen=True, slots=True)
class DeliveryToken:
    """One issue for one reader. `subscriber_id` 0 is the public copy: it counts nobody."""

    issue_id: int
    subscriber_id: int


@dataclass(frozen=True, slots=True)
class ConfirmToken:
    """A sign-up to confirm, and when its mail was asked for."""

    subscriber_id: int
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class MoveToken:
    """A change of address, and which mailbox speaks."""

    change_id: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class UndoToken:
    """One leaving: whose, and when to the microsecond."""

    subscriber_id: int
    left_at: datetime


class Keyring:
    """Makes and reads tokens; `keys` newest first, 16 bytes or more each (SettingsError)."""

    def __init__(self, keys: list[bytes]) -> None:
        if not keys or any(len(key) < MIN_KEY_BYTES for key in keys):
            raise SettingsError(
                f"a secret key needs at least {MIN_KEY_BYTES} bytes, and there must be one",
                hint="set NEWSLETTER_SECRET_KEYS, or remove it to have a key made in the home",
            )
        self._hashes = {_key_id(key): _keyed(key) for key in reversed(keys)}
        self._signing = _key_id(keys[0])
        self._oldest = keys[-1]

    def delivery(self, issue_id: int, subscriber_id: int) -> str:
        return self._sign(Purpose.DELIVERY, _PAIR.pack(issue_id, subscriber_id))

    def read_delivery(self, token: str) -> DeliveryToken:
        return DeliveryToken(*_PAIR.unpack(self._verify(Purpose.DELIVERY, token, _PAIR.size)))

    def unsubscribe(self, issue_id: int, subscriber_id: int) -> str:
        return self._sign(Purpose.UNSUBSCRIBE, _PAIR.pack(issue_id, subscriber_id))

    def read_unsubscribe(self, token: str) -> DeliveryToken:
        return DeliveryToken(*_PAIR.unpack(self._verify(Purpose.UNSUBSCRIBE, token, _PAIR.size)))

    def preferences(self, issue_id: int, subscriber_id: int) -> str:
        return self._sign(Purpose.PREFERENCES, _PAIR.pack(issue_id, subscriber_id))

    def read_preferences(self, token: str) -> DeliveryToken:
        return DeliveryToken(*_PAIR.unpack(self._verify(Purpose.PREFERENCES, token, _PAIR.size)))

    def vote(self, issue_id: int, subscriber_id: int) -> str:
        return self._sign(Purpose.VOTE, _PAIR.pack(issue_id, subscriber_id))

    def read_vote(self, token: str) -> DeliveryToken:
        return DeliveryToken(*_PAIR.unpack(self._verify(Purpose.VOTE, token, _PAIR.size)))

    def confirm(self, subscriber_id: int, now: datetime) -> str:
        return self._sign_timed(Purpose.CONFIRM, subscriber_id, now)

    def read_confirm(self, token: str, now: datetime) -> ConfirmToken:
        """Raises ExpiredTokenError when older than CONFIRM_LIFETIME."""
        again = "sign up again to get a fresh one"
        return ConfirmToken(*self._timed(Purpose.CONFIRM, token, now, CONFIRM_LIFETIME, again))

    def move(self, change_id: int, now: datetime, *, is_new: bool) -> str:
        """For one end of a change of address."""
        return self._sign_timed(_move_purpose(is_new=is_new), change_id, now)

    def read_move(self, token: str, now: datetime) -> MoveToken:
        """Raises ExpiredTokenError when older than MOVE_LIFETIME."""
        is_new = _decode(token)[0] == Purpose.MOVE_TO
        again = "ask for the change again on your preferences page"
        purpose = _move_purpose(is_new=is_new)
        change_id, _ = self._timed(purpose, token, now, MOVE_LIFETIME, again)
        return MoveToken(change_id, is_new)

    def own_data(self, subscriber_id: int, now: datetime) -> str:
        return self._sign_timed(Purpose.OWN_DATA, subscriber_id, now)

    def read_own_data(self, token: str, now: datetime) -> int:
        """Whose data; raises ExpiredTokenError when older than OWN_DATA_LIFETIME."""
        again = "ask for a fresh one on the page Your data"
        return self._timed(Purpose.OWN_DATA, token, now, OWN_DATA_LIFETIME, again)[0]

    def undo(self, subscriber_id: int, left_at: datetime) -> str:
        microseconds = (left_at - _EPOCH) // timedelta(microseconds=1)
        return self._sign(Purpose.UNDO, _PRECISE.pack(subscriber_id, microseconds))

    def read_undo(self, token: str, now: datetime) -> UndoToken:
        """Raises ExpiredTokenError when the leaving is longer ago than UNDO_LIFETIME."""
        subscriber_id, microseconds = _PRECISE.unpack(
            self._verify(Purpose.UNDO, token, _PRECISE.size)
        )
        left_at = _EPOCH + timedelta(microseconds=microseconds)
        if now - left_at > UNDO_LIFETIME:
            raise _expired("sign up again and confirm: that brings you back")
        return UndoToken(subscriber_id, left_at)

    def form(self, now: datetime) -> str:
        """Stamps a form with the instant it was shown."""
        return self._sign(Purpose.FORM, _STAMP.pack(int(now.timestamp() * 1000)))

    def read_form(self, token: str) -> datetime:
        (milliseconds,) = _STAMP.unpack(self._verify(Purpose.FORM, token, _STAMP.size))
        return datetime.fromtimestamp(milliseconds / 1000, UTC)

    def bounce(self, issue_id: int, subscriber_id: int) -> str:
        """48 characters of base32 in lower case: half of an address, where case may be lost."""
        token = self._sign(Purpose.BOUNCE, _PAIR.pack(issue_id, subscriber_id))
        return base64.b32encode(_decode(token)).decode().lower()

    def read_bounce(self, token: str) -> DeliveryToken:
        """In any case of its letters. Raises TokenError."""
        try:
            spelled = _encode(base64.b32decode(token.upper()))
        except (binascii.Error, ValueError):
            raise _invalid() from None
        return DeliveryToken(*_PAIR.unpack(self._verify(Purpose.BOUNCE, spelled, _PAIR.size)))

    def fingerprint(self, subject: str) -> str:
        """A keyed hash (24 hex digits) that stays the same when a newer key is added in front."""
        return blake2b(subject.encode(), key=_clip(self._oldest), digest_size=12).hexdigest()

    def of_address(self, address_key: str) -> str:
        """What stays of an erased address: recognised, and read back by nobody without the key."""
        return self.fingerprint(f"address:{address_key}")

    def _sign_timed(self, purpose: Purpose, id_: int, now: datetime) -> str:
        return self._sign(purpose, _TIMED.pack(id_, int(now.timestamp())))

    def _timed(
        self, purpose: Purpose, token: str, now: datetime, lifetime: timedelta, hint: str
    ) -> tuple[int, datetime]:
        id_, issued = _TIMED.unpack(self._verify(purpose, token, _TIMED.size))
        issued_at = datetime.fromtimestamp(issued, UTC)
        if now - issued_at > lifetime:
            raise _expired(hint)
        return id_, issued_at

    def _sign(self, purpose: Purpose, payload: bytes) -> str:
        body = bytes((purpose, self._signing)) + payload
        return _encode(body + self._mac(self._signing, body))

    def _verify(self, purpose: Purpose, token: str, size: int) -> bytes:
        raw = _decode(token)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if len(body) != 2 + size or body[0] != purpose or body[1] not in self._hashes:
            raise _invalid()
        if not hmac.compare_digest(mac, self._mac(body[1], body)):
            raise _invalid()
        return body[2:]

    def _mac(self, key_id: int, body: bytes) -> bytes:
        state = self._hashes[key_id].copy()
        state.update(body)
        return state.digest()


def _move_purpose(*, is_new: bool) -> Purpose:
    return Purpose.MOVE_TO if is_new else Purpose.MOVE_FROM


def _keyed(key: bytes) -> blake2b:
    return blake2b(key=_clip(key), digest_size=MAC_BYTES, person=b"newsletter-token")


def _clip(key: bytes) -> bytes:
    """BLAKE2b takes 64 bytes of key: a longer one is hashed first."""
    return key if len(key) <= blake2b.MAX_KEY_SIZE else blake2b(key).digest()


def _key_id(key: bytes) -> int:
    return blake2b(key, digest_size=1, person=b"newsletter-keyid").digest()[0]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if len(raw) <= MAC_BYTES or _encode(raw) != token:
        raise _invalid()
    return raw


def _invalid() -> TokenError:
    return TokenError("this link is not valid", hint="use the link from the newest mail you have")


def _expired(hint: str) -> ExpiredTokenError:
    return ExpiredTokenError("this link has expired", hint=hint)
