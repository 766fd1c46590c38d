"""The traps of Jinja, MJML and premailer, each closed: a test that fails without its fix."""

from __future__ import annotations

import re
from pathlib import Path

import css_inline
import issue_views as views
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import TemplateError
from newsletter.rendering.inline import inline_css
from newsletter.rendering.mjml import (
    MAX_DEPTH,
    Templates,
    attribute,
    packaged_templates,
    squeeze,
    to_html,
)
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue

# The machine may be busy: how long an example takes says nothing.
CALM = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

PAGE = "<!doctype html><html><head><style>{}</style></head><body><p class='a'>x</p></body></html>"


@pytest.fixture(scope="module")
def issue() -> RenderedIssue:
    return Renderer().issue(views.issue_view())


def own(tmp_path: Path, **files: str) -> Path:
    """A publication's own templates folder; names with `__` for `/`, all .mjml."""
    for name, text in files.items():
        path = tmp_path / "email" / f"{name.replace('__', '/')}.mjml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def wrapped(inside: str) -> str:
    return (
        "<mjml><mj-body><mj-section><mj-column><mj-text>"
        f"{inside}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )


@CALM
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), max_size=60))
def test_no_attribute_value_comes_out_in_debug_form(value: str) -> None:
    out = to_html(wrapped(f'<span title="{attribute(value)}">x</span>'), name="t")
    assert f'title="{attribute(value)}"' in out
    assert re.fullmatch(r"[ !#-%(-;=?-\[\]-~]*|(?:[ -~]|&#\d+;)*", attribute(value))


def test_the_doctype_survives(issue: RenderedIssue) -> None:
    assert issue.html.startswith("<!DOCTYPE html>")


def test_dark_mode_keeps_its_important_rules_and_outlook_its_selectors(
    issue: RenderedIssue,
) -> None:
    styles = "".join(re.findall(r"<style[^>]*>(.*?)</style>", issue.html, re.DOTALL))
    assert re.search(r"@media \(prefers-color-scheme:dark\) \{[^@]*!important", styles)
    assert "[data-ogsc] .m" in styles
    assert "[data-ogsb] .card" in styles
    assert "data-premailer" not in issue.html


def test_no_at_rule_stands_inside_another(issue: RenderedIssue) -> None:
    for block in re.findall(r"<style[^>]*>(.*?)</style>", issue.html, re.DOTALL):
        depth = 0
        for mark in re.findall(r"[{}]|@\w+", block):
            assert not (mark.startswith("@") and depth)
            depth += {"{": 1, "}": -1}.get(mark, 0)
        assert depth == 0


def test_the_mail_asks_for_nothing_on_the_network_but_its_pixel(issue: RenderedIssue) -> None:
    assert len(re.findall(r"\bsrc=", issue.html)) == 1
    assert not re.search(r"@import|url\(|<link|@font-face|<script", issue.html)


@pytest.mark.parametrize("css", ["@import 'x.css';", ".a{background:url(x.png)}"])
def test_css_that_would_fetch_something_is_refused(css: str) -> None:
    with pytest.raises(TemplateError, match="must not fetch"):
        inline_css(PAGE.format(css), "", name="weekly/body.mjml")
    with pytest.raises(TemplateError, match="must not fetch"):
        inline_css(PAGE.format(""), css, name="weekly/body.mjml")


def test_an_attribute_that_was_there_is_not_doubled_from_css() -> None:
    out = inline_css(PAGE.format(""), "p { width: 50%; background-color: #ffffff }", name="t")
    assert not re.search(r"<p[^>]* (?:width|bgcolor)=", out)


def test_classes_no_head_style_names_are_gone_and_the_others_stay() -> None:
    page = PAGE.format(".a { color: #000000 }").replace("class='a'", "class='a b'")
    assert '<p class="a"' in inline_css(page, ".b { color: #111111 }", name="t")


def test_premailer_writes_the_declarations_another_inliner_writes() -> None:
    templates = Templates(None, {})
    css = templates.render("parts/inline.css", {})
    page = (
        "<!DOCTYPE html><html><head></head><body><table class='w d'><tr><th class='m col' "
        "align='right'>x</th><td class='r c'><b class='ship'>Ship</b><p class='q top'>y</p></td>"
        "</tr></table><h2 class='lead'>z</h2><a class='l tap' href='https://example.com'>a</a>"
        "</body></html>"
    )
    ours = _declarations(inline_css(page, css, name="t"))
    theirs = _declarations(css_inline.inline(page, extra_css=css))
    assert ours == theirs
    assert len(ours) >= 7


