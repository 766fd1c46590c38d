"""Comparisons as files: the seed to the letter, and every fault named with its line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.editorial.content import (
    Comparison,
    comparison_schema,
    load_all,
    load_comparison,
    load_reviewers,
    skeleton,
    slug_of,
)
from newsletter.editorial.content_text import forbidden_character, sentence_fault
from newsletter.errors import ContentError, Problem, StoreError
from newsletter.rendering.view import Verdict
from newsletter.store.states import ComparisonState

CONTENT = Path(__file__).parents[2] / "content"
REVIEWERS = load_reviewers(CONTENT / "reviewers.yaml")
SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"

# sha256 of each of the seed's quotes, without the page's quotation marks: left, right, by reviewer.
SEED_QUOTES = {
    ("builder", 0): "925cce583f068f57a25b0b75bff5383db146376ec7c0f891192e4e2426c8fb71",
    ("builder", 1): "be925fc9f86a343f28e846beeb41a11fec0184e0c5826980041a51db9885f4ff",
    ("skeptic", 0): "086ea359bc968114e624632944ca2957bb5a4e9a86a3f63265dc3cb8361324cf",
    ("skeptic", 1): "c14d04fdbdeb8503a649a1b78e2432bca0080736ae62a76de46d48f436d8e6ad",
    ("futurist", 0): "690c7a846fc4e0073a812c6cbc36267412e258497d1f57a4f0ab74d945434c0f",
    ("futurist", 1): "7b7ede4478055b6500f0c465d76c86257c48e7967d49a54e9a633e40c3f555c4",
    ("founder", 0): "e4068ca5dbda8ec5e09893e3dc00421bd3d13eb491f2036a6cc20f390f5980eb",
    ("founder", 1): "e50b27c48adc5f0abac1f3951254204b46442412b7fead4dc96904e832f9cf9c",
    ("description", 0): "c90d8b32dfe38576bdaf19cb024e88bc2d23fbc3e20b6bbcb6f4f6f940143b50",
    ("description", 1): "9c5bf49ff037543ef93816b0becc28def32e0f9ce5e9e80928b23a26f01f25c0",
}

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


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
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


# --- what is shipped


def seed() -> Comparison:
    return load_comparison(CONTENT / "comparisons" / f"{SEED}.md", REVIEWERS)


def test_the_seed_is_carried_over_to_the_letter() -> None:
    comparison = seed()
    left, right = comparison.tools
    assert comparison.slug == SEED
    assert comparison.title == "Claude Haiku Open Weights vs Mistral 8B Instruct v3"
    assert comparison.deck == (
        "Which one should you ship with? Here is the side-by-side panel verdict, pricing read, "
        "reviewer split, and community vote comparison."
    )
    assert (left.name, right.name) == ("Claude Haiku Open Weights", "Mistral 8B Instruct v3")
    assert {left.category, right.category} == {"Developer Tools"}
    assert left.tagline == "Anthropic's first open-weight model release for research use"
    assert right.tagline == ("Open-source 8B model that claims to beat GPT-4o Mini. Apache 2.0.")
    assert {left.entry_price, right.entry_price} == {"Free"}
    assert left.community is None
    assert right.community is None
    assert not comparison.sample


@pytest.mark.parametrize(("seat", "sha256"), SEED_QUOTES.items())
def test_each_quote_and_description_of_the_seed_is_unchanged(
    seat: tuple[str, int], sha256: str
) -> None:
    what, side = seat
    tool = seed().tools[side]
    takes = {take.reviewer.key: take.quote for take in tool.takes}
    text = tool.description if what == "description" else takes[what]
    assert hashlib.sha256(text.encode()).hexdigest() == sha256


def test_the_seeds_panel_comes_to_50_and_100_per_cent() -> None:
    assert seed().panel == (50, 100)
    skips = {take.reviewer.key for take in seed().tools[0].takes if take.verdict is Verdict.SKIP}
    assert skips == {"skeptic", "founder"}


def test_every_shipped_take_has_an_excerpt_that_ends_as_a_sentence() -> None:
    comparisons = load_all(CONTENT, samples=True)
    takes = [take for c in comparisons for tool in c.tools for take in tool.takes]
    assert len(takes) == 8 * 5
    for take in takes:
        assert 0 < len(take.excerpt) <= 160
        assert sentence_fault(take.excerpt) is None


def test_the_samples_are_marked_and_stay_out_unless_asked_for() -> None:
    real, everything = load_all(CONTENT), load_all(CONTENT, samples=True)
    assert [comparison.slug for comparison in real] == [SEED]
    invented = [comparison for comparison in everything if comparison.sample]
    assert len(invented) == 4
    assert all("invented comparison" in comparison.deck for comparison in invented)


def test_the_samples_are_varied() -> None:
    invented = [comparison for comparison in load_all(CONTENT, samples=True) if comparison.sample]
    tools = [tool for comparison in invented for tool in comparison.tools]
    assert {comparison.gap for comparison in invented} == {0, 25, 50, 100}
    assert len({tool.entry_price for tool in tools}) >= 6
    assert max(len(tool.name) for tool in tools) == 60
    assert {"Tabula <Next>", "ShipCheck “CI” & Co.", "Ηχώ Notes"} <= {tool.name for tool in tools}
    assert any({t.community is None for t in c.tools} == {True, False} for c in invented)


def test_the_json_schema_on_disk_is_the_current_one() -> None:
    stored = json.loads((CONTENT / "comparison.schema.json").read_text(encoding="utf-8"))
    assert stored == comparison_schema(), (
        "write json.dumps(comparison_schema(), indent=2, ensure_ascii=False) to that file"
    )


def test_every_shipped_file_names_the_schema_for_its_editor() -> None:
    for path in CONTENT.glob("*/*.md"):
        second = path.read_text(encoding="utf-8").splitlines()[1]
        assert second == "# yaml-language-server: $schema=../comparison.schema.json"
        assert (path.parent / "../comparison.schema.json").is_file()


# --- what a file becomes


def test_a_good_file_becomes_a_comparison(tmp_path: Path) -> None:
    comparison = load(tmp_path, GOOD)
    left, right = comparison.tools
    assert comparison.status is ComparisonState.FINISHED
    assert comparison.prices_as_of == date(2026, 11, 20)
    assert (comparison.panel, comparison.gap) == ((100, 0), 100)
    assert right.name == "Bar: Next"
    assert right.community is not None
    assert (right.community.ship, right.community.skip) == (3, 1)
    assert [take.reviewer for take in left.takes] == list(REVIEWERS)


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    windows = "\ufeff" + GOOD.replace("\n", "\r\n")
    assert load(tmp_path, windows) == load(tmp_path, GOOD)


def test_a_quote_is_kept_as_typed_and_its_lines_are_joined(tmp_path: Path) -> None:
    typed = (
        "It's `x` — *not* <b>bold</b>,\n> [a link](http://x) & &amp; \\*\n>\n> - “new” paragraph"
    )
    comparison = load(tmp_path, GOOD.replace("The Builder likes it.", typed))
    assert comparison.tools[0].takes[0].quote == (
        "It's `x` — *not* <b>bold</b>, [a link](http://x) & &amp; \\* - “new” paragraph"
    )


def test_takes_come_in_the_panels_order_whatever_the_files(tmp_path: Path) -> None:
    head, *sections = GOOD.split("\n## ")
    turned = "\n## ".join([head, *reversed(sections)])
    assert load(tmp_path, turned).sha256 == load(tmp_path, GOOD).sha256


def test_a_body_comes_back_as_the_same_comparison(tmp_path: Path) -> None:
    for comparison in (load(tmp_path, GOOD), seed()):
        body = json.loads(json.dumps(comparison.to_body()))
        again = Comparison.from_body(body)
        assert again == comparison
        assert again.sha256 == comparison.sha256


def test_a_body_carries_the_reviewers_roles_and_questions() -> None:
    take = seed().to_body()["tools"][0]["takes"][0]
    assert (take["role"], take["question"]) == (REVIEWERS[0].role, REVIEWERS[0].question)


@pytest.mark.parametrize("body", [{}, {"tools": []}, {"tools": 3}, {"tools": [1, 2]}])
def test_a_damaged_body_is_one_clear_error(body: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Comparison.from_body(body)


def test_any_changed_word_changes_the_hash(tmp_path: Path) -> None:
    changed = GOOD.replace("The Founder does not.", "The Founder does not!")
    assert load(tmp_path, changed).sha256 != load(tmp_path, GOOD).sha256


# --- drafts


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Foo", "Bar"),
        ("Tabula <Next>", 'The "Q": & Co.'),
        ("Ηχώ", "C#"),
        ("a: ship it", "back\\slash"),
    ],
)
def test_a_skeleton_loads_as_a_draft_with_the_names_to_the_letter(
    tmp_path: Path, left: str, right: str
) -> None:
    title = f"{left} vs {right}"
    text = skeleton(title, left, right, REVIEWERS)
    draft = load(tmp_path, text, f"{slug_of(title)}.md")
    assert draft.status is ComparisonState.DRAFT
    assert (draft.title, [tool.name for tool in draft.tools]) == (title, [left, right])
    assert draft.prices_as_of is None
    assert all(not tool.takes for tool in draft.tools)
    assert all(f"## {reviewer.role}" in text for reviewer in REVIEWERS)
    assert Comparison.from_body(draft.to_body()) == draft


def test_a_draft_keeps_the_takes_that_are_written_and_leaves_the_others_out(tmp_path: Path) -> None:
    text = GOOD.replace("status: finished", "status: draft")
    text = text.replace("### Bar: Next: skip", "### Bar: Next:").replace("It works.", "", 1)
    draft = load(tmp_path, text)
    assert [len(tool.takes) for tool in draft.tools] == [3, 0]


def test_a_written_take_of_a_draft_is_checked_all_the_same(refused: Refused) -> None:
    text = GOOD.replace("status: finished", "status: draft").replace("It works.", "It works", 1)
    [problem] = refused(text=text)
    assert problem.field == "The Builder / Foo / excerpt"


def test_a_finished_comparison_must_be_whole(refused: Refused) -> None:
    text = skeleton("Foo vs Bar", "Foo", "Bar", REVIEWERS).replace(
        "status: draft", "status: finished"
    )
    problems = refused(text=text, name="foo-vs-bar.md")
    fields = {problem.field for problem in problems}
    assert {
        "verdict",
        "prices_as_of",
        "panel",
        "tools[0].category",
        "tools[1].entry_price",
    } <= fields
    assert {"The Builder / Foo", "The Founder / Bar / quote"} <= fields


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


# --- properties


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Claude Haiku Open Weights vs Mistral 8B Instruct v3", SEED),
        ("Mémoire Vive & Żółw's Œuvre", "memoire-vive-zolws-oeuvre"),
        ("  A -- B  ", "a-b"),
        ("Ηχώ", ""),
    ],
)
def test_a_slug_is_the_title_in_lower_case_ascii(title: str, slug: str) -> None:
    assert slug_of(title) == slug


@given(st.text())
def test_a_slug_is_always_safe_in_an_address_and_stable(title: str) -> None:
    slug = slug_of(title)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug == slug.strip("-") == slug_of(slug)


_LETTERS = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Zl", "Zp", "Zs"])
_WORDS = st.text(_LETTERS, min_size=1, max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=_WORDS, words=st.lists(_WORDS, min_size=1, max_size=8))
def test_any_name_and_quote_survive_to_the_letter(
    tmp_path: Path, name: str, words: list[str]
) -> None:
    quote = " ".join(["so", *words, "it is"])
    name = f"N{name}".replace("=?", "").rstrip("#") + "x"
    text = GOOD.replace("### Foo:", f"### {name}:").replace("The Builder likes it.", quote)
    text = text.replace("- name: Foo", f"- name: {json.dumps(name, ensure_ascii=False)}")
    comparison = load(tmp_path, text)
    assert comparison.tools[0].name == name
    assert comparison.tools[0].takes[0].quote == quote


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(at=st.integers(0, len(GOOD)), length=st.integers(0, 12), put=st.text(max_size=6))
def test_a_damaged_file_loads_or_is_refused_and_never_crashes(
    tmp_path: Path, at: int, length: int, put: str
) -> None:
    text = GOOD[:at] + put + GOOD[at + length :]
    path = tmp_path / GOOD_NAME
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        comparison = load_comparison(path, REVIEWERS)
    except ContentError as error:
        told = [problem.line >= 1 and problem.what for problem in error.problems]
    else:
        told = [Comparison.from_body(comparison.to_body()) == comparison]
    assert told
    assert all(told)


@pytest.mark.parametrize("text", ["Yes.", "Why?", "It said “no.”", "(Really!)", "He said 'go'."])
def test_what_ends_as_a_sentence(text: str) -> None:
    assert sentence_fault(text) is None


@pytest.mark.parametrize("text", ["", "without", "and then...", "cut…", "cut…”", "so:", "yes. "])
def test_what_does_not_end_as_a_sentence(text: str) -> None:
    assert sentence_fault(text) is not None


@pytest.mark.parametrize("text", ["שלום\u200f עולם", "👩\u200d💻", "naïve", "e\u0301"])
def test_text_of_any_language_is_allowed(text: str) -> None:
    assert forbidden_character(text) is None
