"""A good comparison as a file, the shipped content, and what becomes of a damaged copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.editorial.content import Comparison, load_comparison, load_reviewers
from newsletter.errors import ContentError, Problem

CONTENT = Path(__file__).parents[2] / "content"
REVIEWERS = load_reviewers(CONTENT / "reviewers.yaml")

GOOD = (
    """\
---
title: Foo vs Bar: Next
deck: Two tools.
verdict: Foo works.
status: finished
prices_as_of: 2026-11-20
panel: [100, 0]
tools:
  - name: Foo
    category: Data
    tagline: It counts.
    description: A counter.
    entry_price: Free
    community: none
  - name: "Bar: Next"
    category: Data
    tagline: It adds.
    description: An adder.
    entry_price: "€9.50"
    price_note: a seat
    community: {ship: 3, skip: 1}
---
""".replace("title: Foo vs Bar: Next", 'title: "Foo vs Bar: Next"')
    + "".join(
        f"\n## {role}\n\n### Foo: ship\n\n> {role} likes it.\n\nIt works.\n"
        f"\n### Bar: Next: skip\n\n> {role} does not.\n\nIt does not.\n"
        for role in ("The Builder", "The Skeptic", "The Futurist", "The Founder")
    )
)
GOOD_NAME = "foo-vs-bar-next.md"

Refused = Callable[..., list[Problem]]


def refusing(tmp_path: Path) -> Refused:
    """The problems of GOOD with `old` replaced by `new`, or of a whole `text`."""

    def attempt(
        old: str = "", new: str = "", *, text: str | bytes = "", name: str = GOOD_NAME
    ) -> list[Problem]:
        assert old in GOOD
        whole = text or GOOD.replace(old, new, 1)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole if isinstance(whole, bytes) else whole.encode())
        with pytest.raises(ContentError) as raised:
            load_comparison(path, REVIEWERS)
        return list(raised.value.problems)

    return attempt


def load(tmp_path: Path, text: str, name: str = GOOD_NAME) -> Comparison:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return load_comparison(path, REVIEWERS)


def line_of(needle: str, text: str = GOOD) -> int:
    return text[: text.index(needle)].count("\n") + 1
