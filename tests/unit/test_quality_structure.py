"""Accessibility by computation: language, tables, links, contrast in every palette, tap size."""

from __future__ import annotations

from dataclasses import replace

import issue_views as views
import pytest
from quality_cases import GOOD, RENDERER, VIEW, Case, html, style, swapped

from newsletter.rendering.quality import check
from newsletter.rendering.quality.colours import colour, contrast
from newsletter.rendering.rendered import Finding


def found(rule: str, case: Case) -> list[Finding]:
    return [one for one in check(*case) if one.rule == rule]


def test_a_finding_names_tag_class_words_and_the_line_in_the_mjml() -> None:
    (one,) = found("contrast", swapped("<h2 ", '<h2 class="loud" bgcolor="#1b1b18" '))[:1]
    line = one.place.removeprefix("MJML line ").split(",")[0]
    assert "Ship Mistral" in GOOD.mjml.splitlines()[int(line) - 1] or "verdicts" in one.place
    assert '<h2 class="loud">' in one.place
    assert "HTML line " in one.place


def test_a_mail_in_hebrew_must_run_from_the_right() -> None:
    hebrew = replace(views.PUBLICATION, language="he")
    view = views.issue_view((views.SEED,), publication=hebrew)
    mail = RENDERER.issue(view)
    assert mail.findings == ()
    turned = replace(mail, html=mail.html.replace('dir="rtl"', 'dir="ltr"', 1))
    assert "dir is 'ltr', not 'rtl'" in [
        one.what for one in found("language-missing", (turned, view))
    ]


def test_a_layout_table_inside_a_cell_of_data_is_its_own() -> None:
    inner = '<table role="presentation"><tr><td>bar</td></tr></table>'
    data = f'<table><tr><th scope="row">Panel</th><td>{inner}</td></tr></table>'
    assert found("table-role", html(data)) == []


def test_a_hidden_table_is_nobodys_business() -> None:
    assert found("table-role", html('<div style="display:none"><table></table></div>')) == []


def test_a_picture_with_alt_text_names_its_link() -> None:
    assert found("link-nameless", html('<a href="#x"><img src="a.png" alt="Home"></a>')) == []
    assert found("link-nameless", html('<a href="#x" aria-label="Home"></a>')) == []
    assert found("link-vague", html('<a href="#x" aria-label="Read more of it">more</a>')) == []


@pytest.mark.parametrize(
    "block",
    [
        '<p>In a sentence <a href="#x">a link</a> is as high as its line.</p>',
        '<p><a style="display:block;line-height:20px;padding:12px 0" href="#x">Off</a></p>',
        '<p><a style="display:inline-block;line-height:44px" href="#x">Off</a></p>',
        '<p style="line-height:32px"><a href="#x" style="display:block;padding:6px">Off</a></p>',
    ],
)
def test_a_link_high_enough_or_in_a_sentence_is_left_alone(block: str) -> None:
    assert found("tap-size", html(block)) == []


def test_two_small_links_side_by_side_both_stand_alone() -> None:
    both = '<p style="line-height:20px"><a href="#x">One</a> &#183; <a href="#y">Two</a></p>'
    assert [one.what for one in found("tap-size", html(both))] == [
        "20 pixels high, under 44",
        "20 pixels high, under 44",
    ]


def test_contrast_is_computed_as_the_guidelines_say() -> None:
    black, white, grey = (0, 0, 0), (255, 255, 255), (118, 118, 118)
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(grey, white) == pytest.approx(4.54, abs=0.01)
    assert contrast(white, grey) == contrast(grey, white)


@pytest.mark.parametrize(
    ("value", "rgb"),
    [
        ("#0a6b4c", (10, 107, 76)),
        ("#FFF", (255, 255, 255)),
        ("#ffffff00", None),
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("rgba(1,2,3,0)", None),
        ("Black", (0, 0, 0)),
        ("transparent", None),
        ("url(a.png) #123456 no-repeat", (18, 52, 86)),
        ("#12", None),
        ("whitesmoke-ish", None),
    ],
)
def test_a_colour_is_read_as_mail_programs_do(value: str, rgb: tuple[int, int, int] | None) -> None:
    assert colour(value) == rgb


def test_every_palette_is_judged_by_its_own_rules() -> None:
    dark = style("@media (prefers-color-scheme:dark) { h1 { color:#222222 !important } }")
    assert ["in the dark palette" in one.what for one in found("contrast", dark)] == [True]
    outlook = style("[data-ogsc] .z, [data-ogsc] .z div { color:#333333 !important }")
    assert {"Outlook" in one.what for one in found("contrast", outlook)} == {True}
    light = html('<p style="color:#8a8a8a">pale</p>')
    assert "in the light palette, #8a8a8a on #f4f1e9" in found("contrast", light)[0].what


def test_a_dark_rule_without_important_does_not_move_an_inline_style() -> None:
    weak = "@media (prefers-color-scheme:dark) { .x { color:#222222 } }"
    inline = html('<p class="x" style="color:#eeede6;background-color:#171c1a">Light</p>')[0]
    both = replace(inline, html=inline.html.replace("</head>", f"<style>{weak}</style></head>"))
    assert found("contrast", (both, VIEW)) == []


def test_the_stronger_selector_and_the_later_rule_win() -> None:
    scheme = "@media (prefers-color-scheme:dark) {{ {} }}"
    strong = "h1.x { color:#eeede6 !important } h1 { color:#222222 !important }"
    heading = '<h2 class="x">Title</h2>'.replace("h2", "h1")
    mail = html(heading)[0].html.replace(
        "</head>", f"<style>{scheme.format(strong)}</style></head>"
    )
    words = [one.place for one in found("contrast", (replace(GOOD, html=mail), VIEW))]
    assert not any("“Title”" in place for place in words)


def test_a_link_without_a_colour_is_as_blue_as_the_program_paints_it() -> None:
    on_black = (
        '<div style="background-color:#171c1a;color:#ffffff"><p>See <a href="#x">it</a></p></div>'
    )
    assert "#0000ee on #171c1a" in found("contrast", html(on_black))[0].what


def test_text_that_is_not_shown_needs_no_contrast() -> None:
    assert found("contrast", html('<p style="display:none;color:#f4f1e9">ghost</p>')) == []
