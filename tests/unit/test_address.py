"""Addresses and names: what is accepted, in which forms, and what never gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.address import MAX_ADDRESS_CHARS, MAX_NAME_CHARS, EmailAddress, clean_name
from subscribers.errors import AddressError

LOCAL = st.text("abcXYZ09.+-_'=ßéİ用", min_size=1, max_size=12)
DOMAIN = st.sampled_from(["example.com", "Example.ORG", "bücher.example.com", "ＥXAMPLE.com"])
NEARLY_ADDRESSES = st.builds("{}@{}".format, LOCAL, DOMAIN)


def test_an_address_keeps_what_was_typed_and_gets_one_key() -> None:
    address = EmailAddress.parse("  Paula.Peters+News@Example.COM \n")
    assert address.given == "Paula.Peters+News@Example.COM"
    assert address.key == "paula.peters+news@example.com"
    assert address.wire == "Paula.Peters+News@example.com"


def test_an_international_domain_is_ascii_on_the_wire() -> None:
    address = EmailAddress.parse("ann@bücher.example.com")
    assert address.given == "ann@bücher.example.com"
    assert address.wire == address.key == "ann@xn--bcher-kva.example.com"
    assert not address.needs_smtputf8


def test_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    assert EmailAddress.parse("jörg@example.com").needs_smtputf8


def test_two_spellings_of_one_accent_are_one_address() -> None:
    assert (
        EmailAddress.parse("jo\u0308rg@example.com").key
        == EmailAddress.parse("JÖRG@example.com").key
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ann",
        "@example.com",
        "ann@",
        "ann@localhost",
        "ann@example.test",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann@example..com",
        "ann@-example.com",
        "Ann <ann@example.com>",
        "ann@example.com, bob@example.com",
        "ann@example.com bob@example.com",
        "ann@[192.0.2.1]",
        '"ann smith"@example.com',
        "=?utf-8?q?ann?=@example.com",
        "ann@example.com\r\nBcc: bob@example.com",
        "ann\x00@example.com",
        "\x1fann@example.com",
        "ann\u202e@example.com",
        "ann\u2028@example.com",
        "\ud800@example.com",
        "a" * 65 + "@example.com",
        "a" * 60 + "@" + "b" * 60 + "." + "c" * 60 + "." + "d" * 60 + "." + "e" * 20 + ".com",
    ],
)
def test_what_is_not_one_plain_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        EmailAddress.parse(text)


def test_the_longest_address_is_254_characters() -> None:
    longest = "a" * 64 + "@" + ".".join(["b" * 62, "c" * 62, "d" * 59, "com"])
    assert len(EmailAddress.parse(longest).wire) == MAX_ADDRESS_CHARS
    with pytest.raises(AddressError):
        EmailAddress.parse(longest.replace("d" * 59, "d" * 60))


def test_nobody_but_parse_makes_an_address() -> None:
    with pytest.raises(TypeError, match="parse"):
        EmailAddress("x", "x", "x", "x", object())


def test_a_log_never_shows_an_address() -> None:
    address = EmailAddress.parse("paula@example.com")
    assert address.redacted == "p…@example.com"
    assert "paula" not in f"{address} {address!r}"


def test_an_error_never_shows_the_address() -> None:
    for text in ("paula@exam_ple.com", "paula peters@example.com", "paula@xn--zz.com"):
        with pytest.raises(AddressError) as caught:
            EmailAddress.parse(text)
        assert "paula" not in str(caught.value)
        assert "xn--zz" not in str(caught.value)


@given(NEARLY_ADDRESSES | st.text(max_size=60) | st.emails())
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    try:
        address = EmailAddress.parse(text)
    except AddressError:
        return
    again = EmailAddress.parse(address.given)
    assert again == address
    assert EmailAddress.parse(address.wire).key == address.key
    assert address.ascii_domain.isascii()
    assert max(len(address.given), len(address.wire)) <= MAX_ADDRESS_CHARS


@given(st.emails())
def test_case_makes_no_second_address(text: str) -> None:
    try:
        address = EmailAddress.parse(text)
    except AddressError:
        return
    assert EmailAddress.parse(text.upper()).key == address.key


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Ann \t Smith\n", "Ann Smith"),
        ("Ann\r\nBcc: x", "Ann Bcc: x"),
        ("An\x00n\x07", "Ann"),
        ("\u202eevil\u202c", "evil"),
        ("\ufeffAnn\ud800", "Ann"),
        ("'t Hooft", "'t Hooft"),
        ("علی\u200cرضا", "علی\u200cرضا"),  # a joiner that Persian spelling needs
        ("", ""),
    ],
)
def test_a_name_is_one_clean_line(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize("text", ["=?utf-8?q?x?=", "a =\x00? b", "x" * (MAX_NAME_CHARS + 1)])
def test_a_name_that_mail_programs_decode_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        clean_name(text)


@given(st.text(max_size=250))
def test_a_clean_name_stays_as_it_is(text: str) -> None:
    try:
        name = clean_name(text)
    except AddressError:
        return
    assert clean_name(name) == name
    assert len(name.splitlines()) <= 1
