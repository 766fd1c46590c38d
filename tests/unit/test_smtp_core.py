"""The SMTP protocol core, byte by byte: no socket, no clock, no thread."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_core import Session
from newsletter.providers.smtp_flight import Settled
from newsletter.providers.smtp_letters import Letter
from newsletter.providers.smtp_opening import Identity, Phase

ME = Identity("here.example.com", "news@example.com")
GREETING = b"220 there ESMTP\r\n"
PIPELINED = b"250-there\r\n250-PIPELINING\r\n250 SIZE 1000\r\n"
PLAIN = b"250 there\r\n"
OK = b"250 2.0.0 Ok\r\n"
GO_ON = b"354 Go on\r\n"


def letter(key: int, message: bytes = b"Hello\r\n") -> Letter:
    return Letter(key, f"reader{key}@example.com", f"w48.{key}@example.com", message)


def written(session: Session) -> bytes:
    """Everything it wants to write, written."""
    out = b""
    while view := session.outgoing():
        out += bytes(view)
        session.wrote(len(view))
    return out


def ready(offer: bytes = PIPELINED, identity: Identity = ME) -> Session:
    session = Session(identity)
    session.receive(GREETING)
    session.receive(offer)
    written(session)
    return session


def on_the_wire(offer: bytes = PIPELINED) -> Session:
    """Letter 1 is granted and queued with its dot, letter 2's envelope after it; none written."""
    session = ready(offer)
    session.begin(letter(1))
    written(session)
    session.receive(OK + OK + GO_ON)
    if session.is_free:
        session.begin(letter(2))
    return session


def outcomes(settled: list[Settled]) -> dict[int, Outcome | None]:
    assert len({one.letter.key for one in settled}) == len(settled)
    return {one.letter.key: one.outcome for one in settled}


def test_it_waits_for_the_greeting_then_says_ehlo() -> None:
    session = Session(ME)
    assert written(session) == b""
    session.receive(GREETING)
    assert written(session) == b"EHLO here.example.com\r\n"
    assert session.phase is Phase.OPENING
    session.receive(PIPELINED)
    assert session.phase is Phase.READY
    assert session.is_free


def test_pipelined_the_dot_and_the_next_envelope_are_one_piece() -> None:
    session = on_the_wire()
    assert bytes(session.outgoing()) == (
        b"Hello\r\n.\r\n"
        b"MAIL FROM:<news@example.com> SIZE=7\r\n"
        b"RCPT TO:<reader2@example.com>\r\n"
        b"DATA\r\n"
    )


def test_in_plain_turns_one_command_follows_one_reply() -> None:
    session = ready(PLAIN)
    session.begin(letter(1))
    turns = []
    for reply in (OK, OK, GO_ON):
        turns.append(written(session))
        session.receive(reply)
    turns.append(written(session))
    assert turns == [
        b"MAIL FROM:<news@example.com>\r\n",
        b"RCPT TO:<reader1@example.com>\r\n",
        b"DATA\r\n",
        b"Hello\r\n.\r\n",
    ]
    assert not session.is_free
    session.receive(OK)
    assert session.is_free
    assert outcomes(session.take_settled()) == {1: Outcome.SUBMITTED}


@pytest.mark.parametrize("offer", [PIPELINED, PLAIN], ids=["pipelined", "in turns"])
def test_a_refused_reader_leaves_no_transaction_behind(offer: bytes) -> None:
    session = ready(offer)
    session.begin(letter(1))
    refusal = b"550 5.1.1 Nobody\r\n"
    session.receive(OK + refusal + (b"503 5.5.1 No\r\n" if offer is PIPELINED else b""))
    written(session)
    assert outcomes(session.take_settled()) == {1: Outcome.BOUNCED}
    session.begin(letter(2))
    assert written(session).startswith(b"RSET\r\n")


def test_data_granted_though_nobody_is_to_receive_it_gets_a_lone_dot() -> None:
    session = ready()
    session.begin(letter(1))
    written(session)
    session.receive(OK + b"550 5.1.1 Nobody\r\n" + GO_ON)
    session.begin(letter(2))
    assert written(session).startswith(b".\r\nMAIL FROM")
    session.receive(b"554 5.5.1 No valid recipients\r\n" + OK + OK + GO_ON)
    written(session)
    session.receive(OK)
    assert outcomes(session.take_settled()) == {1: Outcome.BOUNCED, 2: Outcome.SUBMITTED}


def test_a_lost_connection_is_uncertain_only_from_the_first_octet_of_the_dot() -> None:
    body = len(b"Hello\r\n")
    for count in range(len(bytes(on_the_wire().outgoing())) + 1):
        session = on_the_wire()
        session.outgoing()
        session.wrote(count)
        session.closed("gone")
        expected = Outcome.UNCERTAIN if count > body else None
        assert outcomes(session.take_settled()) == {1: expected, 2: None}


def test_octets_that_tls_may_have_sent_count_as_sent() -> None:
    session = on_the_wire()
    session.exposing(len(session.outgoing()))
    session.closed("gone")
    assert outcomes(session.take_settled()) == {1: Outcome.UNCERTAIN, 2: None}


