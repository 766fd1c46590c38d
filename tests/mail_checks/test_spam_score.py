"""SpamAssassin's local rules on whole messages, as the outbox holds them.

They get no Received header: the rules take the address ranges kept for documentation for forged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import checked_mails
import pytest
from outside_tools import spam_scores

pytestmark = pytest.mark.slow

LIMIT = 1.0  # points; the goal is 0.0, and what each mail scores is printed at the end of the run


def test_no_mail_looks_like_spam(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    messages = {name: checked_mails.checked(name).message for name in checked_mails.NAMES}
    scores = spam_scores(messages, tmp_path)
    for name, score in scores.items():
        record_property("figure", f"SpamAssassin on {name}: {score}")
    assert all("HTML_MESSAGE" in score.rules for score in scores.values())  # they were at work
    assert {name: str(score) for name, score in scores.items() if score.points > LIMIT} == {}


def test_a_mail_that_shouts_and_promises_is_over_the_limit(tmp_path: Path) -> None:
    message = checked_mails.checked(checked_mails.ONE).message
    spam = spam_scores({"spam": _spoilt(message)}, tmp_path)["spam"]
    assert spam.points > LIMIT
    assert {"SUBJ_ALL_CAPS", "DEAR_FRIEND"} <= set(spam.rules)
    assert sum(spam.rules.values()) == pytest.approx(spam.points, abs=0.2)


def _spoilt(message: bytes) -> bytes:
    shouted, count = re.subn(rb"\r\nSubject: [^\r]*", b"\r\nSubject: 100% FREE, ACT NOW", message)
    assert count == 1
    assert b"\r\nHello" in shouted
    return shouted.replace(b"\r\nHello", b"\r\nDear friend, it is 100% guaranteed. Hello", 1)
