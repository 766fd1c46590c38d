"""Faults in comparisons and panels: each is named with its line and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from content_files import CONTENT, GOOD, GOOD_NAME, REVIEWERS, Refused, line_of, refusing

from newsletter.editorial.content import load_all, load_comparison, load_reviewers
from newsletter.errors import ContentError


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    return refusing(tmp_path)


# --- faults, each with its line, its field and what to write instead


@pytest.mark.parametrize(
    ("old", "new", "field", "what", "hint"),
    [
        ("deck: Two", "dekc: Two", "dekc", "not a key", "`deck`"),
        ("tagline: It counts.", "tagine: It counts.", "tools[0].tagine", "key", "`tagline`"),
        ("deck: Two tools.", "deck:", "deck", "missing", "write for example"),
        ("status: finished", "status: done", "status", "'done'", "'draft' or 'finished'"),
        ("title: ", "title: 7 #", "title", "a number", "quotes"),
        ("panel: [100, 0]", "panel: 100", "panel", "not a list", "[50, 100]"),
        ("panel: [100, 0]", "panel: [100]", "panel", "1 entries", "two"),
        ("panel: [100, 0]", "panel: [101, 0]", "panel[0]", "101", "up to 100"),
        ("panel: [100, 0]", "panel: [99.5, 0]", "panel[0]", "a number", "whole number"),
        ("panel: [100, 0]", "panel: [75, 0]", "panel", "the takes make [100, 0]", "[100, 0]"),
        ("2026-11-20", "2026-13-40", "prices_as_of", "2026-13-40", "2026-11-20"),
        ("2026-11-20", "2026-11-20 10:00:00", "prices_as_of", "not a day", "2026-11-20"),
        ("2026-11-20", "soon", "prices_as_of", "soon", "2026-11-20"),
        ("Free", "9.50", "tools[0].entry_price", "a number", "quotes"),
        ("community: none", "community: no", "tools[0].community", "neither", "`none`"),
        ("community: none", "community: {ship: 0, skip: 0}", "tools[0].community", "no vote", ""),
        ("{ship: 3, skip: 1}", "{ship: 3}", "tools[1].community.skip", "missing", "skip: 97"),
        ("{ship: 3, skip: 1}", "{ship: 3, skip: -1}", "tools[1].community.skip", "-1", "least 0"),
        ("{ship: 3, skip: 1}", "{ship: x, skip: 1}", "tools[1].community.ship", "text", "whole"),
        ("verdict: Foo works.", "verdict: Foo works", "verdict", "sentence", "full stop"),
        ("verdict: Foo works.", "verdict: Foo works...", "verdict", "dots", "full stop"),
        ("verdict: Foo", f"verdict: {'Foo ' * 50}", "verdict", "characters", "160"),
        ("tagline: It counts.", f"tagline: {'x' * 201}", "tools[0].tagline", "201", "200"),
        ("A counter.", '"a\\u202eb"', "tools[0].description", "U+202E", ""),
        ("A counter.", '"a\\0b"', "tools[0].description", "U+0000", ""),
        ("A counter.", '"\\ud800"', "tools[0].description", "surrogate", ""),
        ("A counter.", "|\n      a\n      b", "tools[0].description", "line", ">-"),
        ("name: Foo", 'name: "=?utf-8?q?Foo?="', "tools[0].name", "=?", "without"),
        ('name: "Bar: Next"', "name: Foo", "tools[1].name", "first tool", "other"),
        ("status: finished", "status: finished\nsample: true", "sample", "outside samples", "move"),
        ("status: finished", "status: finished\nsample: 1", "sample", "a number", "true or false"),
        ("It works.", "It works", "The Builder / Foo / excerpt", "sentence", "sentence"),
        ("It works.", "It works…", "The Builder / Foo / excerpt", "dots", "sentence"),
        ("It works.", "It" * 81 + ".", "The Builder / Foo / excerpt", "163", "160"),
        ("It works.", "It works.\n\nTwice.", "The Builder / Foo / excerpt", "2, not one", "one"),
        ("\nIt works.", "", "The Builder / Foo / excerpt", "missing", "after the quote"),
        ("> The Builder likes it.", "", "The Builder / Foo / quote", "missing", "> What"),
        ("The Builder likes it.", "“It is.”", "The Builder / Foo / quote", "marks", "leave"),
        ("The Builder likes it.", "x" * 4001, "The Builder / Foo / quote", "4001", "4000"),
        ("### Foo: ship", "### Foo: shipp", "The Builder / Foo", "'shipp'", "ship, skip"),
        ("### Foo: ship", "### Foo", "The Builder / Foo", "no verdict", "ship, skip"),
        ("## The Builder", "## The Bilder", "takes", "'The Bilder'", "'The Builder'"),
        ("### Foo: ship", "# Foo: ship", "takes", "another level", "###"),
        ("## The Builder", "Hello.\n\n## The Builder", "takes", "outside", "delete"),
        ("## The Builder", "", "takes", "whose", "## The Builder"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line_and_what_to_write_instead(
    refused: Refused, old: str, new: str, field: str, what: str, hint: str
) -> None:
    problems = refused(old, new)
    found = [problem for problem in problems if problem.field == field]
    assert found, [str(problem) for problem in problems]
    problem = found[0]
    assert what in problem.what
    assert hint in problem.hint
    assert abs(problem.line - line_of(old)) <= 4  # a missing part is told at its heading
    assert problem.file.name == GOOD_NAME


def test_a_key_written_twice_is_a_fault_at_the_second(refused: Refused) -> None:
    [problem] = refused("deck: Two tools.", "deck: Two tools.\ndeck: Three.")
    assert (problem.line, problem.field, problem.what) == (4, "deck", "is written twice")
    assert "line 3" in problem.hint


def test_all_faults_of_a_file_are_told_at_once_in_its_order(refused: Refused) -> None:
    text = GOOD.replace("deck: Two tools.", "deck: [1]").replace("Free", "1")
    problems = refused(text=text.replace("It does not.", "It does not", 1))
    assert [problem.field for problem in problems] == [
        "deck", "tools[0].entry_price", "The Builder / Bar: Next / excerpt",
    ]  # fmt: skip
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)


def test_a_key_of_odd_characters_is_shown_so_that_any_terminal_can_print_it(
    refused: Refused,
) -> None:
    problems = refused("deck: Two tools.", '"\\e[31m\\ud800": x')
    assert all(str(problem).replace("\n", "").isprintable() for problem in problems)
    assert "has a key that is no plain word" in [problem.what for problem in problems]


def test_of_very_many_faults_the_first_are_told_and_the_rest_counted(refused: Refused) -> None:
    problems = refused(text=GOOD + "## Nobody\n" * 1_000)
    assert len(problems) == 51
    assert problems[-1].what == "950 more faults from here on"


def test_a_missing_take_and_a_second_one_are_faults(refused: Refused) -> None:
    problems = refused("### Bar: Next: skip", "### Foo: ship")
    assert {(p.field, p.what) for p in problems} == {
        ("The Builder / Foo", "a second take (the first: line 26)"),
        ("The Builder / Bar: Next", "there is no such take"),
    }


def test_a_take_of_an_unknown_tool_suggests_the_nearest(refused: Refused) -> None:
    problems = refused("### Foo: ship", "### Fooo: ship")
    assert "did you mean 'Foo'?" in [problem.hint for problem in problems]


def test_a_file_must_be_called_after_its_title(refused: Refused) -> None:
    [problem] = refused(text=GOOD, name="other.md")
    assert problem.field == "title"
    assert GOOD_NAME in problem.hint


def test_a_title_without_a_latin_letter_is_refused(refused: Refused) -> None:
    problems = refused('title: "Foo vs Bar: Next"', "title: Ηχώ")
    assert "no Latin letter" in problems[0].what


def test_a_file_under_samples_must_say_that_it_is_one(refused: Refused) -> None:
    [problem] = refused(text=GOOD, name=f"samples/{GOOD_NAME}")
    assert (problem.field, problem.hint) == ("sample", "write `sample: true`")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "does not begin with front matter"),
        (b"# Hello\n", "does not begin with front matter"),
        (b"---\ntitle: x\n", "does not end"),
        (b"---\ntitle: \xff\n---\n", "is not UTF-8"),
        (b"---\ntitle: a\x00b\n---\n", "U+0000"),
        (b"---\ntitle: a\tb\n---\n", "U+0009"),
        ("---\ntitle: a\u2066b\n---\n".encode(), "U+2066"),
        ("---\ntitle: a\ufeffb\n---\n".encode(), "U+FEFF"),
        ("---\ntitle: a\uffffb\n---\n".encode(), "U+FFFF"),
        (b"---\ntitle: A: b\n---\n", "cannot be read as YAML"),
        (b'---\ntitle: "A\n---\n', "cannot be read as YAML"),
        (b"---\na: &x [1]\nb: *x\n---\n", "anchors and aliases"),
        (b"---\na: !!python/object:os.system {}\n---\n", "tags"),
        (b"---\na: " + b"[" * 20_000 + b"\n---\n", "nested more than 8 deep"),
        (b"---\na: " + b"{a: " * 5_000 + b"\n---\n", "nested more than 8 deep"),
        (b"---\n- a\n---\n", "not `key: value` lines"),
        (b"---\n---\n", "not `key: value` lines"),
        (b"---\n[1]: x\n---\n", "has a key that is no plain word"),
        (b"---\n" + b"x" * 262_144, "is over 256 KB"),
        (b"---\n" + b"a: b\n" * 7_000 + b"---\n", "over 32 KB of front matter"),
    ],
)
def test_a_file_that_is_no_comparison_at_all_is_refused(
    refused: Refused, text: bytes, what: str
) -> None:
    problems = refused(text=text or b"\n")
    assert any(what in problem.what for problem in problems), [str(p) for p in problems]


def test_an_odd_character_in_the_body_is_named_with_its_line(refused: Refused) -> None:
    [problem] = refused("The Builder likes it.", "The \u202eBuilder")
    assert problem.line == line_of("> The Builder likes it.")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.md", tmp_path):
        with pytest.raises(ContentError, match="is not a file"):
            load_comparison(path, REVIEWERS)


def test_the_faults_of_all_files_are_told_together(tmp_path: Path) -> None:
    folder = tmp_path / "comparisons"
    folder.mkdir()
    (tmp_path / "reviewers.yaml").write_bytes((CONTENT / "reviewers.yaml").read_bytes())
    (folder / "a.md").write_text("x", encoding="utf-8")
    (folder / "b.md").write_text("y", encoding="utf-8")
    (folder / GOOD_NAME).write_text(GOOD, encoding="utf-8")
    with pytest.raises(ContentError) as raised:
        load_all(tmp_path)
    assert [problem.file.name for problem in raised.value.problems] == ["a.md", "b.md"]


def test_one_name_in_both_folders_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "reviewers.yaml").write_bytes((CONTENT / "reviewers.yaml").read_bytes())
    for folder in ("comparisons", "samples"):
        (tmp_path / folder).mkdir()
        sample = "status: finished\nsample: true" if folder == "samples" else "status: finished"
        text = GOOD.replace("status: finished", sample)
        (tmp_path / folder / GOOD_NAME).write_text(text, encoding="utf-8")
    assert len(load_all(tmp_path)) == 1
    with pytest.raises(ContentError, match="has the name of"):
        load_all(tmp_path, samples=True)


def test_a_content_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="NEWSLETTER_CONTENT_DIR"):
        load_all(tmp_path / "nowhere")


# --- reviewers


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("reviewers: []\n", 1, "reviewers"),
        ("reviewer:\n", 1, "reviewer"),
        ("reviewers:\n  - key: a\n    role: A\n", 2, "reviewers[0].question"),
        ("reviewers:\n  - key: A b\n    role: A\n    question: B?\n", 2, "reviewers[0].key"),
        (
            "reviewers:\n  - {key: a, role: A, question: B}\n  - {key: a, role: C, question: D}\n",
            3,
            "reviewers[1].key",
        ),
    ],
)
def test_a_faulty_panel_is_refused_with_line_and_field(
    tmp_path: Path, text: str, line: int, field: str
) -> None:
    path = tmp_path / "reviewers.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as raised:
        load_reviewers(path)
    assert (line, field) in [(p.line, p.field) for p in raised.value.problems]
    assert all(problem.hint for problem in raised.value.problems)
