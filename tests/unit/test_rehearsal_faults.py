"""The little language of faults, and the choices a seed makes."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.cli.rehearse import DEFAULT_FAULTS
from newsletter.errors import RefusedError
from newsletter.rehearsal.faults import (
    OVER_SENDGRID,
    OVER_SMTP,
    UNANSWERED,
    Fault,
    Faults,
    chance,
)

SHARES = st.decimals(min_value=0, max_value=14, places=2)


@given(st.dictionaries(st.sampled_from(Fault), SHARES))
def test_faults_read_what_they_write(shares: dict[Fault, Decimal]) -> None:
    faults = Faults(shares)
    assert Faults.parse(str(faults)) == faults


def test_blanks_and_capitals_do_no_harm() -> None:
    assert Faults.parse(" Drop = .5% , 4XX=1%") == Faults.parse("drop=0.5%,4xx=1%")


def test_the_faults_of_every_day_can_be_read() -> None:
    assert len(Faults.parse(DEFAULT_FAULTS).shares) == len(Fault)


@pytest.mark.parametrize(
    ("text", "what", "pointed"),
    [
        ("4xx=1%,drp=1%", "there is no fault 'drp'; did you mean drop?", "drp=1%"),
        ("xyz=1%", "there is no fault 'xyz'", "xyz=1%"),
        ("4xx=1%, slow", "slow needs a share from 0% to 100%, such as slow=1%", "slow"),
        ("4xx=1", "4xx needs a share", "4xx=1"),
        ("4xx=-1%", "4xx needs a share", "4xx=-1%"),
        ("4xx=101%", "4xx needs a share", "4xx=101%"),
        ("drop=1%,slow=1%,drop=2%", "drop is there twice", "drop=2%"),
        ("drop=60%,slow=50%", "with this one they are more than 100%", "slow=50%"),
        ("drop=1%,", "a fault is missing", ""),
        ("", "a fault is missing", ""),
    ],
)
def test_an_error_points_at_the_word(text: str, what: str, pointed: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Faults.parse(text)
    first, shown, marks = refused.value.what.split("\n")
    assert first.startswith(f"the faults cannot be read: {what}")
    assert shown == text
    assert text[marks.index("^") : marks.rindex("^") + 1] == pointed
    assert "429, 4xx" in refused.value.hint


def test_none_means_none() -> None:
    faults = Faults.parse("none")
    assert {faults.choose(1, f"r{n}", 0) for n in range(1_000)} == {None}
    assert str(faults) == "none"


def test_shares_are_kept_and_the_same_seed_chooses_the_same_again() -> None:
    faults = Faults.parse("429=10%,slow=20%,bounce=5%")
    chosen = [faults.choose(7, f"reader{n}", 0) for n in range(10_000)]
    assert chosen == [faults.choose(7, f"reader{n}", 0) for n in range(10_000)]
    assert chosen != [faults.choose(8, f"reader{n}", 0) for n in range(10_000)]
    counted = Counter(chosen)
    assert 850 < counted[Fault.TOO_MANY] < 1_050
    assert 1_750 < counted[Fault.SLOW] < 2_050
    assert 400 < counted[Fault.BOUNCE] < 600


def test_another_attempt_is_another_chance_but_a_mailbox_that_is_not_there_stays_away() -> None:
    faults = Faults.parse("4xx=50%,bounce=20%")
    attempts = {
        reader: [faults.choose(1, reader, attempt) for attempt in range(20)]
        for reader in (f"reader{n}" for n in range(50))
    }
    bounced = [chosen for chosen in attempts.values() if Fault.BOUNCE in chosen]
    assert bounced
    assert all(set(chosen) == {Fault.BOUNCE} for chosen in bounced)
    others = [set(chosen) for chosen in attempts.values() if Fault.BOUNCE not in chosen]
    assert {None, Fault.LATER} in others


def test_chance_is_the_same_on_every_machine() -> None:
    assert round(chance(1, "fault", "reader.1@example.com", 0), 6) == 0.905536


def test_each_way_says_what_each_fault_means() -> None:
    assert set(OVER_SMTP) == set(OVER_SENDGRID) == set(Fault)
    assert set(UNANSWERED) == {"smtp", "sendgrid"}
