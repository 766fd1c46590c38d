"""How many of what, in words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from newsletter.plurals import counted


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("reader",), "0 readers"),
        (1, ("reader",), "1 reader"),
        (1_000, ("reader",), "1,000 readers"),
        (1, ("person", "people"), "1 person"),
        (2, ("person", "people"), "2 people"),
    ],
)
def test_a_count_agrees_with_its_word(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said


def test_it_loads_no_other_part_of_the_newsletter() -> None:
    script = (
        "import sys, newsletter.plurals\n"
        "print(*sorted(name for name in sys.modules if name.startswith('newsletter.')))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["newsletter.plurals"]
