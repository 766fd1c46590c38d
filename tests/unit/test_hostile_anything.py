"""Whatever can be typed: five comparisons of it are an issue to be approved, or are refused."""

from __future__ import annotations

import issue_views as views
import pytest
from hostile_files import RENDERER, bare, file_text, is_harmless, issue_of, load, seen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import ContentError, TemplateError

# The machine may be busy: how long an example takes says nothing.
CALM = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))

# Everything that may stand in a file: no controls, surrogates, separators or overrides.
LETTERS = st.characters(
    blacklist_categories=["Cs", "Cc", "Cn", "Zl", "Zp"],
    blacklist_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
)


def words_up_to(most: int) -> st.SearchStrategy[str]:
    return st.text(LETTERS, min_size=1, max_size=most).map(str.strip).filter(bool)


FILES = st.fixed_dictionaries(
    {
        "name": words_up_to(80),
        "title": words_up_to(180).map(lambda words: f"A {words}"),
        "deck": words_up_to(200),
        "verdict": words_up_to(159).map(lambda words: f"{words}."),
        "entry_price": words_up_to(60),
        "price_note": words_up_to(80),
        "quote": words_up_to(300),
        "excerpt": words_up_to(150).map(lambda words: f"{words}."),
    }
)


@pytest.mark.slow
@settings(CALM, max_examples=40)
@given(st.lists(FILES, min_size=5, max_size=5))
def test_any_five_comparisons_are_approvable_or_clearly_refused(
    tmp_path_factory: pytest.TempPathFactory, files: list[dict[str, str]]
) -> None:
    """And what is approvable keeps its names to the letter in subject, HTML and text."""
    folder, comparisons = tmp_path_factory.mktemp("five"), []
    for number, words in enumerate(files):
        title = f"{number} {words['title']}"  # its address may have no other letter
        try:
            comparisons.append(load(folder, file_text(**{**words, "title": title}), title))
        except ContentError:
            continue  # refused with file and line: see above
    if not comparisons:
        return
    try:
        rendered = RENDERER.issue(issue_of(*comparisons))
    except TemplateError:
        return  # one clear error, with the template's name
    if rendered.errors:
        assert all(found.what and found.place and found.hint for found in rendered.errors)
        return
    assert is_harmless(rendered)
    subject, html, plain = seen(rendered)
    assert subject == rendered.subject
    for comparison in comparisons:
        for tool in comparison.tools:
            assert tool.name in html
            assert bare(tool.name) in bare(plain)


@pytest.mark.slow
@settings(CALM, max_examples=80)
@given(words_up_to(40), words_up_to(200))
def test_any_name_in_the_subject_and_any_subject_survive_to_the_letter(
    name: str, subject: str
) -> None:
    for wanted in (f"Ship {name}", subject):
        rendered = RENDERER.issue(views.issue_view((views.SEED,), subject=wanted))
        if not rendered.errors:
            shown, html, plain = seen(rendered)
            assert shown == wanted
            assert wanted in html
            assert bare(wanted) in bare(plain)
