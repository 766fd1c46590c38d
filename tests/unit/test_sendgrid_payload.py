"""What SendGrid is given, against its documented limits; and what its answers are taken to mean."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))  # the schema lives beside us

import sendgrid_schema

from newsletter.errors import PermanentError, TransientError
from newsletter.providers import sendgrid_answers as answers
from newsletter.providers import sendgrid_payload as payload
from newsletter.providers.base import Content, Envelope
from newsletter.providers.sendgrid_answers import Meaning

KEY = "SG.abc.def"


def tokens(envelope: Envelope) -> Mapping[str, str]:
    return {"zqHname7zq": envelope.slots["name"], "zqTname7zq": envelope.slots["name"]}


CONTENT = Content(
    sender="Weekly Verdicts <verdicts@example.com>",
    reply_to="editors@example.com",
    subject="Ship or skip",
    html="<p>Hello zqHname7zq</p>",
    text="Hello zqTname7zq",
    headers={"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Feedback-ID": "a:b:c:dddddd"},
    tokens=tokens,
    own_headers=lambda one: {"List-Unsubscribe": f"<https://example.com/u/{one.key}>"},
)


def envelope(
    key: int = 7, *, address: str | None = None, name: str = "Priya", slot: str = " Priya"
) -> Envelope:
    address = address or f"reader{key}@example.com"
    return Envelope(key, address, name, f"2026-w48.m{key}@example.com", {"name": slot})


def part(one: Envelope, content: Content = CONTENT) -> payload.Part:
    return payload.part(content, payload.members(payload.unfolded(content.headers)), one)


def whole(
    parts: Iterable[payload.Part],
    *,
    content: Content = CONTENT,
    request_id: str = "",
    sandbox: bool = False,
) -> payload.Json:
    """A request as SendGrid reads it."""
    frame = payload.frame(content, request=request_id, sandbox=sandbox)
    made: payload.Json = json.loads(payload.wired(frame, parts))
    return made


def request(
    *envelopes: Envelope, content: Content = CONTENT, request_id: str = "", sandbox: bool = False
) -> payload.Json:
    parts = [part(one, content) for one in envelopes]
    made = whole(parts, content=content, request_id=request_id, sandbox=sandbox)
    assert sendgrid_schema.faults(made) == []
    return made


def cut(parts: list[payload.Part]) -> list[list[payload.Part]]:
    return list(payload.requests(parts, bare_bytes=len(payload.wired(payload.frame(CONTENT), ()))))


@given(
    name=st.text(max_size=200),
    slot=st.text(max_size=60),
    keys=st.lists(st.integers(1, 10**12), min_size=1, max_size=8, unique=True),
    sandbox=st.booleans(),
)
def test_every_payload_keeps_the_documented_limits(
    name: str, slot: str, keys: list[int], sandbox: bool
) -> None:
    slot = slot.encode("utf-8", "replace").decode()
    made = request(*(envelope(key, name=name, slot=slot) for key in keys), sandbox=sandbox)
    assert len(made["personalizations"]) == len(keys)
    for one, key in zip(made["personalizations"], keys, strict=True):
        assert one["substitutions"] == {"zqHname7zq": slot, "zqTname7zq": slot}
        assert one["custom_args"] == {"nl_delivery": f"2026-w48.m{key}.{key}"}


def test_the_schema_would_notice_what_sendgrid_refuses() -> None:
    good = request(envelope())
    one = good["personalizations"][0]
    cases = [
        good | {"personalizations": []},
        good | {"personalizations": [one, one]},
        good | {"personalizations": [one | {"headers": {"REPLY-TO": "a@example.com"}}]},
        good | {"personalizations": [one | {"substitutions": {"a": 1}}]},
        good | {"personalizations": [one | {"substitutions": {"a": "é" * 5_000}}]},
        good | {"personalizations": [one | {"custom_args": {"nl_delivery": "a@example.com"}}]},
        good | {"content": list(reversed(good["content"]))},
        good | {"tracking_settings": {"click_tracking": {"enable": True}}},
        good | {"subject": ""},
        good | {"custom_args": {"nl_request": 1}},
        good | {"custom_args": {"nl_request": "a@example.com"}},
        good | {"custom_args": {"nl_delivery": "2026-w48.m7.7"}},
    ]
    assert all(sendgrid_schema.faults(case) for case in cases)


def test_a_reader_gets_their_own_values_headers_and_mark() -> None:
    assert request(envelope(7))["personalizations"] == [
        {
            "to": [{"email": "reader7@example.com", "name": "Priya"}],
            "headers": {
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                "Feedback-ID": "a:b:c:dddddd",
                "List-Unsubscribe": "<https://example.com/u/7>",
                "Message-ID": "<2026-w48.m7@example.com>",
            },
            "substitutions": {"zqHname7zq": " Priya", "zqTname7zq": " Priya"},
            "custom_args": {"nl_delivery": "2026-w48.m7.7"},
        }
    ]


def test_a_request_says_its_id_once_for_all_and_none_where_it_has_none() -> None:
    made = request(envelope(1), envelope(2), request_id="r" * 64)
    assert made["custom_args"] == {"nl_request": "r" * 64}
    assert [one["custom_args"] for one in made["personalizations"]] == [
        {"nl_delivery": "2026-w48.m1.1"},
        {"nl_delivery": "2026-w48.m2.2"},
    ]
    assert "custom_args" not in request(envelope(1))


def test_what_goes_over_the_wire_says_nothing_of_itself_in_a_log() -> None:
    posted = payload.wired(payload.frame(CONTENT), [part(envelope(name="Zoë"))])
    assert posted.encode("utf-8") is posted
    assert b"reader7@example.com" in posted
    assert f"{posted}" == f"[{len(posted):,} bytes]"


@given(st.dictionaries(st.text(), st.text()))
def test_members_are_those_of_a_json_object(values: dict[str, str]) -> None:
    assert json.loads(f"{{{payload.members(values)}}}") == values


def test_the_content_goes_over_once_with_its_tokens_in_it() -> None:
    made = request(envelope(1), envelope(2))
    assert [one["value"] for one in made["content"]] == [CONTENT.text, CONTENT.html]
    assert made["from"] == {"email": "verdicts@example.com", "name": "Weekly Verdicts"}
    assert made["reply_to"] == {"email": "editors@example.com"}
    assert "reply_to" not in request(envelope(), content=replace(CONTENT, reply_to=""))


def test_all_of_sendgrids_own_tracking_is_off() -> None:
    tracking = request(envelope())["tracking_settings"]
    assert set(tracking) == {
        "click_tracking", "open_tracking", "subscription_tracking", "ganalytics",
    }  # fmt: skip
    assert not any(value for one in tracking.values() for value in one.values())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Priya", {"name": "Priya"}),
        ("Zoë  Ångström", {"name": "Zoë Ångström"}),
        ("Smith, Jo", {"name": '"Smith, Jo"'}),
        ("", {}),
        ("x\r\nBcc: a@example.com", {}),
        ("=?utf-8?q?a=0ABcc=3A?=", {}),
        ('a" <b@example.com>', {}),
        ("n" * 121, {}),
    ],
)
def test_a_name_stands_beside_the_address_only_where_it_is_harmless(
    name: str, shown: dict[str, str]
) -> None:
    to = request(envelope(name=name))["personalizations"][0]["to"]
    assert to == [{"email": "reader7@example.com", **shown}]


def test_a_folded_header_is_unfolded() -> None:
    content = replace(CONTENT, headers={"List-Id": "Weekly\r\n <verdicts.example.com>"})
    made = request(envelope(), content=content)
    assert made["personalizations"][0]["headers"]["List-Id"] == "Weekly <verdicts.example.com>"


def test_a_header_that_sendgrid_keeps_for_itself_stops_the_mailing() -> None:
    with pytest.raises(TransientError, match="Reply-To"):
        payload.unfolded({"Reply-To": "a@example.com"})


def test_substitutions_of_ten_thousand_bytes_fail_that_reader_only() -> None:
    names = 2 * len("zqHname7zq")
    room = (payload.MAX_SUBSTITUTION_BYTES - names) // 2
    assert part(envelope(slot="x" * (room - 1)))
    with pytest.raises(PermanentError, match="10,000 bytes"):
        part(envelope(slot="x" * room))
    with pytest.raises(PermanentError, match="bytes"):
        part(envelope(slot="é" * (room // 2)))


def test_a_request_holds_at_most_a_thousand_readers() -> None:
    cuts = cut([part(envelope(key)) for key in range(1, 2_502)])
    assert [len(one) for one in cuts] == [1_000, 1_000, 501]
    assert [one.key for request_ in cuts for one in request_] == list(range(1, 2_502))


def test_a_request_stays_under_thirty_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_REQUEST_BYTES", 40_000)
    cuts = cut([part(envelope(key, slot="é" * 300)) for key in range(1, 101)])
    sizes = [len(payload.wired(payload.frame(CONTENT), one)) for one in cuts]
    assert max(sizes) < 40_000
    assert max(sizes) > 10_000
    assert sum(map(len, cuts)) == 100


def test_a_part_too_large_for_any_request_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_REQUEST_BYTES", 10)
    assert [len(one) for one in cut([part(envelope(1)), part(envelope(2))])] == [1, 1]


def test_a_repeated_address_waits_for_the_next_request() -> None:
    repeated = [envelope(1), envelope(2), envelope(3, address="READER1@example.com")]
    cuts = cut([part(one) for one in [*repeated, envelope(4, address="reader1@example.com")]])
    assert [[one.key for one in request_] for request_ in cuts] == [[1, 2], [3], [4]]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=40))
def test_cutting_loses_nobody_and_repeats_nobody(addresses: list[str]) -> None:
    parts = [part(envelope(n, address=f"{a}@example.com")) for n, a in enumerate(addresses)]
    cuts = cut(parts)
    assert sorted(one.key for request_ in cuts for one in request_) == list(range(len(parts)))
    for request_ in cuts:
        assert len({one.address for one in request_}) == len(request_)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Meaning.TAKEN), (202, Meaning.TAKEN), (204, Meaning.UNANSWERED),
        (301, Meaning.NOT_THERE), (302, Meaning.NOT_THERE), (308, Meaning.NOT_THERE),
        (400, Meaning.AT_FAULT), (401, Meaning.NO_ENTRY), (403, Meaning.NO_ENTRY),
        (404, Meaning.NOT_THERE), (408, Meaning.UNANSWERED), (413, Meaning.AT_FAULT),
        (429, Meaning.LATER), (500, Meaning.UNANSWERED), (502, Meaning.UNANSWERED),
        (503, Meaning.LATER), (504, Meaning.UNANSWERED), (599, Meaning.UNANSWERED),
    ],
)  # fmt: skip
def test_each_status_has_one_meaning(status: int, meaning: Meaning) -> None:
    assert answers.meaning_of(status) is meaning


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12", 12), ("1800000030", 30), ("1800009999", 60), ("1799999999", 1), ("0", 1),
        ("999999999", 60), ("", 2), ("soon", 2), ("-5", 2), ("1e9", 2), ("9" * 40, 2),
    ],
)  # fmt: skip
def test_a_reset_is_an_instant_or_seconds(reset: str, seconds: float) -> None:
    assert answers.pause_s(reset, now=1_800_000_000, attempt=1) == seconds


@pytest.mark.parametrize(
    ("field", "index", "is_address", "is_common"),
    [
        ("personalizations.3.to.0.email", 3, True, False),
        ("personalizations[12].to[0].email", 12, True, False),
        ("personalizations.0.headers", 0, False, False),
        ("personalizations", None, False, False),
        ("from.email", None, False, True),
        ("content.0.value", None, False, True),
        (None, None, False, False),
    ],
)
def test_a_fault_is_one_readers_or_everybodys(
    field: str | None, index: int | None, is_address: bool, is_common: bool
) -> None:
    body = json.dumps({"errors": [{"message": "no", "field": field}]}).encode()
    assert answers.faults_in(body, secret=KEY) == (
        answers.Fault("no", index, is_address=is_address, is_common=is_common),
    )


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["errors", "message", "field", "x"]), inner),
    max_leaves=20,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_answer_at_all_is_read_without_breaking(body: bytes) -> None:
    faults = answers.faults_in(body, secret=KEY)
    assert all(len(fault.words) <= answers.MAX_WORDS_CHARACTERS for fault in faults)


@pytest.mark.parametrize(
    "hide", [lambda s: s, str.upper, lambda s: f"<{s}>", lambda s: s.replace("@", "%40")]
)
def test_sendgrids_words_are_kept_without_addresses_keys_and_line_breaks(
    hide: Callable[[str], str],
) -> None:
    said = (
        f"the address {hide('priya@example.com')}\r\nwith {KEY} and SG.other-key is bad" + "x" * 300
    )
    words = answers.fit_words(said, secret=KEY)
    assert len(words) == answers.MAX_WORDS_CHARACTERS
    assert words.startswith("the address ")
    assert not any(part in words.lower() for part in ("priya", "example", "abc", "other", "\n"))


def test_an_odd_message_id_is_not_kept() -> None:
    odd = answers.reply(202, {"X-Message-Id": "a b\x1b[0m"}, b"", secret=KEY)
    good = answers.reply(202, {"X-Message-Id": "fake_1-2.A"}, b"", secret=KEY)
    assert (odd.message_id, good.message_id) == ("", "fake_1-2.A")
