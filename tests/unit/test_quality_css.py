"""The tree, the style sheets and the selectors that the gate's rules stand on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.rendering.quality.css import declarations, read_sheet
from newsletter.rendering.quality.selectors import parse
from newsletter.rendering.quality.tree import Element, read


def only(root: Element, tag: str) -> Element:
    (one,) = [element for element in root.walk() if element.tag == tag]
    return one


def test_an_element_knows_its_line_its_column_and_where_it_ends() -> None:
    source = '<body>\n<p>One</p>\n  <div class="a b">Two <b>three</b></div></body>'
    box = only(read(source), "div")
    assert (box.line, box.column) == (3, 3)
    assert source[box.start : box.end] == '<div class="a b">Two <b>three</b></div>'
    assert box.classes == ["a", "b"]
    assert box.own_text == "Two"
    assert box.words == "Two three"


def test_words_are_parted_by_blocks_and_not_by_inline_elements() -> None:
    root = read("<td>Fr<b>ee</b></td><td>$9</td><p hidden>no</p><style>p{}</style><br>end")
    assert root.words == "Free $9 end"


def test_what_does_not_close_closes_at_the_end_and_a_stray_end_is_passed_over() -> None:
    root = read("<div><p>a</b></div>b</section><i>c")
    assert [one.tag for one in root.walk()] == ["#document", "div", "p", "i"]
    assert root.words == "a bc"


@given(st.text(max_size=200))
def test_any_text_is_a_tree_and_any_text_is_a_sheet(text: str) -> None:
    root = read(text)
    assert all(0 <= one.start <= one.end <= len(text) + 3 for one in root.walk())
    read_sheet(text)
    declarations(text)
    parse(text)


def test_declarations_keep_semicolons_in_quotes_and_brackets() -> None:
    style = "background:url(a;b) #fff;font-family:'A;B', serif; COLOR : red !IMPORTANT;;x"
    assert [(one.name, one.value, one.important) for one in declarations(style)] == [
        ("background", "url(a;b) #fff", False),
        ("font-family", "'A;B', serif", False),
        ("color", "red", True),
    ]


def test_a_rule_knows_its_line_and_what_it_stands_in() -> None:
    sheet = read_sheet(
        "/* two\nlines */ p { margin:0 }\n@media (prefers-color-scheme:dark) {\n"
        ".a,.b { color:#fff }\n}\n@import 'x';\n",
        first_line=10,
    )
    assert [(one.selectors, one.at, one.line, one.is_dark) for one in sheet.rules] == [
        (("p",), (), 11, False),
        ((".a", ".b"), ("@media (prefers-color-scheme:dark)",), 13, True),
    ]
    assert [(one, line) for one, line, _ in sheet.at_rules] == [
        ("@media (prefers-color-scheme:dark)", 12),
        ("@import 'x'", 15),
    ]
    assert sheet.has_comments


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("td", True),
        (".c", True),
        ("td.c.d", True),
        ("#me", True),
        ("*", True),
        ("[data-x]", True),
        ('td[align="right"]', True),
        ("[align^=ri]", True),
        ("table td", True),
        ("tr > td", True),
        (".first + td", True),
        (".first ~ .c", True),
        ("body table > tr td.c", True),
        ("th", False),
        (".c.e", False),
        ("#you", False),
        ("[align=left]", False),
        ("table > td", False),
        (".none + td", False),
        (".c:hover", False),
        (":root td", False),
        ("td:::", False),
    ],
)
def test_a_selector_means_what_it_means_in_css(selector: str, matches: bool) -> None:
    source = (
        '<body><table><tr><td class="first"></td>'
        '<td id="me" class="c d" align="right" data-x="1">x</td></tr></table></body>'
    )
    (cell,) = [one for one in read(source).walk() if one.attributes.get("id") == "me"]
    assert parse(selector).matches(cell) is matches


def test_the_weight_of_a_selector_counts_ids_classes_and_tags() -> None:
    assert parse("#a .b[c] td > p").weight == (1, 2, 2)
    assert parse("*").weight == (0, 0, 0)
