"""The comparisons in the content folder: read, checked whole, and refused with every fault named.

One Markdown file a comparison under `comparisons/` (invented ones under `samples/`), the panel in
`reviewers.yaml`. Nothing here touches the store: see `library`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from newsletter.editorial.content_files import read_text, split_front
from newsletter.editorial.content_front import check_front
from newsletter.editorial.content_model import (
    Comparison,
    Correction,
    Reviewer,
    Take,
    Tool,
    Votes,
)
from newsletter.editorial.content_reviewers import load_reviewers
from newsletter.editorial.content_schema import FrontMatter, ToolEntry, comparison_schema
from newsletter.editorial.content_skeleton import skeleton
from newsletter.editorial.content_takes import Seat, read_takes
from newsletter.editorial.content_yaml import Document, read_yaml
from newsletter.errors import ContentError, Problem
from newsletter.slugs import slug_of
from newsletter.store.states import ComparisonState

__all__ = [
    "REVIEWERS_FILE",
    "Comparison",
    "Correction",
    "Reviewer",
    "Take",
    "Tool",
    "Votes",
    "comparison_schema",
    "load_all",
    "load_comparison",
    "load_reviewers",
    "skeleton",
    "slug_of",
]

REVIEWERS_FILE = "reviewers.yaml"
COMPARISONS, SAMPLES = "comparisons", "samples"
MAX_SLUG_CHARS = 200
MOST_PROBLEMS_TOLD = 50  # of one file

T = TypeVar("T")


def load_all(content_dir: Path, *, samples: bool = False) -> list[Comparison]:
    """Every comparison of the folder, by file name; with `samples`, the invented ones after them.

    Raises ContentError with the faults of all files together.
    """
    if not (content_dir / COMPARISONS).is_dir():
        hint = "name the content folder in NEWSLETTER_CONTENT_DIR; it holds comparisons/"
        raise ContentError([Problem(content_dir / COMPARISONS, 1, "folder", "is not there", hint)])
    reviewers = load_reviewers(content_dir / REVIEWERS_FILE)
    folders = (COMPARISONS, SAMPLES) if samples else (COMPARISONS,)
    paths = [path for folder in folders for path in sorted((content_dir / folder).glob("*.md"))]
    problems = _doubled(paths)
    loaded = _each(paths, lambda path: load_comparison(path, reviewers), problems)
    if problems:
        raise ContentError(problems)
    return loaded


def load_comparison(path: Path, reviewers: Sequence[Reviewer]) -> Comparison:
    """The comparison in `path`. Raises ContentError with every fault in it, in the file's order."""
    parts = split_front(read_text(path), path)
    document = read_yaml(parts.front, file=path, first_line=parts.front_line)
    front, problems = check_front(document, file=path)
    takes, faults = read_takes(
        parts.body,
        file=path,
        first_line=parts.body_line,
        reviewers=reviewers,
        tools=_tool_names(document),
        finished=_says(document, "status") == "finished",
    )
    problems += faults
    problems += _place_problems(document, path)
    if front is not None and not problems:
        comparison = _build(front, takes, reviewers)
        problems += _panel_problems(front, comparison, document, path)
        if not problems:
            return comparison
    raise ContentError(_told(problems, path))


def _each(paths: list[Path], load: Callable[[Path], T], problems: list[Problem]) -> list[T]:
    """What loads; the faults of what does not are added to `problems`."""
    loaded = []
    for path in paths:
        try:
            loaded.append(load(path))
        except ContentError as error:
            problems += error.problems
    return loaded


def _told(problems: list[Problem], path: Path) -> list[Problem]:
    """In the file's order; of very many only the first."""
    ordered = sorted(problems, key=lambda problem: problem.line)
    if len(ordered) <= MOST_PROBLEMS_TOLD:
        return ordered
    rest = ordered[MOST_PROBLEMS_TOLD:]
    hint = "mend the ones above first"
    more = Problem(path, rest[0].line, "file", f"{len(rest)} more faults from here on", hint)
    return [*ordered[:MOST_PROBLEMS_TOLD], more]


