"""The rules: a table of cases, any order of the same events, and what 30 days leave of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.tracking import agents
from newsletter.tracking.events import EventKind, Label
from newsletter.tracking.rules import HEAD, MAIL, RULES, Fact, Scene, judge

SENT = 1_000_000.0
CANARY = 9
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
GMAIL_AHEAD = f"{CHROME} Edge/12.246 Mozilla/5.0"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
APPLE = "Mozilla/5.0"
HOME, OFFICE = "198.51.100.0/24", "203.0.113.0/24"
LATER = 7_200.0  # seconds after it was sent: nothing is near

_ids = count(1)

pytestmark = pytest.mark.slow


def fact(
    kind: str = "click",
    after: float = LATER,
    *,
    agent: str = CHROME,
    link: int | None = 1,
    method: str = "GET",
    network: str = HOME,
) -> Fact:
    of_kind = link if kind == "click" else None
    return Fact(next(_ids), kind, of_kind, SENT + after, method, agent, network)


def load(after: float = LATER, *, agent: str = CHROME, network: str = HOME) -> Fact:
    return fact("image_load", after, agent=agent, network=network)


def scene(*facts: Fact, delivered: float | None = 0.0, links: int = 20) -> Scene:
    return Scene(
        facts,
        submitted_at=SENT,
        delivered_at=None if delivered is None else SENT + delivered,
        canary=CANARY,
        links=links,
    )


def names(*facts: Fact, **known: float | None) -> list[str]:
    """The rule of each fact, in the order in which they are given."""
    verdicts = judge(scene(*facts, **known))  # type: ignore[arg-type]  # one of two keywords
    return [verdicts[one.id].name for one in facts]


ALONE = [
    ("a click in a browser", fact(), "clicked"),
    ("a click by a name unknown", fact(agent="Frobnicator 3"), "unproven"),
    ("a click by no name", fact(agent=""), "scanner_agent"),
    ("a click by a library", fact(agent="python-requests/2.32"), "scanner_agent"),
    ("a HEAD", fact(method=HEAD), "head"),
    ("a HEAD of the pixel", fact("image_load", method=HEAD, agent=THUNDERBIRD), "head"),
    ("Apple's prefetch", load(600, agent=APPLE), "machine_apple"),
    ("Apple's prefetch, a day later", load(86_400, agent=APPLE), "machine_apple"),
    ("Gmail's prefetch", load(600, agent=GMAIL_AHEAD), "prefetch"),
    ("Gmail, when the mail is opened", load(agent=GMAIL), "proxy"),
    ("Gmail, seconds after delivery", load(30, agent=GMAIL), "unproven"),
    ("Yahoo's proxy", load(agent=YAHOO), "unproven"),
    ("a desktop program", load(agent=THUNDERBIRD), "mail_program"),
    ("a browser's image load", load(), "unproven"),
    ("a vote", fact("vote", method="POST"), "voted"),
    ("a vote by no name", fact("vote", method="POST", agent=""), "scanner_agent"),
    ("a one-click leaving by a provider's server", fact("unsubscribe", agent=""), "asked"),
    ("a change of preferences", fact("preferences", method="POST"), "asked"),
    ("a leaving by mail", fact("unsubscribe", 1, method=MAIL, agent="", network=""), "by_mail"),
    ("a click 9 s after delivery", fact(after=9), "too_soon"),
    ("a click 10 s after delivery", fact(after=10), "clicked"),
    ("a leaving 3 s after delivery", fact("unsubscribe", 3, method="POST"), "too_soon"),
    ("a click long before it left", fact(after=-3_600), "clicked"),  # of an earlier copy
    ("the canary", fact(link=CANARY), "canary"),
]


@pytest.mark.parametrize(("what", "one", "rule"), ALONE)
def test_one_event_alone(what: str, one: Fact, rule: str) -> None:
    assert names(one) == [rule], what


def test_what_comes_before_the_delivery_a_provider_tells_of_is_a_machines() -> None:
    assert names(fact(after=200), delivered=300) == ["too_soon"]
    assert names(fact(after=200), delivered=None) == ["clicked"]


def test_a_delivery_from_before_it_left_was_an_earlier_copys() -> None:
    resent = {"delivered": -86_400.0}
    assert names(fact(after=3), **resent) == ["too_soon"]
    assert names(load(30, agent=GMAIL), **resent) == ["unproven"]
    assert names(load(61, agent=GMAIL), **resent) == ["proxy"]
    assert names(fact(after=-86_000), **resent) == ["clicked"]


def test_a_providers_clock_that_is_behind_ours_makes_nothing_later_human() -> None:
    assert names(fact(after=9), delivered=-30) == ["too_soon"]
    assert names(fact(after=-50), delivered=-30) == ["too_soon"]


def test_nothing_is_too_soon_where_nobody_knows_when_it_was_sent() -> None:
    one, gmail = fact(after=1), load(agent=GMAIL)
    verdicts = judge(Scene([one, gmail]))
    assert [verdicts[each.id].name for each in (one, gmail)] == ["clicked", "unproven"]


def test_three_links_within_five_seconds_are_a_burst_and_two_are_not() -> None:
    assert names(*(fact(after=LATER + n, link=n + 1) for n in range(3))) == ["burst"] * 3
    assert names(*(fact(after=LATER + n, link=n + 1) for n in range(2))) == ["clicked"] * 2
    assert names(*(fact(after=LATER + 2.6 * n, link=n + 1) for n in range(3))) == ["clicked"] * 3


def test_one_link_pressed_three_times_is_an_impatient_person() -> None:
    assert names(*(fact(after=LATER + n) for n in range(3))) == ["clicked"] * 3


def test_a_burst_is_one_whatever_programs_and_networks_it_comes_from() -> None:
    one = fact(agent=CHROME, network=HOME, link=1)
    two = fact(after=LATER + 1, agent=FIREFOX, network=OFFICE, link=2)
    three = fact(after=LATER + 2, agent="", network="", link=3)
    assert names(one, two, three) == ["burst", "burst", "scanner_agent"]


def test_three_quarters_of_the_links_within_an_hour_are_a_sweep() -> None:
    every = [fact(after=LATER + 60 * n, link=n + 20) for n in range(15)]
    assert names(*every) == ["sweep"] * 15
    assert names(*every[:14]) == ["clicked"] * 14


def test_few_links_are_no_sweep_though_they_are_all_there_are() -> None:
    few = [fact(after=LATER + 60 * n, link=n + 20) for n in range(5)]
    assert names(*few, links=5) == ["clicked"] * 5


def test_who_asks_for_headers_first_is_a_machine_by_any_name() -> None:
    probe = fact(method=HEAD, link=4)
    assert names(probe, fact(after=LATER + 50, link=4)) == ["head", "probed"]
    assert names(probe, fact(after=LATER + 70, link=4)) == ["head", "clicked"]
    assert names(probe, fact(after=LATER + 50, agent=FIREFOX)) == ["head", "clicked"]
    assert names(probe, fact(after=LATER + 50, network=OFFICE)) == ["head", "clicked"]


NEAR_A_CANARY = [
    ("at once, from elsewhere", fact(after=LATER + 100, agent=FIREFOX, network=OFFICE), "canary"),
    ("soon, from elsewhere", fact(after=LATER + 130, agent=FIREFOX, network=OFFICE), "clicked"),
    ("within the hour, from there", fact(after=LATER + 3_500, agent=FIREFOX), "canary"),
    ("later, from there", fact(after=LATER + 3_700, agent=FIREFOX), "clicked"),
    ("the same program within the day", fact(after=LATER + 86_000), "canary"),
    ("the same program on another day", fact(after=LATER + 87_000), "clicked"),
    ("no network known", fact(after=LATER + 130, network=""), "clicked"),
    ("before it", load(LATER - 3_500, agent=THUNDERBIRD), "canary"),
    ("a vote", fact("vote", LATER + 60, method="POST"), "canary"),
    ("a leaving", fact("unsubscribe", LATER + 60, method="POST"), "canary"),
    ("a mail", fact("unsubscribe", LATER + 60, method=MAIL, network=""), "by_mail"),
]


@pytest.mark.parametrize(("what", "one", "rule"), NEAR_A_CANARY)
def test_the_neighbourhood_of_the_canary(what: str, one: Fact, rule: str) -> None:
    assert names(fact(link=CANARY), one) == ["canary", rule], what


def test_an_image_beside_a_persons_act_was_seen_by_a_person() -> None:
    assert names(load(LATER - 3_000), fact()) == ["beside_act", "clicked"]
    assert names(load(LATER - 4_000), fact()) == ["unproven", "clicked"]
    assert names(load(agent=APPLE), fact()) == ["machine_apple", "clicked"]
    assert names(load(), fact(agent="curl/8")) == ["unproven", "scanner_agent"]


def test_the_table_says_of_each_rule_what_it_rests_on_and_ends_with_the_rest() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(len(rule.name) <= 24 and rule.why for rule in RULES)
    assert RULES[-1].label is Label.UNKNOWN


_AGENTS = st.sampled_from(
    [CHROME, FIREFOX, THUNDERBIRD, GMAIL, GMAIL_AHEAD, YAHOO, APPLE, "", "curl/8.5", "Frob/1"]
)
_FACTS = st.builds(
    Fact,
    id=st.just(0),
    kind=st.sampled_from([str(kind) for kind in EventKind]),
    link=st.sampled_from([1, 2, 3, 4, CANARY, None]),
    at=st.one_of(st.floats(0, 40), st.floats(0, 200_000)).map(lambda after: SENT + after),
    method=st.sampled_from(["GET", "GET", "POST", HEAD, MAIL]),
    agent=_AGENTS,
    network=st.sampled_from([HOME, OFFICE, ""]),
)
_SETS = st.lists(_FACTS, min_size=1, max_size=12).map(
    lambda facts: [replace(one, id=n) for n, one in enumerate(facts)]
)


def labels(facts: Sequence[Fact]) -> dict[int, str]:
    return {id_: rule.name for id_, rule in judge(scene(*facts)).items()}


@given(_SETS, st.randoms(use_true_random=False))
def test_the_order_in_which_events_came_plays_no_part(
    facts: list[Fact], shuffler: random.Random
) -> None:
    shuffled = list(facts)
    shuffler.shuffle(shuffled)
    assert labels(shuffled) == labels(facts)
    assert set(labels(facts)) == {one.id for one in facts}


@given(_SETS)
def test_doubling_every_event_gives_each_the_label_it_had(facts: list[Fact]) -> None:
    """But what follows something without a number: each is another, so three are a burst."""
    is_another = {one.id for one in facts if one.link is None and one.kind in ("click", "vote")}
    copies = [replace(one, id=one.id + 1_000) for one in facts if one.id not in is_another]
    before, after = labels(facts), labels([*facts, *copies])
    assert {id_: after[id_] for id_ in before} == before
    assert all(after[one.id] == before[one.id - 1_000] for one in copies)


@given(_SETS)
def test_coarse_agents_and_letters_for_networks_give_the_same_labels(facts: list[Fact]) -> None:
    letters = {HOME: "b", OFFICE: "a", "": ""}
    kept = [
        replace(one, agent=agents.coarse(one.agent), network=letters[one.network]) for one in facts
    ]
    assert labels(kept) == labels(facts)


def test_a_hundred_thousand_events_of_one_reader_are_judged_all_the_same() -> None:
    flood = [Fact(n, "click", n % 30, SENT + n / 10, "GET", CHROME, HOME) for n in range(100_000)]
    assert {rule.name for rule in judge(scene(*flood)).values()} == {"canary"}
