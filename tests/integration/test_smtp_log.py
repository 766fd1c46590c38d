"""What the SMTP provider says of its attempts before they leave, and when it has to be silent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from smtp_client import WAYS, Recorder, envelopes, hand_over, mailing, outcomes, smtp
from smtp_server import CERTIFICATE, CHUNKED, EXTENSIONS, Answer, Hangup, SmtpServer, Talk

from newsletter.errors import TransientError
from newsletter.providers.base import Outcome
from newsletter.providers.smtp_core import WINDOW


def key_of(address: str) -> int:
    return int(address.removeprefix("reader").partition("@")[0])


@WAYS
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_no_message_is_whole_before_the_log_was_told(
    extensions: tuple[str, ...], tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    log = Recorder()
    too_early: list[int] = []

    def script(talk: Talk, verb: str, line: str) -> Answer:
        if verb in (".", "BDAT"):
            keys = {key_of(one) for one in talk.recipients}
            too_early.extend(keys - set(log.attempted))
        return None

    with SmtpServer(script, extensions=extensions, implicit_tls=tls) as server:
        place = f"127.0.0.1:{server.port}"
        with smtp(f"smtps://{place}" if tls else server.url, connections=3) as provider:
            receipts, _ = hand_over(provider, envelopes(60), log)
    assert len(receipts) == 60
    assert not too_early
    assert sorted(log.attempted) == list(range(1, 61))


class Balance(Recorder):
    """Knows how much was attempted and not yet told of, at every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0
        self.most = 0

    def attempting(self, keys: Sequence[int]) -> None:
        super().attempting(keys)
        self.most = max(self.most, len(self.attempted) - self.told)


@WAYS
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("breaks", [False, True], ids=["steady", "breaking off"])
def test_what_is_attempted_and_untold_never_exceeds_what_the_connections_carry(
    extensions: tuple[str, ...], connections: int, breaks: bool
) -> None:
    log = Balance()
    last = "BDAT" if extensions is CHUNKED else "."

    def script(talk: Talk, verb: str, line: str) -> Answer:
        is_worn = verb == last and len(talk.recipients) and key_of(talk.recipients[0]) % 9 == 0
        return Hangup(b"421 4.3.0 Bye\r\n") if breaks and is_worn else None

    with (
        SmtpServer(script, extensions=extensions) as server,
        smtp(server.url, connections=connections) as provider,
    ):
        for _ in provider.submit(mailing(), envelopes(80), log):
            log.told += 1
    assert log.told == 80
    assert len(log.attempted) == len(set(log.attempted))
    assert log.most <= connections * (WINDOW if extensions is CHUNKED else 1)


@WAYS
def test_a_message_that_goes_again_is_not_said_again(extensions: tuple[str, ...]) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return Hangup(b"421 4.3.0 Bye\r\n") if verb == "MAIL" and talk.number == 0 else None

    log = Recorder()
    with SmtpServer(script, extensions=extensions) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, envelopes(10), log)
        assert not error
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
    assert sorted(log.attempted) == list(range(1, 11))


def test_letters_whose_reader_is_refused_first_were_never_attempted_with_data() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return "550 5.1.1 Nobody" if verb == "RCPT" and "<reader2@" in line else None

    log = Recorder()
    with SmtpServer(script) as server, smtp(server.url) as provider:
        receipts, _ = hand_over(provider, envelopes(3), log)
    assert outcomes(receipts)[2] is Outcome.BOUNCED
    assert log.attempted == [1, 3]


@WAYS
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("fails_at", [1, 2, 5])
def test_what_the_log_cannot_keep_does_not_leave(
    extensions: tuple[str, ...], connections: int, fails_at: int
) -> None:
    log = Recorder(fails_at)
    given = envelopes(100)
    with SmtpServer(extensions=extensions) as server:
        with smtp(server.url, connections=connections) as provider:
            receipts, error = hand_over(provider, given, log)
            # What had left before is answered for, and none of it is in doubt.
            assert "journal's disk is full" in error
            assert log.failures == 1
            assert set(outcomes(receipts).values()) <= {Outcome.SUBMITTED}
            assert sorted(outcomes(receipts)) == sorted(log.attempted)
            assert sorted(map(key_of, server.readers)) == sorted(log.attempted)
            rest = [one for one in given if one.key not in log.attempted]
            again, error = hand_over(provider, rest)
        assert not error
        assert set(outcomes(again).values()) == {Outcome.SUBMITTED}
        assert len(set(server.readers)) == len(server.readers) == 100


def test_the_error_of_the_log_is_the_error_of_the_call() -> None:
    class Full(Recorder):
        def attempting(self, keys: Sequence[int]) -> None:
            raise trouble

    trouble = TransientError("the disk is full", hint="make room")
    with SmtpServer(extensions=EXTENSIONS) as server, smtp(server.url) as provider:
        with pytest.raises(TransientError) as caught:
            list(provider.submit(mailing(), envelopes(3), Full()))
        assert server.readers == []
    assert caught.value is trouble
