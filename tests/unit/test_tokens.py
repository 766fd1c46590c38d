"""Tokens: what was signed reads back, and nothing else is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import SettingsError, TokenError
from newsletter.tokens import CONFIRM_LIFETIME, DeliveryToken, Keyring

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OLD, NEW = b"the-key-of-last-year-16", b"the-key-of-this-year-16"
KEYRING = Keyring([NEW])

issues = st.integers(0, 2**32 - 1)
subscribers = st.integers(0, 2**63 - 1)


@given(issues, subscribers)
def test_a_delivery_token_reads_back_its_issue_and_reader(issue: int, subscriber: int) -> None:
    token = KEYRING.delivery(issue, subscriber)
    assert KEYRING.read_delivery(token) == DeliveryToken(issue, subscriber)


@given(subscribers)
def test_a_token_is_bound_to_its_purpose(subscriber: int) -> None:
    tokens = {
        "read_delivery": KEYRING.delivery(1, subscriber),
        "read_unsubscribe": KEYRING.unsubscribe(1, subscriber),
        "read_preferences": KEYRING.preferences(1, subscriber),
        "read_form": KEYRING.form(NOW),
    }
    for reader, own in tokens.items():
        getattr(KEYRING, reader)(own)
        for token in set(tokens.values()) - {own}:
            with pytest.raises(TokenError):
                getattr(KEYRING, reader)(token)


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = KEYRING.delivery(7, 42)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != token[place]))
    with pytest.raises(TokenError):
        KEYRING.read_delivery(token[:place] + other + token[place + 1 :])


@given(st.text(max_size=80))
def test_text_that_nobody_signed_is_refused_and_never_crashes(text: str) -> None:
    for read in (
        KEYRING.read_delivery,
        KEYRING.read_unsubscribe,
        KEYRING.read_preferences,
        KEYRING.read_form,
    ):
        with pytest.raises(TokenError):
            read(text)


@pytest.mark.parametrize(
    "mend", [lambda t: t + "=", lambda t: t + "==", lambda t: t[:-1], lambda t: t + "A"]
)
def test_only_the_canonical_spelling_is_accepted(mend) -> None:
    with pytest.raises(TokenError):
        KEYRING.read_delivery(mend(KEYRING.delivery(7, 42)))


def test_a_confirmation_expires_after_seven_days_and_not_before() -> None:
    token = KEYRING.confirm(42, NOW)
    read = KEYRING.read_confirm(token, NOW + CONFIRM_LIFETIME)
    assert (read.subscriber_id, read.issued_at) == (42, NOW)
    with pytest.raises(TokenError, match="expired"):
        KEYRING.read_confirm(token, NOW + CONFIRM_LIFETIME + timedelta(seconds=1))


def test_an_older_key_still_reads_what_it_signed_once_a_newer_one_signs() -> None:
    token = Keyring([OLD]).unsubscribe(1, 42)
    rotated = Keyring([NEW, OLD])
    assert rotated.read_unsubscribe(token) == DeliveryToken(1, 42)
    assert rotated.unsubscribe(1, 42) != token
    with pytest.raises(TokenError):
        Keyring([NEW]).read_unsubscribe(token)


def test_a_fingerprint_survives_a_newer_key() -> None:
    assert Keyring([OLD]).fingerprint("1:42") == Keyring([NEW, OLD]).fingerprint("1:42")
    assert KEYRING.fingerprint("1:42") != KEYRING.fingerprint("1:43")


@pytest.mark.parametrize("keys", [[], [b"short"]])
def test_a_keyring_without_a_real_key_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(SettingsError, match="NEWSLETTER_SECRET_KEYS"):
        Keyring(keys)


def test_a_key_longer_than_the_hash_takes_is_used_whole() -> None:
    long = b"k" * 64
    token = Keyring([long + b"1"]).delivery(1, 2)
    with pytest.raises(TokenError):
        Keyring([long + b"2"]).read_delivery(token)
