"""An editor's file with words to order, and what a reader gets of it, parsed."""

from __future__ import annotations

import email
import json
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from pathlib import Path

import issue_views as views
from content_files import REVIEWERS
from lxml import html as lxml_html

from newsletter.editorial.content import Comparison, Reviewer, load_comparison
from newsletter.editorial.views import comparison_view
from newsletter.rendering.message import compile_message
from newsletter.rendering.render import Renderer
from newsletter.rendering.rendered import RenderedIssue
from newsletter.rendering.slots import neutral, neutral_text
from newsletter.rendering.view import IssueView
from newsletter.slugs import slug_of

SLOTS = {"name": "", "delivery": "AQdelivery", "unsubscribe": "AQleave", "preferences": "AQprefs"}
SLOTS["vote"] = "AQvote"
FIELDS = ("title", "deck", "verdict", "name", "category", "tagline", "description")
FIELDS += ("entry_price", "price_note", "quote", "excerpt")
RENDERER = Renderer()


def quoted(text: str) -> str:
    """A YAML scalar; escapes where YAML has them, for it joins no halves of a character."""
    return json.dumps(text, ensure_ascii=not any(ord(letter) > 0xFFFF for letter in text))


def file_text(**words: str) -> str:
    """A finished comparison in which each word given stands; JSON strings are YAML, escapes too."""
    said = {field: quoted(words.get(field, "")) for field in FIELDS}
    left = words.get("name") or "Left"
    title = words.get("title") or f"{left} vs Right"
    quote, excerpt = words.get("quote") or "Yes.", words.get("excerpt") or "Yes."
    tool = (
        "    category: {category}\n    tagline: {tagline}\n    description: {description}\n"
        "    entry_price: {entry_price}\n    price_note: {price_note}\n    community: none\n"
    )
    for field in ("category", "tagline", "description", "entry_price"):
        said[field] = quoted(words.get(field) or "Some")
    takes = "".join(
        f"\n## {reviewer.role}\n\n### {name}: {verdict}\n\n> {quote}\n\n{excerpt}\n"
        for reviewer in REVIEWERS
        for name, verdict in ((left, "ship"), ("Right", "skip"))
    )
    return (
        f"---\ntitle: {quoted(title)}\ndeck: {quoted(words.get('deck') or 'Two.')}\n"
        f"verdict: {quoted(words.get('verdict') or 'Left.')}\nstatus: finished\n"
        "prices_as_of: 2026-11-20\npanel: [100, 0]\ntools:\n"
        f"  - name: {quoted(left)}\n{tool.format(**said)}"
        f"  - name: Right\n{tool.format(**said)}---\n{takes}"
    )


def load(
    folder: Path, text: str, title: str, reviewers: tuple[Reviewer, ...] = REVIEWERS
) -> Comparison:
    path = folder / f"{slug_of(title)}.md"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return load_comparison(path, reviewers)


def issue_of(*comparisons: Comparison) -> IssueView:
    url = views.PUBLICATION.url
    return views.issue_view(tuple(comparison_view(c, public_url=url) for c in comparisons))


def seen(rendered: RenderedIssue) -> tuple[str, str, str]:
    """What a reader gets: subject, text of the HTML and text part of the message, parsed."""
    compiled = compile_message(
        rendered,
        views.PUBLICATION,
        date=datetime(2026, 11, 24, 9, tzinfo=UTC),
        kind="weekly",
        week="2026-W48",
        issue_id=7,
    )
    raw = compiled.splice(
        address="ann@example.com",
        name="",
        message_id="7.a@verdicts.example.com",
        slots=SLOTS,
        unsubscribe_url="https://verdicts.example.com/unsubscribe/AQleave",
    )
    strict = policy.default.clone(raise_on_defect=True)
    message = email.message_from_bytes(raw, policy=strict)
    assert isinstance(message, EmailMessage)
    assert not message["Bcc"]
    text, html = (part.get_content().replace("\r\n", "\n") for part in message.iter_parts())
    assert html.rstrip("\n") == neutral(rendered.html, SLOTS).rstrip("\n")
    assert text == neutral_text(rendered.text, SLOTS)
    return message["Subject"], lxml_html.fromstring(html).text_content(), text


def bare(text: str) -> str:
    """Without white space: the text part breaks its lines where it must."""
    return "".join(text.split())


def is_harmless(rendered: RenderedIssue) -> bool:
    """No element, attribute or link that a template did not write."""
    page = lxml_html.fromstring(rendered.html)
    foreign = page.xpath("//script|//iframe|//form|//a[not(@href)]|//*[@onclick]")
    foreign += [
        one for one in page.xpath("//comment()") if not one.text.startswith(("[if ", "<![endif]"))
    ]
    known = (views.PUBLICATION.url, "mailto:editors@")
    return not foreign and all(link.startswith(known) for link in page.xpath("//@href"))
