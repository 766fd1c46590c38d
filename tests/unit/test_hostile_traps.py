"""Traps of MJML, premailer and headers that the other tests of rendering leave open."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy

import issue_views as views
import pytest
from lxml import html as lxml_html

from newsletter.errors import RefusedError
from newsletter.rendering.inline import inline_css
from newsletter.rendering.message import compile_message
from newsletter.rendering.mjml import to_html
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import encode_chunk

SOURCE = """\
<mjml>
<mj-head>
<mj-style>.a { color:#000000 }
</mj-style>
</mj-head>
<mj-body
 width="600px">
<mj-section><mj-column><mj-text>one
two</mj-text></mj-column></mj-section>
</mj-body>
</mjml>
"""
PAGE = "<!DOCTYPE html><html><head>{}</head><body><p>x</p></body></html>"


def test_windows_line_ends_make_no_other_mail() -> None:
    """At the end of a source they are a parse error, within it they would reach the mail."""
    assert to_html(SOURCE.replace("\n", "\r\n"), name="t") == to_html(SOURCE, name="t")


def test_an_important_rule_is_important_where_it_is_inlined() -> None:
    out = inline_css(PAGE.format(""), "p { margin: 0 !important }", name="t")
    assert "margin:0 !important" in out


def test_a_linked_style_sheet_is_not_fetched() -> None:
    """Nobody listens there: a look at it would be an error."""
    link = '<link rel="stylesheet" href="http://127.0.0.1:1/x.css">'
    assert link in inline_css(PAGE.format(link), "p { margin: 0 }", name="t")


def test_no_font_is_named_that_would_be_fetched() -> None:
    """mrml knows a few web fonts by name, and links to them wherever one is used."""
    source = SOURCE.replace("<mj-text>", '<mj-text font-family="Roboto, Arial">')
    assert "googleapis" not in to_html(source, name="t")


@pytest.mark.parametrize(
    "text", ['a "b" c', "a\\b", "a\tb", "e\N{COMBINING ACUTE ACCENT}", "a\u00a0b"]
)
def test_a_subject_in_the_title_is_never_an_escape(text: str) -> None:
    """MJML repeats the title in an attribute, where it would print it in Rust's debug form."""
    html = Renderer().issue(views.issue_view((views.SEED,), subject=text)).html
    label = lxml_html.fromstring(html).xpath("string(//@aria-label)")
    assert label == text


def test_what_comes_out_other_than_meant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last net: whatever the parts did, the whole is parsed again and compared."""
    rendered = Renderer().issue(views.issue_view((views.SEED,)))
    monkeypatch.setattr(
        "newsletter.rendering.headers.subject_line",
        lambda _subject: b"Subject: a\r\nBcc: b@c.d\r\n",
    )
    with pytest.raises(RefusedError, match="the headers came out as"):
        _compiled(rendered)


@pytest.mark.parametrize(
    ("setting", "entry"),
    [
        ("leave@example.com", "mailto:leave@example.com?subject=unsubscribe"),
        ("Leave <leave@example.com>", "mailto:leave@example.com?subject=unsubscribe"),
        ("a&b=c@example.com", "mailto:a%26b%3Dc@example.com?subject=unsubscribe"),
    ],
)
def test_a_way_out_by_mail_is_one_address_and_nothing_else(setting: str, entry: str) -> None:
    rendered = Renderer().issue(views.issue_view((views.SEED,)))
    raw = _compiled(rendered, unsubscribe_mailto=setting)
    ways = email.message_from_bytes(raw, policy=policy.default)["List-Unsubscribe"]
    token = ways.partition(">")[0].rpartition("/")[2]
    assert ways.endswith(f", <{entry}%20{token}>")


def _compiled(rendered: RenderedIssue, **publication: str) -> bytes:
    compiled = compile_message(
        rendered,
        replace(views.PUBLICATION, **publication),  # type: ignore[arg-type]  # texts all of them
        date=datetime(2026, 11, 24, 9, tzinfo=UTC),
        kind="weekly",
        week="2026-W48",
        issue_id=7,
    )
    slots = dict.fromkeys(("name", "delivery", "unsubscribe", "preferences", "vote"), "x")
    return compiled.splice(
        address="a@example.com",
        name="",
        message_id="a@example.com",
        slots=slots,
        unsubscribe_url="https://example.com/x",
    )


def test_the_inliner_says_nothing_about_css_it_does_not_know(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    inline_css(PAGE.format(""), "p { mso-line-height-rule: exactly; colour: #zzz; }", name="t")
    out, err = capfd.readouterr()
    assert (out, err, caplog.records) == ("", "", [])


def test_no_line_of_quoted_printable_ends_in_a_blank() -> None:
    """RFC 2045, 6.7: a relay may drop it. That holds where the reader's value begins, too."""
    for text in ("a \nb\t\n c", "x" * 74 + " \n", "ends \t"):
        lines = encode_chunk(text, last=True).split(b"\r\n")
        assert not [line for line in lines if line.endswith((b" ", b"\t"))]


def test_the_preheader_is_hidden_but_not_white_on_white() -> None:
    page = lxml_html.fromstring(Renderer().issue(views.issue_view((views.SEED,))).html)
    (style,) = page.xpath("//div[contains(@style, 'max-height:0')]/@style")
    assert "display:none" in style
    colour = re.search(r"(?<![a-z-])color:#([0-9a-f]{6})", style)
    assert colour
    assert int(colour[1][:2], 16) < 0x80  # dark: white text costs points in SpamAssassin


def test_no_cell_has_a_width_of_nothing() -> None:
    """Mail programs draw a cell of 0 % as something: who got no vote gets no cell."""
    takes = views.takes("----", "a.", "b.", "c.", "d.")
    nobody = replace(views.SEED.tools[0], takes=takes)
    comparison = replace(views.SEED, tools=(nobody, views.SEED.tools[1]))
    html = Renderer().issue(views.issue_view((comparison,))).html
    assert not re.search(r"""width=["']0%?["']""", html)


def test_figures_are_not_broken_and_their_marks_are_not_read_out() -> None:
    page = lxml_html.fromstring(Renderer().issue(views.issue_view()).html)
    figures = [td for td in page.xpath("//td[@align='right']") if td.text_content().endswith("%")]
    assert len(figures) >= 10
    assert all("white-space:nowrap" in td.get("style") for td in figures)
    marks = page.xpath("//table[contains(concat(' ', @class, ' '), ' mk ')]")
    assert len(marks) >= 10
    assert all(table.get("aria-hidden") == "true" for table in marks)
