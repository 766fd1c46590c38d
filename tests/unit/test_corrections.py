"""Corrections in a comparison's front matter: read, kept to the letter, and refused with a line."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from content_files import CONTENT, GOOD, Refused, load, refusing
from hypothesis import given
from hypothesis import strategies as st

from newsletter.editorial.content import Comparison, Correction, load_all
from newsletter.editorial.content_schema import comparison_schema
from newsletter.editorial.views import comparison_view
from newsletter.rendering.view import CorrectionView

SEED = load_all(CONTENT)[0]
HEAD = GOOD.index("status: finished")


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    return refusing(tmp_path)


def corrected(lines: str) -> str:
    """GOOD with a key `corrections:` before its status; its first line is line 5."""
    return f"{GOOD[:HEAD]}corrections:{lines}\n{GOOD[HEAD:]}"


TWO = """
  - on: 2026-11-21
    text: Foo costs $12 a month, not $9.
  - on: 2026-11-24
    text: >-
      Bar keeps a log;
      the take said it does not."""


def test_corrections_are_read_in_the_files_order(tmp_path: Path) -> None:
    assert load(tmp_path, corrected(TWO)).corrections == (
        Correction(date(2026, 11, 21), "Foo costs $12 a month, not $9."),
        Correction(date(2026, 11, 24), "Bar keeps a log; the take said it does not."),
    )


def test_a_file_may_have_none(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).corrections == ()


@pytest.mark.parametrize(
    ("lines", "line", "field", "what", "hint"),
    [
        ("", 5, "corrections", "empty, not a list", "- on: 2026-11-21"),
        (" soon", 5, "corrections", "text, not a list", "- on: 2026-11-21"),
        ("\n  - Foo costs $12.", 6, "corrections[0]", "not `key: value`", "`on:`, `text:`"),
        ("\n  - on: 2026-11-21", 6, "corrections[0].text", "missing", "write for example `text:"),
        ("\n  - text: Foo.", 6, "corrections[0].on", "missing", "write for example `on:"),
        ("\n  - on: soon\n    text: Foo.", 6, "corrections[0].on", "not a day", "2026-11-20"),
        ("\n  - on: 2026-11-21\n    text:", 7, "corrections[0].text", "empty", "write for"),
        ("\n  - on: 2026-11-21\n    text: Foo", 7, "corrections[0].text", "sentence", "full stop"),
        (
            f"\n  - on: 2026-11-21\n    text: {'x' * 200}.",
            7,
            "corrections[0].text",
            "201 characters",
            "200",
        ),
        (
            '\n  - on: 2026-11-21\n    text: "a\\u202eb."',
            7,
            "corrections[0].text",
            "U+202E",
            "delete",
        ),
        (
            "\n  - on: 2026-11-21\n    txet: Foo.\n    text: Foo.",
            7,
            "corrections[0].txet",
            "not a key",
            "`text`",
        ),
        (
            "\n  - on: 2026-11-21\n    text: Foo." * 21,
            5,
            "corrections",
            "21 entries",
            "20 at most",
        ),
    ],
)
def test_a_faulty_correction_is_named_with_its_line(
    refused: Refused, lines: str, line: int, field: str, what: str, hint: str
) -> None:
    problems = [one for one in refused(text=corrected(lines)) if one.field == field]
    assert [problem.line for problem in problems] == [line]
    assert what in problems[0].what
    assert hint in problems[0].hint


sentences = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), max_size=150
).map(lambda text: f"x{text}.")


@given(st.lists(st.builds(Correction, st.dates(), sentences), max_size=5))
def test_corrections_survive_the_stored_body_to_the_letter(corrections: list[Correction]) -> None:
    comparison = replace(SEED, corrections=tuple(corrections))
    body = json.loads(json.dumps(comparison.to_body()))
    assert Comparison.from_body(body) == comparison
    assert (comparison.sha256 == SEED.sha256) is (not corrections)


def test_a_page_and_a_mail_see_every_correction() -> None:
    comparison = replace(SEED, corrections=(Correction(date(2026, 11, 21), "Foo costs $12."),))
    shown = comparison_view(comparison, public_url="https://verdicts.example.com").corrections
    assert shown == (CorrectionView(date(2026, 11, 21), "Foo costs $12."),)


def test_the_schema_knows_them_and_asks_for_both_keys() -> None:
    schema = comparison_schema()
    assert schema["properties"]["corrections"]["maxItems"] == 20
    entry = schema["$defs"]["CorrectionEntry"]
    assert sorted(entry["required"]) == ["on", "text"]
    assert entry["properties"]["text"]["maxLength"] == 200
    assert "corrections" not in schema["required"]
