"""What a tool is called after its comparison was respelled, once or again and again."""

from __future__ import annotations

import pytest

from newsletter.editorial.respelling import Pair, called_now


@pytest.mark.parametrize(
    ("pairs", "left", "right"),
    [
        ([("a", "b")], "a", "b"),
        ([("a", "b"), ("c", "b")], "c", "b"),
        ([("a", "b"), ("c", "d")], "c", "d"),
        ([("a", "b"), ("b", "a")], "a", "b"),
        ([("a", "b"), ("b", "c")], None, "b"),  # b moved, and nothing stands where a stood
        ([("a", "b"), ("b", "c"), ("d", "c")], None, "d"),
        ([("a", "b"), ("b", "c"), ("a", "c")], None, None),  # a and b were never one
        ([("a", "b"), ("c", "b"), ("a", "b")], "a", "b"),
        ([("a", "b"), ("b", "c"), ("d", "c"), ("a", "c")], None, "a"),
    ],
)
def test_a_tools_place_tells_what_it_is_called_now(
    pairs: list[Pair], left: str | None, right: str | None
) -> None:
    assert [called_now(slug, pairs, pairs) for slug in pairs[0]] == [left, right]


def test_what_never_was_there_is_called_nothing() -> None:
    pairs = [("a", "b"), ("c", "b")]
    assert called_now("x", pairs, pairs) is None
