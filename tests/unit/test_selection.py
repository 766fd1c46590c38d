"""Which comparisons make a week: the rules, the editor's hand, and a reason for every one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editorial.selection import AT_MOST, Candidate, Choice, Wishes, choose
from newsletter.errors import RefusedError
from newsletter.store.states import ComparisonState

SLOT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PREVIOUS = SLOT - timedelta(weeks=1)
FINISHED, DRAFT, PUBLISHED = (
    ComparisonState.FINISHED,
    ComparisonState.DRAFT,
    ComparisonState.PUBLISHED,
)


NOTHING_WISHED = Wishes()


def candidate(
    slug: str,
    *,
    days: float = 1,
    gap: int = 0,
    state: ComparisonState = FINISHED,
    sample: bool = False,
    in_issue: str | None = None,
) -> Candidate:
    """Finished so many `days` before the slot."""
    finished_at = None if state is DRAFT else SLOT - timedelta(days=days)
    return Candidate(slug, state, finished_at, sample, gap, in_issue)


def week(
    *candidates: Candidate, wishes: Wishes = NOTHING_WISHED, samples: bool = False
) -> tuple[Choice, ...]:
    return choose(
        candidates, slot_at=SLOT, previous_slot_at=PREVIOUS, wishes=wishes, samples=samples
    )


def chosen(choices: tuple[Choice, ...]) -> list[str]:
    return [choice.slug for choice in choices if choice.chosen]


def reason(choices: tuple[Choice, ...], slug: str) -> str:
    return next(choice.reason for choice in choices if choice.slug == slug)


def test_the_widest_panel_gap_leads() -> None:
    choices = week(candidate("a", gap=25), candidate("b", gap=75), candidate("c", gap=50))
    assert choices[0].slug == "b"
    assert choices[0].position == 0
    assert "widest panel gap, 75 points" in choices[0].reason


def test_on_a_tie_the_newest_leads() -> None:
    assert chosen(week(candidate("a", days=3, gap=50), candidate("b", days=2, gap=50)))[0] == "b"


def test_the_new_come_before_leftovers_and_the_newest_first() -> None:
    choices = week(
        candidate("lead", days=6, gap=100),
        candidate("left-over", days=8),
        candidate("older", days=5),
        candidate("newer", days=1),
    )
    assert chosen(choices) == ["lead", "newer", "older", "left-over"]
    assert reason(choices, "left-over") == "left over: finished 8 days before the slot"
    assert reason(choices, "newer") == "finished since the previous slot"


def test_a_leftover_with_the_widest_gap_leads_too() -> None:
    assert chosen(week(candidate("new", gap=25), candidate("old", days=10, gap=75)))[0] == "old"


def test_an_issue_holds_five_and_the_sixth_is_told_so() -> None:
    choices = week(*(candidate(f"c{n}", days=n) for n in range(1, 7)))
    assert chosen(choices) == ["c1", "c2", "c3", "c4", "c5"]
    assert reason(choices, "c6").startswith("no room: the issue holds 5")


def test_new_ones_take_the_places_before_leftovers_with_wider_gaps() -> None:
    fresh = [candidate(f"c{n}", days=n) for n in range(1, 6)]
    choices = week(candidate("old", days=9, gap=100), *fresh)
    assert "old" not in chosen(choices)


@pytest.mark.parametrize(
    ("days", "is_in", "words"),
    [
        (0, True, "since the previous slot"),
        (6.99, True, "since the previous slot"),
        (7, True, "left over"),
        (28, True, "left over"),
        (28.01, False, "stale"),
        (400, False, "stale: finished 400 days before"),
        (-0.01, False, "finished after this slot"),
    ],
)
def test_age_decides(days: float, is_in: bool, words: str) -> None:
    [choice] = week(candidate("a", days=days))
    assert choice.chosen is is_in
    assert words in choice.reason


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (candidate("x", state=DRAFT), "still a draft"),
        (candidate("x", in_issue="2026-W47"), "already in the issue of 2026-W47"),
        (candidate("x", state=PUBLISHED, in_issue="2026-W40"), "2026-W40"),
        (candidate("x", state=PUBLISHED), "already published"),
        (candidate("x", sample=True), "invented sample: never in a real issue"),
    ],
)
def test_what_cannot_be_in_stays_out_even_when_included(odd: Candidate, words: str) -> None:
    for wishes in (Wishes(), Wishes(include=("x",), order=("x",))):
        choices = week(odd, candidate("good"), wishes=wishes)
        assert chosen(choices) == ["good"]
        assert words in reason(choices, "x")
    assert reason(choices, "x").startswith("cannot be included: ")


def test_samples_enter_only_the_demos_issue() -> None:
    choices = week(candidate("real", gap=50), candidate("invented", sample=True), samples=True)
    assert chosen(choices) == ["real", "invented"]


def test_include_brings_in_the_stale_and_takes_a_place_first() -> None:
    fresh = [candidate(f"c{n}", days=n) for n in range(1, 6)]
    choices = week(candidate("stale", days=90), *fresh, wishes=Wishes(include=("stale",)))
    assert "stale" in chosen(choices)
    assert reason(choices, "c5").startswith("no room")
    assert reason(choices, "stale") == "included by hand"


def test_exclude_keeps_out_and_says_so() -> None:
    choices = week(candidate("a"), candidate("b"), wishes=Wishes(exclude=("a",), order=("a", "b")))
    assert chosen(choices) == ["b"]
    assert reason(choices, "a") == "excluded by hand"


def test_the_editors_order_leads_and_the_rest_follows() -> None:
    choices = week(
        candidate("a", gap=100),
        candidate("b"),
        candidate("c", days=20),
        wishes=Wishes(order=("c", "b", "c")),
    )
    assert chosen(choices) == ["c", "b", "a"]
    assert "editor's order" in choices[0].reason


def test_the_editors_order_gives_a_place_but_brings_nothing_stale_in() -> None:
    fresh = [candidate(f"c{n}", days=n) for n in range(1, 6)]
    choices = week(
        candidate("old", days=9),
        candidate("stale", days=90),
        *fresh,
        wishes=Wishes(order=("old", "stale")),
    )
    assert chosen(choices) == ["old", "c1", "c2", "c3", "c4"]


def test_an_unknown_wish_names_itself_and_the_nearest() -> None:
    with pytest.raises(RefusedError) as raised:
        week(candidate("foo-vs-bar"), wishes=Wishes(include=("foo-vs-baz",), order=("zzz",)))
    assert "foo-vs-baz, zzz" in raised.value.what
    assert "did you mean foo-vs-bar?" in raised.value.hint
    assert "content list" in raised.value.hint


def test_both_in_and_out_is_refused() -> None:
    with pytest.raises(RefusedError, match="both included and excluded"):
        week(candidate("a"), wishes=Wishes(include=("a",), exclude=("a",)))


def test_a_thin_week_chooses_nothing() -> None:
    assert week() == ()
    assert chosen(week(candidate("a", state=DRAFT))) == []


_SLUGS = [f"s{n}" for n in range(12)]
_CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.sampled_from(_SLUGS),
        days=st.integers(-3, 40),
        gap=st.sampled_from([0, 25, 50, 75, 100]),
        state=st.sampled_from([FINISHED, FINISHED, FINISHED, DRAFT, PUBLISHED]),
        sample=st.booleans(),
        in_issue=st.sampled_from([None, None, None, "2026-W40"]),
    ),
    unique_by=lambda one: one.slug,
)


@given(data=st.data(), candidates=_CANDIDATES, samples=st.booleans())
def test_whatever_comes_every_candidate_has_one_choice_and_the_rules_hold(
    data: st.DataObject, candidates: list[Candidate], samples: bool
) -> None:
    slugs = [one.slug for one in candidates]
    some = st.lists(st.sampled_from(slugs), max_size=4) if slugs else st.just([])
    exclude = tuple(data.draw(some))
    include = tuple(slug for slug in data.draw(some) if slug not in exclude)
    wishes = Wishes(include, exclude, tuple(data.draw(some)))
    choices = week(*candidates, wishes=wishes, samples=samples)
    shuffled = data.draw(st.permutations(candidates))
    assert week(*shuffled, wishes=wishes, samples=samples) == choices
    assert sorted(choice.slug for choice in choices) == sorted(slugs)
    positions = [choice.position for choice in choices if choice.chosen]
    assert positions == list(range(len(positions)))
    assert len(positions) <= AT_MOST
    assert all(choice.reason for choice in choices)
    assert all((choice.position is not None) is choice.chosen for choice in choices)
    by_slug = {one.slug: one for one in candidates}
    for slug in chosen(choices):
        one = by_slug[slug]
        assert one.state is FINISHED
        assert one.in_issue is None
        assert samples or not one.sample
        assert slug not in exclude


def test_a_sample_never_leads_while_a_real_comparison_is_in() -> None:
    choices = week(
        candidate("real", gap=25), candidate("invented", gap=100, sample=True), samples=True
    )
    assert chosen(choices) == ["real", "invented"]
    assert "samples left aside" in choices[0].reason
