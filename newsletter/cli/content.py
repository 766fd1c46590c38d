"""`newsletter content`: comparisons, from an editor's file into the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, DryRun, print_json, print_table, say, stamp
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.editorial.content import Comparison
    from newsletter.errors import Problem

program = typer.Typer(help="Comparisons: write, check, import, list.", no_args_is_help=True)

Samples = Annotated[bool, typer.Option("--samples", help="The invented ones of the demo too.")]


@program.command()
def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Files; all where none is given."),
    ] = None,
    samples: Samples = False,
    as_json: AsJson = False,
) -> None:
    """Check comparison files; exit 1 with every fault: file, line, field, what to write."""
    from newsletter.errors import ContentError

    try:
        found = _read(paths or [], samples=samples)
    except ContentError as error:
        if not as_json:
            raise
        print_json({"holds": False, "problems": error.problems})
        raise typer.Exit(1) from None
    if as_json:
        print_json({"holds": True, "comparisons": [one.slug for one in found]})
    else:
        say(f"{counted(len(found), 'comparison')} checked, no fault")


@program.command("import")
def import_(samples: Samples = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Read every file of the content folder into the store: all of them or, with a fault, none."""
    from newsletter import pipeline

    outcome = pipeline.import_content(open_app(), dry_run=dry_run, samples=samples)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(outcome)})
        return
    for kind in ("new", "changed"):
        for slug in getattr(outcome, kind):
            say(f"{kind}: {slug}")
    would = "would be " if dry_run else ""
    say(
        f"{would}new {len(outcome.new)}, changed {len(outcome.changed)}, "
        f"unchanged {len(outcome.unchanged)}"
    )


@program.command()
def new(
    title: Annotated[str, typer.Argument(help="`LEFT vs RIGHT`: the two tools.")],
    as_json: AsJson = False,
) -> None:
    """Write a draft's file into the content folder, with every key and heading in place."""
    from newsletter.editorial.content import REVIEWERS_FILE, load_reviewers, skeleton, slug_of
    from newsletter.errors import RefusedError
    from newsletter.settings import load_settings

    folder = load_settings().content_dir
    left, _, right = (part.strip() for part in title.partition(" vs "))
    if not left or not right or slug_of(title) in ("", "vs"):
        raise RefusedError(
            f"{title!r} does not name two tools",
            hint="write it as 'Left vs Right', one at least in Latin letters",
        )
    path = folder / "comparisons" / f"{slug_of(title)}.md"
    text = skeleton(title.strip(), left, right, load_reviewers(folder / REVIEWERS_FILE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RefusedError(f"{path} exists already", hint="edit it, or name other tools") from None
    except OSError as error:
        raise RefusedError(
            f"{path} cannot be written: {error.strerror}",
            hint="make the content folder writable, or name another in NEWSLETTER_CONTENT_DIR",
        ) from None
    if as_json:
        print_json({"path": path, "slug": slug_of(title)})
    else:
        say(f"{path}\n  next: fill it in, then `newsletter content check {path}`")


@program.command("list")
def list_(samples: Samples = False, as_json: AsJson = False) -> None:
    """List the store's comparisons, newest first."""
    from newsletter.editorial import library

    with open_app().session(readonly=True) as session:
        found = [one for one in library.candidates(session) if samples or not one.sample]
    found.sort(key=lambda one: str(one.finished_at or "9"), reverse=True)
    if as_json:
        print_json(found)
        return
    print_table(
        ("comparison", "state", "finished", "panel gap", "issue"),
        (
            (one.slug, one.state, stamp(one.finished_at), f"{one.panel_gap} %", one.in_issue or "-")
            for one in found
        ),
    )


def _read(paths: list[Path], *, samples: bool) -> list[Comparison]:
    from newsletter.editorial import content
    from newsletter.errors import ContentError
    from newsletter.settings import load_settings

    folder = load_settings().content_dir
    if not paths:
        return content.load_all(folder, samples=samples)
    reviewers = content.load_reviewers(folder / content.REVIEWERS_FILE)
    found: list[Comparison] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            found.append(content.load_comparison(path, reviewers))
        except ContentError as error:
            problems += error.problems
    if problems:
        raise ContentError(problems)
    return found
