"""`newsletter events`: what readers did, whether it was a person or a machine, by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, print_json, print_table, say, say_aside, stamp
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.tracking.classify import Done

TOLD_EVERY = 50_000  # events looked at, between two lines

program = typer.Typer(
    help="What readers did: human, machine or unknown, and by which rule.", no_args_is_help=True
)

Address = Annotated[str, typer.Argument(metavar="ADDRESS")]
AllOfIt = Annotated[
    bool, typer.Option("--all", help="Look at all of history again, whatever the labels.")
]


@program.command()
def classify(all_of_it: AllOfIt = False, as_json: AsJson = False) -> None:
    """Label what is due, then history whose labels are by older rules; nothing is deleted."""
    from newsletter import labels

    app = open_app()
    due = labels.label_due(app)
    again = None
    told = 0
    for again in labels.label_again(app, all_of_it=all_of_it):
        if again.events >= told + TOLD_EVERY and not as_json:
            told = again.events
            say_aside(f"looked at again: {told:,} events")
    done = {"due": _plain(due), "again": _plain(again)}
    if as_json:
        print_json(done)
        return
    for name, facts in done.items():
        say(f"{name}: {_in_words(facts)}")


@program.command()
def rules(as_json: AsJson = False) -> None:
    """The rules in the order in which they are asked; the first that holds gives the label."""
    from newsletter.tracking.rules import RULES, RULES_VERSION

    if as_json:
        table = [{"name": one.name, "label": one.label, "why": one.why} for one in RULES]
        print_json({"version": RULES_VERSION, "rules": table})
        return
    say(f"version {RULES_VERSION}")
    print_table(("rule", "label", "why"), [(one.name, one.label, one.why) for one in RULES])


@program.command()
def show(address: Address, as_json: AsJson = False) -> None:
    """What one reader did with their mail, oldest first."""
    from newsletter import labels

    found = labels.of_reader(open_app(), address)
    if as_json:
        print_json(found)
        return
    print_table(
        ("issue", "at", "what", "link", "by", "label", "rule"),
        [
            (
                one["issue"],
                stamp(one["at"]),
                f"{one['kind']}{' (HEAD)' if one['method'] == 'HEAD' else ''}",
                one["link"] or "",
                one["program"],
                one["label"] or "not looked at yet",
                one["rule"],
            )
            for one in found
        ],
    )


@program.command()
def forget(as_json: AsJson = False) -> None:
    """Forget what is due now: agents and networks after 30 days, events after 13 months."""
    from newsletter import forgetting

    done = list(forgetting.forget(open_app()))
    if as_json:
        print_json({"done": done})
        return
    for sentence in done or ["nothing is due"]:
        say(sentence)


def _plain(done: Done | None) -> dict[str, Any]:
    if done is None:
        return {"readers": 0, "events": 0, "changed": 0, "labels": {}}
    return {
        "readers": done.pairs,
        "events": done.events,
        "changed": done.changed,
        "labels": dict(sorted(done.labels.items())),
    }


def _in_words(facts: Mapping[str, Any]) -> str:
    if not facts["events"]:
        return "nothing to look at"
    labels = ", ".join(f"{many:,} {label}" for label, many in facts["labels"].items())
    return f"{counted(facts['events'], 'event')} ({labels}), {facts['changed']:,} changed"
