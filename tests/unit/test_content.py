"""Comparisons as files: the seed to the letter, and what a file becomes."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from content_files import CONTENT, GOOD, GOOD_NAME, REVIEWERS, Refused, load, refusing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.editorial.content import (
    Comparison,
    comparison_schema,
    load_all,
    load_comparison,
    skeleton,
    slug_of,
)
from newsletter.editorial.content_text import forbidden_character, sentence_fault
from newsletter.errors import ContentError, StoreError
from newsletter.rendering.view import Verdict
from newsletter.store.states import ComparisonState

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


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    return refusing(tmp_path)


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
