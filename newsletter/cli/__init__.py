"""The command line: one module a noun; whatever is heavy is imported where it is used."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from newsletter import __version__
from newsletter.cli import (
    audit,
    bounces,
    content,
    db,
    demo,
    events,
    issue,
    rehearse,
    run,
    schedule,
    segments,
    serve,
    settings,
    stats,
    subscribers_files,
    suppressions,
    templates,
    webhooks,
)
from newsletter.cli import testing as tests

TRACEBACK = "NEWSLETTER_TEST_TRACEBACK"

program = typer.Typer(
    name="newsletter",
    help="A weekly newsletter of AI tool verdicts: choose, render, approve, send, account.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
program.command("demo")(demo.demo)
program.command("test", context_settings=tests.PASS_ON)(tests.run_everything)
program.add_typer(content.program, name="content")
issue.program.command("stats")(stats.of_issue)
program.add_typer(issue.program, name="issue")
program.add_typer(stats.program, name="stats")
program.add_typer(subscribers_files.program, name="subscribers")
program.add_typer(suppressions.program, name="suppressions")
program.add_typer(segments.program, name="segments")
program.add_typer(bounces.program, name="bounces")
program.add_typer(webhooks.program, name="webhooks")
program.add_typer(events.program, name="events")
program.add_typer(audit.program, name="audit")
program.add_typer(schedule.program, name="schedule")
program.command("rehearse")(rehearse.rehearse)
program.command("run")(run.run)
program.command("serve")(serve.serve)
program.command("screens")(serve.show_screens)
program.add_typer(db.program, name="db")
program.add_typer(templates.program, name="templates")
program.command("settings")(settings.settings)


@program.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=lambda wanted: _print_version(wanted=wanted))
    ] = False,
) -> None:
    """A weekly newsletter of AI tool verdicts: choose, render, approve, send, account."""


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"newsletter {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line; errors become two lines and exit status 1, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no "■" yet
    if os.environ.get(TRACEBACK):
        program(prog_name="newsletter")
    try:
        program(prog_name="newsletter")
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Prints what, which and what next to stderr; the exit status."""
    from newsletter.errors import NewsletterError
    from subscribers.errors import AudienceError

    if isinstance(error, NewsletterError | AudienceError):
        what, hint = error.what, error.hint
    else:
        # Its text may hold a reader's address: the type and the place are enough to find it.
        what = f"unexpected {type(error).__name__} at {_place(error)}: a fault of this program"
        hint = f"run it again with {TRACEBACK}=1 to see the traceback, and report it"
    print(f"error: {what}", file=sys.stderr)
    if hint:
        print(f"  next: {hint}", file=sys.stderr)
    return 1


def _place(error: Exception) -> str:
    """The innermost line of our own code that the error passed through."""
    place, step = "?", error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if {"newsletter", "subscribers"} & set(file.parts[-4:-1]):
            place = f"{file.parent.name}/{file.name}:{step.tb_lineno}"
        step = step.tb_next
    return place
