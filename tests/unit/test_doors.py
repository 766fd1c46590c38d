"""Who asked, as proxies of our own tell it, and what counts as one visitor."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.doors import visitor_ip, visitor_network
from newsletter.errors import SettingsError
from newsletter.settings import described, load_settings

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))
VISITOR = "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        (VISITOR, [], VISITOR),
        (VISITOR, ["203.0.113.9"], VISITOR),  # anybody can write the header
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [VISITOR], VISITOR),
        ("10.0.0.1", [f"203.0.113.9, {VISITOR}"], VISITOR),  # what stands left was sent to us
        ("10.0.0.1", ["203.0.113.9", VISITOR], VISITOR),
        ("10.0.0.1", [f"203.0.113.9, {VISITOR}, 10.0.0.2"], VISITOR),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [f"{VISITOR}:50123"], VISITOR),
        ("::1", ["[2001:db8::7]:50123"], "2001:db8::7"),
        ("::1", ['"[2001:db8::7]"'], "2001:db8::7"),
        ("::ffff:10.0.0.1", [f"::ffff:{VISITOR}"], VISITOR),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{VISITOR}, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [f"{VISITOR}, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("", [VISITOR], ""),
        ("testclient", [VISITOR], "testclient"),
    ],
)
def test_a_header_is_believed_as_far_as_proxies_of_our_own_wrote_it(
    peer: str, forwarded: list[str], visitor: str
) -> None:
    assert visitor_ip(peer, forwarded, PROXIES) == visitor


def test_without_trusted_proxies_no_header_counts() -> None:
    assert visitor_ip("127.0.0.1", [VISITOR], ()) == "127.0.0.1"


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_header_of_a_stranger_makes_them_somebody_else(forwarded: list[str]) -> None:
    assert visitor_ip(VISITOR, forwarded, PROXIES) == VISITOR


@given(st.lists(st.text('0123456789abcdef.:[], "', max_size=60), max_size=5))
def test_any_header_of_a_proxy_gives_one_ip(forwarded: list[str]) -> None:
    assert visitor_network(visitor_ip("10.0.0.1", forwarded, PROXIES))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("198.51.100.7", "198.51.100.8", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("", "", True),
    ],
)
def test_one_visitor_is_an_address_or_a_sixty_four_of_the_new_ones(
    one: str, other: str, is_same: bool
) -> None:
    assert (visitor_network(one) == visitor_network(other)) is is_same


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TRUSTED_PROXIES", "proxy.example.com", "write 10.0.0.5, 10.0.0.0/8"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "'10.0.0.1/8', which is no network"),
        ("FORM_ORIGINS", "*", "https://blog.example.com"),
        ("FORM_ORIGINS", "https://blog.example.com/page", "scheme and host"),
        ("FORM_ORIGINS", "https://blog.example.com:99999", "port does not exist"),
        ("SIGN_UPS_PER_IP", "0", "from 1 to 1,000,000"),
        ("SIGN_UPS_PER_HOUR", "many", "from 1 to 1,000,000"),
        ("SIGN_UPS_UNSOLVED_PER_HOUR", "-1", "from 0 to 1,000,000"),
        ("PROOF_OF_WORK", "10", "write 0 for no proof of work, or 50000"),
        ("PROOF_OF_WORK", "yes", "write 0 for no proof of work, or 50000"),
    ],
)
def test_a_setting_of_the_sign_up_that_cannot_be_used_says_what_to_write(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NEWSLETTER_{variable}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert f"NEWSLETTER_{variable}" in str(refused.value)
    assert said in str(refused.value)


def test_settings_of_the_sign_up_are_shown_as_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    monkeypatch.setenv("NEWSLETTER_FORM_ORIGINS", "https://Blog.example.com:443/,http://[::1]:81")
    shown = {key: value for key, value, _source in described(load_settings())}
    assert shown["trusted_proxies"] == "10.0.0.0/8, ::1/128"
    assert shown["form_origins"] == "https://blog.example.com, http://[::1]:81"
    assert (shown["sign_ups_per_ip"], shown["sign_ups_per_hour"]) == ("5", "500")
    assert (shown["proof_of_work"], shown["sign_ups_unsolved_per_hour"]) == ("0", "20")
