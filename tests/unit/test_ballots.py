"""From ballots to votes: what counts, what is suspect, and that no order plays a part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editorial import ballots
from newsletter.editorial.ballots import Ballot, Standing, judged, suspicion
from newsletter.rendering.view import Verdict

pytestmark = pytest.mark.slow

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)
SHIP, SKIP = Verdict.SHIP, Verdict.SKIP


def press(
    after_s: float, verdict: Verdict = SHIP, tool: str = "draftline", *, hurried: bool = False
) -> Ballot:
    at = NINE + timedelta(seconds=after_s)
    return Ballot(1, tool, verdict, at, issue_id=7, is_hurried=hurried)


def vote(*pressed: Ballot) -> Standing:
    return judged(pressed)[1, "draftline"]


PRESSES = st.builds(
    press,
    st.integers(0, 40).map(float),
    st.sampled_from(Verdict),
    st.sampled_from(["draftline", "papermill", "a", "b", "c", "d"]),
    hurried=st.booleans(),
)


@given(st.lists(PRESSES, max_size=14), st.randoms(use_true_random=False))
def test_any_order_and_duplication_comes_to_the_same_votes(
    pressed: list[Ballot], chance: object
) -> None:
    again = [*pressed, *pressed[::2]]
    chance.shuffle(again)  # type: ignore[attr-defined]
    assert judged(again) == judged(pressed)


@given(st.lists(PRESSES, max_size=14))
def test_a_neighbourhood_tells_as_much_as_the_whole(pressed: list[Ballot]) -> None:
    """Only near ballots are looked at, for speed; all of them say the same."""
    whole = set(pressed)
    for key, standing in judged(pressed).items():
        mine = [one for one in whole if one.key == key]
        believed = [one for one in mine if not suspicion(one, list(whole))]
        assert bool(standing.suspicion) is not bool(believed)
        assert standing.at == max(one.at for one in believed or mine)


def test_the_latest_press_counts() -> None:
    assert vote(press(0), press(60, SKIP)).verdict is SKIP
    assert vote(press(0), press(60, SKIP), press(120)) == Standing(SHIP, press(120).at, 7)


def test_a_hurried_press_is_kept_apart_until_a_patient_one_comes() -> None:
    assert vote(press(0, hurried=True)).suspicion == "hurried"
    assert vote(press(0, hurried=True), press(5)).suspicion == ""


def test_a_hurried_press_takes_nobodys_vote_away() -> None:
    assert vote(press(0), press(60, SKIP, hurried=True)) == Standing(SHIP, NINE, 7)


def test_ship_and_skip_within_ten_seconds_are_both_suspect() -> None:
    assert vote(press(0), press(9.9, SKIP)).suspicion == "both_ways"
    assert vote(press(0), press(10, SKIP)).suspicion == ""
    assert vote(press(0), press(5, SKIP, "papermill")).suspicion == ""


def test_a_press_long_after_both_ways_counts() -> None:
    assert vote(press(0), press(3, SKIP), press(20, SKIP)) == Standing(SKIP, press(20).at, 7)


@pytest.mark.parametrize(("tools", "last_s", "said"), [(5, 5, "burst"), (4, 5, ""), (5, 5.1, "")])
def test_more_than_four_tools_within_five_seconds_are_a_burst(
    tools: int, last_s: float, said: str
) -> None:
    pressed = [press(0), *(press(last_s * n / (tools - 1), tool=f"t{n}") for n in range(1, tools))]
    assert vote(*pressed).suspicion == said


def test_one_button_pressed_often_is_no_burst() -> None:
    assert vote(*(press(n / 2) for n in range(10))).suspicion == ""


def test_an_end_of_a_burst_is_as_suspect_as_its_middle() -> None:
    pressed = [press(0), *(press(n, tool=f"t{n}") for n in range(1, 5))]
    assert {one.suspicion for one in judged(pressed).values()} == {"burst"}


def test_at_one_instant_the_tie_is_decided() -> None:
    one, other = press(0), press(0, SKIP)
    assert vote(one, other) == vote(other, one)
    assert vote(one, other).suspicion == "both_ways"


def test_every_rule_has_a_name_of_its_own_and_says_what_it_means() -> None:
    assert len(ballots.NAMES) == len(ballots.RULES)
    for rule in ballots.RULES:
        assert rule.says
        assert len(rule.name) <= 24
