"""A connection cut at any octet, in either direction, in plain text and within TLS records."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smtp_client import PLAIN_TURNS, check_account, envelopes, hand_over, outcomes, smtp
from smtp_proxy import CutLine
from smtp_server import CERTIFICATE, CHUNKED, EXTENSIONS, Answer, Hangup, SmtpServer, Talk

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_core import WINDOW

COUNT = 12
OFFERS = {"pipelined": EXTENSIONS, "in turns": PLAIN_TURNS, "chunked": CHUNKED}


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@pytest.mark.slow
@pytest.mark.usefixtures("trusted")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    offer=st.sampled_from(list(OFFERS)),
    tls=st.booleans(),
    upwards=st.booleans(),
    rudely=st.booleans(),
    cut_at=st.integers(0, 4_500),
)
def test_wherever_the_line_is_cut_each_message_has_one_outcome_and_none_is_taken_twice(
    offer: str, tls: bool, upwards: bool, rudely: bool, cut_at: int
) -> None:
    given = envelopes(COUNT)
    with (
        SmtpServer(extensions=OFFERS[offer], implicit_tls=tls) as server,
        CutLine(server.port, cut_at=cut_at, upwards=upwards, rudely=rudely) as line,
    ):
        url = f"smtps://127.0.0.1:{line.port}" if tls else f"smtp://127.0.0.1:{line.port}?tls=none"
        with smtp(url) as provider:
            receipts, error = hand_over(provider, given)
            found = outcomes(receipts)
            again, _ = hand_over(provider, [one for one in given if one.key not in found])
        check_account(server, given, receipts, error, again)
    uncertain = list(found.values()).count(Outcome.UNCERTAIN)
    assert uncertain <= (WINDOW if offer == "chunked" else 1)
    assert len(found) + len(again) == COUNT


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("offer", list(OFFERS))
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "message"])
@pytest.mark.parametrize("after", [False, True], ids=["refused", "taken"])
def test_tls_that_breaks_off_in_the_middle_of_a_record_is_a_lost_connection(
    offer: str, verb: str, after: bool
) -> None:
    half_a_record = b"\x17\x03\x03\x40\x00half"
    ends = {"message": "BDAT" if offer == "chunked" else "."}
    given = envelopes(5)

    def script(talk: Talk, said: str, line: str) -> Answer:
        hit = talk.number == 0 and said == ends.get(verb, verb)
        return Hangup(after=after, beneath=half_a_record) if hit else None

    with SmtpServer(script, extensions=OFFERS[offer], implicit_tls=True) as server:
        with smtp(f"smtps://127.0.0.1:{server.port}") as provider:
            receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])
    assert not error
    assert len(receipts) == len(given)
    if after and verb == "message":
        assert outcomes(receipts)[1] is Outcome.UNCERTAIN
    assert Counter(outcomes(receipts).values())[Outcome.FAILED] == 0
