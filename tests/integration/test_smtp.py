"""The SMTP provider against a loopback server: what arrives, and what is said of what does not."""

from __future__ import annotations

import socket
from collections import Counter

import pytest
from smtp_client import (
    CONTENT,
    FOLDER,
    PLAIN_TURNS,
    SENDER,
    WAYS,
    envelopes,
    for_reader,
    hand_over,
    mailing,
    outcomes,
    smtp,
    splice,
)
from smtp_server import (
    CERTIFICATE,
    CHUNKED,
    EXTENSIONS,
    PASSWORD,
    USER,
    Answer,
    SmtpServer,
    Talk,
)

from newsletter.errors import PermanentError
from newsletter.providers.base import Envelope, Evidence, Mailing, Outcome, Unlogged

AUTH = (*EXTENSIONS, "AUTH PLAIN LOGIN")
QUOTED_PASSWORD = "p%3Aw%2Fd%401"


@WAYS
@pytest.mark.parametrize("connections", [1, 4])
def test_every_message_arrives_once_and_as_it_was_written(
    extensions: tuple[str, ...], connections: int
) -> None:
    given = envelopes(40)
    with SmtpServer(extensions=extensions) as server:
        with smtp(server.url, connections=connections) as provider:
            receipts, error = hand_over(provider, given)
        assert not error
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert sorted(server.readers) == sorted(envelope.address for envelope in given)
        arrived = {one.recipients[0]: one.message for one in server.accepted}
        assert arrived == {envelope.address: splice(envelope) for envelope in given}
        assert {one.sender for one in server.accepted} == {
            f"MAIL FROM:<{SENDER}> SIZE={len(splice(one))}" for one in given
        } | {f"MAIL FROM:<{SENDER}> SIZE={len(splice(given[0]))}"}
        assert len(server.talks) <= connections
    details = [receipt.detail for receipt in receipts]
    assert len(set(details)) == len(details), "a detail that two messages share is a duplicate"
    assert "queued as Q" in details[0]


def test_the_end_of_a_message_and_the_next_envelope_travel_in_one_write() -> None:
    with SmtpServer() as server, smtp(server.url) as provider:
        hand_over(provider, envelopes(5))
        together = [read for read in server.reads if b"\r\n.\r\nMAIL FROM" in read]
        assert len(together) == 4
        assert all(read.endswith(b"DATA\r\n") for read in together)


def test_where_pipelining_is_not_offered_every_command_waits_for_its_reply() -> None:
    with SmtpServer(extensions=PLAIN_TURNS) as server, smtp(server.url) as provider:
        hand_over(provider, envelopes(3))
        assert all(read.count(b"\r\n") == 1 or read.endswith(b".\r\n") for read in server.reads)


def test_connections_are_kept_between_calls() -> None:
    with SmtpServer() as server, smtp(server.url) as provider:
        for first in (1, 11, 21):
            receipts, _ = hand_over(provider, envelopes(10, first))
            assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert len(server.talks) == 1


def test_a_connection_the_server_closed_between_calls_costs_nothing() -> None:
    with SmtpServer() as server, smtp(server.url) as provider:
        hand_over(provider, envelopes(1))
        server._open[0].shutdown(socket.SHUT_RDWR)
        receipts, error = hand_over(provider, envelopes(3, 2))
        assert (len(receipts), error) == (3, "")
        assert Counter(server.readers).most_common(1)[0][1] == 1


def test_a_forked_sender_leaves_its_parents_connections_alone() -> None:
    with SmtpServer() as server, smtp(server.url) as provider:
        hand_over(provider, envelopes(1))
        provider._rack._pid = -1  # as it is in the child
        receipts, _ = hand_over(provider, envelopes(1, 2))
        assert outcomes(receipts) == {2: Outcome.SUBMITTED}
        assert len(server.talks) == 2
        assert "QUIT" not in server.commands


def test_a_connection_carries_only_so_many_messages() -> None:
    with SmtpServer() as server, smtp(server.url) as provider:
        provider._max_letters = 3
        receipts, _ = hand_over(provider, envelopes(10))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert len(server.talks) == 4
        assert len(server.readers) == len(set(server.readers)) == 10


