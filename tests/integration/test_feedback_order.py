"""Any order and any repetition of a set of events ends the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbound_home import SETTINGS
from publication import open_home
from told_home import home_of_issues, outcome_of, say

from newsletter.app import App

pytestmark = pytest.mark.slow

WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "processed": ("processed", {}),
    "deferred": ("deferred", {}),
    "delivered": ("delivered", {}),
    "hard": ("bounce", {}),
    "full": ("bounce", {"status": "5.2.2", "reason": "552 5.2.2 Mailbox full"}),
    "invalid": (
        "bounce",
        {"status": "", "reason": "nobody", "bounce_classification": "Invalid Address"},
    ),
    "blocked": ("bounce", {"status": "5.3.0", "reason": "550 later", "type": "blocked"}),
    "our fault": ("bounce", {"status": "5.7.1", "reason": "550 5.7.1 policy", "type": "blocked"}),
    "unclassified": ("bounce", {"status": "", "reason": "no"}),
    "complaint": ("spamreport", {}),
    "left": ("group_unsubscribe", {}),
    "back": ("group_resubscribe", {}),
    "dropped, bounced": ("dropped", {}),
    "dropped, left": ("dropped", {"reason": "Unsubscribed Address"}),
    "dropped, spam": ("dropped", {"reason": "Spam Reporting Address"}),
    "dropped, content": ("dropped", {"reason": "Spam Content"}),
    "open": ("open", {}),
    "unheard of": ("reincarnated", {}),
}
# issue, reader, word, seconds after the first
FACTS = st.tuples(
    st.integers(1, 2), st.integers(1, 2), st.sampled_from(sorted(WORDS)), st.integers(0, 3)
)
SOFT = st.tuples(
    st.integers(1, 4),
    st.just(1),
    st.sampled_from(["full", "full", "blocked", "delivered", "our fault", "hard", "dropped, left"]),
    st.integers(0, 1),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = home_of_issues(tmp_path_factory.mktemp("told") / "home")
    opened = open_home(home, **SETTINGS)
    yield opened
    opened.engine.dispose()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(FACTS, min_size=1, max_size=7, unique=True)
    | st.lists(SOFT, min_size=3, max_size=7, unique=True),
    st.data(),
)
def test_any_order_and_repetition_ends_the_same(
    app: App, facts: list[tuple[int, int, str, int]], data: st.DataObject
) -> None:
    events = [_event(app, fact) for fact in facts]
    shuffled = data.draw(st.permutations(events))
    repeated = [*shuffled, *data.draw(st.lists(st.sampled_from(events), max_size=4))]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(repeated) - 1)), max_size=4)))
    calls = [repeated[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    assert outcome_of(app, calls) == outcome_of(app, [events])


@pytest.mark.parametrize("issue_id", [1, 2], ids=["submitted", "uncertain"])
def test_every_pair_of_words_ends_the_same_in_both_orders(app: App, issue_id: int) -> None:
    for first, second in combinations(WORDS, 2):
        events = [_event(app, (issue_id, 1, name, 0)) for name in (first, second)]
        forwards, backwards = ([[one] for one in order] for order in (events, events[::-1]))
        assert outcome_of(app, forwards) == outcome_of(app, backwards), (first, second)


@pytest.mark.parametrize("name", sorted(set(WORDS) - {"full"}))
@pytest.mark.parametrize("refused", [(1, 2, 3), (1, 2, 4)])
def test_a_row_of_refusals_and_what_is_told_beside_it_end_the_same(
    app: App, refused: tuple[int, ...], name: str
) -> None:
    """Of one of the refused issues, or of the one that was not."""
    row = [[_event(app, (n, 1, "full", 0))] for n in refused]
    for issue_id in (3, 4):
        other = [[_event(app, (issue_id, 1, name, 1))]]
        assert outcome_of(app, other + row) == outcome_of(app, row + other), issue_id
        last = [[_event(app, (refused[-1], 1, "blocked", 2))]]
        assert outcome_of(app, other + row + last) == outcome_of(app, row + other + last), issue_id


def test_every_event_alone_in_both_directions_ends_the_same(app: App) -> None:
    """All words at once about one delivery, one call each."""
    events = [_event(app, (1, 1, name, n % 3)) for n, name in enumerate(WORDS)]
    forwards = outcome_of(app, [[event] for event in events])
    backwards = outcome_of(app, [[event] for event in reversed(events)])
    assert forwards == backwards == outcome_of(app, [events * 2])


def test_the_events_do_change_something(app: App) -> None:
    """Else the two tests above would hold for a machine that does nothing."""
    untouched = outcome_of(app, [])
    for name in WORDS:
        assert outcome_of(app, [[_event(app, (2, 1, name, 0))]]) != untouched


def _event(app: App, fact: tuple[int, int, str, int]) -> dict[str, Any]:
    issue_id, reader, name, after_s = fact
    word, more = WORDS[name]
    # SendGrid's ids are of the event; a message has one word at one instant once.
    message = f"{name}.{issue_id}.{reader}"
    return say(
        app,
        reader,
        word,
        issue_id,
        after_s=after_s,
        event_id=f"{message}.{after_s}",
        message=message,
        **more,
    )
