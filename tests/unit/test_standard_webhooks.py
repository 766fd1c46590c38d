"""Webhooks signed as Standard Webhooks says: made, checked, and refused for whatever is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import SettingsError
from newsletter.providers import standard_webhooks as hooks
from newsletter.providers.standard_webhooks import ID, SIGNATURE, TIMESTAMP

# The reference vector of the specification's libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = hooks.read_secret(SECRET)
AT = datetime.fromtimestamp(1_614_265_330, UTC)
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
SIGNED = {
    ID: MESSAGE,
    TIMESTAMP: "1614265330",
    SIGNATURE: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER = hooks.read_secret(hooks.new_secret())


def is_signed(
    headers: dict[str, str] = SIGNED,
    body: bytes = BODY,
    *,
    keys: tuple[bytes, ...] = (KEY,),
    now: datetime = AT,
) -> bool:
    return hooks.is_signed(keys, headers, body, now=now, freshness=timedelta(minutes=10))


def test_the_reference_vector_is_signed_and_known() -> None:
    assert hooks.sign(KEY, message_id=MESSAGE, at=AT, body=BODY) == SIGNED
    assert is_signed()


def test_a_secret_may_be_changed_while_both_are_known() -> None:
    assert is_signed(keys=(OTHER, KEY))
    both = SIGNED | {SIGNATURE: f"v1a,abcd v1,AAAA {SIGNED[SIGNATURE]} v1,"}
    assert is_signed(both)
    assert not is_signed(keys=(OTHER,))
    assert not is_signed(keys=())


@pytest.mark.parametrize(
    "spoilt",
    [
        {SIGNATURE: ""},
        {SIGNATURE: SIGNED[SIGNATURE].removeprefix("v1,")},
        {SIGNATURE: SIGNED[SIGNATURE].replace("v1,", "v2,")},
        {SIGNATURE: SIGNED[SIGNATURE].replace(" ", ",") + "é"},
        {SIGNATURE: SIGNED[SIGNATURE][:-4]},
        {TIMESTAMP: "1614265331"},
        {TIMESTAMP: "1614265330.0"},
        {TIMESTAMP: "１６１４２６５３３０"},
        {TIMESTAMP: ""},
        {ID: "msg_other"},
        {ID: ""},
        {ID: "msg p5j"},
    ],
)
def test_whatever_is_wrong_with_a_header_the_answer_is_no(spoilt: dict[str, str]) -> None:
    assert not is_signed(SIGNED | spoilt)
    (name,) = spoilt
    assert not is_signed({key: value for key, value in SIGNED.items() if key != name})


@pytest.mark.parametrize("place", range(len(BODY)))
def test_a_changed_byte_of_the_body_is_refused(place: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= 1
    assert not is_signed(body=bytes(changed))


@pytest.mark.parametrize("minutes", [-11, 11, 60 * 24 * 365])
def test_what_is_older_or_newer_than_fresh_is_refused(minutes: int) -> None:
    assert not is_signed(now=AT + timedelta(minutes=minutes))
    assert is_signed(now=AT + timedelta(minutes=10))


@given(st.binary(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_what_we_sign_we_know_again(body: bytes, message_id: str) -> None:
    signed = hooks.sign(OTHER, message_id=message_id, at=AT, body=body)
    assert is_signed(signed, body, keys=(OTHER,))
    assert not is_signed(signed, body + b" ", keys=(OTHER,))


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "é", "x" * 257])
def test_an_id_that_could_be_read_two_ways_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="full stop"):
        hooks.sign(KEY, message_id=message_id, at=AT, body=b"")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64!", "A" * 200])
def test_a_secret_that_is_none_is_refused_without_being_named(secret: str) -> None:
    with pytest.raises(SettingsError) as told:
        hooks.read_secret(secret)
    assert len(secret) < 10 or secret not in str(told.value)


def test_a_new_secret_is_a_good_one() -> None:
    first, second = hooks.new_secret(), hooks.new_secret()
    assert first != second
    assert len(hooks.read_secret(first)) == 32
    assert hooks.read_secret(first.removeprefix("whsec_")) == hooks.read_secret(first)
