"""`newsletter bounces`: mail about our mail, read, listed, shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, print_facts, print_json, print_table, say, stamp
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.inbound.intake import Summary

program = typer.Typer(
    help="Bounces, complaints and other mail about our mail.", no_args_is_help=True
)

TRY_LATER = 75  # EX_TEMPFAIL: a mail server keeps the mail and pipes it here again


@program.command()
def read(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A Maildir, an mbox, imaps://user:password@host/INBOX, or - for one mail.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Take in what is new there, and do what follows from it; reading again changes nothing.

    With -, a mail that cannot be taken in now ends with status 75: the mail server tries again.
    """
    try:
        summary = _read(source)
    except Exception as error:
        if source != "-":
            raise
        _say_why(error)
        raise typer.Exit(TRY_LATER) from None
    if as_json:
        print_json({one.name: _plain(getattr(summary, one.name)) for one in fields(summary)})
    else:
        _print(summary)
    for trouble in summary.troubles:
        print(f"error: {trouble}\n  next: the others were read; run it again", file=sys.stderr)
    if source == "-" and summary.waiting:
        raise typer.Exit(TRY_LATER)
    if summary.troubles:
        raise typer.Exit(1)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value


def _read(source: str) -> Summary:
    from newsletter.inbound import intake, sources

    # Opened first: a source that cannot be read needs no database.
    mails = sources.open_source(
        source, sys.stdin.buffer, password=os.environ.get("IMAP_PASSWORD", "")
    )
    return intake.read_all(open_app(), mails)


def _say_why(error: Exception) -> None:
    what = getattr(error, "what", f"unexpected {type(error).__name__}")
    print(f"error: {what}\n  next: the mail was not taken in; try it again", file=sys.stderr)


def _print(summary: Summary) -> None:
    say(f"{counted(summary.read, 'mail')} read, {summary.known:,} of them known before")
    for name, count in sorted(summary.verdicts.items()):
        kind, _, verdict = name.partition("/")
        say(f"  {count:,} {kind.replace('_', ' ')}: {verdict.replace('_', ' ')}")
    for count, what in (
        (summary.suppressed, "suppressed from now on"),
        (summary.left, "taken off the list"),
        (summary.untraced, "led to no message of ours: see `newsletter bounces list`"),
        (summary.waiting, "about a message still being sent: left unread, run it again"),
    ):
        if count:
            say(f"  {count:,} {what}")
    for code, count in summary.alerts.items():
        say(
            f"! {counted(count, 'mail')} refused for a fault of ours ({code}): mend it, "
            "then see `newsletter bounces list`"
        )


@program.command("list")
def list_(
    unclassified: Annotated[
        bool, typer.Option("--unclassified", help="Only what the tables do not know.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The newest 1,000 reports, newest first."""
    from newsletter.inbound import listing

    found = listing.listed(open_app(), unclassified=unclassified)
    if as_json:
        print_json(found)
        return
    names = ("id", "received_at", "kind", "verdict", "code", "issue", "address", "reason")
    rows = [
        [stamp(one[name]) if name == "received_at" else one[name] for name in names]
        for one in found
    ]
    print_table(("id", "received", *names[2:]), rows)


@program.command()
def show(
    report_id: Annotated[int, typer.Argument(metavar="ID", help="A report's number.")],
    as_json: AsJson = False,
) -> None:
    """One report, and what its delivery is now."""
    from newsletter.inbound import listing

    found = listing.shown(open_app(), report_id)
    if as_json:
        print_json(found)
        return
    print_facts(
        (name.replace("_", " "), stamp(value) if name == "received_at" else value)
        for name, value in found.items()
    )
