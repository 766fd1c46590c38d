"""Mails that break one rule of the gate each: the seed's issue, spoiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import issue_views as views

from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import Link, RenderedIssue
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.view import IssueView, ToolView, VoteView

VIEW = views.issue_view((views.SEED,))
RENDERER = Renderer()
GOOD = RENDERER.issue(VIEW)
TOKEN = HTML_PLACEHOLDERS[Slot.DELIVERY]
WAY_OUT = f"{VIEW.publication.url}/unsubscribe/"
LEFT, RIGHT = views.SEED.tools

# What is checked, and the view it is checked against.
Case = tuple[RenderedIssue, IssueView]


def html(extra: str, view: IssueView = VIEW) -> Case:
    return replace(GOOD, html=GOOD.html.replace("</body>", f"{extra}</body>")), view


def style(css: str) -> Case:
    return replace(GOOD, html=GOOD.html.replace("</head>", f"<style>{css}</style></head>")), VIEW


def swapped(old: str, new: str) -> Case:
    assert old in GOOD.html
    return replace(GOOD, html=GOOD.html.replace(old, new)), VIEW


def text(change: Callable[[str], str]) -> Case:
    changed = change(GOOD.text)
    assert changed != GOOD.text
    return replace(GOOD, text=changed), VIEW


def subject(line: str) -> Case:
    return replace(GOOD, subject=line), VIEW


def preheader(line: str) -> Case:
    return replace(GOOD, preheader=line), VIEW


def linked(url: str) -> Case:
    return replace(GOOD, links=(*GOOD.links, Link(2, url, "x"))), VIEW


def content(**changes: object) -> Case:
    """The seed's comparison changed behind the render's back."""
    return GOOD, views.issue_view((replace(views.SEED, **changes),))  # type: ignore[arg-type]


def left(**changes: object) -> Case:
    tool = replace(LEFT, **changes)  # type: ignore[arg-type]
    return content(tools=(tool, RIGHT))


def excerpt(said: str) -> Case:
    return left(takes=(replace(LEFT.takes[0], excerpt=said), *LEFT.takes[1:]))


def rendered(view: IssueView) -> Case:
    return RENDERER.issue(view), view


def tools(one: str, other: str) -> tuple[ToolView, ToolView]:
    """Two tools with such panels, `+--+`."""
    said = ("One.", "Two.", "Three.", "Four.")
    return (
        views.tool("Alpha Bravo", "Free", views.takes(one, *said)),
        views.tool("Charlie", "Free", views.takes(other, *said)),
    )


def ruled(verdict: str, one: str = "++++", other: str = "+---") -> Case:
    pair = views.comparison("a-vs-c", verdict, tools(one, other))
    return rendered(views.issue_view((pair,)))


BROKEN: dict[str, list[Case]] = {
    "size-clipped": [html("x" * 60_000 + "é" * 20_000), html("=" * 30_000)],
    "size-near-clip": [html("x" * (90_500 - GOOD.html_bytes))],
    "size-styles": [html(f"<style>.a{{color:#{'0' * 17_000}}}</style>")],
    "style-nested": [style("@media screen { @media (max-width:9px) { p { margin:0 } } }")],
    "link-unregistered": [
        *(
            html(f'<a href="{href}">there</a>')
            for href in (
                "https://elsewhere.example/",
                "javascript:alert(1)",
                "",
                "mailto:",
                "mailto:x@example.com?bcc=y@example.com",
                "//elsewhere.example/",
                "/comparisons",
                f"{VIEW.publication.url}/c/{TOKEN}/99",
            )
        ),
        text(lambda part: f"{part}\nhttps://elsewhere.example/\n"),
    ],
    "link-target": [
        linked(url)
        for url in ("/comparisons/x", "javascript:alert(1)", "mailto:a@example.com", "https://", "")
    ],
    "link-unsubscribe": [
        html(f'<a href="{WAY_OUT}{HTML_PLACEHOLDERS[Slot.UNSUBSCRIBE]}">out</a>'),
        text(lambda part: part.replace("/unsubscribe/", "/nothing/")),
        swapped("/unsubscribe/", "/nothing/"),
    ],
    "link-anchor": [html('<a href="#top">up</a>'), html('<a href="#">up</a>')],
    "link-insecure": [
        linked("http://example.com/"),
        html('<a href="http://example.com">x</a>'),
        html('<img src="http://example.com/a.png" alt="">'),
    ],
    "link-shortener": [linked("https://bit.ly/3abc"), linked("https://www.tinyurl.com/a")],
    "link-credentials": [linked("https://user:secret@example.com/"), linked("https://a@b.example")],
    "link-lookalike": [linked("https://xn--pple-43d.com/"), linked("https://аpple.com/")],
    "image-alt": [html('<img src="https://verdicts.example.com/a.png">')],
    "left-over-template": [
        html("<p>{{ name }}</p>"),
        subject("Hello {{ name }}"),
        preheader("{% if %}"),
        text(lambda part: f"{part}{{{{ name }}}}"),
    ],
    "slot-unfilled": [
        html(TEXT_PLACEHOLDERS[Slot.NAME]),
        text(lambda part: part + HTML_PLACEHOLDERS[Slot.NAME]),
        subject(f"Hello{TEXT_PLACEHOLDERS[Slot.NAME]}"),
    ],
    "mjml-escape": [
        html('<p title="a\\nb">x</p>'),
        html('<p title="\\u{a0}">x</p>'),
        html("<mj-text>x</mj-text>"),
    ],
    "language-missing": [swapped('<html lang="en"', "<html"), swapped('dir="ltr" xmlns', "xmlns")],
    "headings": [
        html("<h1>Another</h1>"),
        swapped("<h1", "<h4"),
        html("<h2></h2>"),
        html("<h2>Two</h2><h4>Four</h4>"),
    ],
    "table-role": [
        html("<table><tr><td>laid out</td></tr></table>"),
        html('<table role="presentation"><tr><th scope="row">a</th></tr></table>'),
        html("<table><tr><th>a</th><td>b</td></tr></table>"),
    ],
    "link-nameless": [
        html('<a href="https://elsewhere.example/"></a>'),
        html('<a href="https://elsewhere.example/"><img src="a.png" alt=""></a>'),
    ],
    "link-vague": [html(f'<a href="#x">{words}</a>') for words in ("Click here", "here!", "More…")],
    "contrast": [
        html('<p style="color:#999999">grey on paper</p>'),
        html('<td bgcolor="#000"><p style="color:#1b1b18">ink on black</p></td>'),
        html('<p style="color:#ffffff;background:#fefefe">white on white</p>'),
        swapped("color:#eeede6 !important", "color:#202020 !important"),
        style("@media (prefers-color-scheme:dark) { h1 { color:#222222 !important } }"),
        style("[data-ogsc] .z, [data-ogsc] .z div { color:#333333 !important }"),
    ],
    "tap-size": [
        html('<div><a style="line-height:20px" href="#x">Away</a></div>'),
        html('<p><a style="display:block;line-height:20px;padding:11px 0" href="#x">Off</a></p>'),
    ],
    "subject-missing": [subject(" ")],
    "subject-long": [subject("x" * 51)],
    "subject-reply": [
        subject(line) for line in ("Re: the verdicts", "FWD: x", "AW: x", "re[2]: x")
    ],
    "subject-shouting": [subject("SHIP MISTRAL NOW"), preheader("ONLY ONE CAN WIN")],
    "subject-loud": [subject("Ship it!!"), subject("Ship! Now!"), preheader("Save $$$ today")],
    "preheader-length": [preheader(""), preheader("x" * 91)],
    "preheader-repeats": [preheader(GOOD.subject), preheader(f"{GOOD.subject.upper()}.")],
    "header-encoded-word": [subject("=?utf-8?q?x?=")],
    "control-characters": [
        rendered(views.issue_view((views.SEED,), intro="a\x1bb")),
        rendered(views.issue_view((views.SEED,), preheader="a\u202eb")),
    ],
    "placeholder-in-content": [rendered(views.issue_view((views.SEED,), intro=f"see {TOKEN}"))],
    "words-unfinished": [
        subject("TODO: a subject"),
        html("<p>Lorem ipsum dolor</p>"),
        text(lambda part: f"{part}\nprice TBD\n"),
        rendered(views.issue_view((views.SEED,), intro="Ask XXX about this.")),
    ],
    "excerpt-unedited": [
        excerpt("A downloadable weight file you can"),
        excerpt("A downloadable weight file you can run locally."),
        excerpt("A downloadable weight file you can run…"),
        excerpt(""),
    ],
    "tool-name-spelling": [
        subject("Ship Mistral 8b instruct v3"),
        preheader("Mistral-8B Instruct v3 wins."),
        rendered(views.issue_view((views.SEED,), intro="Mistral 8B Instuct v3's licence.")),
        content(verdict="Claude Haiku open weights cannot go to production."),
    ],
    "comparison-unfinished": [
        content(verdict=" "),
        left(entry_price=""),
        left(name="mistral 8b instruct V3"),
    ],
    "comparison-twice": [(GOOD, views.issue_view((views.SEED, views.SEED)))],
    "panel-incomplete": [
        left(takes=()),
        left(takes=LEFT.takes[:3]),
        left(takes=(*LEFT.takes[:3], LEFT.takes[0])),
        left(takes=LEFT.takes[::-1]),
    ],
    "panel-figure": [swapped("50%", "51%"), left(takes=RIGHT.takes[:1] + LEFT.takes[1:3])],
    "price-future": [content(prices_as_of=date(2026, 11, 25))],
    "price-old": [content(prices_as_of=date(2026, 9, 24))],
    "votes-impossible": [left(community=VoteView(3, -1)), left(community=VoteView(0, 0))],
    "winner-unfounded": [
        subject("Ship Claude Haiku Open Weights"),
        preheader("Claude Haiku Open Weights beats Mistral 8B Instruct v3."),
        subject("Skip Mistral 8B Instruct v3"),
        html("<h2>Ship Claude Haiku Open Weights over Mistral 8B Instruct v3</h2>"),
        ruled("Charlie wins."),
        ruled("Alpha Bravo ahead of Charlie.", "+---", "++++"),
        ruled("Alpha Bravo level with Charlie."),
        ruled("Ship Charlie.", "----", "+---"),
    ],
    "parts-names": [
        text(lambda part: part.replace("Claude Haiku", "Claude")),
        swapped("Claude Haiku Open Weights", "Claude"),
    ],
    "parts-prices": [left(entry_price="$3/mo"), text(lambda part: part.replace("Free", "None"))],
    "parts-figures": [text(lambda part: part.replace("100%", "99%")), html("<p>7% more</p>")],
    "parts-links": [
        text(lambda part: part.replace("/c/", "/d/")),
        html('<a href="https://verdicts.example.com/issues">all issues</a>'),
        text(lambda part: f"{part}\nhttps://verdicts.example.com/issues\n"),
    ],
    "client-support-poor": [html('<div style="filter:blur(2px)">x</div>')],
    "client-support": [html('<div style="border-radius:3px">x</div>')],
}
