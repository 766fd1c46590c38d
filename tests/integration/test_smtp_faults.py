"""The SMTP provider against servers that break off, stall and babble: one outcome a message.

The server's own log is the truth: no message is accepted twice, none is called sent that was not.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smtp_client import (
    PLAIN_TURNS,
    WAYS,
    check_account,
    envelopes,
    hand_over,
    mailing,
    outcomes,
    smtp,
)
from smtp_server import CHUNKED, EXTENSIONS, Answer, Hangup, SmtpServer, Talk

from newsletter.providers.base import Outcome, Unlogged
from newsletter.providers.smtp_core import WINDOW


def test_a_server_that_is_not_there_marks_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with smtp(f"smtp://127.0.0.1:{port}?tls=none") as provider:
        receipts, error = hand_over(provider, envelopes(3))
    assert receipts == []
    assert f"127.0.0.1:{port}" in error
    assert "refused" in error.lower()


def test_a_connection_refused_beside_others_leaves_the_work_to_those() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return "421 4.7.0 Too many" if not verb and talk.number > 1 else None

    with SmtpServer(script) as server, smtp(server.url, connections=4) as provider:
        receipts, error = hand_over(provider, envelopes(60))
        assert not error
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert len(server.talks) <= 4


VERBS = ["", "EHLO", "MAIL", "RCPT", "DATA", "."]
ENDINGS = {
    "hangs up": Hangup(),
    "hangs up within its answer": Hangup(b"250-half"),
    "says 421": Hangup(b"421 4.3.0 Bye\r\n"),
    "does it and hangs up": Hangup(after=True),
    "babbles": Hangup(b"\x00\xffHTTP/1.1 200 OK\r\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=list(ENDINGS))
@pytest.mark.parametrize("verb", VERBS, ids=[verb or "greeting" for verb in VERBS])
@WAYS
@pytest.mark.parametrize("is_always", [False, True], ids=["once", "always"])
def test_wherever_a_server_closes_each_message_has_one_outcome_and_none_is_taken_twice(
    extensions: tuple[str, ...], verb: str, ending: Hangup, is_always: bool
) -> None:
    given = envelopes(12)
    times = itertools.count(1)
    which = 2 if verb in ("", "EHLO") else 3
    is_chunked = extensions is CHUNKED
    if is_chunked and verb in ("DATA", "."):
        verb = "BDAT"

    def script(talk: Talk, said: str, line: str) -> Answer:
        hit = said == verb and (next(times) == which or is_always)
        return ending if hit else None

    with SmtpServer(script, extensions=extensions) as server:
        with smtp(server.url, connections=2) as provider:
            receipts, error = hand_over(provider, given)
            found = outcomes(receipts)
            again, _ = hand_over(
                provider,
                [e for e in given if found.get(e.key, Outcome.DEFERRED) is Outcome.DEFERRED],
            )
        check_account(server, given, receipts, error, again)
        uncertain = list(found.values()).count(Outcome.UNCERTAIN)
        assert uncertain <= (3 if is_always else 1) * (WINDOW if is_chunked else 1)
        if not is_always:
            assert not error
        if not is_always and not is_chunked:
            assert uncertain == (verb == "." and b"421" not in ending.first)
        if is_chunked and b"421" in ending.first:
            assert not uncertain


@settings(max_examples=40)
@given(data=st.data())
def test_a_server_that_breaks_off_at_random_is_accounted_for(data: st.DataObject) -> None:
    breaks = data.draw(
        st.sets(st.integers(1, 60), max_size=8).map(frozenset), label="commands broken off"
    )
    ending = data.draw(st.sampled_from(list(ENDINGS.values())), label="how")
    connections = data.draw(st.integers(1, 3), label="connections")
    extensions = data.draw(st.sampled_from([EXTENSIONS, PLAIN_TURNS, CHUNKED]), label="offer")
    count = Counter[str]()

    def script(talk: Talk, said: str, line: str) -> Answer:
        count["all"] += 1
        return ending if count["all"] in breaks else None

    given = envelopes(12)
    with (
        SmtpServer(script, extensions=extensions) as server,
        smtp(server.url, connections=connections) as provider,
    ):
        receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])


@pytest.mark.parametrize("verb", ["", "EHLO", "MAIL"], ids=["greeting", "EHLO", "MAIL"])
def test_a_server_that_falls_silent_before_a_message_marks_nobody(verb: str) -> None:
    over = threading.Event()

    def script(talk: Talk, said: str, line: str) -> Answer:
        return Hangup(str(over.wait(30)).encode()) if said == verb else None

    with SmtpServer(script) as server, smtp(server.url, connections=2, timeout_s=0.5) as provider:
        receipts, error = hand_over(provider, envelopes(100))
        over.set()
        assert "no answer" in error
        assert set(outcomes(receipts).values()) <= {Outcome.DEFERRED}
        assert server.readers == []


def test_a_server_that_never_answers_for_a_message_holds_up_few() -> None:
    over = threading.Event()

    def script(talk: Talk, verb: str, line: str) -> Answer:
        return Hangup(str(over.wait(30)).encode()) if verb == "." else None

    with SmtpServer(script) as server, smtp(server.url, connections=2, timeout_s=0.5) as provider:
        receipts, error = hand_over(provider, envelopes(100))
        over.set()
        assert "no answer" in error
        assert 1 <= list(outcomes(receipts).values()).count(Outcome.UNCERTAIN) <= 3


@WAYS
def test_late_replies_of_many_lines_are_replies(extensions: tuple[str, ...]) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        time.sleep(0.002)
        if verb != "RCPT":
            return None
        talk.recipients.append(line.partition("<")[2].rpartition(">")[0])
        return "250-2.1.5 One\r\n250-two\r\n250 three"

    with (
        SmtpServer(script, extensions=extensions) as server,
        smtp(server.url, connections=3) as provider,
    ):
        receipts, _ = hand_over(provider, envelopes(20))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert len(set(server.readers)) == len(server.readers) == 20


@pytest.mark.slow
@WAYS
def test_a_server_may_take_twice_as_long_over_a_whole_message(extensions: tuple[str, ...]) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        time.sleep(1.3 if verb in ("BDAT", ".") else 0.0)
        return None

    with SmtpServer(script, extensions=extensions) as server:
        with smtp(server.url, timeout_s=1.0) as provider:
            receipts, error = hand_over(provider, envelopes(1))
        assert (outcomes(receipts), error) == ({1: Outcome.SUBMITTED}, "")


@WAYS
@pytest.mark.parametrize("code", ["454 4.7.0 TLS is not available", "502 5.5.1 No STARTTLS"])
def test_a_server_that_refuses_starttls_is_sent_nothing(
    extensions: tuple[str, ...], code: str
) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return code if verb == "STARTTLS" else None

    with SmtpServer(script, extensions=(*extensions, "STARTTLS")) as server:
        with smtp(f"smtp://127.0.0.1:{server.port}?tls=starttls") as provider:
            receipts, error = hand_over(provider, envelopes(3))
        assert receipts == []
        assert "refused STARTTLS" in error
        assert not any(line.startswith("MAIL") for line in server.commands)


def test_what_was_queued_behind_a_refusal_is_not_worn_out_by_it() -> None:
    told: list[str] = []
    seen = Counter[int]()

    def script(talk: Talk, verb: str, line: str) -> Answer:
        seen[talk.number] += verb == "BDAT"
        if verb != "BDAT" or seen[talk.number] < 2:
            return None
        told.extend(talk.recipients)
        return Hangup(b"421 4.7.0 One at a time\r\n")

    given = envelopes(16)
    with SmtpServer(script, extensions=CHUNKED) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])
    found = outcomes(receipts)
    assert not error
    deferred = {one.address for one in given if found[one.key] is Outcome.DEFERRED}
    assert deferred == set(told)


GARBAGE = [b"\x00\xff\r\n", b"<html>\r\n", b"99 bottles\r\n", b"250-a\r\n251 b\r\n"]


@WAYS
@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "message"])
def test_a_server_that_sends_garbage_is_left_and_every_message_accounted_for(
    extensions: tuple[str, ...], garbage: bytes, verb: str
) -> None:
    end = "BDAT" if extensions is CHUNKED else "."

    def script(talk: Talk, said: str, line: str) -> Answer:
        hit = talk.number == 0 and said == (end if verb == "message" else verb)
        return garbage if hit else None

    given = envelopes(12)
    with SmtpServer(script, extensions=extensions) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])
        assert not error
        assert len(receipts) == len(given)


@WAYS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "message"])
@pytest.mark.parametrize("closes", [False, True], ids=["stays", "closes"])
def test_a_421_in_the_middle_concerns_one_message_and_ends_one_connection(
    extensions: tuple[str, ...], verb: str, closes: bool
) -> None:
    end = "BDAT" if extensions is CHUNKED else "."
    times = itertools.count(1)

    def script(talk: Talk, said: str, line: str) -> Answer:
        if said != (end if verb == "message" else verb) or next(times) != 3:
            return None
        # As bytes the server says it and stays, as some do that mean no more than "not now".
        return Hangup(b"421 4.7.0 Bye\r\n") if closes else b"421 4.7.0 Slow down\r\n"

    given = envelopes(12)
    with SmtpServer(script, extensions=extensions) as server:
        with smtp(server.url, timeout_s=1.0) as provider:
            receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])
        found = outcomes(receipts)
    assert not error
    assert len(found) == len(given)
    assert Outcome.UNCERTAIN not in found.values()
    assert list(found.values()).count(Outcome.DEFERRED) == (verb == "message")


@pytest.mark.parametrize("extra", ["250 2.0.0 And more", "354 What"])
def test_a_server_that_answers_too_often_is_left_before_it_confuses_anyone(extra: str) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return f"250 2.1.0 Ok\r\n{extra}" if verb == "MAIL" and talk.number == 0 else None

    with SmtpServer(script) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, envelopes(6))
        check_account(server, envelopes(6), receipts, error, [])


def test_a_call_that_is_abandoned_leaves_no_connection_behind() -> None:
    with SmtpServer() as server, smtp(server.url, connections=2) as provider:
        calls = provider.submit(mailing(), envelopes(30), Unlogged())
        next(iter(calls))
        calls.close()
        receipts, _ = hand_over(provider, envelopes(5, 31))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert max(Counter(server.readers).values()) == 1
