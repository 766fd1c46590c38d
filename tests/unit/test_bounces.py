"""Which refusals mean that a mailbox is not there, and which mean anything else."""

from __future__ import annotations

import pytest

from subscribers.bounces import HARD, code_in, enhanced_code, is_hard, verdict_of
from subscribers.policy import Verdict


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("550 5.1.1 No such user", "5.1.1"),
        ("550-5.1.1 The email account that you tried to reach does not exist", "5.1.1"),
        ("5.1.10 null MX", "5.1.10"),
        ("550 No such user", ""),
        ("550 5.7.1 see 550 5.1.1", "5.7.1"),
        ("452 4.2.2 Full", ""),
        ("550 5.1.1.1 nonsense", ""),
        ("", ""),
    ],
)
def test_a_reply_begins_with_its_enhanced_code_or_has_none(reply: str, code: str) -> None:
    assert enhanced_code(reply) == code


@pytest.mark.parametrize("code", sorted(HARD))
def test_a_mailbox_that_is_not_there_is_a_hard_bounce(code: str) -> None:
    assert is_hard(f"550 {code} words")


@pytest.mark.parametrize(
    "reply",
    [
        "550 5.7.1 Relay access denied",  # about the sender
        "552 5.2.2 Mailbox full",
        "554 5.4.4 no route",
        "550 No such user",  # unclassified stays so
        "550 5.1.8 bad sender",
    ],
)
def test_every_other_refusal_suppresses_nobody(reply: str) -> None:
    assert not is_hard(reply)


@pytest.mark.parametrize(
    ("code", "words", "verdict"),
    [
        ("5.1.1", "blocked as spam", Verdict.HARD),  # a code is worth more than words
        ("5.7.0", "user unknown", Verdict.SENDER_FAULT),
        ("5.7.26", "", Verdict.SENDER_FAULT),
        ("5.1.8", "user unknown", Verdict.SENDER_FAULT),
        ("5.6.3", "", Verdict.SENDER_FAULT),
        ("5.2.2", "user unknown", Verdict.SOFT),
        ("4.4.7", "user unknown", Verdict.SOFT),
        ("4.0.0", "", Verdict.SOFT),
        ("5.0.0", "User unknown in virtual alias table", Verdict.HARD),
        ("5.0.0", "user unknown, or our policy says so", Verdict.BLOCKED),
        ("", "mailbox of this user is full", Verdict.SOFT),
        ("", "the mailbox is over quota, user unknown", Verdict.SOFT),
        ("", "mailbox unavailable", Verdict.UNCLASSIFIED),
        ("5.5.0", "", Verdict.UNCLASSIFIED),
        ("", "", Verdict.UNCLASSIFIED),
    ],
)
def test_a_code_decides_and_words_only_where_it_says_nothing(
    code: str, words: str, verdict: Verdict
) -> None:
    assert verdict_of(code, words) is verdict


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("host mail.example.org [192.5.1.1] said: 550 5.1.1 <x> unknown", "5.1.1"),
        ("no mailbox here by that name. (#5.7.1)", "5.7.1"),
        ("550-5.1.1 The account", "5.1.1"),
        ("from 5.1.1.7 by relay 15.1.1", ""),
        ("Status is 5.1.1.", "5.1.1"),
    ],
)
def test_a_code_is_found_among_words_and_never_in_a_hosts_address(words: str, code: str) -> None:
    assert code_in(words) == code
