"""premailer's work against css-inline's: two inliners that share no code, one result."""

from __future__ import annotations

import re
from collections.abc import Callable

import checked_mails
import css_inline
import pytest
from declarations import declared, differences

from newsletter.rendering import render
from newsletter.rendering.inline import inline_css

Inliner = Callable[[str, str], str]

PAGE = """<!doctype html><html lang="en"><head><title>A mail</title>
<style>@media (prefers-color-scheme:dark){.card{color:#eeede6 !important}}</style></head>
<body><p class="card loud" style="padding:4px;font-size:16px">One</p>
<table><tr><td class="card">Two</td></tr></table></body></html>"""
CSS = """.card { color: #5c5b53; padding: 0 8px; font-family: 'Segoe UI', Arial, sans-serif; }
p.loud { color: #0a6b4c !important; margin: 0; }
td { border-top: 1px solid #d9d3c5; }"""


def _ours(html: str, css: str) -> str:
    return inline_css(html, css, name="a test's page")


def _theirs(html: str, css: str) -> str:
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        load_remote_stylesheets=False,
        extra_css=css,
    )
    return inliner.inline(html)


def _inlined(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, str]:
    """The HTML that the product's inliner was given for a mail, the CSS, and what came out."""
    kept: list[tuple[str, str, str]] = []

    def keep(html: str, css: str, *, name: str) -> str:
        kept.append((html, css, inline_css(html, css, name=name)))
        return kept[-1][2]

    monkeypatch.setattr(render, "inline_css", keep)
    checked_mails.rendered_now(name)
    (one,) = kept
    return one


@pytest.mark.parametrize("name", checked_mails.NAMES)
def test_both_inliners_make_the_same_of_every_mail(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    html, css, ours = _inlined(name, monkeypatch)
    assert ours.count(' style="') > 20
    assert differences(ours, _theirs(html, css)) == []
    assert _head_styles(ours) == _head_styles(_theirs(html, css)) == _head_styles(html) != []


def test_both_agree_on_a_page_with_the_hard_cases() -> None:
    assert differences(_ours(PAGE, CSS), _theirs(PAGE, CSS)) == []


@pytest.mark.parametrize(
    "broken",
    [
        lambda html, css: _ours(html, css.replace(" !important", "")),
        lambda html, css: _important_lost(_ours(html, css)),
        lambda html, css: _ours(html, css.replace("0 8px", "8px 0")),
        lambda html, css: _ours(html, css).replace("font-family", "font-familie", 1),
        lambda html, css: _ours(html, css).replace("<td", "<th", 1),
        lambda html, css: _ours(html, css).replace("One", "<b>One</b>"),
        lambda _html, _css: PAGE,
    ],
    ids=[
        "unimportant CSS",
        "important lost",
        "sides",
        "property",
        "tag",
        "element more",
        "nothing",
    ],
)
def test_an_inliner_that_errs_is_noticed(broken: Inliner) -> None:
    assert differences(broken(PAGE, CSS), _theirs(PAGE, CSS)) != []


def test_order_spacing_quotes_and_shorthands_make_no_difference() -> None:
    assert declared("padding: 0px 8PX;color:#FFF") == declared("color:#fff; padding:0 8px 0 8px;")
    assert declared('font-family:"A;B" , c') == declared("font-family:'A;B',c")
    assert declared("margin:0;margin-top:4px") != declared("margin-top:4px;margin:0")
    assert declared("color:#fff") != declared("color:#fffffe")
    assert declared("color:#000!important;color:#fff") == declared("color:#000 !important")


def _important_lost(html: str) -> str:
    """In the elements alone: what premailer does unless it is told not to."""
    return re.sub(r' style="[^"]*"', lambda match: match[0].replace("!important", ""), html)


def _head_styles(html: str) -> list[str]:
    return re.findall(r"<style[^>]*>(.*?)</style>", html, re.DOTALL)
