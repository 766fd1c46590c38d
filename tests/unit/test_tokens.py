"""Tokens: what was signed reads back, and nothing else is believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import ExpiredTokenError, SettingsError, TokenError
from newsletter.tokens import (
    CONFIRM_LIFETIME,
    MOVE_LIFETIME,
    OWN_DATA_LIFETIME,
    UNDO_LIFETIME,
    DeliveryToken,
    Keyring,
    MoveToken,
    UndoToken,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
OLD, NEW = b"the-key-of-last-year-16", b"the-key-of-this-year-16"
KEYRING = Keyring([NEW])

issues = st.integers(0, 2**32 - 1)
subscribers = st.integers(0, 2**63 - 1)


@given(issues, subscribers)
def test_a_delivery_token_reads_back_its_issue_and_reader(issue: int, subscriber: int) -> None:
    token = KEYRING.delivery(issue, subscriber)
    assert KEYRING.read_delivery(token) == DeliveryToken(issue, subscriber)


def every_kind(subscriber: int) -> dict[str, tuple[str, Callable[[str], object]]]:
    """A token of each kind for the same person, and how it is read."""
    ring = KEYRING
    return {
        "delivery": (ring.delivery(1, subscriber), ring.read_delivery),
        "unsubscribe": (ring.unsubscribe(1, subscriber), ring.read_unsubscribe),
        "preferences": (ring.preferences(1, subscriber), ring.read_preferences),
        "form": (ring.form(NOW), ring.read_form),
        "confirm": (ring.confirm(subscriber, NOW), lambda t: ring.read_confirm(t, NOW)),
        "move": (ring.move(subscriber, NOW, is_new=False), lambda t: ring.read_move(t, NOW)),
        "own data": (ring.own_data(subscriber, NOW), lambda t: ring.read_own_data(t, NOW)),
        "undo": (ring.undo(subscriber, NOW), lambda t: ring.read_undo(t, NOW)),
        "bounce": (ring.bounce(1, subscriber), ring.read_bounce),
    }


KINDS = sorted(every_kind(1))


@given(subscribers)
def test_a_token_is_bound_to_its_purpose(subscriber: int) -> None:
    kinds = every_kind(subscriber)
    for kind, (own, read) in kinds.items():
        read(own)
        for other, (token, _) in kinds.items():
            if other != kind:
                with pytest.raises(TokenError):
                    read(token)


@given(subscribers)
def test_each_end_of_a_move_speaks_for_itself_alone(change: int) -> None:
    ends = {is_new: KEYRING.move(change, NOW, is_new=is_new) for is_new in (True, False)}
    assert ends[True] != ends[False]
    for is_new, token in ends.items():
        assert KEYRING.read_move(token, NOW) == MoveToken(change, is_new)


@given(subscribers, st.timedeltas(timedelta(0), timedelta(days=30_000)).map(lambda t: NOW + t))
def test_an_undo_token_knows_its_leaving_to_the_microsecond(who: int, left: datetime) -> None:
    assert KEYRING.read_undo(KEYRING.undo(who, left), left) == UndoToken(who, left)


@pytest.mark.parametrize(
    ("kind", "lifetime"),
    [("move", MOVE_LIFETIME), ("own data", OWN_DATA_LIFETIME), ("undo", UNDO_LIFETIME)],
)
def test_a_link_that_expires_does_so_to_the_second(kind: str, lifetime: timedelta) -> None:
    token, _ = every_kind(42)[kind]
    read = {
        "move": KEYRING.read_move,
        "own data": KEYRING.read_own_data,
        "undo": KEYRING.read_undo,
    }[kind]
    read(token, NOW + lifetime)
    with pytest.raises(ExpiredTokenError):
        read(token, NOW + lifetime + timedelta(seconds=1))


@given(st.sampled_from(KINDS), st.data())
def test_a_token_of_any_kind_is_believed_only_as_it_was_signed(
    kind: str, data: st.DataObject
) -> None:
    token, read = every_kind(42)[kind]
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(
        st.characters(codec="utf-8").filter(lambda c: c.lower() != token[place].lower())
    )
    cut = data.draw(st.integers(0, len(token) - 1))
    for forged in (
        token[:place] + other + token[place + 1 :],
        token[:cut],
        token + other,
        f"{token}=",
    ):
        with pytest.raises(TokenError):
            read(forged)


@given(st.sampled_from(KINDS), st.text(max_size=80))
def test_text_is_no_token_of_any_kind(kind: str, text: str) -> None:
    with pytest.raises(TokenError):
        every_kind(42)[kind][1](text)


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = KEYRING.delivery(7, 42)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != token[place]))
    with pytest.raises(TokenError):
        KEYRING.read_delivery(token[:place] + other + token[place + 1 :])


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
