"""The mail for untracked readers, made of the approved bytes: no pixel, no canary, plain links."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import RefusedError
from newsletter.rendering.quality.size import CLIP_BYTES
from newsletter.rendering.rendered import Link, RenderedIssue, Severity
from newsletter.rendering.slots import (
    HTML_PLACEHOLDERS,
    TEXT_PLACEHOLDERS,
    Slot,
    neutral,
    neutral_text,
)
from newsletter.rendering.untracked import RULE, examined, untracked

BASE = "https://news.example.com/mail"
H, T = HTML_PLACEHOLDERS[Slot.DELIVERY], TEXT_PLACEHOLDERS[Slot.DELIVERY]
OUT = f"{BASE}/unsubscribe/{HTML_PLACEHOLDERS[Slot.UNSUBSCRIBE]}"
VOTE = f"{BASE}/vote/{HTML_PLACEHOLDERS[Slot.VOTE]}/left-vs-right/left/ship"
PIXEL = f'<img src="{BASE}/o/{H}.gif" width="1" height="1" alt="" style="display:block">'

# What a URL may be written of; each of these means something in HTML, or looks like a slot.
URLS = st.text(alphabet="abz&=?%'\"#;/.~<>{}é" + H, max_size=40).map(
    lambda tail: f"https://example.org/{tail.replace(' ', '')}"
) | st.sampled_from([f"https://example.org/?a=1&amp=2&q={H}", f"https://example.org/{T}"])


class Hrefs(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


def rendered(*links: Link, html: str = "", text: str = "") -> RenderedIssue:
    """A mail with a pixel, a way out, a vote, and a link of each kind in both parts."""
    anchors = "\n".join(f'<a class="l" href="{BASE}/c/{H}/{one.n}">one</a>' for one in links)
    lines = "\n".join(f"{BASE}/c/{T}/{one.n}" for one in links)
    return RenderedIssue(
        subject="Ship or skip",
        preheader="",
        html=f'<body>{anchors}<a href="{VOTE}">vote</a><a href="{OUT}">leave</a>{PIXEL}{html}',
        text=f"Read:\n\n{lines}\n\nLeave: {BASE}/unsubscribe/x{text}\n",
        mjml="<mjml></mjml>",
        links=links,
    )


@given(st.lists(URLS, min_size=1, max_size=12))
def test_links_lead_straight_where_the_tracked_ones_led(urls: list[str]) -> None:
    """Through the slots as well: what looks like one in an address is the address's own."""
    links = [Link(n, url, f"label {n}") for n, url in enumerate(urls, 1)]
    bare = untracked(rendered(*links))
    inert = [url.replace(H, "%7A" + H[1:]).replace(T, "%7A" + T[1:]) for url in urls]
    reader = {Slot.UNSUBSCRIBE: "leaving", Slot.VOTE: "voting"}
    shown = Hrefs(neutral(bare.html, reader)).found
    assert shown[: len(urls)] == inert
    assert shown[len(urls) :] == [
        f"{BASE}/vote/voting/left-vs-right/left/ship",
        f"{BASE}/unsubscribe/leaving",
    ]
    assert neutral_text(bare.text, reader).split("\n")[2 : 2 + len(urls)] == inert


def test_nothing_of_it_says_who_looked_or_numbers_a_link() -> None:
    bare = untracked(rendered(Link(1, "https://example.org/a", "a")))
    for part in (bare.html, bare.text):
        assert "/o/" not in part
        assert "/c/" not in part
        assert not {H, T} & set(part.split("/"))
    assert "<img" not in bare.html
    assert bare.links == ()


def test_the_canary_goes_whole_and_takes_nobody_with_it() -> None:
    canary, other = Link(2, "https://example.org/2", "canary"), Link(22, "https://a.example/", "b")
    first = Link(1, "https://example.org/1", "a canary in a mine")
    bare = untracked(rendered(first, canary, other))
    assert Hrefs(bare.html).found[:2] == [first.url, other.url]
    assert canary.url not in bare.html + bare.text
    assert bare.html.count("<a ") == bare.html.count("</a>") == 4


def test_the_same_bytes_give_the_same_bytes() -> None:
    mail = rendered(Link(1, "https://example.org/a", "a"))
    assert untracked(mail).sha256 == untracked(mail).sha256 != mail.sha256


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (f"<div style='background:url({BASE}/o/{H}.gif)'>", ""),
        (f'<a href="{BASE}/c/{H}/99">a link nobody knows</a>', ""),
        (f"<p>{H}</p>", ""),
        ("", f"{BASE}/o/{T}.gif"),
    ],
)
def test_a_token_where_nobody_expects_it_blocks_the_approval(html: str, text: str) -> None:
    odd = rendered(Link(1, "https://example.org/a", "a"), html=html, text=text)
    with pytest.raises(RefusedError, match="HTML" if html else "text"):
        untracked(odd)
    assert [(one.rule, one.severity) for one in examined(odd).findings] == [(RULE, Severity.ERROR)]


def test_plain_addresses_that_make_the_mail_too_long_block_the_approval() -> None:
    mail = rendered(Link(1, "https://example.org/" + "a" * CLIP_BYTES, "a"))
    (found,) = examined(mail).findings
    assert "clipped" in found.what
    short = rendered(Link(1, "https://example.org/a", "a"))
    assert examined(short) == short
