"""What a refusal's code says of us: the same to its reader's fate and to operators' mail."""

from __future__ import annotations

from itertools import product

import pytest

from newsletter.delivery.fault_codes import is_ours
from newsletter.delivery.verdicts import verdict_of
from newsletter.providers.told import Kind
from subscribers.policy import POLICY, Suppress, Verdict

REFUSALS = (Kind.BOUNCED, Kind.INVALID, Kind.BLOCKED)
# Every class and subject of RFC 3463; of each subject "other", what is registered, a maker's own.
CODES = (
    "",
    "5.7",
    "nonsense",
    *(
        f"{class_}.{subject}.{detail}"
        for class_ in "245"
        for subject in range(8)
        for detail in (0, *range(1, 41), 515)
    ),
)
WORDS = ("", "user unknown", "550 blocked by our policy", "mailbox full")


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_our_fault_where_operators_are_told_so_and_nowhere_else(kind: Kind) -> None:
    for code, words in product(CODES, WORDS):
        is_our_fault = verdict_of(kind, code, words) is Verdict.SENDER_FAULT
        assert is_our_fault == is_ours(code), (code, words)


@pytest.mark.parametrize("kind", sorted(set(Kind) - set(REFUSALS)))
def test_of_what_is_no_refusal_no_code_tells_that_it_is_our_fault(kind: Kind) -> None:
    assert {verdict_of(kind, code, "") is Verdict.SENDER_FAULT for code in CODES} == {False}


@pytest.mark.parametrize("kind", REFUSALS)
def test_no_code_of_security_or_policy_ever_bars_a_reader(kind: Kind) -> None:
    codes = [code for code in CODES if code.startswith("5.7.")]
    barred = [
        code for code in codes if POLICY[verdict_of(kind, code, "")].suppress is not Suppress.NEVER
    ]
    assert barred == []
