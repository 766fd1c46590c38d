"""The tables of states: complete, and closed to illegal moves."""

from __future__ import annotations

from itertools import product

import pytest

from newsletter.errors import IllegalMoveError
from newsletter.store.states import (
    BATCH_MOVES,
    DELIVERY_MOVES,
    ISSUE_MOVES,
    BatchState,
    DeliveryState,
    IssueState,
    move,
)

TABLES = [(IssueState, ISSUE_MOVES), (DeliveryState, DELIVERY_MOVES), (BatchState, BATCH_MOVES)]


@pytest.mark.parametrize(("states", "moves"), TABLES)
def test_every_state_stands_in_its_table(states, moves) -> None:
    assert set(moves) == set(states)


@pytest.mark.parametrize(("states", "moves"), TABLES)
def test_a_move_outside_the_table_raises_and_says_what_is_possible(states, moves) -> None:
    for current, target in product(states, states):
        if target in moves[current]:
            assert move(moves, current, target) is target
        else:
            with pytest.raises(IllegalMoveError, match=f"{current} cannot become {target}"):
                move(moves, current, target)


def test_what_was_submitted_is_never_planned_again() -> None:
    after = {DeliveryState.SUBMITTED}
    while grown := after | {t for s in after for t in DELIVERY_MOVES[s]}:
        if grown == after:
            break
        after = grown
    assert not after & {DeliveryState.PLANNED, DeliveryState.ATTEMPTING}
