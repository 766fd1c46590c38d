"""Which refusals mean that a mailbox is not there, and which mean anything else."""

from __future__ import annotations

import pytest

from subscribers.bounces import HARD, enhanced_code, is_hard


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
