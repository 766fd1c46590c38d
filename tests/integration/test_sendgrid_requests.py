"""Each request to SendGrid is on record, under an id that goes along, before it leaves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))  # the schema lives there

import sendgrid_schema
from sendgrid_fake import Act, FakeSendGrid, error
from sendgrid_told import CONTENT, KEY, Told, address, closed_url, envelopes, mailing, tell

from newsletter.errors import TransientError
from newsletter.providers.base import Outcome, Unlogged
from newsletter.providers.sendgrid import SUSPICIOUS, SendGrid

LATER = Act(429, (("X-RateLimit-Reset", "1"),))
TAKEN = Act(202, (("X-Message-Id", "a"),), accepts=True)
UNTRACKED = "<p>Hello zqHname7zq, uncounted</p>"


class RefusesUntracked(FakeSendGrid):
    """Names nobody at fault: it is the content."""

    def judge(self, payload: Any) -> Act:
        if payload["content"][1]["value"] == UNTRACKED:
            return Act(400, body=error("Bad Request"))
        return super().judge(payload)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def fake() -> Iterator[FakeSendGrid]:
    with FakeSendGrid(keys={KEY}) as fake:
        yield fake
    for payload in fake.payloads:
        assert sendgrid_schema.faults(payload) == []


def shown(told: Told) -> list[str]:
    """The steps in words, receipts that follow each other as one."""
    said: list[str] = []
    for kind, request, keys in told.steps:
        if kind == "told" and said and said[-1].startswith("told"):
            said[-1] += f" {keys[0]}"
        else:
            said.append(f"{kind} {request} {' '.join(map(str, keys))}".replace("  ", " "))
    return said


def test_a_request_is_on_record_before_it_is_posted_and_answered_before_the_next(
    fake: FakeSendGrid,
) -> None:
    told = tell(fake, envelopes(*range(1, 1_002)))
    first, second = tuple(range(1, 1_001)), (1_001,)
    kinds = [kind for kind, _, _ in told.steps]
    assert kinds == ["on record", "posted", *["told"] * 1_000, "on record", "posted", "told"]
    assert told.of("on record") == told.of("posted") == [("q1", first), ("q2", second)]
    assert SendGrid.at_once == 1_000


def test_the_id_comes_back_in_the_events_of_each_message_beside_its_own_mark(
    fake: FakeSendGrid,
) -> None:
    tell(fake, envelopes(1, 2))
    assert fake.arguments == [
        {"nl_request": "q1", "nl_delivery": "2026-w48.m1.1"},
        {"nl_request": "q1", "nl_delivery": "2026-w48.m2.2"},
    ]


def test_a_call_that_nobody_keeps_a_log_of_sends_no_id(fake: FakeSendGrid) -> None:
    provider = SendGrid(KEY, base_url=fake.url)
    assert len(list(provider.submit(mailing(), envelopes(1), Unlogged()))) == 1
    assert fake.arguments == [{"nl_delivery": "2026-w48.m1.1"}]


@pytest.mark.parametrize("act", [LATER, Act(429), Act(503)], ids=["429 in 1 s", "429", "503"])
def test_the_same_messages_tried_again_after_a_certain_no_keep_their_id(
    fake: FakeSendGrid, act: Act
) -> None:
    fake.script += [act, act]
    told = tell(fake, envelopes(1, 2))
    assert shown(told) == ["on record q1 1 2", *["posted q1 1 2"] * 3, "told 1 2"]
    assert {one["nl_request"] for one in fake.arguments} == {"q1"}


def test_a_connection_dropped_in_the_middle_of_a_request_is_tried_again_under_its_id(
    fake: FakeSendGrid,
) -> None:
    fake.script.append(Act(drops="before"))
    told = tell(fake, envelopes(1), content=replace(CONTENT, html="x" * 25_000_000))
    assert shown(told) == ["on record q1 1", "posted q1 1", "told 1"]
    assert fake.connections == 2


def test_where_nobody_listens_one_request_is_on_record_and_the_rest_never_was() -> None:
    told = tell(closed_url(), envelopes(*range(1, 1_500)))
    assert told.error is not None
    assert told.receipts == []
    assert told.steps == [("on record", "q1", tuple(range(1, 1_001)))]


def test_halves_after_a_refusal_are_requests_of_their_own(fake: FakeSendGrid) -> None:
    fake.unnamed_bad = {address(2)}
    told = tell(fake, envelopes(1, 2, 3, 4))
    assert shown(told) == [
        "on record q1 1 2 3 4", "posted q1 1 2 3 4",
        "on record q2 1 2", "posted q2 1 2",
        "on record q3 1", "posted q3 1", "told 1",
        "on record q4 2", "posted q4 2", "told 2",
        "on record q5 3 4", "posted q5 3 4", "told 3 4",
    ]  # fmt: skip
    assert told.keys(Outcome.FAILED) == [2]
    assert [one["nl_request"] for one in fake.arguments] == ["q3", "q5", "q5"]


def test_a_reader_who_is_named_is_told_of_before_the_others_go_out_anew(
    fake: FakeSendGrid,
) -> None:
    fake.bad = {address(2)}
    told = tell(fake, envelopes(1, 2, 3))
    assert shown(told) == [
        "on record q1 1 2 3", "posted q1 1 2 3", "told 2",
        "on record q2 1 3", "posted q2 1 3", "told 1 3",
    ]  # fmt: skip
    # SendGrid refused the request, no mailbox refused a message.
    assert told.keys(Outcome.FAILED) == [2]
    assert told.keys(Outcome.BOUNCED) == []


def test_too_large_is_halved_under_new_ids() -> None:
    with FakeSendGrid(keys={KEY}, max_bytes=900) as fake:
        told = tell(fake, envelopes(1, 2))
    assert shown(told) == [
        "on record q1 1 2", "posted q1 1 2",
        "on record q2 1", "posted q2 1", "told 1",
        "on record q3 2", "posted q3 2", "told 2",
    ]  # fmt: skip
    assert told.keys(Outcome.SUBMITTED) == [1, 2]


@pytest.mark.parametrize(
    "act",
    [
        Act(500), Act(502, accepts=True), Act(504),
        pytest.param(Act(hangs=True, accepts=True), marks=pytest.mark.slow),
        Act(drops="after", accepts=True),
    ],
    ids=["500", "502 and taken", "504", "time-out and taken", "dropped and taken"],
)  # fmt: skip
def test_without_an_answer_one_request_is_in_doubt_and_the_rest_never_was_on_record(
    fake: FakeSendGrid, act: Act
) -> None:
    fake.script += [TAKEN, act]
    told = tell(fake, envelopes(*range(1, 2_501)), timeout_s=3.0)
    assert told.of("on record") == told.of("posted")
    assert [len(keys) for _, keys in told.of("posted")] == [1_000, 1_000]
    assert told.keys(Outcome.SUBMITTED) == list(range(1, 1_001))
    assert told.keys(Outcome.UNCERTAIN) == list(range(1_001, 2_001))
    assert told.error is not None


@pytest.mark.parametrize(
    "act",
    [Act(401), Act(403), Act(404), Act(302, (("Location", "http://127.0.0.1:9/"),)), LATER],
    ids=lambda act: str(act.status),
)
def test_a_request_refused_as_a_whole_stays_on_record_and_marks_nobody(
    fake: FakeSendGrid, act: Act
) -> None:
    fake.script += [act] * 4
    told = tell(fake, envelopes(1, 2))
    assert told.of("on record") == [("q1", (1, 2))]
    assert set(told.of("posted")) == {("q1", (1, 2))}
    assert told.receipts == []
    assert told.error is not None


def test_what_waited_behind_a_limit_was_never_on_record(fake: FakeSendGrid) -> None:
    fake.script += [TAKEN, *[LATER] * 4]
    told = tell(fake, envelopes(*range(1, 2_501)))
    assert [len(keys) for _, keys in told.of("on record")] == [1_000, 1_000]
    assert told.keys(Outcome.SUBMITTED) == list(range(1, 1_001))
    assert len(told.receipts) == 1_000
    assert "429" in str(told.error)


@pytest.mark.parametrize("full_from", [1, 2])
def test_what_cannot_be_put_on_record_does_not_leave(fake: FakeSendGrid, full_from: int) -> None:
    told = tell(fake, envelopes(*range(1, 1_500)), full_from=full_from)
    taken = 1_000 * (full_from - 1)
    assert "the log is full" in str(told.error)
    assert len(fake.accepted) == len(told.keys(Outcome.SUBMITTED)) == taken
    assert fake.connections == full_from - 1


def test_a_half_that_cannot_be_put_on_record_does_not_leave(fake: FakeSendGrid) -> None:
    fake.unnamed_bad = {address(1)}
    told = tell(fake, envelopes(1, 2), full_from=3)
    assert shown(told) == ["on record q1 1 2", "posted q1 1 2", "on record q2 1", "posted q2 1"]
    assert "the log is full" in str(told.error)


def test_nobody_is_told_of_a_refusal_that_may_be_the_mailings_fault(fake: FakeSendGrid) -> None:
    """Those refused alone wait for a first one that is taken; but not past their own request."""
    fake.unnamed_bad = {address(n) for n in range(1, SUSPICIOUS)}
    told = tell(fake, envelopes(*range(1, SUSPICIOUS), 100))
    assert sorted(told.keys(Outcome.FAILED)) == list(range(1, SUSPICIOUS))
    assert told.keys(Outcome.SUBMITTED) == [100]
    told = tell(fake, [*envelopes(1), replace(envelopes(200)[0], address=address(1).upper())])
    assert shown(told) == [
        "on record q1 1", "posted q1 1", "told 1", "on record q2 200", "posted q2 200", "told 200",
    ]  # fmt: skip


def test_one_content_that_is_taken_does_not_speak_for_the_other() -> None:
    """The untracked content is refused, in front of which a hundred readers had the tracked one."""
    with RefusesUntracked(keys={KEY}) as fake:
        readers = [replace(one, is_tracked=one.key <= 100) for one in envelopes(*range(1, 201))]
        told = tell(fake, readers, untracked=replace(CONTENT, html=UNTRACKED))
        assert "refuses the mailing itself: SendGrid answered 400; Bad Request" in str(told.error)
        assert told.keys(Outcome.SUBMITTED) == list(range(1, 101))
        assert told.keys(Outcome.FAILED) == []
        assert len(fake.payloads) < 3 * SUSPICIOUS


@pytest.mark.parametrize("reset", ["1", "1800000001"], ids=["seconds", "an instant"])
def test_a_limit_says_when_in_either_form_and_the_same_request_goes_again(
    fake: FakeSendGrid, reset: str
) -> None:
    fake.script.append(Act(429, (("X-RateLimit-Reset", reset),), error("too many requests")))
    told = tell(fake, envelopes(1))
    assert told.pauses_s == [1]
    assert shown(told) == ["on record q1 1", *["posted q1 1"] * 2, "told 1"]


def test_a_consumer_that_stops_listening_stops_the_posting(fake: FakeSendGrid) -> None:
    told = Told()
    fake.witness = told.saw
    receipts = iter(
        SendGrid(KEY, base_url=fake.url).submit(mailing(), envelopes(*range(1, 1_500)), told)
    )
    for _ in range(1_000):
        told.heard(next(receipts))
    assert len(told.of("on record")) == fake.connections == 1
    told.check()


def test_an_error_of_the_log_is_the_one_that_comes_out(fake: FakeSendGrid) -> None:
    receipts = SendGrid(KEY, base_url=fake.url).submit(mailing(), envelopes(1), Told(full_from=1))
    with pytest.raises(TransientError, match="the log is full") as caught:
        list(receipts)
    assert caught.value.hint == "free disk space"
