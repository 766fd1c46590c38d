"""The proof of work, beside ALTCHA's own library, and against whoever would rather not do it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import altcha
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.puzzle import LIFETIME, NONCE_BYTES, Puzzle, pose, read_solution

KEY = b"a key of twenty-four hex"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
NONCE = bytes(range(NONCE_BYTES))
MAX = 1_000


def posed(number: int = 321) -> Puzzle:
    return pose(KEY, nonce=NONCE, number=number, max_number=MAX, now=NOW)


def payload(number: int = 321, **changed: Any) -> str:
    parts = {**posed().as_json(), "number": number, **changed}
    return base64.b64encode(json.dumps(parts).encode()).decode()


@given(st.integers(0, MAX))
def test_altcha_s_own_library_solves_and_accepts_what_we_pose(number: int) -> None:
    puzzle = posed(number)
    found = altcha.solve_challenge_v1(puzzle.challenge, puzzle.salt, "SHA-256", MAX)
    assert found is not None
    assert found.number == number
    parts = {**puzzle.as_json(), "number": number}
    assert altcha.verify_solution_v1(parts, KEY, check_expires=False) == (True, None)


@given(st.integers(0, MAX))
def test_a_solution_of_altcha_s_library_is_taken(number: int) -> None:
    options = altcha.ChallengeOptionsV1(
        max_number=MAX, number=number, hmac_key=KEY, salt=NONCE.hex(), expires=NOW + LIFETIME
    )
    theirs = altcha.create_challenge_v1(options)
    solved = altcha.PayloadV1("SHA-256", theirs.challenge, number, theirs.salt, theirs.signature)
    solution = read_solution(KEY, solved.to_base64(), now=NOW)
    assert solution is not None
    assert (solution.nonce, solution.posed_at) == (NONCE.hex(), NOW)


def test_a_solution_is_good_until_its_time_is_over() -> None:
    assert read_solution(KEY, payload(), now=NOW + LIFETIME) is not None
    assert read_solution(KEY, payload(), now=NOW + LIFETIME + timedelta(seconds=1)) is None


@pytest.mark.parametrize("off_by", [-1, 1, 10])
def test_another_number_proves_nothing(off_by: int) -> None:
    assert read_solution(KEY, payload(321 + off_by), now=NOW) is None


def test_no_digit_moves_from_the_number_to_the_salt_or_back() -> None:
    salt = posed().salt
    late = salt.replace("&", "3&")  # a later end, and one digit less to find
    for changed, number in ((salt[:-1], 321), (salt + "3", 21), (late, 21), (salt + "&", 321)):
        assert read_solution(KEY, payload(number, salt=changed), now=NOW) is None


def test_another_key_s_puzzle_is_not_ours() -> None:
    assert read_solution(b"another key", payload(), now=NOW) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"salt": None},
        {"salt": ["a"]},
        {"number": "321"},
        {"number": 321.0},
        {"number": True},
        {"number": -1},
        {"number": 10**400},
        {"signature": 5},
        {"signature": ""},
        {"signature": "\u00e9"},
        {"signature": "\ud800"},
    ],
)
def test_parts_of_another_kind_prove_nothing(changed: dict[str, Any]) -> None:
    assert read_solution(KEY, payload(**{"number": 321, **changed}), now=NOW) is None


@given(
    st.one_of(
        st.text(max_size=300), st.binary(max_size=200).map(base64.b64encode).map(bytes.decode)
    )
)
def test_no_text_of_a_stranger_is_a_solution_or_an_error(text: str) -> None:
    assert read_solution(KEY, text, now=NOW) is None


@pytest.mark.parametrize("text", ["[]", "5", "null", "[" * 900, '{"salt": "a"}', "1" * 1_400])
def test_json_of_another_shape_is_no_solution(text: str) -> None:
    assert read_solution(KEY, base64.b64encode(text.encode()).decode(), now=NOW) is None
