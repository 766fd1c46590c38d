"""Links: absolute, registered, alive, and exactly one way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from newsletter.rendering.links import Addresses, LinkTable
from newsletter.rendering.quality import addresses
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.slots import HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS, Slot
from newsletter.rendering.view import IssueView, Verdict

_URL_IN_TEXT = re.compile(r"https?://\S+")


def _ours(exhibit: Exhibit) -> frozenset[str]:
    """Addresses that may stand in a mail without being tracked."""
    publication = exhibit.view.publication
    mailboxes = (publication.reply_to, publication.unsubscribe_mailto)
    fixed = {f"mailto:{address}" for address in mailboxes if address}
    if isinstance(exhibit.view, IssueView):
        fixed.add(exhibit.view.archive_url)
    else:
        fixed.update(fact for fact in exhibit.view.facts.values() if addresses.split(fact))
        fixed.add(publication.url)
    for placeholders in (HTML_PLACEHOLDERS, TEXT_PLACEHOLDERS):
        fixed.update(_a_readers_own(publication.url, placeholders))
        fixed.update(
            f"{publication.url}/c/{placeholders[Slot.DELIVERY]}/{link.n}"
            for link in exhibit.rendered.links
        )
        fixed.update(_votes(exhibit, placeholders))
    return frozenset(fixed)


def _a_readers_own(base: str, placeholders: Mapping[Slot, str]) -> Iterator[str]:
    """What templates are offered besides tracked links: unsubscribe, confirm, ..."""
    offered = Addresses(LinkTable(base), placeholders)
    for name, kind in vars(Addresses).items():
        if isinstance(kind, property) and not name.startswith("_"):
            yield str(getattr(offered, name))


def _votes(exhibit: Exhibit, placeholders: Mapping[Slot, str]) -> Iterator[str]:
    """The addresses of ship and skip, for each tool of the issue."""
    offered = Addresses(LinkTable(exhibit.view.publication.url), placeholders)
    for comparison in exhibit.comparisons:
        for tool in comparison.tool_slugs:
            for verdict in Verdict:
                yield offered.vote(comparison.slug, tool, verdict)


def _unsubscribe(exhibit: Exhibit, placeholder: str) -> str:
    return f"{exhibit.view.publication.url}/unsubscribe/{placeholder}"


def _stray(exhibit: Exhibit) -> Iterator[Fault]:
    ours = _ours(exhibit)
    for href in exhibit.anatomy.hrefs:
        if href not in ours and not href.startswith("#"):
            yield Fault(f"a link leads to {href or 'nowhere'!r} past the link table", "HTML")
    if exhibit.is_issue:
        for url in _URL_IN_TEXT.findall(exhibit.rendered.text):
            if url not in ours and url.rstrip(".,;:)!?") != exhibit.view.publication.url:
                yield Fault(f"an address {url!r} stands outside the link table", "text part")


def _targets(exhibit: Exhibit) -> Iterator[Fault]:
    for link in exhibit.rendered.links:
        if addresses.split(link.url) is None:
            yield Fault(
                f"{link.url!r} is not an absolute web address", f"link {link.n}, {link.label}"
            )


def _dead_anchors(exhibit: Exhibit) -> Iterator[Fault]:
    for href in exhibit.anatomy.hrefs:
        if href.startswith("#") and href[1:] not in exhibit.anatomy.ids:
            yield Fault(f"{href!r} leads to nothing in this mail", "HTML")


def _every_address(exhibit: Exhibit) -> Iterator[tuple[str, str]]:
    """Each address that is followed or loaded, once, with its place: targets say most."""
    places = {link.url: f"link {link.n}, {link.label}" for link in exhibit.rendered.links}
    for href in exhibit.anatomy.hrefs:
        places.setdefault(href, "HTML")
    for image in exhibit.anatomy.images:
        places.setdefault(image.attributes.get("src", ""), "picture")
    for url in _URL_IN_TEXT.findall(exhibit.rendered.text):
        places.setdefault(url, "text part")
    yield from places.items()


def _insecure(exhibit: Exhibit) -> Iterator[Fault]:
    hosts: set[str] = set()
    for url, place in _every_address(exhibit):
        parts = addresses.split(url)
        if parts and addresses.is_plain_http(url) and parts.netloc not in hosts:
            hosts.add(parts.netloc)
            yield Fault(f"{url} goes to {parts.netloc} without encryption", place)


def _shortened(exhibit: Exhibit) -> Iterator[Fault]:
    for url, place in _every_address(exhibit):
        if host := addresses.shortener(url):
            yield Fault(f"{url} goes through {host}", place)


def _with_credentials(exhibit: Exhibit) -> Iterator[Fault]:
    for url, place in _every_address(exhibit):
        if addresses.has_credentials(url):
            host = url.rpartition("@")[2].split("/")[0]
            yield Fault(f"an address at {host} has a name or a password in it", place)


def _look_alikes(exhibit: Exhibit) -> Iterator[Fault]:
    for url, place in _every_address(exhibit):
        if host := addresses.looks_alike(url):
            yield Fault(f"the host is {host}", place)


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
    Rule(
        "link-anchor",
        Severity.ERROR,
        "A link within the mail must have something to lead to.",
        "give the place that id, or take the link out; many mail programs ignore such links anyway",
        _dead_anchors,
    ),
    Rule(
        "link-insecure",
        Severity.ERROR,
        "What is fetched without encryption can be read and changed on the way.",
        "write https://; http is for loopback addresses, as in the demo",
        _insecure,
    ),
    Rule(
        "link-shortener",
        Severity.ERROR,
        "Filters and readers distrust a link that hides where it leads.",
        "write the whole address of the page",
        _shortened,
    ),
    Rule(
        "link-credentials",
        Severity.ERROR,
        "A name or password in an address is shown to every reader, and is a mark of phishing.",
        "take out what stands before the @",
        _with_credentials,
    ),
    Rule(
        "link-lookalike",
        Severity.WARNING,
        "Letters of other scripts let one host pass for another.",
        "compare the host, letter by letter, with the one you mean",
        _look_alikes,
    ),
)