def _doubled(paths: list[Path]) -> list[Problem]:
    """Two files of one name in the two folders would be one comparison."""
    first: dict[str, Path] = {}
    problems = []
    for path in paths:
        if path.name in first:
            hint = "give one of them another title and file name"
            what = f"has the name of {first[path.name]}"
            problems.append(Problem(path, 1, "file", what, hint))
        first.setdefault(path.name, path)
    return problems


def _says(document: Document, key: str) -> object:
    return document.data.get(key) if isinstance(document.data, dict) else None


def _tool_names(document: Document) -> list[str]:
    """The names as far as they can be made out, so that the takes are checked in any case."""
    tools = _says(document, "tools")
    entries = tools if isinstance(tools, list) else []
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return [name.strip() for name in names if isinstance(name, str) and name.strip()]


def _place_problems(document: Document, path: Path) -> list[Problem]:
    """Faults between the file's place and what stands in it: name, folder, doubled tools."""
    problems = []
    title = _says(document, "title")
    if isinstance(title, str) and title.strip():
        problems += _slug_problems(title, document, path)
    sample, is_sample_folder = _says(document, "sample") is True, path.parent.name == SAMPLES
    if sample != is_sample_folder:
        what = "must be true under samples/" if is_sample_folder else "is true outside samples/"
        hint = "write `sample: true`" if is_sample_folder else "move the file, or delete the line"
        problems.append(Problem(path, document.line(("sample",)), "sample", what, hint))
    names = _tool_names(document)
    if len(set(names)) < len(names):
        line = document.line(("tools", 1, "name"))
        problems.append(
            Problem(path, line, "tools[1].name", "is the first tool's", "name the other")
        )
    return problems


def _slug_problems(title: str, document: Document, path: Path) -> list[Problem]:
    slug, line = slug_of(title), document.line(("title",))
    is_bare = slug in ("", "vs")  # what is left of two names in another script
    if is_bare or len(slug) > MAX_SLUG_CHARS:
        what = "gives no address: it has no Latin letter or digit" if is_bare else "is too long"
        return [
            Problem(path, line, "title", what, "name both tools, one at least in Latin letters")
        ]
    if slug != path.stem:
        what = f"belongs into {slug}.md, not {path.name}"
        return [
            Problem(path, line, "title", what, f"rename the file to {slug}.md, or mend the title")
        ]
    return []


def _panel_problems(
    front: FrontMatter, comparison: Comparison, document: Document, path: Path
) -> list[Problem]:
    if comparison.status is ComparisonState.DRAFT:
        return []  # takes may still be missing
    if front.panel is None or tuple(front.panel) == comparison.panel:
        return []
    left, right = comparison.panel
    what = f"says {front.panel}, but the takes make [{left}, {right}]"
    hint = f"write `panel: [{left}, {right}]`, or mend the verdicts of the takes"
    return [Problem(path, document.line(("panel",)), "panel", what, hint)]


def _build(
    front: FrontMatter, takes: dict[Seat, Take], reviewers: Sequence[Reviewer]
) -> Comparison:
    left, right = (
        _tool(entry, tuple(takes[r.key, n] for r in reviewers if (r.key, n) in takes))
        for n, entry in enumerate(front.tools)
    )
    return Comparison(
        title=front.title,
        deck=front.deck,
        verdict=front.verdict,
        status=ComparisonState(front.status),
        prices_as_of=front.prices_as_of,
        sample=front.sample,
        tools=(left, right),
        corrections=tuple(Correction(on=one.on, text=one.text) for one in front.corrections),
    )


def _tool(entry: ToolEntry, takes: tuple[Take, ...]) -> Tool:
    votes = entry.community
    return Tool(
        name=entry.name,
        category=entry.category,
        tagline=entry.tagline,
        description=entry.description,
        entry_price=entry.entry_price,
        price_note=entry.price_note,
        community=None if votes is None else Votes(ship=votes.ship, skip=votes.skip),
        takes=takes,
    )
