"""The SendGrid provider against a SendGrid of our own that fails in every known way."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the schema lives there

import sendgrid_schema
from sendgrid_fake import REFUSED_ADDRESS, Act, FakeSendGrid, error
from sendgrid_told import CONTENT, KEY, NOW_S, address, closed_url, envelopes, mailing, tell

from newsletter.providers.base import Envelope, Evidence, Outcome
from newsletter.providers.sendgrid import SUSPICIOUS, SendGrid


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def fake() -> Iterator[FakeSendGrid]:
    with FakeSendGrid(keys={KEY}) as fake:
        yield fake
    for payload in fake.payloads:
        assert sendgrid_schema.faults(payload) == []


def test_what_sendgrid_takes_is_submitted_with_an_id_of_its_own(fake: FakeSendGrid) -> None:
    told = tell(fake, envelopes(1, 2, 3))
    assert told.keys(Outcome.SUBMITTED) == [1, 2, 3]
    assert told.details == {"fake-1.1", "fake-1.2", "fake-1.3"}
    assert fake.accepted == [address(n) for n in (1, 2, 3)]
    assert fake.marks == ["2026-w48.m1.1", "2026-w48.m2.2", "2026-w48.m3.3"]
    assert fake.connections == 1


def test_nobody_to_write_to_costs_no_request(fake: FakeSendGrid) -> None:
    assert tell(fake, []).receipts == []
    assert fake.connections == 0


def test_more_than_a_thousand_go_in_several_requests(fake: FakeSendGrid) -> None:
    told = tell(fake, envelopes(*range(1, 2_202)))
    assert len(told.keys(Outcome.SUBMITTED)) == 2_201
    assert [len(one["personalizations"]) for one in fake.payloads] == [1_000, 1_000, 201]
    assert len(told.details) == 2_201


def test_the_sandbox_answers_200_and_sends_nothing(fake: FakeSendGrid) -> None:
    told = tell(fake, envelopes(1), sandbox=True)
    assert told.keys(Outcome.SUBMITTED) == [1]
    assert (fake.accepted, told.details) == ([], {""})


def test_two_readers_of_one_address_go_in_two_requests(fake: FakeSendGrid) -> None:
    twin = replace(envelopes(3)[0], address=address(1).upper())
    told = tell(fake, [*envelopes(1, 2), twin])
    assert told.keys(Outcome.SUBMITTED) == [1, 2, 3]
    assert len(fake.payloads) == 2


def test_values_too_large_for_sendgrid_fail_that_reader_alone(fake: FakeSendGrid) -> None:
    large = replace(envelopes(2)[0], slots={"name": "x" * 5_000})
    told = tell(fake, [*envelopes(1), large])
    assert told.keys(Outcome.FAILED) == [2]
    assert fake.accepted == [address(1)]


def test_an_address_that_is_named_fails_and_the_others_go_out(fake: FakeSendGrid) -> None:
    fake.bad = {address(7), address(30)}
    told = tell(fake, envelopes(*range(1, 51)))
    assert sorted(told.keys(Outcome.FAILED)) == [7, 30]
    assert len(told.keys(Outcome.SUBMITTED)) == len(fake.accepted) == 48
    assert len(fake.payloads) == 3
    failed = {one.detail for one in told.receipts if one.outcome is Outcome.FAILED}
    assert failed == {f"{REFUSED_ADDRESS} [address]"}


def test_an_address_that_is_not_named_is_found_by_halving(fake: FakeSendGrid) -> None:
    fake.unnamed_bad = {address(1), address(77), address(250)}
    told = tell(fake, envelopes(*range(1, 251)))
    assert sorted(told.keys(Outcome.FAILED)) == [1, 77, 250]
    assert sorted(fake.accepted) == sorted(
        address(n) for n in range(1, 251) if n not in {1, 77, 250}
    )
    assert len(fake.payloads) < 60


def test_a_name_for_nobody_in_the_request_is_not_believed(fake: FakeSendGrid) -> None:
    fake.script.append(Act(400, body=error("no", "personalizations.999.to.0.email")))
    assert tell(fake, envelopes(1, 2)).keys(Outcome.SUBMITTED) == [1, 2]


def test_one_message_refused_alone_fails_with_sendgrids_words(fake: FakeSendGrid) -> None:
    fake.unnamed_bad = {address(1)}
    told = tell(fake, envelopes(1))
    assert told.keys(Outcome.FAILED) == [1]
    assert told.details == {"SendGrid answered 400; Bad Request"}


def test_a_request_too_large_is_halved_until_it_fits() -> None:
    with FakeSendGrid(keys={KEY}, max_bytes=4_000) as fake:
        told = tell(fake, envelopes(*range(1, 41)))
    assert len(told.keys(Outcome.SUBMITTED)) == len(set(fake.accepted)) == 40


def test_a_message_too_large_even_alone_fails() -> None:
    with FakeSendGrid(keys={KEY}, max_bytes=10) as fake:
        told = tell(fake, envelopes(1, 2))
    assert told.keys(Outcome.FAILED) == [1, 2]
    assert told.details == {"SendGrid answered 413; Payload too large"}


def test_a_fault_of_the_mailing_marks_nobody(fake: FakeSendGrid) -> None:
    fake.script.append(Act(400, body=error("The from email is not valid.", "from.email")))
    told = tell(fake, envelopes(*range(1, 100)))
    assert told.receipts == []
    assert "The from email is not valid." in str(told.error)
    assert "NEWSLETTER_FROM" in str(told.error)
    assert len(fake.payloads) == 1


def test_refusing_one_after_the_other_is_taken_for_the_mailings_fault(fake: FakeSendGrid) -> None:
    fake.unnamed_bad = {address(n) for n in range(1, 251)}
    told = tell(fake, envelopes(*range(1, 251)))
    assert told.receipts == []
    assert "Bad Request" in str(told.error)
    assert len(fake.payloads) < 3 * SUSPICIOUS


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_stops_the_run_and_marks_nobody(
    fake: FakeSendGrid, status: int
) -> None:
    fake.script.append(Act(status, body=error(f"bad key {KEY} of priya@example.com")))
    told = tell(fake, envelopes(*range(1, 1_500)))
    assert told.receipts == []
    assert "NEWSLETTER_SENDGRID_API_KEY" in str(told.error)
    assert len(fake.payloads) == 1


def test_a_wrong_key_is_refused_by_the_fake_too(fake: FakeSendGrid) -> None:
    assert "authorization grant" in str(tell(fake, envelopes(1), key="SG.wrong").error)


@pytest.mark.parametrize(
    ("status", "reset", "pause_s"),
    [(429, str(int(NOW_S) + 17), 17), (429, "23", 23), (503, "9999", 60), (503, "", 1)],
)
def test_after_a_pause_it_is_tried_again(
    fake: FakeSendGrid, status: int, reset: str, pause_s: float
) -> None:
    fake.script.append(Act(status, (("X-RateLimit-Reset", reset),), error("too many requests")))
    told = tell(fake, envelopes(1, 2))
    assert told.pauses_s == [pause_s]
    assert told.keys(Outcome.SUBMITTED) == [1, 2]
    assert len(fake.accepted) == 2


def test_a_limit_that_stays_gives_all_back(fake: FakeSendGrid) -> None:
    fake.script += [Act(429, (("X-RateLimit-Reset", "5"),))] * 4
    told = tell(fake, envelopes(1, 2))
    assert (told.receipts, told.pauses_s) == ([], [5, 5, 5])
    assert "429" in str(told.error)


def test_a_limit_that_comes_later_gives_back_only_the_rest(fake: FakeSendGrid) -> None:
    first = Act(202, (("X-Message-Id", "a"),), accepts=True)
    fake.script += [first, *[Act(429, (("X-RateLimit-Reset", "5"),))] * 4]
    told = tell(fake, envelopes(*range(1, 3_001)))
    assert told.keys(Outcome.SUBMITTED) == list(range(1, 1_001))
    assert len(told.receipts) == len(fake.accepted) == 1_000
    assert "429" in str(told.error)


def test_all_pauses_of_a_call_stay_within_a_lease(fake: FakeSendGrid) -> None:
    fake.script += [Act(429, (("X-RateLimit-Reset", "60"),))] * 4
    assert sum(tell(fake, envelopes(1)).pauses_s) <= 100


@pytest.mark.parametrize("is_named", [True, False], ids=["no such name", "refused"])
def test_a_refused_connection_is_tried_again_and_then_given_back(
    is_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    url = "https://sendgrid.example.com" if is_named else closed_url()
    if is_named:  # nothing leaves this machine, not even a question for a name
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    told = tell(url, envelopes(1, 2))
    assert (told.receipts, told.pauses_s) == ([], [1, 2, 4])
    assert "could not be reached" in str(told.error)
    assert "NEWSLETTER_SENDGRID_URL" in str(told.error)


def test_a_connection_dropped_while_the_body_is_written_is_tried_again(
    fake: FakeSendGrid,
) -> None:
    large = replace(CONTENT, html="x" * 25_000_000)  # more than any socket's buffers
    fake.script.append(Act(drops="before"))
    told = tell(fake, envelopes(1), content=large)
    assert told.pauses_s == [1]
    assert told.keys(Outcome.SUBMITTED) == [1]
    assert fake.accepted == [address(1)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "act",
    [
        Act(hangs=True, accepts=True),
        Act(drops="after", accepts=True),
        Act(drops="after"),
        Act(500),
        Act(502, body=b"<html>Bad Gateway</html>", accepts=True),
        Act(504, accepts=True),
        Act(204),
    ],
    ids=lambda act: f"{act.status or ''}{act.drops}{'hangs' * act.hangs}{'+taken' * act.accepts}",
)
def test_where_no_answer_came_that_request_is_uncertain_and_never_posted_again(
    fake: FakeSendGrid, act: Act
) -> None:
    fake.script.append(act)
    told = tell(fake, envelopes(*range(1, 1_003)), timeout_s=0.5)
    assert told.keys(Outcome.UNCERTAIN) == list(range(1, 1_001))
    assert len(told.receipts) == 1_000
    assert told.error is not None  # the rest is given back
    assert told.pauses_s == []
    assert fake.connections == 1


def test_a_small_request_dropped_unread_is_uncertain_or_tried_again_and_never_doubled(
    fake: FakeSendGrid,
) -> None:
    fake.script.append(Act(drops="before"))
    told = tell(fake, envelopes(1, 2))
    # It is a race: the reset comes before the last byte is handed to the kernel, or after it.
    outcome = Outcome.SUBMITTED if fake.accepted else Outcome.UNCERTAIN
    assert told.keys(outcome) == [1, 2]
    assert len(fake.accepted) == len(set(fake.accepted))


def test_what_was_taken_before_an_answer_got_lost_stays_submitted(fake: FakeSendGrid) -> None:
    fake.script += [Act(202, (("X-Message-Id", "a"),), accepts=True), Act(502)]
    told = tell(fake, envelopes(*range(1, 2_500)))
    assert told.keys(Outcome.SUBMITTED) == list(range(1, 1_001))
    assert told.keys(Outcome.UNCERTAIN) == list(range(1_001, 2_001))
    assert told.error is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_other_host_sees_nothing(
    fake: FakeSendGrid, status: int
) -> None:
    with FakeSendGrid(keys={KEY}) as other:
        fake.script.append(Act(status, (("Location", f"{other.url}/v3/mail/send"),)))
        told = tell(fake, envelopes(1, 2))
        assert other.connections == 0
    assert told.receipts == []
    assert str(status) in str(told.error)
    assert "NEWSLETTER_SENDGRID_URL" in str(told.error)


def test_an_address_that_is_not_the_api_marks_nobody(fake: FakeSendGrid) -> None:
    told = tell(f"{fake.url}/elsewhere", envelopes(1))
    assert told.receipts == []
    assert "NEWSLETTER_SENDGRID_URL" in str(told.error)


def test_no_log_shows_key_or_reader(fake: FakeSendGrid, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="python_http_client.client")
    fake.bad = {address(2)}
    tell(fake, envelopes(1, 2))
    assert KEY not in caplog.text
    assert "reader" not in caplog.text


def test_afterwards_sendgrid_is_no_witness() -> None:
    evidence = SendGrid(KEY).evidence(mailing(), envelopes(1, 2))
    assert evidence == {1: Evidence.UNKNOWN, 2: Evidence.UNKNOWN}


def test_the_whole_mailing_is_composed_before_anything_goes_out(fake: FakeSendGrid) -> None:
    def broken(_: Envelope) -> dict[str, str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tell(fake, envelopes(1), content=replace(CONTENT, tokens=broken))
    assert fake.connections == 0
