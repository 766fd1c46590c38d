"""Where in the HTML each comparison stands: its card."""

from __future__ import annotations

from newsletter.rendering.quality.rule import Exhibit
from newsletter.rendering.quality.tree import Element
from newsletter.rendering.view import ComparisonView


def cards(exhibit: Exhibit) -> tuple[tuple[ComparisonView, Element], ...]:
    """Each comparison with the largest element that holds its heading and nobody else's.

    A comparison's heading is the first below h1 that names both tools; one without is left out.
    """
    headings = exhibit.anatomy.headings
    named = [(one, _heading(one, headings)) for one in exhibit.comparisons]
    return tuple((comparison, _card(heading, headings)) for comparison, heading in named if heading)


def _heading(comparison: ComparisonView, headings: tuple[Element, ...]) -> Element | None:
    names = [" ".join(tool.name.split()) for tool in comparison.tools]
    return next(
        (one for one in headings if one.tag != "h1" and all(name in one.words for name in names)),
        None,
    )


def _card(heading: Element, headings: tuple[Element, ...]) -> Element:
    """Up from the heading, as long as no other heading of its level or above comes in."""
    rivals = [one for one in headings if one is not heading and one.tag <= heading.tag]
    card = heading
    for ancestor in heading.ancestors():
        if ancestor.tag == "body" or any(_holds(ancestor, one) for one in rivals):
            break
        card = ancestor
    return card


def _holds(element: Element, other: Element) -> bool:
    return element.start <= other.start < element.end
