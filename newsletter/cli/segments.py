"""`newsletter segments`: parts of the list by a rule, kept by name, counted live."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.home import By, open_app
from newsletter.cli.screen import AsJson, print_facts, print_json, print_table, say, stamp, when
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.segments import SegmentNow
    from subscribers.segments import Counted

program = typer.Typer(
    help='Segments: parts of the list by a rule, such as \'topic = "Chat" and seen within'
    " 60 days'.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Like beta-testers.")]
TheRule = Annotated[str, typer.Argument(metavar="RULE", help="In quotes of the shell.")]


@program.command()
def save(name: Name, rule: TheRule, by: By = "", as_json: AsJson = False) -> None:
    """Keep a rule by name; a rule changed later voids approvals of issues for it."""
    from newsletter import segments

    _print(segments.save(open_app(), name, rule, by=by or getpass.getuser()), as_json=as_json)


@program.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the saved segments by name."""
    from newsletter import segments

    found = segments.every(open_app())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("name", "rule", "saved", "by"),
        [(one.name, one.rule, stamp(one.saved_at), one.saved_by) for one in found],
    )


@program.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a segment and how many readers are in it now."""
    from newsletter import segments

    _print(segments.show(open_app(), name), as_json=as_json)


@program.command()
def remove(name: Name, by: By = "", as_json: AsJson = False) -> None:
    """Remove a segment; refused while an issue that is not frozen yet is for it."""
    from newsletter import segments

    segments.remove(open_app(), name, by=by or getpass.getuser())
    if as_json:
        print_json({"name": name, "outcome": "removed"})
    else:
        say(f"{name}: removed")


@program.command()
def count(rule: TheRule, as_json: AsJson = False) -> None:
    """Count the readers a rule holds for now."""
    from newsletter import segments

    found = segments.count(open_app(), rule)
    if as_json:
        print_json(asdict(found))
    else:
        say(_in_words(found))


def _print(found: SegmentNow, *, as_json: bool) -> None:
    segment = found.segment
    if as_json:
        print_json({**asdict(segment), **asdict(found.counted)})
        return
    say(f"{segment.name}: {_in_words(found.counted)}")
    print_facts(
        [("rule", segment.rule), ("saved", when(segment.saved_at)), ("by", segment.saved_by)]
    )


def _in_words(found: Counted) -> str:
    return f"{counted(found.readers, 'reader')}, {found.active:,} of them active"
