"""Hostile text in an editor's files: refused with file and line, or shown to the letter."""

from __future__ import annotations

from pathlib import Path

import issue_views as views
import pytest
from hostile_files import (
    FIELDS,
    RENDERER,
    bare,
    file_text,
    is_harmless,
    issue_of,
    load,
    quoted,
    seen,
)

from newsletter.editorial.content import load_reviewers
from newsletter.errors import ContentError, TemplateError

HARMLESS = {
    "script": "<script>alert(1)</script>",
    "mjml": "</mj-text><mj-raw>",
    "comment": "<!-- ]]> -->",
    "javascript": "javascript:alert(1)",
    "mailto": "mailto:?bcc=x@y.example",
    "link": '<a href="//evil.example">x</a>',
    "entities": "&amp;lt; &#0; &nbsp",
    "backslashes": "C:\\new\\table \\u{1F600}\\",
    "quotes": "say \"no\" 'x' `y`",
    "emoji": "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}",
    "zero width": "a\N{ZERO WIDTH NON-JOINER}b\N{ZERO WIDTH SPACE}c",
    "accents": "e\N{COMBINING ACUTE ACCENT}" + "\N{COMBINING TILDE}" * 9,
    "right to left": "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET} \N{ARABIC LETTER SEEN}",
    "no-break": "10\N{NO-BREAK SPACE}000\N{NARROW NO-BREAK SPACE}x",
    "astral": "\U0001d4d0\U00020000",
    "one long word": "w" * 44,
    "dots": "..From x",
    "percent": "100%s {0} %(x)s",
}
REFUSED = {
    "nul": "a\x00b",
    "escape": "a\x1b[31mb",
    "tab": "a\tb",
    "line break": "a\nb",
    "override": "a\N{RIGHT-TO-LEFT OVERRIDE}b",
    "isolate": "a\N{FIRST STRONG ISOLATE}b",
    "line separator": "a\N{LINE SEPARATOR}b",
    "byte-order mark": "a\N{ZERO WIDTH NO-BREAK SPACE}b",
    "half a character": "a\ud800b",
    "no character": "a\ufffeb",
}
BLOCKED = {
    "address": "https://evil.example/7",
    "braces": "{{ 7 * 7 }}",
    "block": "{% include 'x' %}",
    "placeholder": "zqHname7zq",
    "text placeholder": "zqTunsubscribe7zq",
}


def everywhere(text: str) -> dict[str, str]:
    """The text in every field that a reader of the mail sees."""
    sentence = f"{text}."
    return {
        "title": f"Left {text} vs Right",
        "deck": text,
        "verdict": sentence,
        "name": f"Left {text}",
        "category": text,
        "tagline": text,
        "description": text,
        "entry_price": text,
        "price_note": text,
        "quote": f"Said: {sentence}",
        "excerpt": f"Said: {sentence}",
    }


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_odd_text_in_every_field_reaches_the_reader_to_the_letter(
    tmp_path: Path, text: str
) -> None:
    words = everywhere(text)
    view = issue_of(load(tmp_path, file_text(**words), words["title"]))
    rendered = RENDERER.issue(view)
    assert [found for found in rendered.errors if found.rule != "text-differs"] == []
    assert is_harmless(rendered)
    _subject, html, plain = seen(rendered)
    for field in ("verdict", "name", "category", "entry_price", "price_note", "excerpt"):
        shown = view.comparisons[0].verdict if field == "verdict" else words[field]
        assert shown in html, field
        if field != "category":  # the text part says it without
            assert bare(shown) in bare(plain), field


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_hides_or_steers_is_refused_with_its_line(
    tmp_path: Path, field: str, text: str
) -> None:
    if field in ("quote", "excerpt") and text == REFUSED["line break"]:
        return  # Markdown joins the lines of a paragraph
    words = {field: f"Left {text} vs Right." if field in ("title", "name") else f"It is {text}."}
    whole = file_text(**words)
    with pytest.raises(ContentError) as caught:
        load(tmp_path, whole, words.get("title") or f"{words.get('name', 'Left')} vs Right")
    assert all(problem.line > 0 and problem.hint for problem in caught.value.problems)
    assert all(problem.file.parent == tmp_path for problem in caught.value.problems)
    assert caught.value.what.isprintable() or "\n" in caught.value.what


@pytest.mark.parametrize("field", ["title", "name"])
def test_an_encoded_word_stands_in_no_name(tmp_path: Path, field: str) -> None:
    title = "Left =?utf-8?q?a=0ABcc=3A_x?= vs Right"
    with pytest.raises(ContentError, match=f"{field}: holds `=\\?`"):
        load(tmp_path, file_text(**{field: title}), title)


