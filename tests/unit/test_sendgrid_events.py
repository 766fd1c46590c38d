"""What SendGrid posts, read: every type it documents, every odd one, and what is no event."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.verdicts import verdict_of
from newsletter.providers import plain_events
from newsletter.providers.sendgrid_events import KINDS, read_events
from newsletter.providers.told import MAX_RAW_CHARACTERS, Kind, ProviderEvent
from subscribers.policy import Verdict

pytestmark = pytest.mark.slow

AT = 1_795_428_000
MARK = "2026-w48.e0ab8594055047db18b56a15.1"


def event(word: str = "delivered", **more: Any) -> dict[str, Any]:
    return {
        "email": "reader@example.com",
        "timestamp": AT,
        "event": word,
        "sg_event_id": "id1",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.0",
        "nl_delivery": MARK,
        "nl_request": "r1",
    } | more


def one(**more: Any) -> ProviderEvent:
    (found,) = read_events(json.dumps([event(**more)]).encode())
    return found


def test_an_event_says_what_happened_to_which_message_and_when() -> None:
    found = one(word="deferred", response="400 4.7.0 try again later", attempt="5", category="cats")
    assert found.kind is Kind.DEFERRED
    assert (found.event_id, found.mark, found.request_id) == ("id1", MARK, "r1")
    assert found.at == datetime.fromtimestamp(AT, UTC)
    assert (found.code, found.detail) == ("4.7.0", "400 4.7.0 try again later")
    assert found.raw == ""


@pytest.mark.parametrize(("word", "kind"), KINDS.items())
def test_every_documented_word_has_its_kind(word: str, kind: Kind) -> None:
    assert one(word=word).kind is kind


@pytest.mark.parametrize(
    ("more", "kind", "verdict"),
    [
        ({"status": "5.1.1", "reason": "550 5.1.1 nobody"}, Kind.BOUNCED, Verdict.HARD),
        ({"reason": "550 5.1.1 nobody"}, Kind.BOUNCED, Verdict.HARD),
        ({"status": "5.2.2", "reason": "full"}, Kind.BOUNCED, Verdict.SOFT),
        ({"reason": "no"}, Kind.BOUNCED, Verdict.UNCLASSIFIED),
        ({"bounce_classification": "Invalid Address"}, Kind.INVALID, Verdict.HARD),
        (
            {"bounce_classification": "Invalid Address", "status": "5.7.1"},
            Kind.INVALID,
            Verdict.SENDER_FAULT,
        ),
        ({"type": "blocked", "status": "5.1.1"}, Kind.BLOCKED, Verdict.BLOCKED),
        ({"type": "blocked", "status": "5.2.2"}, Kind.BLOCKED, Verdict.BLOCKED),
        ({"type": "blocked", "status": "5.7.1"}, Kind.BLOCKED, Verdict.SENDER_FAULT),
        ({"type": "expired", "status": "4.0.0"}, Kind.BLOCKED, Verdict.BLOCKED),
        ({"type": ["blocked"], "status": 511}, Kind.BOUNCED, Verdict.UNCLASSIFIED),
    ],
)
def test_a_refusal_is_hard_only_where_it_says_so(
    more: dict[str, Any], kind: Kind, verdict: Verdict
) -> None:
    found = one(word="bounce", **more)
    assert found.kind is kind
    assert verdict_of(found.kind, found.code, found.detail) is verdict


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("Bounced Address", Verdict.HARD),
        ("Invalid", Verdict.HARD),
        ("Unsubscribed Address", Verdict.LEAVING),
        ("Spam Reporting Address", Verdict.COMPLAINT),
        ("Invalid SMTPAPI header", Verdict.SENDER_FAULT),
        ("Spam Content (if spam checker app enabled)", Verdict.SENDER_FAULT),
        ("Recipient List over Package Quota", Verdict.SENDER_FAULT),
        ("Something new", Verdict.UNCLASSIFIED),
        ("", Verdict.UNCLASSIFIED),
    ],
)
def test_what_was_dropped_follows_from_why(reason: str, verdict: Verdict) -> None:
    found = one(word="dropped", reason=reason)
    assert verdict_of(found.kind, found.code, found.detail) is verdict


@pytest.mark.parametrize(
    "more",
    [
        {"category": ["a", "b"]},
        {"category": {"a": 1}},
        {"attempt": "5"},
        {"attempt": 5},
        {"asm_group_id": 10},
        {"sg_machine_open": True},
        {"url_offset": {"index": 0, "type": "html"}},
        {"event_of_tomorrow": [[]]},
    ],
)
def test_other_members_of_any_type_are_no_matter(more: dict[str, Any]) -> None:
    assert one(**more) == one()


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        (str(AT), AT),
        (float(AT), AT),
        (f"{AT}.25", AT + 0.25),
        (-AT, None),
        (0, None),
        (10**30, None),
        (AT * 1_000, None),
        (1e308, None),
        ("yesterday", None),
        (True, None),
        (None, None),
        ([AT], None),
    ],
)
def test_a_timestamp_is_an_instant_or_none(timestamp: Any, at: float | None) -> None:
    expected = datetime.fromtimestamp(at, UTC) if at is not None else None
    assert one(timestamp=timestamp).at == expected


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_costs_no_other_event(written: str) -> None:
    body = json.dumps([event(timestamp="HERE"), event()]).replace('"HERE"', written)
    odd, plain = read_events(body.encode())
    assert (odd.at, plain) == (None, one())


def test_an_event_without_ids_is_known_by_what_it_says() -> None:
    bare = {"sg_event_id": None, "sg_message_id": None}
    assert one(**bare) == one(**bare)
    assert one(**bare).event_id.startswith("twin:")
    assert one(**bare).twin != one(**bare, word="open").twin
    nothing = bare | {"nl_delivery": None, "smtp-id": None}
    assert one(**nothing, reason="a").twin != one(**nothing, reason="b").twin


def test_a_retry_under_another_id_is_the_same_event() -> None:
    assert one(sg_event_id="id2").twin == one().twin
    assert one(word="open").twin != one().twin
    assert one(timestamp=AT + 1).twin != one().twin


def test_a_word_of_tomorrow_is_kept_raw_without_its_reader() -> None:
    found = one(word="reincarnated", ip="192.0.2.7", note="write to reader@example.com " * 200)
    assert found.kind is Kind.UNKNOWN
    assert '"event": "reincarnated"' in found.raw
    assert "@" not in found.raw
    assert "192.0.2.7" not in found.raw
    assert len(found.raw) <= MAX_RAW_CHARACTERS


def test_no_address_is_kept_of_a_servers_words() -> None:
    found = one(word="bounce", reason="550 5.1.1 <reader@example.com>: nobody\r\n\0here \ud800")
    assert "reader" not in found.detail
    assert found.detail.startswith("550 5.1.1 <(address)>: nobody")
    found.detail.encode()
    assert "\0" not in found.detail


@pytest.mark.parametrize("element", [None, 3, "x", [], [[]], {}, {"event": None}, {"event": ["a"]}])
def test_an_element_that_is_no_event_is_kept_as_unknown(element: Any) -> None:
    odd, plain = read_events(json.dumps([element, event()]).encode())
    assert (odd.kind, plain) == (Kind.UNKNOWN, one())
    assert odd.mark == ""


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        '{"event": }',
        '{"event": "open", "timestamp": ' + "9" * 5_000 + "}",
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
    ],
)
def test_one_broken_element_costs_no_other(broken: str) -> None:
    whole = json.dumps(event(reason='a "quoted", [bracketed] \\ word'))
    body = f"[{whole},{broken},{whole}]\r\n"
    found = read_events(body.encode())
    assert [one_.kind for one_ in found] == [Kind.DELIVERED, Kind.UNKNOWN, Kind.DELIVERED]
    assert found[1].raw
    assert len(found[1].raw) <= MAX_RAW_CHARACTERS


def test_a_body_that_was_cut_off_gives_what_came_whole() -> None:
    body = json.dumps([event(), event(word="open")]).encode()[:-9]
    assert [found.kind for found in read_events(body)] == [Kind.DELIVERED, Kind.UNKNOWN]


@pytest.mark.parametrize(
    "body", [b"", b"null", b"3", b'"x"', b"nonsense", b"\xff\xfe", b"\x1f\x8b"]
)
def test_a_body_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="array"):
        read_events(body)


def test_one_event_alone_and_an_empty_array_are_read() -> None:
    assert read_events(json.dumps(event()).encode()) == (one(),)
    assert read_events(b"[]") == ()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(), some, max_size=3),
    max_leaves=8,
)
MEMBERS = sorted(event(status="", reason="", type="", response="", bounce_classification=""))


@given(st.lists(st.dictionaries(st.sampled_from(MEMBERS), ANYTHING), max_size=4))
def test_whatever_stands_in_it_there_is_one_storable_event_an_element(elements: list[Any]) -> None:
    found = read_events(json.dumps(elements).encode())
    assert len(found) == len(elements)
    for one_ in found:
        for text in (one_.event_id, one_.word, one_.mark, one_.request_id, one_.detail, one_.raw):
            text.encode()  # no lone surrogate: a database would refuse it
            assert "\0" not in text
        assert len(one_.word) <= 40
        assert len(one_.code) <= 16
        assert 0 < len(one_.event_id) <= 120
        assert one_.twin


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_events, plain_events.read_events):
        with suppress(ValueError):  # that, and nothing else
            assert all(one_.event_id for one_ in read(body))


def test_the_plain_shape_says_the_same() -> None:
    body = {
        "id": "evt_1",
        "type": "bounced",
        "time": "2026-11-23T11:00:00+01:00",
        "message_id": "<2026-w48.5a0c@example.com>",
        "code": "5.1.1",
        "reason": "550 <reader@example.com> is nobody",
    }
    (found,) = plain_events.read_events(json.dumps(body).encode())
    assert (found.event_id, found.kind, found.code) == ("evt_1", Kind.BOUNCED, "5.1.1")
    assert found.at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert found.message_id == "2026-w48.5a0c@example.com"
    assert "@" not in found.detail
    (retold,) = plain_events.read_events(json.dumps(body | {"id": "evt_2"}).encode())
    assert retold.twin == found.twin


@pytest.mark.parametrize(
    ("time", "at"),
    [
        (AT, AT),
        (str(AT), AT),
        ("2026-11-23T10:00:00Z", AT),
        ("2026-11-23T10:00:00", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("T", None),
        (None, None),
    ],
)
def test_a_plain_time_needs_an_offset(time: Any, at: int | None) -> None:
    (found,) = plain_events.read_events(json.dumps({"type": "delivered", "time": time}).encode())
    assert found.at == (datetime.fromtimestamp(at, UTC) if at else None)


def test_a_plain_word_we_do_not_have_is_kept_raw() -> None:
    (found,) = plain_events.read_events(b'{"type": "teleported", "to": "a@b.example"}')
    assert (found.kind, found.word) == (Kind.UNKNOWN, "teleported")
    assert "(address)" in found.raw
