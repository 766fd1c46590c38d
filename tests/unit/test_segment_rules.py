"""The language of segments: what it reads, what it writes back, where it points when it fails."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.errors import SegmentError
from subscribers.segments import compiled, parse
from subscribers.segments.fields import FIELDS, UNIT_DAYS, Kind
from subscribers.segments.parser import MAX_DEPTH, MAX_TERMS
from subscribers.segments.tokens import MAX_CHARACTERS
from subscribers.segments.tree import (
    Ago,
    And,
    Compared,
    Dated,
    Ever,
    Flag,
    Listed,
    Not,
    Numbered,
    Or,
    Silent,
    Within,
)

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
OF = {kind: [f for f in FIELDS.values() if f.kind is kind] for kind in Kind}

texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)
days = st.dates(date(1, 1, 1), date(9999, 12, 30))


def valued(field):
    return st.sampled_from(field.choices) if field.choices else texts


compared = st.sampled_from(OF[Kind.TEXT]).flatmap(
    lambda f: st.builds(Compared, st.just(f.name), st.sampled_from(["=", "!="]), valued(f))
)
listed = st.sampled_from(OF[Kind.TEXT]).flatmap(
    lambda f: st.builds(
        Listed,
        st.just(f.name),
        st.lists(valued(f), min_size=1, max_size=3).map(tuple),
        st.booleans(),
    )
)
instants = st.sampled_from([f.name for f in OF[Kind.INSTANT]])
counts, units = st.integers(1, 100), st.sampled_from(list(UNIT_DAYS))
numbers = st.sampled_from([f.name for f in OF[Kind.NUMBER]])
signs = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
terms = st.one_of(
    compared,
    listed,
    st.builds(Compared, st.just("name"), st.just("contains"), texts.filter(bool)),
    st.builds(Ago, instants, st.sampled_from("<>"), counts, units),
    st.builds(Within, instants, counts, units),
    st.builds(Dated, instants, st.sampled_from(["before", "on", "after"]), days),
    st.builds(Ever, instants),
    st.builds(Numbered, numbers, signs, st.integers(0, 1_000)),
    st.builds(Silent, st.integers(1, 1_000), st.booleans()),
    st.builds(Flag, st.sampled_from([f.name for f in OF[Kind.FLAG]])),
)
rules = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(rules)
def test_a_rule_written_and_read_again_is_the_same_rule(rule) -> None:
    assert parse(str(rule)) == rule


@pytest.mark.slow
@given(rules)
def test_no_value_of_a_rule_enters_its_sql(rule) -> None:
    condition = compiled(rule, now=NOW, disposable_domains={"throwaway.example"})
    for value in condition.values:
        assert f":{value}" in condition.sql
    said = [v for v in condition.values.values() if isinstance(v, str) and len(v) > 3]
    assert not any(value in condition.sql for value in said if not value.isalpha())


@pytest.mark.parametrize(
    ("rule", "tree"),
    [
        ("tracked or suppressed and disposable",
         Or((Flag("tracked"), And((Flag("suppressed"), Flag("disposable")))))),
        ("not tracked and suppressed", And((Not(Flag("tracked")), Flag("suppressed")))),
        ("NOT (tracked OR role address)", Not(Or((Flag("tracked"), Flag("role address"))))),
        ("status = Active", Compared("status", "=", "active")),
        ("tag not in ('beta', \"press\")", Listed("tag", ("beta", "press"), inside=False)),
        ("not opened last 4 issues", Not(Silent(4, opened=True))),
        ("seen within 1 month", Within("seen", 1, "month")),
        (r'name = "a \"b\" \\ c"', Compared("name", "=", 'a "b" \\ c')),
    ],
)  # fmt: skip
def test_words_bind_as_people_expect(rule: str, tree: object) -> None:
    assert parse(rule) == tree


@pytest.mark.parametrize(
    ("rule", "at", "said"),
    [
        ('topc = "Chat"', 0, "did you mean topic?"),
        ("status = activ", 9, "did you mean active?"),
        ("topic = Chat", 8, 'write "Chat"'),
        ("confirmed > 30 das ago", 15, "did you mean days?"),
        ("confirmed > 30 days", 19, "here could stand: ago"),
        ("confirmed > 2026-05-01", 12, "confirmed after 2026-05-01"),
        ("confirmed before 2026-02-30", 17, "year-month-day"),
        ("confirmed > 30days ago", 12, "a whole number"),
        ("seen within 5000 years", 12, "shorter"),
        ("silent for 0 issues", 11, "between 1 and"),
        ("soft_bounces > 99999999999999999999", 15, "between 0 and"),
        ('tag in "beta"', 7, "here could stand: ("),
        ("(tracked", 8, "), and, or"),
        ("tracked tracked", 8, "here could stand: and, or"),
        ("", 0, "ends too early"),
        ('name = "ann', 7, "no end"),
        ('name contains ""', 14, "empty"),
        ('name = "a\nb"', 7, "control character"),
        ('name = "\ud800"', 7, "control character"),
        ("tracked; DROP TABLE subscriber", 7, "no meaning"),
        ('"x" = "x"', 0, "cannot stand here"),
        ("名前 = 1", 0, "no meaning"),
    ],
)  # fmt: skip
def test_an_error_points_at_its_word_and_says_what_could_stand_there(
    rule: str, at: int, said: str
) -> None:
    with pytest.raises(SegmentError) as raised:
        parse(rule)
    assert raised.value.at == at
    assert said in str(raised.value)
    assert "^" in raised.value.what


def test_the_pointer_stands_below_the_word() -> None:
    with pytest.raises(SegmentError) as raised:
        parse('topic = "Chat" and opend last 4 issues')
    _what, line, pointer = raised.value.what.splitlines()
    assert line[pointer.index("^") :].startswith("opend last")
    assert pointer.strip() == "^^^^^"


@pytest.mark.parametrize(
    "rule",
    [
        "tracked" + " " * MAX_CHARACTERS,
        "(" * (MAX_DEPTH + 1) + "tracked" + ")" * (MAX_DEPTH + 1),
        "not " * 400 + "tracked",
        " or ".join(["tracked"] * (MAX_TERMS + 1)),
        "tag in (" + ", ".join(['"a"'] * (MAX_TERMS + 1)) + ")",
        'name = "' + "x" * 321 + '"',
    ],
)
def test_a_rule_without_bounds_is_refused(rule: str) -> None:
    with pytest.raises(SegmentError):
        parse(rule)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused_and_never_breaks(rule: str) -> None:
    with suppress(SegmentError):
        assert parse(str(parse(rule)))
