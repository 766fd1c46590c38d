"""Links: absolute, registered, alive, and exactly one way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.view import IssueView

_URL_IN_TEXT = re.compile(r"https?://\S+")


def _ours(exhibit: Exhibit) -> frozenset[str]:
    """Addresses that may stand in a mail without being tracked."""
    publication = exhibit.view.publication
    addresses = (publication.reply_to, publication.unsubscribe_mailto)
    fixed = {f"mailto:{address}" for address in addresses if address}
    if isinstance(exhibit.view, IssueView):
        fixed.add(exhibit.view.archive_url)
    else:
        fixed.update(fact for fact in exhibit.view.facts.values() if _is_web(fact))
        fixed.add(f"{publication.url}/confirm/{HTML_PLACEHOLDERS[Slot.CONFIRM]}")
        fixed.add(publication.url)
    for placeholders in (HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS):
        fixed.add(_unsubscribe(exhibit, placeholders[Slot.UNSUBSCRIBE]))
        fixed.update(
            f"{publication.url}/c/{placeholders[Slot.DELIVERY]}/{link.n}"
            for link in exhibit.rendered.links
        )
    return frozenset(fixed)


def _unsubscribe(exhibit: Exhibit, placeholder: str) -> str:
    return f"{exhibit.view.publication.url}/unsubscribe/{placeholder}"


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _stray(exhibit: Exhibit) -> Iterator[Fault]:
    ours = _ours(exhibit)
    for href in exhibit.anatomy.hrefs:
        if href not in ours:
            yield Fault(f"a link leads to {href or 'nowhere'!r} past the link table", "HTML")
    if exhibit.is_issue:
        for url in _URL_IN_TEXT.findall(exhibit.rendered.text):
            if url not in ours and url.rstrip(".,;:)!?") != exhibit.view.publication.url:
                yield Fault(f"an address {url!r} stands outside the link table", "text part")


def _targets(exhibit: Exhibit) -> Iterator[Fault]:
    for link in exhibit.rendered.links:
        if not _is_web(link.url):
            yield Fault(
                f"{link.url!r} is not an absolute web address", f"link {link.n}, {link.label}"
            )


def _ways_out(exhibit: Exhibit) -> Iterator[Fault]:
    for place, found in (
        (
            "HTML",
            exhibit.anatomy.hrefs.count(_unsubscribe(exhibit, HTML_PLACEHOLDERS[Slot.UNSUBSCRIBE])),
        ),
        (
            "text part",
            exhibit.rendered.text.count(_unsubscribe(exhibit, TEXT_PLACEHOLDERS[Slot.UNSUBSCRIBE])),
        ),
    ):
        if found != 1:
            yield Fault(f"{found} unsubscribe links, where there must be one", place)


RULES = (
    Rule(
        "link-unregistered",
        Severity.ERROR,
        "Every link is tracked through the link table, or is one of the few fixed ones.",
        "write addresses.link(url, label) in the template; anchors and scripts do not work in mail",
        _stray,
    ),
    Rule(
        "link-target",
        Severity.ERROR,
        "A link must lead to a page on the web.",
        "write the whole address, with https://",
        _targets,
    ),
    Rule(
        "link-unsubscribe",
        Severity.ERROR,
        "A reader must be able to leave, and find one way to do so.",
        "write addresses.unsubscribe once in body.mjml and once in body.txt",
        _ways_out,
        issues_only=True,
    ),
)
