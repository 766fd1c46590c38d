"""`newsletter subscribers bulk`, `undo`, `tag` and `tags`: many readers at once, shown first."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.home import By, open_app
from newsletter.cli.screen import AsJson, DryRun, print_facts, print_json, print_table, say
from newsletter.errors import RefusedError
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.desk import Outcome, Wanted
    from subscribers.bulk import Act

Status = Annotated[str, typer.Option(help="Those in this status: active, pending, ...")]
Search = Annotated[str, typer.Option(help="Those with this in their address or name.")]
Tag = Annotated[str, typer.Option(help="Those with this tag.")]
Where = Annotated[str, typer.Option(metavar="RULE", help="Those for whom a segment's rule holds.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def wanted(status: str, search: str, tag: str, where: str) -> Wanted:
    """The readers these options mean. Raises BadParameter for a status that is none."""
    from newsletter.desk import Wanted
    from subscribers.models import SubscriberStatus

    if status and status not in list(SubscriberStatus):
        known = ", ".join(SubscriberStatus)
        raise typer.BadParameter(f"{status!r} is no status; there are {known}")
    return Wanted(SubscriberStatus(status) if status else None, search.strip(), tag, where.strip())


def bulk(
    action: Annotated[
        str, typer.Argument(help="tag, untag, pause, resume, unsubscribe or suppress.")
    ],
    tag_name: Annotated[str, typer.Argument(metavar="[TAG]", help="Of tag and untag: which.")] = "",
    where: Where = "",
    search: Search = "",
    status: Status = "",
    tag: Tag = "",
    by: By = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Do one thing to many readers: see who is affected and who is not, then say yes."""
    from newsletter import desk

    act, whom = _act(action, tag_name), wanted(status, search, tag, where)
    if not (where or search.strip() or status or tag):
        raise typer.BadParameter("say whom: --where, --search, --status or --tag")
    refuse_to_ask_in_json(as_json=as_json, answered=yes or dry_run)
    app = open_app()
    seen = desk.preview(app, act, whom)
    if dry_run or not seen.affected:
        _print_outcome(seen, dry_run=dry_run, as_json=as_json)
        return
    if not yes:
        _ask(seen)
    who = by or getpass.getuser()
    done = desk.perform(app, act, whom, by=who, up_to_id=seen.last_id)
    _print_outcome(done, dry_run=False, as_json=as_json)


def undo(
    entry: Annotated[int, typer.Argument(metavar="ENTRY", help="Its number in the audit log.")],
    by: By = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take an act back, for exactly those readers whom nothing has changed since."""
    from newsletter import desk

    refuse_to_ask_in_json(as_json=as_json, answered=yes or dry_run)
    app = open_app()
    seen = desk.preview_undo(app, entry)
    if dry_run:
        _print_outcome(seen, dry_run=True, as_json=as_json)
        return
    if seen.affected and not yes:
        _ask(seen)
    done = desk.take_back(app, entry, by=by or getpass.getuser()) if seen.affected else seen
    _print_outcome(done, dry_run=False, as_json=as_json)
    raise typer.Exit(0 if done.affected else 1)


def tag(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Whom.")],
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Put this on.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Take off.")] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Put tags on readers and take others off; both options can be given more than once."""
    from newsletter import desk

    if not add and not remove:
        raise typer.BadParameter("say what: --add TAG or --remove TAG")
    who = by or getpass.getuser()
    done = desk.tag(open_app(), addresses, add=add or (), remove=remove or (), by=who)
    if as_json:
        print_json([outcome.to_dict(dry_run=False) for outcome in done])
        return
    for outcome in done:
        say(f"{outcome.action}: {counted(outcome.affected, 'reader')}{_in_log(outcome)}")
        _print_left_out(outcome)


def tags(as_json: AsJson = False) -> None:
    """Every tag, with how many readers have it."""
    from newsletter import desk

    counts = desk.count_tags(open_app())
    if as_json:
        print_json(counts)
    else:
        print_table(("tag", "readers"), ((tag, f"{n:,}") for tag, n in counts.items()))


def sure(question: str) -> None:
    """Asks on a terminal. Raises RefusedError where nobody is there to say yes, or says no."""
    if not sys.stdin.isatty():
        raise RefusedError("nothing was changed: this needs a yes", hint="say it with --yes")
    if not typer.confirm(question, err=True):
        raise RefusedError("nothing was changed")


def refuse_to_ask_in_json(*, as_json: bool, answered: bool) -> None:
    """A question would stand in the middle of the answer."""
    if as_json and not answered:
        raise typer.BadParameter("--json asks no questions: add --yes or --dry-run")


def _act(action: str, tag: str) -> Act:
    from subscribers.bulk import act_of
    from subscribers.effects import TAGGING, BulkAction

    if action not in list(BulkAction):
        raise typer.BadParameter(f"{action!r} is no action; there are {', '.join(BulkAction)}")
    if (action in TAGGING) is not bool(tag.strip()):
        raise typer.BadParameter(
            f"{action} needs a tag: `bulk {action} TAG ...`"
            if action in TAGGING
            else f"{action} takes no tag; to choose readers by one, use --tag"
        )
    return act_of(BulkAction(action), tag)


def _ask(seen: Outcome) -> None:
    _print_affected(seen)
    sure("Go on?")


def _print_outcome(outcome: Outcome, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(outcome.to_dict(dry_run=dry_run))
    elif outcome.entry is None:
        _print_affected(outcome)
    else:
        say(f"{outcome.action}: {counted(outcome.affected, 'reader')}{_in_log(outcome)}")
        _print_left_out(outcome)
        if not outcome.action.startswith("undo"):
            say(f"  to take it back: newsletter subscribers undo {outcome.entry}")


def _print_affected(outcome: Outcome) -> None:
    number = counted(outcome.affected, "reader") if outcome.affected else "nobody"
    say(f"{outcome.action}: this affects {number}")
    for address in outcome.sample:
        say(f"  {address}")
    if outcome.affected > len(outcome.sample):
        say(f"  and {outcome.affected - len(outcome.sample):,} more")
    _print_left_out(outcome)


def _print_left_out(outcome: Outcome) -> None:
    if outcome.left_out:
        say(f"left out: {counted(sum(outcome.left_out.values()), 'reader')}")
        print_facts((reason, f"{n:,}") for reason, n in outcome.left_out.items())


def _in_log(outcome: Outcome) -> str:
    return f", entry {outcome.entry} of the audit log" if outcome.entry else ""
