"""The SMTP provider against servers that break off, stall and babble: one outcome a message.

The server's own log is the truth: no message is accepted twice, none is called sent that was not.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smtp_client import PLAIN_TURNS, envelopes, hand_over, mailing, outcomes, smtp
from smtp_server import EXTENSIONS, Answer, Hangup, SmtpServer, Talk

from newsletter.providers.base import Envelope, Outcome, Receipt


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


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=list(ENDINGS))
@pytest.mark.parametrize("verb", VERBS, ids=[verb or "greeting" for verb in VERBS])
@pytest.mark.parametrize("extensions", [EXTENSIONS, PLAIN_TURNS], ids=["pipelined", "in turns"])
@pytest.mark.parametrize("is_always", [False, True], ids=["once", "always"])
def test_wherever_a_server_closes_each_message_has_one_outcome_and_none_is_taken_twice(
    extensions: tuple[str, ...], verb: str, ending: Hangup, is_always: bool
) -> None:
    given = envelopes(12)
    times = itertools.count(1)
    which = 2 if verb in ("", "EHLO") else 3

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
        assert uncertain <= (3 if is_always else 1)
        if not is_always:
            assert not error
            assert uncertain == (verb == "." and b"421" not in ending.first)


def check_account(
    server: SmtpServer,
    given: Sequence[Envelope],
    receipts: Sequence[Receipt],
    error: str,
    again: Sequence[Receipt],
) -> None:
    """The client's account against the server's own log."""
    taken = Counter(server.readers)
    found = outcomes(receipts)
    found.update(outcomes(again))
    assert not taken or max(taken.values()) == 1
    assert error or len(receipts) == len(given)
    for envelope in given:
        outcome = found.get(envelope.key, Outcome.DEFERRED)
        if outcome is not Outcome.UNCERTAIN:
            assert (outcome is Outcome.SUBMITTED) == (envelope.address in taken)


@settings(max_examples=40)
@given(data=st.data())
def test_a_server_that_breaks_off_at_random_is_accounted_for(data: st.DataObject) -> None:
    breaks = data.draw(
        st.sets(st.integers(1, 60), max_size=8).map(frozenset), label="commands broken off"
    )
    ending = data.draw(st.sampled_from(list(ENDINGS.values())), label="how")
    connections = data.draw(st.integers(1, 3), label="connections")
    count = Counter[str]()

    def script(talk: Talk, said: str, line: str) -> Answer:
        count["all"] += 1
        return ending if count["all"] in breaks else None

    given = envelopes(12)
    with SmtpServer(script) as server, smtp(server.url, connections=connections) as provider:
        receipts, error = hand_over(provider, given)
        check_account(server, given, receipts, error, [])


@pytest.mark.parametrize("verb", ["", "EHLO", "MAIL"], ids=["greeting", "EHLO", "MAIL"])
def test_a_server_that_falls_silent_before_a_message_marks_nobody(verb: str) -> None:
    over = threading.Event()

    def script(talk: Talk, said: str, line: str) -> Answer:
        return Hangup(str(over.wait(30)).encode()) if said == verb else None

    with SmtpServer(script) as server, smtp(server.url, connections=2, timeout_s=0.1) as provider:
        receipts, error = hand_over(provider, envelopes(100))
        over.set()
        assert "no answer" in error
        assert set(outcomes(receipts).values()) <= {Outcome.DEFERRED}
        assert server.readers == []


def test_a_server_that_never_answers_for_a_message_holds_up_few() -> None:
    over = threading.Event()

    def script(talk: Talk, verb: str, line: str) -> Answer:
        return Hangup(str(over.wait(30)).encode()) if verb == "." else None

    with SmtpServer(script) as server, smtp(server.url, connections=2, timeout_s=0.1) as provider:
        receipts, error = hand_over(provider, envelopes(100))
        over.set()
        assert "no answer" in error
        assert 1 <= list(outcomes(receipts).values()).count(Outcome.UNCERTAIN) <= 3


def test_late_replies_in_many_pieces_are_replies() -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        time.sleep(0.002)
        if verb != "RCPT":
            return None
        talk.recipients.append(line.partition("<")[2].rpartition(">")[0])
        return "250-2.1.5 One\r\n250-two\r\n250 three"

    with SmtpServer(script) as server, smtp(server.url, connections=3) as provider:
        receipts, _ = hand_over(provider, envelopes(20))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert len(set(server.readers)) == len(server.readers) == 20


@pytest.mark.parametrize("extra", ["250 2.0.0 And more", "354 What"])
def test_a_server_that_answers_too_often_is_left_before_it_confuses_anyone(extra: str) -> None:
    def script(talk: Talk, verb: str, line: str) -> Answer:
        return f"250 2.1.0 Ok\r\n{extra}" if verb == "MAIL" and talk.number == 0 else None

    with SmtpServer(script) as server, smtp(server.url) as provider:
        receipts, error = hand_over(provider, envelopes(6))
        check_account(server, envelopes(6), receipts, error, [])


def test_a_call_that_is_abandoned_leaves_no_connection_behind() -> None:
    with SmtpServer() as server, smtp(server.url, connections=2) as provider:
        calls = provider.submit(mailing(), envelopes(30))
        next(iter(calls))
        calls.close()
        receipts, _ = hand_over(provider, envelopes(5, 31))
        assert set(outcomes(receipts).values()) == {Outcome.SUBMITTED}
        assert max(Counter(server.readers).values()) == 1