@WAYS
@pytest.mark.parametrize(
    ("verb", "answer", "outcome"),
    [
        ("RCPT", "550 5.1.1 No reader2@example.com, nor READER2 here", Outcome.BOUNCED),
        ("RCPT", "550 No such user", Outcome.BOUNCED),
        ("RCPT", "554 5.7.1 Not for you", Outcome.BOUNCED),
        ("RCPT", "450 4.2.0 Greylisted", Outcome.DEFERRED),
        ("DATA", "554 5.7.1 Not that", Outcome.FAILED),
        ("DATA", "451 4.3.0 Later", Outcome.DEFERRED),
        (".", "550-5.7.1 Looks\r\n550 5.7.1 like spam", Outcome.FAILED),
        (".", "452 4.3.1 Full", Outcome.DEFERRED),
        (".", "421 4.3.0 Going down", Outcome.DEFERRED),
        (".", "550 5.2.1 Closed", Outcome.BOUNCED),
        (".", "552 5.2.3 Too long", Outcome.FAILED),
    ],
)
def test_a_refusal_concerns_only_the_message_it_was_given_for(
    extensions: tuple[str, ...], verb: str, answer: str, outcome: Outcome
) -> None:
    if extensions is CHUNKED and verb in ("DATA", "."):
        verb = "BDAT"
    script = for_reader(2, verb, answer)
    with SmtpServer(script, extensions=extensions) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, envelopes(5))
        found = outcomes(receipts)
        assert not error
        assert found.pop(2) is outcome
        assert set(found.values()) == {Outcome.SUBMITTED}
        assert sorted(server.readers) == [f"reader{n}@example.com" for n in (1, 3, 4, 5)]
    detail = next(receipt.detail for receipt in receipts if receipt.key == 2)
    assert detail.startswith(answer[:3])
    if answer[3] == " ":
        assert detail.startswith(" ".join(answer.split(" ")[:2]))
    assert "reader2" not in detail.lower()


def test_data_granted_for_a_refused_reader_is_answered_with_a_lone_dot() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        if verb == "RCPT" and "<reader2@" in line:
            talk.recipients = []
            return "550 5.1.1 Nobody"
        return "354 Go on" if verb == "DATA" else None

    with SmtpServer(script) as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, envelopes(3))
        assert outcomes(receipts)[2] is Outcome.BOUNCED
        assert server.readers == ["reader1@example.com", "reader3@example.com"]


def test_a_refused_sender_stops_the_call_and_marks_nobody() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return "553 5.7.1 Not your address: news@example.com" if verb == "MAIL" else None

    with SmtpServer(script) as server, smtp(server.url, connections=2) as provider:
        receipts, error = hand_over(provider, envelopes(50))
        assert receipts == []
        assert "5.7.1" in error
        assert "NEWSLETTER_FROM" in error
        assert "news@" not in error
        assert len(server.talks) <= 2


def test_a_server_that_ignores_ehlo_is_spoken_to_plainly() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return "502 5.5.2 What?" if verb == "EHLO" else None

    with SmtpServer(script) as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, envelopes(3))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert "HELO here.example.com" in server.commands
        assert {one.sender for one in server.accepted} == {f"MAIL FROM:<{SENDER}>"}


def test_a_message_over_the_servers_limit_is_never_sent() -> None:
    with SmtpServer(extensions=("PIPELINING", "SIZE 40")) as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, envelopes(2))
        assert set(outcomes(receipts).values()) == {Outcome.FAILED}
        assert "octets" in receipts[0].detail
        assert not any(line.startswith("MAIL") for line in server.commands)


def test_an_address_beyond_ascii_goes_only_where_it_is_welcome() -> None:
    reader = Envelope(1, "jürgen@example.com", "", "w48.1@example.com", {})
    with SmtpServer() as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, [reader])
        assert receipts[0].outcome is Outcome.FAILED
        assert "SMTPUTF8" in receipts[0].detail
    with (
        SmtpServer(extensions=(*EXTENSIONS, "SMTPUTF8")) as server,
        smtp(server.url) as provider,
    ):
        receipts, _ = hand_over(provider, [reader])
        assert receipts[0].outcome is Outcome.SUBMITTED
        assert server.readers == ["jürgen@example.com"]
        assert server.accepted[0].sender.endswith(" SMTPUTF8")


HOSTILE = ["a@example.com>\r\nRCPT TO:<b@example.com", "a\0@example.com", "a@b\n", "@x,@y:a@b", "a"]


@pytest.mark.parametrize("address", HOSTILE)
def test_an_address_that_could_break_out_never_reaches_the_wire(address: str) -> None:
    hostile = Envelope(9, address, "", "w48.9@example.com", {})
    with SmtpServer() as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, [hostile, *envelopes(1)])
        assert outcomes(receipts) == {9: Outcome.FAILED, 1: Outcome.SUBMITTED}
        assert server.readers == ["reader1@example.com"]


def test_a_message_that_cannot_be_made_fails_alone() -> None:
    def refusing(envelope: Envelope) -> bytes:
        if envelope.key == 2:
            raise PermanentError("no such name")
        return splice(envelope)

    with SmtpServer() as server, smtp(server.url) as provider:
        receipts = list(
            provider.submit(Mailing(FOLDER, refusing, CONTENT), envelopes(3), Unlogged())
        )
        assert outcomes(receipts)[2] is Outcome.FAILED
        assert len(server.readers) == 2


