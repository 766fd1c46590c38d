"""BDAT in the SMTP protocol core, byte by byte: a window of letters, each with its own replies."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.providers.base import Outcome
from newsletter.providers.smtp_core import WINDOW, Session
from newsletter.providers.smtp_flight import Settled
from newsletter.providers.smtp_letters import Letter
from newsletter.providers.smtp_opening import Identity, Phase

ME = Identity("here.example.com", "news@example.com")
GREETING = b"220 there ESMTP\r\n"
CHUNKED = b"250-there\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
OK = b"250 2.0.0 Ok\r\n"
NOBODY = b"550 5.1.1 Nobody\r\n"
NO_RECIPIENT = b"503 5.5.1 No valid recipient\r\n"
BYE = b"421 4.3.0 Bye\r\n"
MESSAGE = b".\r\n.dots\r\n..\r\n"


def letter(key: int, message: bytes = MESSAGE) -> Letter:
    return Letter(key, f"reader{key}@example.com", f"w48.{key}@example.com", message)


def written(session: Session) -> bytes:
    out = b""
    while view := session.outgoing():
        out += bytes(view)
        session.wrote(len(view))
    return out


def ready(offer: bytes = CHUNKED) -> Session:
    session = Session(ME)
    session.receive(GREETING + offer)
    written(session)
    return session


def flying(count: int, *, is_written: bool = True) -> Session:
    """That many letters begun, and written unless told otherwise."""
    session = ready()
    for key in range(1, count + 1):
        session.begin(letter(key))
    if is_written:
        written(session)
    return session


def outcomes(settled: list[Settled]) -> dict[int, Outcome | None]:
    assert len({one.letter.key for one in settled}) == len(settled)
    return {one.letter.key: one.outcome for one in settled}


def on_wire(key: int, *, reset: bool) -> bytes:
    return (
        (b"RSET\r\n" if reset else b"")
        + b"MAIL FROM:<news@example.com>\r\n"
        + b"RCPT TO:<reader%d@example.com>\r\n" % key
        + b"BDAT %d LAST\r\n" % len(MESSAGE)
        + MESSAGE
    )


def test_a_letter_goes_in_one_piece_and_its_dots_stay_as_they_are() -> None:
    session = ready()
    session.begin(letter(1))
    assert bytes(session.outgoing()) == on_wire(1, reset=False)


def test_letters_follow_each_other_without_waiting_and_with_a_reset_between_them() -> None:
    session = flying(3, is_written=False)
    assert bytes(session.outgoing()) == b"".join(on_wire(n, reset=n > 1) for n in (1, 2, 3))


def test_no_more_letters_are_on_their_way_than_the_window_holds() -> None:
    session = flying(WINDOW)
    assert not session.is_free
    session.receive(OK * 3)
    assert session.is_free
    session.begin(letter(WINDOW + 1))
    assert not session.is_free


def test_a_refused_letter_leaves_the_window_only_with_its_last_reply() -> None:
    session = flying(WINDOW)
    session.receive(OK + NOBODY)
    assert not session.is_free
    session.receive(NO_RECIPIENT)
    assert session.is_free


def test_a_transaction_that_ended_well_is_not_reset() -> None:
    session = flying(1)
    session.receive(OK * 3)
    session.begin(letter(2))
    assert written(session) == on_wire(2, reset=False)


@pytest.mark.parametrize("replies", [OK + NOBODY + NO_RECIPIENT, OK * 2 + b"452 4.3.1 Full\r\n"])
def test_a_transaction_that_failed_is_reset_before_the_next(replies: bytes) -> None:
    session = flying(1)
    session.receive(replies)
    session.begin(letter(2))
    assert written(session) == on_wire(2, reset=True)


def test_without_pipelining_chunking_is_not_used() -> None:
    session = ready(b"250-there\r\n250 CHUNKING\r\n")
    session.begin(letter(1))
    assert written(session) == b"MAIL FROM:<news@example.com>\r\n"


@pytest.mark.parametrize(
    "last", [NO_RECIPIENT, b"554 5.5.1 No\r\n", OK, b"452 4.3.1 Full\r\n", b"530 5.7.0 Who?\r\n"]
)
def test_a_refused_reader_is_settled_by_that_and_the_chunks_reply_says_nothing(last: bytes) -> None:
    session = flying(3)
    session.receive(OK + NOBODY + last + OK + (OK * 3) + OK + (OK * 3))
    expected = {1: Outcome.BOUNCED, 2: Outcome.SUBMITTED, 3: Outcome.SUBMITTED}
    assert outcomes(session.take_settled()) == expected
    assert session.is_idle


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (b"550 5.1.1 Nobody", Outcome.BOUNCED), (b"550 5.1.10 Null MX", Outcome.BOUNCED),
        (b"552 5.2.2 Full", Outcome.BOUNCED), (b"552 5.2.3 Too long", Outcome.FAILED),
        (b"552 5.2.30 Unheard of", Outcome.BOUNCED), (b"550 5.7.1 Spam", Outcome.FAILED),
        (b"554 No", Outcome.FAILED), (b"550 No 5.1.1", Outcome.FAILED),
        (b"452 4.2.2 Full", Outcome.DEFERRED), (b"421 4.3.0 Bye", Outcome.DEFERRED),
    ],
)  # fmt: skip
def test_what_a_refusal_after_the_message_makes_of_it(reply: bytes, outcome: Outcome) -> None:
    session = flying(1)
    session.receive(OK + OK + reply + b"\r\n")
    (settled,) = session.take_settled()
    assert settled.outcome is outcome
    assert settled.detail == reply.decode()


def test_a_refused_sender_stops_everything_but_the_answers_that_are_due() -> None:
    session = flying(3)
    session.receive(b"550 5.7.1 Not you\r\n" + NO_RECIPIENT * 2)
    assert session.phase is Phase.LISTENING
    assert not session.is_free
    session.receive(OK + b"550 5.7.1 Not you\r\n" + NO_RECIPIENT * 2)
    session.receive(OK + OK + OK + OK)
    assert outcomes(session.take_settled()) == {1: None, 2: None, 3: Outcome.SUBMITTED}
    assert session.phase is Phase.OVER
    assert session.failure is not None
    assert session.failure.is_final


STEPS = [b"", OK, OK * 2, OK * 3]  # what is answered of letter 1 before the 421


@pytest.mark.parametrize("before", STEPS)
def test_a_421_says_that_nothing_after_it_is_carried_out(before: bytes) -> None:
    session = flying(3)
    session.receive(before + BYE)
    assert session.phase is Phase.LISTENING
    session.closed("the server hung up")
    first = {b"": None, OK: None, OK * 2: Outcome.DEFERRED, OK * 3: Outcome.SUBMITTED}[before]
    assert outcomes(session.take_settled()) == {1: first, 2: None, 3: None}


def test_a_server_that_goes_on_after_its_421_is_taken_at_its_later_word() -> None:
    session = flying(3)
    session.receive(OK + BYE + NO_RECIPIENT + OK * 4)
    session.give_up("no answer within 30 s")
    expected = {1: None, 2: Outcome.SUBMITTED, 3: Outcome.UNCERTAIN}
    assert outcomes(session.take_settled()) == expected


@pytest.mark.parametrize("answer", [b"500 5.5.2 What?", b"502 5.5.1 No BDAT", b"354 Go on"])
def test_a_server_that_takes_the_message_for_commands_is_left(answer: bytes) -> None:
    session = flying(2)
    session.receive(OK * 2 + answer + b"\r\n")
    assert session.phase is Phase.OVER
    assert outcomes(session.take_settled()) == {1: Outcome.UNCERTAIN, 2: Outcome.UNCERTAIN}


def test_a_refused_reset_ends_the_connection_and_no_letter_but_by_its_own_replies() -> None:
    session = flying(3)
    session.receive(OK * 3 + b"500 5.5.2 What?\r\n" + OK * 3 + OK * 4)
    assert set(outcomes(session.take_settled()).values()) == {Outcome.SUBMITTED}
    assert session.phase is Phase.OVER


# Cut at any octet, in either direction.

COUNT = 4
REPLIES = (
    OK * 3,
    OK + OK + NOBODY + NO_RECIPIENT,
    OK + OK * 2 + b"452-4.3.1 Disk\r\n452 4.3.1 full\r\n",
    OK * 4,
)
ANSWERED = (Outcome.SUBMITTED, Outcome.BOUNCED, Outcome.DEFERRED, Outcome.SUBMITTED)
ENDS = list(accumulate(len(on_wire(n, reset=n > 1)) for n in range(1, COUNT + 1)))


@given(count=st.integers(0, ENDS[-1]), is_tls=st.booleans())
def test_cut_on_its_way_out_a_letter_is_uncertain_only_where_its_last_octet_left(
    count: int, is_tls: bool
) -> None:
    session = flying(COUNT, is_written=False)
    session.outgoing()
    said = session.completed_by(count)
    session.exposing(count) if is_tls else session.wrote(count)
    session.closed("gone")
    expected = {n: Outcome.UNCERTAIN if end <= count else None for n, end in enumerate(ENDS, 1)}
    assert outcomes(session.take_settled()) == expected
    assert said == [key for key, outcome in expected.items() if outcome]


@given(data=st.data())
def test_cut_on_its_way_in_a_letter_is_settled_by_the_replies_that_came(
    data: st.DataObject,
) -> None:
    """Whole letters left, then whatever the server sent of its answers, in any pieces."""
    sent = data.draw(st.integers(0, COUNT), label="letters that left")
    stream = b"".join(REPLIES[:sent])
    length = data.draw(st.integers(0, len(stream)), label="octets that came")
    cuts = sorted(data.draw(st.sets(st.integers(0, length), max_size=8), label="pieces"))
    session = flying(COUNT, is_written=False)
    session.outgoing()
    session.wrote([0, *ENDS][sent])
    for start, end in zip([0, *cuts], [*cuts, length], strict=True):
        session.receive(stream[start:end])
    session.closed("gone")
    found = outcomes(session.take_settled())
    answer_ends = list(accumulate(map(len, REPLIES)))
    # The refusal of letter 2's reader is its answer; what follows it adds nothing.
    answer_ends[1] -= len(NO_RECIPIENT)
    for n in range(1, COUNT + 1):
        answered = n <= sent and answer_ends[n - 1] <= length
        waiting = Outcome.UNCERTAIN if n <= sent else None
        assert found[n] is (ANSWERED[n - 1] if answered else waiting)


@given(count=st.integers(0, ENDS[-1]))
def test_fallen_silent_it_gives_back_what_has_not_left_and_hears_of_the_rest(count: int) -> None:
    session = flying(COUNT, is_written=False)
    session.outgoing()
    session.wrote(count)
    session.fall_silent("the attempt could not be recorded")
    gone = sum(end <= count for end in ENDS)
    assert outcomes(session.take_settled()) == dict.fromkeys(range(gone + 1, COUNT + 1))
    assert not session.outgoing()
    session.receive(b"".join(REPLIES[:gone]))
    assert outcomes(session.take_settled()) == dict(enumerate(ANSWERED[:gone], 1))
    assert session.phase is Phase.OVER


def test_fallen_silent_it_still_offers_what_tls_has_begun_to_send() -> None:
    session = flying(2, is_written=False)
    begun = bytes(session.outgoing()[: ENDS[0] + 5])
    session.exposing(len(begun))
    session.fall_silent("the attempt could not be recorded")
    assert bytes(session.outgoing()) == begun
    assert outcomes(session.take_settled()) == {2: None}


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_no_bytes_whatever_make_it_stumble(pieces: list[bytes]) -> None:
    session = flying(WINDOW)
    for piece in pieces:
        session.receive(piece)
    session.closed("the end")
    assert set(outcomes(session.take_settled())) == set(range(1, WINDOW + 1))