@pytest.mark.parametrize("text", BLOCKED.values(), ids=BLOCKED)
@pytest.mark.parametrize("field", ["verdict", "name", "entry_price", "price_note", "excerpt"])
def test_what_a_splicer_could_take_for_its_own_blocks_approval(
    tmp_path: Path, field: str, text: str
) -> None:
    words = {field: f"It is {text}." if field in ("verdict", "excerpt") else text}
    comparison = load(tmp_path, file_text(**words), f"{words.get('name', 'Left')} vs Right")
    rendered = RENDERER.issue(issue_of(comparison))
    assert {found.rule for found in rendered.errors} & {
        "left-over-template",
        "link-unregistered",
        "placeholder-in-content",
    }
    assert "49" not in rendered.text
    assert is_harmless(rendered)


@pytest.mark.parametrize(
    ("where", "text", "said"),
    [
        ("quote", "x" * 1_000_000, "is over 256 KB"),
        ("quote", "x" * 5_000, "has 5000 characters"),
        ("quote", "<b>" * 20_000, "is over 256 KB"),
        ("quote", "<b>" * 2_000, "has 6000 characters"),
        ("excerpt", "x" * 161, "characters"),
        ("name", "x" * 81, "has 81 characters"),
        ("title", "x" * 201, "has 201 characters"),
        ("entry_price", "x" * 61, "has 61 characters"),
        ("description", "<b>" * 20_000, "has over 32 KB of front matter"),
    ],
)
def test_text_without_end_is_refused_with_its_line(
    tmp_path: Path, where: str, text: str, said: str
) -> None:
    with pytest.raises(ContentError, match=said) as caught:
        load(tmp_path, file_text(**{where: text}), "left-vs-right")
    assert all(len(str(problem)) < 1_000 for problem in caught.value.problems)


@pytest.mark.parametrize(
    "front",
    [
        "[" * 20_000,
        "{a: " * 9_000,
        "&a [*a, *a]",
        "!!python/object/apply:os.system [id]",
        "- " * 999,
    ],
)
def test_front_matter_that_is_more_than_plain_is_refused(tmp_path: Path, front: str) -> None:
    with pytest.raises(ContentError) as caught:
        load(tmp_path, f"---\ntitle: {front}\n---\n", "a-vs-b")
    assert caught.value.problems[0].line > 0


@pytest.mark.parametrize("depth", [99, 20_000])
def test_a_body_nested_without_end_is_refused(tmp_path: Path, depth: int) -> None:
    with pytest.raises(ContentError):
        load(tmp_path, file_text() + "> " * depth + "x\n", "left-vs-right")


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    plain = load(tmp_path, file_text(), "Left vs Right")
    windows = load(tmp_path, "\ufeff" + file_text().replace("\n", "\r\n"), "Left vs Right")
    assert windows == plain


def test_two_names_without_a_latin_letter_have_no_address(tmp_path: Path) -> None:
    title = "\N{CJK UNIFIED IDEOGRAPH-65E5} vs \N{CJK UNIFIED IDEOGRAPH-672C}"
    with pytest.raises(ContentError, match="gives no address"):
        load(tmp_path, file_text(title=title), title)


@pytest.mark.parametrize(
    "role", ["The <script>", "The {x}", "The \\n", "=?utf-8?q?x?=", "The \N{HEBREW LETTER ALEF}"]
)
def test_a_reviewers_role_is_text(tmp_path: Path, role: str) -> None:
    (tmp_path / "reviewers.yaml").write_text(
        f'reviewers:\n  - key: one\n    role: {quoted(role)}\n    question: "Why <b>?"\n'
    )
    reviewers = load_reviewers(tmp_path / "reviewers.yaml")
    takes = f"\n## {role}\n\n### Left: ship\n\n> Yes.\n\nYes.\n\n### Right: skip\n\n> No.\n\nNo.\n"
    text = file_text().partition("\n## ")[0] + takes
    rendered = RENDERER.issue(issue_of(load(tmp_path, text, "Left vs Right", reviewers)))
    assert is_harmless(rendered)
    _subject, html, plain = seen(rendered)
    assert role in html
    assert bare(role) in bare(plain)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_role_that_hides_something_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "reviewers.yaml").write_text(
        f"reviewers:\n  - key: one\n    role: {quoted(text)}\n    question: Why?\n"
    )
    with pytest.raises(ContentError) as caught:
        load_reviewers(tmp_path / "reviewers.yaml")
    assert caught.value.problems[0].line == 3


@pytest.mark.parametrize(
    "words",
    [
        {"intro": "x" * 1_000_001},
        {"intro": "<b>" * 20_000},
        {"intro": "a\n\n" * 5_000},
        {"preheader": "{{" * 5_000},
        {"subject": "\N{LATIN SMALL LETTER E WITH ACUTE}" * 20_000},
    ],
    ids=["1 MB", "20,000 tags", "5,000 paragraphs", "braces", "an endless subject"],
)
def test_endless_words_of_an_editor_are_refused_and_end_no_process(words: dict[str, str]) -> None:
    try:
        rendered = RENDERER.issue(views.issue_view((views.SEED,), **words))
    except TemplateError as error:
        refused = "characters" in error.what
    else:
        refused = bool(rendered.errors)
    assert refused
