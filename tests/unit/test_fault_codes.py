"""What a refusal for our own fault means: each code has words, the known ones their own."""

from __future__ import annotations

import pytest

from newsletter.delivery import fault_codes, verdicts
from newsletter.delivery.fault_codes import is_ours, meaning
from subscribers.policy import Verdict

_TABLES = (fault_codes._BY_CODE, fault_codes._BY_SUBJECT, fault_codes._BY_REASON)
_WORDS = [words for table in _TABLES for words in table.values()]


@pytest.mark.parametrize("code", ["5.1.7", "5.1.8", "5.5.4", "5.6.7", "5.7.0", "5.7.1", "5.7.515"])
def test_what_the_sender_has_to_mend_is_ours(code: str) -> None:
    assert is_ours(code)


@pytest.mark.parametrize(
    "code", ["", "5.1.1", "5.2.2", "4.7.1", "5.5.0", "2.0.0", "5.7", "nonsense"]
)
def test_what_a_reader_or_nobody_has_to_mend_is_not(code: str) -> None:
    assert not is_ours(code)


def test_every_code_we_have_words_for_is_one_of_ours() -> None:
    assert all(is_ours(code) for code in fault_codes._BY_CODE)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("5.7.1", "list of barred senders"),
        ("5.7.23", "SPF"),
        ("5.7.20", "DKIM"),
        ("5.7.25", "reverse DNS"),
        ("5.7.26", "SPF and DKIM both failed"),
        ("5.7.40", "DMARC"),
        ("5.7.515", "Microsoft"),
        ("5.7.606", "Microsoft"),
    ],
)
def test_a_code_has_words_of_its_own(code: str, words: str) -> None:
    assert words in " ".join(meaning(code))


@pytest.mark.parametrize("code", ["5.5.4", "5.6.7", "5.7.0", "5.7.99", "5.7.3"])
def test_a_code_nobody_registered_has_its_subjects(code: str) -> None:
    assert meaning(code) is fault_codes._BY_SUBJECT[code[:3]]


@pytest.mark.parametrize(
    ("detail", "name"),
    [
        ("Spam Content", "spam content"),
        ("Spam Content (score 7)", "spam content"),
        ("Invalid SMTPAPI header", "invalid smtpapi header"),
        ("Recipient List over Package Quota", "recipient list over package quota"),
        ("Invalid", ""),
        ("Bounced Address", ""),
        ("a reason of its own", ""),
        ("", ""),
    ],
)
def test_a_drop_is_ours_by_the_reason_it_begins_with(detail: str, name: str) -> None:
    assert fault_codes.drop_of_ours(detail) == name


def test_every_reason_for_a_drop_that_is_ours_has_words_and_no_other() -> None:
    ours = {words for words, verdict in verdicts.DROPS if verdict is Verdict.SENDER_FAULT}
    assert set(fault_codes._BY_REASON) == ours


def test_what_it_means_goes_on_after_a_colon_and_what_mends_it_are_sentences() -> None:
    for found in _WORDS:
        assert not found.means.endswith(".")
        assert found.mend.endswith(".")
        assert found.mend[0].isupper()