def test_the_wire_cannot_say_afterwards_what_became_of_a_message() -> None:
    with smtp("smtp://127.0.0.1:9?tls=none") as provider:
        found = provider.evidence(mailing(), envelopes(2))
        assert found == {1: Evidence.UNKNOWN, 2: Evidence.UNKNOWN}


# Sign-in and TLS.


@pytest.mark.parametrize("mechanisms", ["AUTH PLAIN LOGIN", "AUTH LOGIN", "AUTH=LOGIN"])
def test_it_signs_in_with_what_is_offered(mechanisms: str) -> None:
    with SmtpServer(extensions=(*EXTENSIONS, mechanisms), needs_auth=True) as server:
        url = f"smtp://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{server.port}?tls=none"
        with smtp(url) as provider:
            receipts, error = hand_over(provider, envelopes(3))
        assert (len(receipts), error) == (3, "")


def test_a_wrong_password_marks_nobody_is_tried_once_and_is_not_shown() -> None:
    with SmtpServer(extensions=AUTH, needs_auth=True) as server:
        url = f"smtp://{USER}:wrong-{QUOTED_PASSWORD}@127.0.0.1:{server.port}?tls=none"
        with smtp(url) as provider:
            receipts, error = hand_over(provider, envelopes(5))
        assert receipts == []
        assert "535 5.7.8" in error
        assert "user and password" in error
        assert PASSWORD not in error
        assert sum(line.startswith("AUTH") for line in server.commands) == 1
        assert PASSWORD not in repr(provider.target)


def test_a_server_that_wants_a_sign_in_we_have_not_is_reported() -> None:
    with SmtpServer(needs_auth=True) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, envelopes(5))
        assert receipts == []
        assert "530" in error


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


STARTTLS = (*EXTENSIONS, "STARTTLS")


@pytest.mark.slow
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("implicit", [True, False], ids=["smtps", "starttls"])
def test_messages_of_any_size_travel_in_tls(implicit: bool) -> None:
    def large(envelope: Envelope) -> bytes:
        return splice(envelope) + b"x" * 70 + b"\r\n" + b"0123456789" * 200_000 + b"\r\n"

    with SmtpServer(extensions=(*STARTTLS, *AUTH), implicit_tls=implicit) as server:
        place = f"{USER}:{QUOTED_PASSWORD}@127.0.0.1:{server.port}"
        url = f"smtps://{place}" if implicit else f"smtp://{place}?tls=starttls"
        with smtp(url, connections=2) as provider:
            receipts = list(
                provider.submit(Mailing(FOLDER, large, CONTENT), envelopes(6), Unlogged())
            )
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        arrived = {one.recipients[0]: one.message for one in server.accepted}
        assert arrived == {one.address: large(one) for one in envelopes(6)}
        assert all(talk.is_private and talk.is_signed_in for talk in server.talks)


@pytest.mark.parametrize("implicit", [True, False], ids=["smtps", "starttls"])
def test_a_certificate_nobody_vouches_for_is_refused(implicit: bool) -> None:
    with SmtpServer(extensions=STARTTLS, implicit_tls=implicit) as server:
        place = f"127.0.0.1:{server.port}"
        with smtp(f"smtps://{place}" if implicit else f"smtp://{place}?tls=starttls") as provider:
            receipts, error = hand_over(provider, envelopes(3))
        assert receipts == []
        assert "certificate" in error
        assert not any(line.startswith("MAIL") for line in server.commands)


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_host_is_refused() -> None:
    with SmtpServer(implicit_tls=True, host="127.0.0.2") as server:
        with smtp(f"smtps://127.0.0.2:{server.port}") as provider:
            receipts, error = hand_over(provider, envelopes(1))
        assert receipts == []
        assert "IP address mismatch" in error


def test_without_starttls_nothing_is_sent_where_it_is_required() -> None:
    with SmtpServer(extensions=AUTH) as server:
        url = f"smtp://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{server.port}?tls=starttls"
        with smtp(url) as provider:
            receipts, error = hand_over(provider, envelopes(3))
        assert receipts == []
        assert "STARTTLS" in error
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.commands)


@pytest.mark.usefixtures("trusted")
def test_words_slipped_in_before_the_handshake_are_not_believed() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return b"220 Go ahead\r\n250 AUTH PLAIN\r\n" if verb == "STARTTLS" else None

    with SmtpServer(script, extensions=STARTTLS) as server:
        with smtp(f"smtp://127.0.0.1:{server.port}?tls=starttls") as provider:
            receipts, error = hand_over(provider, envelopes(1))
        assert receipts == []
        assert "handshake" in error
