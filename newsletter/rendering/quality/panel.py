"""Verdict sanity: comparisons finished, panels complete, prices dated, votes possible."""

from __future__ import annotations

import re
from collections.abc import Iterator

from newsletter.rendering.quality.cards import cards
from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.view import ComparisonView, IssueView

OLD_PRICE_DAYS = 60


def _numbered(exhibit: Exhibit) -> Iterator[tuple[str, ComparisonView]]:
    for number, comparison in enumerate(exhibit.comparisons):
        yield f"comparisons[{number}], {comparison.slug}", comparison


def _unfinished(exhibit: Exhibit) -> Iterator[Fault]:
    for place, comparison in _numbered(exhibit):
        left, right = comparison.tools
        missing = [
            what
            for what, value in (
                ("title", comparison.title),
                ("verdict", comparison.verdict),
                ("address", comparison.url),
                ("first tool's name", left.name),
                ("second tool's name", right.name),
                ("first tool's entry price", left.entry_price),
                ("second tool's entry price", right.entry_price),
            )
            if not value.strip()
        ]
        if missing:
            yield Fault(f"it has no {', no '.join(missing)}", place)
        if left.name.casefold() == right.name.casefold():
            yield Fault("both tools have one name", place)


def _twice(exhibit: Exhibit) -> Iterator[Fault]:
    slugs = [comparison.slug for comparison in exhibit.comparisons]
    for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        yield Fault(f"{slug} is in the issue {slugs.count(slug)} times", "comparisons")


def _panels(exhibit: Exhibit) -> Iterator[Fault]:
    for place, comparison in _numbered(exhibit):
        panels = [tuple(take.reviewer for take in tool.takes) for tool in comparison.tools]
        full = max(panels, key=len)
        for tool, panel in zip(comparison.tools, panels, strict=True):
            if not panel:
                yield Fault(f"nobody judged {tool.name}", place)
            elif len(set(panel)) != len(panel):
                yield Fault(f"somebody judged {tool.name} twice", place)
            elif missing := [one for one in full if one not in panel]:
                yield Fault(f"{' and '.join(missing)} did not judge {tool.name}", place)
        if sorted(panels[0]) == sorted(panels[1]) and panels[0] != panels[1]:
            yield Fault("the reviewers stand in another order for each tool", place)


def _figures(exhibit: Exhibit) -> Iterator[Fault]:
    for comparison, card in cards(exhibit):
        words = card.words
        for tool in comparison.tools:
            if tool.takes and not re.search(rf"(?<!\d){tool.panel}%", words):
                yield Fault(
                    f"{tool.ships} of {len(tool.takes)} takes ship {tool.name}, which is "
                    f"{tool.panel}%, and the mail does not say so",
                    exhibit.place(card),
                )


def _future_prices(exhibit: Exhibit) -> Iterator[Fault]:
    for place, _comparison, days in _price_ages(exhibit):
        if days < 0:
            yield Fault(f"its prices are dated {-days} days after the issue", place)


def _old_prices(exhibit: Exhibit) -> Iterator[Fault]:
    for place, comparison, days in _price_ages(exhibit):
        if days > OLD_PRICE_DAYS:
            yield Fault(f"its prices are of {comparison.prices_as_of}, {days} days old", place)


def _price_ages(exhibit: Exhibit) -> Iterator[tuple[str, ComparisonView, int]]:
    """Days from each comparison's prices to the issue; invented tools' prices have no age."""
    if isinstance(exhibit.view, IssueView):
        for place, comparison in _numbered(exhibit):
            if not comparison.sample:
                days = (exhibit.view.day - comparison.prices_as_of).days
                yield f"{place}, prices_as_of", comparison, days


def _votes(exhibit: Exhibit) -> Iterator[Fault]:
    for place, comparison in _numbered(exhibit):
        for tool in comparison.tools:
            votes = tool.community
            if votes is None:
                continue
            if votes.ship < 0 or votes.skip < 0:
                yield Fault(f"{tool.name} has {min(votes.ship, votes.skip)} votes", place)
            elif not votes.total:
                yield Fault(f"{tool.name} has a vote of nobody", place)


RULES = (
    Rule(
        "comparison-unfinished",
        Severity.ERROR,
        "Only what is finished may be published.",
        "fill it in in the comparison's file, and import the content again",
        _unfinished,
        issues_only=True,
    ),
    Rule(
        "comparison-twice",
        Severity.ERROR,
        "An issue says each thing once.",
        "take it out with `newsletter issue edit ISSUE --order`",
        _twice,
        issues_only=True,
    ),
    Rule(
        "panel-incomplete",
        Severity.ERROR,
        "A panel's figure means that the whole panel judged both tools.",
        "write the missing takes in the comparison's file, and import the content again",
        _panels,
        issues_only=True,
    ),
    Rule(
        "panel-figure",
        Severity.ERROR,
        "The panel's figure follows from its takes, and stands in each comparison.",
        "write tool.panel in the template; it is worked out from the takes",
        _figures,
        issues_only=True,
    ),
    Rule(
        "price-future",
        Severity.ERROR,
        "A price cannot have been looked up after the issue goes out.",
        "mend prices_as_of in the comparison's file, and import the content again",
        _future_prices,
        issues_only=True,
    ),
    Rule(
        "price-old",
        Severity.WARNING,
        "Prices change, and a reader holds us to what we print.",
        "look the prices up again, and write today's date into prices_as_of",
        _old_prices,
        issues_only=True,
    ),
    Rule(
        "votes-impossible",
        Severity.ERROR,
        "Votes are counted; where there are none, none are shown.",
        "mend community in the comparison's file, or leave it out",
        _votes,
        issues_only=True,
    ),
)
