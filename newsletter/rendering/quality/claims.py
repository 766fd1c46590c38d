"""Who is said to have won: in the subject, the headings, the verdict, it follows from the panel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from newsletter.rendering.quality.rule import Exhibit, Fault, Rule
from newsletter.rendering.rendered import Severity
from newsletter.rendering.view import ComparisonView, ToolView

_OVER = r"\s+(?:wins\s+)?(?:over|beats?|tops?|outships?|ahead\s+of)\s+"
_EVEN = r"\s+(?:level\s+with|ties\s+with|draws\s+with)\s+"
_SHIP, _SKIP, _WINS = r"(?<!\w)ship\s+", r"(?<!\w)skip\s+", r"\s+wins\b"


def _false(exhibit: Exhibit) -> Iterator[Fault]:
    names = _Names(exhibit.comparisons)
    for place, words in _said(exhibit):
        masked = names.mask(words)
        if "\x02" in masked:
            for comparison in exhibit.comparisons:
                if names.token(comparison.tools[0]) == names.token(comparison.tools[1]):
                    continue  # another rule's finding: nothing can be said of either
                for claim in _unfounded(comparison, masked, names):
                    yield Fault(claim, place)


def _said(exhibit: Exhibit) -> Iterator[tuple[str, str]]:
    yield "subject", exhibit.rendered.subject
    yield "preheader", exhibit.rendered.preheader
    yield "intro", getattr(exhibit.view, "intro", None) or ""
    for number, comparison in enumerate(exhibit.comparisons):
        yield f"comparisons[{number}].verdict", comparison.verdict
    for heading in exhibit.anatomy.headings:
        if heading.tag != "h1":  # the subject, as a rule, and then told twice
            yield exhibit.place(heading), heading.words


class _Names:
    """The tools' names as tokens, the longest first: `Murmur 2` is not `Murmur` and a number."""

    def __init__(self, comparisons: Iterable[ComparisonView]) -> None:
        names = {" ".join(tool.name.split()) for one in comparisons for tool in one.tools}
        ordered = sorted(names - {""}, key=lambda name: (-len(name), name))
        self._tokens = {name: f"\x02{number}\x03" for number, name in enumerate(ordered)}
        choices = "|".join(re.escape(name) for name in ordered)
        self._pattern = re.compile(rf"(?<!\w)(?:{choices})(?!\w)") if ordered else None

    def mask(self, words: str) -> str:
        words = " ".join(words.split())
        if self._pattern is None:
            return words
        return self._pattern.sub(lambda match: self._tokens[match[0]], words)

    def token(self, tool: ToolView) -> str:
        return self._tokens.get(" ".join(tool.name.split()), "\x02\x03")


def _unfounded(comparison: ComparisonView, words: str, names: _Names) -> Iterator[str]:
    """The claims in `words`, whose names are masked, that the takes do not bear out."""
    for tool, other in (comparison.tools, comparison.tools[::-1]):
        one, two = names.token(tool), names.token(other)
        figures = f"the panel says {tool.panel}% to {other.panel}%"
        if _says(f"{one}{_OVER}{two}", words) and tool is not comparison.winner:
            yield f"{tool.name} is put before {other.name}; {figures}"
        # "Ship X and ..." says more than one thing, and is left to its author.
        elif _says(f"{_SHIP}{one}(?! and)", words) and _must_not_ship(tool, comparison):
            yield f"“Ship {tool.name}”; {figures}"
        if _says(f"{one}{_WINS}", words) and tool is not comparison.winner:
            yield f"“{tool.name} wins”; {figures}"
        if _says(f"{_SKIP}{one}(?! and)", words) and _must_not_skip(tool, comparison):
            yield f"“Skip {tool.name}”; {figures}"
        if _says(f"{one}{_EVEN}{two}", words) and tool.panel != other.panel:
            yield f"{tool.name} and {other.name} are called level; {figures}"


def _must_not_ship(tool: ToolView, comparison: ComparisonView) -> bool:
    return tool.panel < 50 or tool is comparison.loser


def _must_not_skip(tool: ToolView, comparison: ComparisonView) -> bool:
    return tool.panel >= 50 and tool is not comparison.loser


def _says(pattern: str, words: str) -> bool:
    return _compiled(pattern).search(words) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


RULES = (
    Rule(
        "winner-unfounded",
        Severity.ERROR,
        "What a mail calls the winner must be what the panel's takes come to.",
        "mend the sentence; or the takes, if they are what is wrong",
        _false,
        issues_only=True,
    ),
)