def test_a_421_settles_each_letter_by_itself() -> None:
    session = on_the_wire()
    written(session)
    session.receive(OK + OK + b"421 4.3.0 Bye\r\n" + OK)
    assert outcomes(session.take_settled()) == {1: Outcome.SUBMITTED, 2: None}
    assert session.phase is Phase.OVER
    assert not session.is_free


def test_a_refusal_stands_though_the_connection_is_lost_after_it() -> None:
    session = ready()
    session.begin(letter(1))
    written(session)
    session.receive(OK + b"550 5.1.1 Nobody\r\n")
    session.closed("gone")
    assert outcomes(session.take_settled()) == {1: Outcome.BOUNCED}


def test_a_letter_that_cannot_go_leaves_the_connection_as_it_was() -> None:
    session = ready()
    session.begin(letter(1, b"x" * 1001))
    assert outcomes(session.take_settled()) == {1: Outcome.FAILED}
    assert written(session) == b""
    assert session.is_idle


def test_the_sign_in_is_never_in_plain_text_before_tls() -> None:
    identity = Identity("here", "news@example.com", True, "news", "secret")
    session = Session(identity)
    session.receive(GREETING)
    session.receive(b"250-there\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
    assert written(session) == b"EHLO here\r\nSTARTTLS\r\n"
    session.receive(b"220 Go\r\n")
    assert session.phase is Phase.HANDSHAKE
    session.tls_started()
    assert written(session) == b"EHLO here\r\n"
    session.receive(b"250-there\r\n250 AUTH PLAIN\r\n")
    token = base64.b64encode(b"\0news\0secret")
    assert written(session) == b"AUTH PLAIN " + token + b"\r\n"
    session.receive(b"235 Welcome\r\n")
    assert session.phase is Phase.READY


def test_what_was_offered_before_tls_counts_no_more() -> None:
    session = Session(Identity("here", "news@example.com", True))
    session.receive(GREETING + b"250-there\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
    session.receive(b"220 Go\r\n")
    session.tls_started()
    session.receive(PLAIN)
    assert "PIPELINING" not in session.offer


@pytest.mark.parametrize("code", [b"535 5.7.8 news:secret", b"334 Y"])
def test_a_refused_sign_in_shows_nothing_of_it(code: bytes) -> None:
    identity = Identity("here", "news@example.com", user="news", password="secret")
    session = ready(b"250-there\r\n250 AUTH PLAIN\r\n", identity)
    session.receive(code + b"\r\n")
    assert session.failure is not None
    assert "secret" not in str(session.failure) + repr(identity)


SCENARIO = (
    GREETING,
    PIPELINED,
    OK + OK + GO_ON,
    b"250-2.0.0 Ok\r\n250 2.0.0 queued as A\r\n" + OK + b"550-5.1.1 No\r\n550 5.1.1 body\r\n",
    b"503 5.5.1 No\r\n",
    OK + OK + OK + GO_ON,
    b"452 4.3.1 Full\r\n" + OK + OK + GO_ON,
)
TAILS = st.sampled_from(
    [b"", b"421 4.3.0 Bye\r\n", b"garbage\r\n", b"250 2.0.0 queued as B", b"354 What\r\n", b"\xff"]
)


def play(pieces: list[bytes], count: int = 4) -> list[Settled]:
    """The whole scenario with these pieces; everything is written as soon as it can be."""
    session = Session(ME)
    letters = [letter(key) for key in range(1, count + 1)]
    settled = []
    for piece in pieces:
        session.receive(piece)
        while letters and session.is_free:
            session.begin(letters.pop(0))
        written(session)
        settled += session.take_settled()
    session.closed("the end")
    return settled + session.take_settled()


@given(data=st.data(), tail=TAILS)
def test_however_the_servers_bytes_are_cut_the_outcome_is_the_same(
    data: st.DataObject, tail: bytes
) -> None:
    """A server may answer only what was asked, so it is cut within each of its turns."""
    turns = (*SCENARIO, tail)
    pieces = []
    for turn in turns:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(turn)), max_size=8)))
        pieces += [turn[a:b] for a, b in zip([0, *cuts], [*cuts, len(turn)], strict=True)]
    cut, whole = play(pieces), play(list(turns))
    assert [(s.letter, s.outcome) for s in cut] == [(s.letter, s.outcome) for s in whole]
    assert [s.detail for s in cut] == [s.detail for s in whole]
    assert outcomes(whole)[1] is Outcome.SUBMITTED
    assert outcomes(whole)[2] is Outcome.BOUNCED
    assert outcomes(whole)[3] is Outcome.DEFERRED


@given(length=st.integers(0, len(b"".join(SCENARIO))))
def test_a_conversation_cut_short_anywhere_settles_every_letter_once(length: int) -> None:
    pieces = []
    for turn in SCENARIO:
        pieces.append(turn[:length])
        length = max(0, length - len(turn))
    begun = outcomes(play([piece for piece in pieces if piece]))
    assert sum(outcome is Outcome.UNCERTAIN for outcome in begun.values()) <= 1


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_no_bytes_whatever_make_it_stumble(pieces: list[bytes]) -> None:
    settled = outcomes(play([GREETING, PIPELINED, *pieces]))
    assert 1 in settled