def _declarations(html: str) -> list[frozenset[str]]:
    """Each styled element's declarations in order of the elements, hex colours at full length."""
    found = []
    for style in re.findall(r'style="([^"]*)"', html):
        full = re.sub(r"#([0-9a-f])([0-9a-f])([0-9a-f])\b", r"#\1\1\2\2\3\3", style)
        parts = (part.strip() for part in full.replace("&quot;", "'").split(";"))
        found.append(
            frozenset(re.sub(r":\s+", ":", part).replace('"', "'") for part in parts if part)
        )
    return found


def test_too_deep_a_nesting_is_refused_before_it_ends_the_process() -> None:
    deep = "<b>" * 20_000 + "</b>" * 20_000
    with pytest.raises(TemplateError, match=f"over the limit of {MAX_DEPTH}"):
        to_html(wrapped(deep), name="weekly/body.mjml")


def test_a_broken_tag_names_its_template() -> None:
    with pytest.raises(TemplateError, match=r"weekly/body\.mjml: this is not MJML"):
        to_html("<mjml><mj-body></mjml>", name="weekly/body.mjml")


def test_windows_line_ends_do_no_harm() -> None:
    assert "y" in to_html(wrapped("x\r\ny").replace(">", ">\r\n", 1), name="t")


def test_an_own_template_goes_before_the_packaged_one(tmp_path: Path) -> None:
    folder = own(tmp_path, confirm__body=wrapped("Ours: {{ publication.name }}"))
    mail = Renderer(folder).system(views.system_view("confirm"))
    assert "Ours: Weekly AI Tool Verdicts" in mail.html
    assert mail.subject == "Confirm your address"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<mjml>\n{{ facts.nothing }}", "line 2: 'dict object' has no attribute 'nothing'"),
        ("<mjml>\n\n{% if %}", "line 3: Expected an expression"),
        ("{% include 'nowhere.mjml' %}", "there is no mail template nowhere.mjml"),
        ("\n{{ facts.__class__.__mro__ }}", "line 2: access to attribute '__class__'"),
        ("\n{{ 1 / 0 }}", "line 2: division by zero"),
        ("{% for i in range(99999) %}{{ 'x' * 99 }}{% endfor %}", "longer than 1,000,000"),
    ],
)
def test_a_broken_template_is_one_error_with_its_file_and_line(
    tmp_path: Path, text: str, said: str
) -> None:
    renderer = Renderer(own(tmp_path, confirm__body=text))
    with pytest.raises(TemplateError) as caught:
        renderer.system(views.system_view("confirm"))
    assert said in caught.value.what
    assert "nowhere" in said or "confirm/body.mjml" in caught.value.what
    assert caught.value.hint


def test_a_kind_without_templates_is_named(tmp_path: Path) -> None:
    view = views.SystemMailView("farewell", views.PUBLICATION)
    with pytest.raises(TemplateError, match=r"there is no mail template farewell/subject\.txt"):
        Renderer(tmp_path).system(view)


def test_content_is_text_and_never_markup() -> None:
    hostile = "</mj-text><script>alert(1)</script> {{ 7 * 7 }} \\u{1F600} \\n"
    rendered = Renderer().issue(views.issue_view((views.SEED,), intro=hostile))
    assert "<script" not in rendered.html
    assert "&lt;/mj-text&gt;&lt;script&gt;alert(1)" in rendered.html
    assert "\\u{1F600} \\n" in rendered.html
    assert {found.rule for found in rendered.errors} == {"left-over-template"}


def test_control_characters_in_content_are_shown_and_found() -> None:
    rendered = Renderer().issue(views.issue_view((views.SEED,), intro="A\x00B"))
    assert "A\ufffdB" in rendered.html
    assert [(found.rule, found.place) for found in rendered.errors] == [
        ("control-characters", "intro")
    ]


def test_the_packaged_templates_are_where_the_program_looks() -> None:
    assert (packaged_templates() / "email" / "weekly" / "body.mjml").is_file()


def test_indentation_is_not_sent() -> None:
    assert squeeze("<a>\n    <b>  x</b>\n\n</a>") == "<a>\n<b>  x</b>\n</a>"
