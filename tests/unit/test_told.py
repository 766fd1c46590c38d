"""What providers tell, as it is read: which are the same, and what of it is never kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsletter.providers import plain_events, sendgrid_events, told
from newsletter.providers.told import Broken, Kind, TooManyError

BOUNCE = {
    "event": "bounce",
    "timestamp": 1_795_428_007,
    "sg_message_id": "14c5d75ce93.dfd",
    "nl_delivery": "2026-w48.5a0c.1",
}


def plain(**said: Any) -> told.ProviderEvent:
    (event,) = plain_events.read_events(json.dumps({"type": "bounced", **said}).encode())
    return event


def sendgrid(**said: Any) -> told.ProviderEvent:
    (event,) = sendgrid_events.read_events(json.dumps([BOUNCE | said]).encode())
    return event


def test_long_ids_that_begin_alike_are_two() -> None:
    long = "arn:aws:sns:eu-central-1:123456789012:events/" + "0" * 100
    first, second = plain(id=f"{long}-1"), plain(id=f"{long}-2")
    assert first.event_id != second.event_id
    assert max(len(first.event_id), len(second.event_id)) <= told.MAX_ID_CHARACTERS
    assert sendgrid(sg_event_id=f"{long}-1").event_id == first.event_id == plain(id=f"{long}-1")[0]


def test_ids_that_differ_in_a_control_alone_are_two() -> None:
    assert plain(id="a\u0001b").event_id != plain(id="a\u0002b").event_id


@pytest.mark.parametrize("time", [None, "yesterday", 12])
def test_without_an_instant_events_with_ids_of_their_own_share_no_twin(time: object) -> None:
    same = {"message_id": "2026-w48.5a0c@example.com", "time": time}
    assert plain(id="evt_1", **same).twin != plain(id="evt_2", **same).twin
    assert plain(**same) == plain(**same)


@pytest.mark.parametrize(
    "other",
    [
        {"status": "5.1.1"},
        {"reason": "550 no such user"},
        {"type": "blocked"},
        {"nl_delivery": "2026-w48.77aa.2"},
    ],
)
def test_two_refusals_of_one_message_in_a_second_are_two(other: dict[str, str]) -> None:
    first = {"status": "4.2.2", "reason": "full", "type": "bounce"}
    assert sendgrid(**first).twin != sendgrid(**first | other).twin


def test_told_again_under_another_id_it_is_one() -> None:
    assert sendgrid(sg_event_id="1").twin == sendgrid(sg_event_id="2").twin
    said = {"message_id": "2026-w48.5a0c@example.com", "time": "2026-11-24T09:00:07Z"}
    assert plain(id="1", **said).twin == plain(id="2", **said).twin


def test_more_elements_than_a_call_may_bring_are_refused() -> None:
    for body in (b"[%s0]", b"[%s?]"):  # well made, and with one that is not
        most = body % (b"0," * (told.MAX_ELEMENTS - 1))
        assert len(told.read_array(most)) == told.MAX_ELEMENTS
        with pytest.raises(TooManyError):
            told.read_array(body % (b"0," * told.MAX_ELEMENTS))


def test_a_text_that_is_never_closed_ends_with_the_body() -> None:
    """At once: a scanner that begins anew at each sign would take hours."""
    unclosed = '["' + '\\"' * 1_000_000
    assert told.read_array(b"[1, " + unclosed[1:].encode()) == [1, Broken(unclosed[1:])]
    assert told.read_array(b'[1, "a\\') == [1, Broken('"a\\')]


@pytest.mark.parametrize(
    "said",
    [
        '{"email": "jane\\u0040example.com"',
        '{"to": "jane\\u0040example.com"',
        '{"ip": "203.0.113.7", "useragent": "Mozilla/5.0 (Jane)"',
        '{"\\u0069p" : "2001:db8::17:203.0.113.7", "userAgent":"Mozilla \\"Jane\\""',
        '{"from" "203.0.113.7", "x" "2001:db8:0:1::7"',
        '{"ip": 203.0.113.7, "useragent": "Mozilla Jane',
    ],
)
def test_of_what_cannot_be_read_nobody_is_kept(said: str) -> None:
    (event,) = sendgrid_events.read_events(f"[{said}".encode())
    assert event.kind is Kind.UNKNOWN
    assert event.raw
    for who in ("example.com", "203.0.113.7", "2001:db8", "Mozilla", "Jane"):
        assert who not in event.raw


def test_of_what_has_no_word_nobody_is_kept_however_deep() -> None:
    who = {"ip": "203.0.113.7", "userAgent": "Mozilla", "email": "jane@example.com"}
    for said in ({"who": [who], "type": "reborn"}, [who], {"kept": who}):
        (event,) = plain_events.read_events(json.dumps([said]).encode())
        assert event.kind is Kind.UNKNOWN
        assert event.raw
        assert not {"203.0.113.7", "Mozilla", "jane@example.com"} & set(event.raw.split('"'))


@pytest.mark.parametrize(
    "said",
    [
        "550 5.7.1 see https://mx.example/why?u=bob%40example.org&c=7",
        "550 5.7.1 see https://mx.example/bob%2540example.org/why",
        "550 5.7.1 not from bounces+bob=example.org",
        "550 5.7.1 from <bob=mail.example.org>, refused",
        "550 5.7.1 bob=example.org@lists.example.com is barred",
    ],
)
def test_no_address_is_kept_however_it_is_written(said: str) -> None:
    kept = told.kept(said, 500)
    assert "bob" not in kept
    assert "example.org" not in kept
    assert kept.startswith("550 5.7.1 ")


@pytest.mark.parametrize(
    "said",
    [
        "550 5.7.26 dkim=fail header.d=example.com; spf=none smtp.mailfrom=news.example.com",
        "550 5.7.1 zone=zen.example.org see https://mx.example/why?c=40%25&d=example.com",
        "550 5.7.1 a=b=c, 40% off, x= example.org",
    ],
)
def test_what_says_who_sent_and_what_is_no_address_is_kept(said: str) -> None:
    assert told.kept(said, 500) == said


def test_what_lies_too_deep_to_be_kept_is_known_all_the_same() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    (event,) = plain_events.read_events(json.dumps([deep]).encode())
    assert event.raw.count("[") <= 30


def test_what_was_told_at_one_time_stands_together_in_the_index() -> None:
    """By a hash alone each of a thousand events would have a page of its own to write."""
    words = ("processed", "delivered", "open", "click")
    early = [sendgrid(event=word).twin for word in words]
    late = [sendgrid(event=word, timestamp=BOUNCE["timestamp"] + 1).twin for word in words]
    assert max(early) < min(late)
    said = {"message_id": "2026-w48.5a0c@example.com"}
    times = [f"2026-11-24T09:00:0{second}Z" for second in range(4)]
    twins = [plain(**said, time=time).twin for time in times]
    assert twins == sorted(twins)
    assert max(len(twin) for twin in (*early, *late, *twins)) <= 64
