"""What a certificate says, and that each of its conditions can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.delivery.proof import Proof
from newsletter.rehearsal.account import Told
from newsletter.rehearsal.certificate import Certificate, Evidence, certify
from newsletter.rehearsal.faults import Faults
from newsletter.rehearsal.stage_log import ACCEPTED, Line, LogWriter, StageLog
from newsletter.rehearsal.supervisor import Course, Plan
from newsletter.store.states import DeliveryState

PLAN = Plan(readers=4, faults=Faults({}), kills=1, senders=1, provider="smtp", seed=1)


def _line(reader: str, what: str = ACCEPTED, at: float = 0.0) -> Line:
    return Line(at, what, 0, f"id-of-{reader}", reader)


GOOD = Evidence(
    plan=PLAN,
    course=Course(kills=1, rounds=1, seconds=2.5),
    proof=Proof(
        "2026-W48",
        4,
        {**dict.fromkeys(DeliveryState, 0), "submitted": 2, "bounced": 1, "uncertain": 1},
        {},
        0,
        0,
    ),
    told={
        "a": Told(DeliveryState.SUBMITTED, ""),
        "b": Told(DeliveryState.SUBMITTED, ""),
        "c": Told(DeliveryState.BOUNCED, "550 5.1.1"),
        "d": Told(DeliveryState.UNCERTAIN, "its sender stopped"),
    },
    log=StageLog([_line("a"), _line("b", at=1.0), _line("c", "bounce", at=2.0)]),
    on_the_wire=1,
    per_fault=1,
)


def _failed(evidence: Evidence) -> list[str]:
    return [condition.name for condition in certify(evidence).failed]


def _told(**readers: Told) -> Evidence:
    return replace(GOOD, told={**GOOD.told, **readers})


def test_an_account_that_adds_up_is_certified() -> None:
    certificate = certify(GOOD)
    assert certificate.is_certified
    assert isinstance(certificate, Certificate)
    shown = certificate.to_dict()
    assert shown["certified"] is True
    assert (shown["accepted"], shown["faults_met"]) == (2, {"bounce": 1})
    assert (shown["seconds"], shown["messages_per_second"]) == (2.5, 1.0)


def test_a_message_that_came_again_is_a_double_by_reader_or_by_message_id() -> None:
    again = replace(GOOD, log=StageLog([*GOOD.log.lines, _line("a", at=3.0)]))
    assert _failed(again) == ["nobody got it twice"]
    same_id = Line(3.0, ACCEPTED, 0, "id-of-a", "d")
    assert _failed(replace(GOOD, log=StageLog([*GOOD.log.lines, same_id]))) == [
        "nobody got it twice"
    ]


def test_the_ledger_must_not_deny_what_was_accepted() -> None:
    log = StageLog([*GOOD.log.lines, _line("c", at=3.0)])
    assert _failed(replace(GOOD, log=log)) == ["the ledger knows who has it"]
    stranger = StageLog([*GOOD.log.lines, _line("nobody", at=3.0)])
    assert _failed(replace(GOOD, log=stranger)) == ["the ledger knows who has it"]


def test_what_counts_as_submitted_must_have_been_accepted() -> None:
    log = StageLog([_line("a"), _line("c", "bounce")])
    assert _failed(replace(GOOD, log=log)) == ["nobody is lost in silence"]


def test_a_failure_needs_a_reason() -> None:
    assert _failed(_told(c=Told(DeliveryState.FAILED, ""))) == ["nobody is lost in silence"]


def test_a_reader_without_a_delivery_is_lost() -> None:
    without = {reader: one for reader, one in GOOD.told.items() if reader != "c"}
    assert _failed(replace(GOOD, told=without)) == ["nobody is lost in silence"]


def test_what_is_left_over_is_not_finished() -> None:
    left = _told(c=Told(DeliveryState.PLANNED, "451 later"))
    assert _failed(left) == ["finished", "nobody is lost in silence"]


def test_a_sender_that_ended_with_an_error_is_no_end() -> None:
    assert _failed(replace(GOOD, course=Course(kills=1, failed=1))) == ["finished"]


def test_no_more_may_be_uncertain_than_kills_and_silent_faults_explain() -> None:
    more = _told(b=Told(DeliveryState.UNCERTAIN, "no answer"))
    assert _failed(more) == ["few are uncertain"]
    dropped = replace(more, log=StageLog([*GOOD.log.lines, _line("b", "drop", at=3.0)]))
    assert _failed(dropped) == []
    only_slow = replace(more, log=StageLog([*GOOD.log.lines, _line("b", "slow", at=3.0)]))
    assert _failed(only_slow) == ["few are uncertain"]


def test_a_kill_that_struck_nobody_proves_nothing() -> None:
    missed = replace(GOOD, plan=replace(PLAN, kills=2))
    assert _failed(missed) == ["senders were killed"]


def test_a_proof_that_does_not_hold_is_no_proof() -> None:
    assert _failed(replace(GOOD, proof=replace(GOOD.proof, unexplained=1))) == ["the proof holds"]


@pytest.mark.parametrize(("seconds", "failed"), [(0.01, True), (1.0, False)])
def test_the_publications_own_rate_must_be_kept(seconds: float, failed: bool) -> None:
    log = StageLog([_line(f"r{n}", at=n * seconds / 99) for n in range(100)])
    told = {f"r{n}": Told(DeliveryState.SUBMITTED, "") for n in range(100)}
    evidence = replace(
        GOOD,
        plan=replace(PLAN, readers=100, kills=0),
        course=Course(rounds=1),
        told=told,
        log=log,
        per_second=100.0,
    )
    assert ("the publication's rate is kept" in _failed(evidence)) is failed


def test_a_log_is_read_back_and_a_torn_last_line_left_out(tmp_path: Path) -> None:
    path = tmp_path / "stage.log"
    assert StageLog.read(path).lines == ()
    writer = LogWriter(path)
    writer.write(ACCEPTED, [("id1", "a@example.com"), ("id2", "b@example.com")], request=3)
    writer.write("drop", [("", "c@example.com")])
    with path.open("a") as file:
        file.write("17.0\tacc")
    log = StageLog.read(path)
    assert [(line.what, line.request, line.message_id, line.reader) for line in log.lines] == [
        ("accepted", 3, "id1", "a@example.com"),
        ("accepted", 3, "id2", "b@example.com"),
        ("drop", 0, "", "c@example.com"),
    ]
