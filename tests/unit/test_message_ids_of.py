"""Whose a Message-ID is, by what was made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from newsletter.delivery import message_ids_of


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    message_ids_of._kept.clear()
    yield
    message_ids_of._kept.clear()


def made(id_: int) -> str:
    return f"{id_ * 7919}@example.com"


def test_each_is_its_readers_and_a_strangers_is_nobodys() -> None:
    for wanted in ([made(n) for n in (1, 500, 999)], [made(1000), "", "\ud800"]):
        found = message_ids_of.readers("issue", wanted, made, lambda: range(1000))
        assert found == {made(n): n for n in (1, 500, 999) if made(n) in wanted}


def test_no_two_are_mistaken_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all their hashes be the same."""
    monkeypatch.setattr(message_ids_of, "_hash", lambda _text: 7)
    found = message_ids_of.readers("issue", [made(3), made(12)], made, lambda: range(10))
    assert found == {made(3): 3}


def test_what_was_asked_for_last_is_kept_and_no_more_than_that() -> None:
    walks: list[int] = []

    def ask(issue: int) -> None:
        def ids() -> Iterator[int]:
            walks.append(issue)
            return iter([1])

        assert message_ids_of.readers(issue, [made(1)], made, ids) == {made(1): 1}

    for issue in (1, 2, 3, 1, 4, 1, 2):
        ask(issue)
    assert walks == [1, 2, 3, 4, 2]
