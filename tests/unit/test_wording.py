"""Figures in words: they add up, name their denominator, and say what is not known."""

from __future__ import annotations

from dataclasses import replace

import figure_samples as samples
import pytest

from newsletter import wording
from newsletter.tracking.figures import Labelled, Share, Waterfall
from newsletter.tracking.rules import RULES

KINDS = ("weekly", "correction")


def steps(name: str) -> dict[str, int | None]:
    return {one.name: one.count for one in wording.waterfall(getattr(samples, name))}


def test_every_part_of_the_waterfall_adds_up_to_the_step_above_it() -> None:
    found = wording.waterfall(samples.FULL)
    wholes = [n for n, step in enumerate(found) if not step.depth]
    for n, after in zip(wholes, [*wholes[1:], len(found)], strict=True):
        counts = [step.count for step in found[n + 1 : after]]
        if counts:
            assert sum(count or 0 for count in counts) == found[n].count, found[n].name
    known = steps("FULL")
    assert known["Candidates"] == (known["Left out"] or 0) + (known["To get it"] or 0)


def test_states_nobody_has_named_yet_still_add_up() -> None:
    fall = replace(samples.FULL.waterfall, states={"submitted": 5, "misplaced": 3}, reached=5)
    found = wording.waterfall(replace(samples.FULL, waterfall=fall))
    assert [step.count for step in found if step.name == "otherwise not reached"] == [3]


def test_what_is_not_known_is_a_dash_with_its_reason() -> None:
    unknown = [one for one in wording.waterfall(samples.UNTRACKED) if one.count is None]
    assert [(one.name, one.note) for one in unknown] == [
        ("Delivered", wording.NOT_TOLD),
        ("Image loads", wording.NOT_TRACKED),
        ("Clicks", wording.NOT_TRACKED),
    ]
    rates = {row[0]: row[1:] for row in wording.rates(samples.UNTRACKED)}
    assert rates["Clicked by people"] == ("—", "—", wording.NOT_TRACKED)
    assert rates["Voted"] == ("2.4%", "2.1 to 2.7%", "288 of 12,116 readers it reached")


def test_a_rate_of_nobody_is_no_rate() -> None:
    for _name, rate, interval, of_what in wording.rates(samples.EMPTY):
        assert (rate, interval) == ("—", "—")
        assert of_what.startswith("there are no readers")


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(None, "—"), (0.0, "0%"), (0.0008, "0.08%"), (0.05, "5.0%"), (0.1234, "12.3%"), (1.0, "100%")],
)
def test_a_rate_shows_as_many_digits_as_it_needs(rate: float | None, shown: str) -> None:
    assert wording.percent(rate) == shown


def test_alarms_come_first_and_say_of_what() -> None:
    found = wording.notices(samples.FULL)
    kinds = [one.is_alarm for one in found]
    assert kinds == sorted(kinds, reverse=True)
    assert found[0].words == (
        "Complaints: 0.12% (15 of 12,116 readers it reached), at or above the 0.1% that Gmail "
        "asks senders to stay under."
    )
    assert "newsletter issue settle 2026-W48" in found[2].words


def test_what_stands_in_no_count_is_told() -> None:
    found = [one.words for one in wording.notices(replace(samples.FULL, strays=3, erased_events=1))]
    assert any(one.startswith("In no count: 3 readers who loaded or clicked") for one in found)
    assert "In no count: 1 event of readers who had their data erased since." in found


def test_a_corrections_candidates_are_those_who_got_the_error() -> None:
    notes = {kind: wording.waterfall(replace(samples.FULL, kind=kind))[0].note for kind in KINDS}
    assert notes == dict(zip(KINDS, wording._CANDIDATES.values(), strict=True))
    assert len(set(notes.values())) == 2


def test_an_issue_with_nothing_wrong_has_nothing_to_say_first() -> None:
    quiet = replace(
        samples.FULL,
        untracked_readers=0,
        unlabelled=0,
        domains=(),
        rates={"complained": Share(0, 12_116, "readers")},
        waterfall=replace(samples.FULL.waterfall, states={"delivered": 12_116}),
    )
    assert wording.notices(quiet) == []


def test_the_hours_lose_nobody() -> None:
    stretches = wording.stretches(samples.FULL)
    for part in ("human", "unknown", "machine"):
        for kind in ("loads", "clicks"):
            whole = sum(getattr(getattr(one, kind), part) for one in samples.FULL.hours)
            assert sum(getattr(getattr(one, kind), part) for one in stretches) == whole
    assert [one.name for one in stretches][:2] == ["0–3 h", "3–6 h"]
    assert stretches[-1].loads != Labelled()


def test_each_rule_stands_with_what_it_rests_on() -> None:
    rows = wording.rules(replace(samples.FULL, rules={"burst": 3, "gone": 5, "silent": 0}))
    why = next(rule.why for rule in RULES if rule.name == "burst")
    assert rows == [("gone", "—", "a rule of an earlier version", 5), ("burst", "machine", why, 3)]


def test_the_summary_is_true_of_an_issue_without_tracking_and_of_one_not_sent() -> None:
    assert "Nobody looked whether" in wording.summary(samples.UNTRACKED)
    assert wording.summary(samples.EMPTY) == "There is nothing to count: it has not gone out yet."
    one = Waterfall(1, {}, {"submitted": 1}, 1, None, Labelled(human=1), Labelled(), 0, 0, 0, 0)
    said = wording.summary(replace(samples.FULL, waterfall=one))
    assert said.startswith("It reached 1 of 1 candidate. 1 person loaded its images")
