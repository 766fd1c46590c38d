"""`newsletter subscribers`: the list, one reader at a time; many at once are in its neighbours."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli import subscribers_bulk as many
from newsletter.cli import subscribers_show as views
from newsletter.cli.home import By, open_app
from newsletter.cli.screen import (
    AsJson,
    on_terminal,
    print_facts,
    print_json,
    print_json_list,
    print_table,
    say,
    say_aside,
    stamp,
)
from newsletter.cli.subscribers_bulk import (
    Search,
    Status,
    Tag,
    Where,
    Yes,
    refuse_to_ask_in_json,
    sure,
    wanted,
)

if TYPE_CHECKING:
    from newsletter.app import App
    from newsletter.desk import Wanted

program = typer.Typer(
    help="Readers: add, look up, tag, act on many, import, export.", no_args_is_help=True
)
program.command("tag")(many.tag)
program.command("tags")(many.tags)
program.command("bulk")(many.bulk)
program.command("undo")(many.undo)

ON_A_SCREEN = 100  # readers, where nobody says how many

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The reader's mail address.")]
Consent = Annotated[str, typer.Option(help="What they agreed to, and how; in words.")]
GivenOn = Annotated[str, typer.Option(help="The day they did, as 2026-05-31; today by default.")]


@program.command()
def add(
    address: Address,
    consent: Consent = "",
    given_on: GivenOn = "",
    name: Annotated[str, typer.Option(help="How the mail greets them.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Add one reader whose consent you can state; who left or must not be written to stays out."""
    from newsletter import desk
    from subscribers.outcomes import Added

    app, who = open_app(), by or getpass.getuser()
    day = _day(app, given_on)
    added = desk.add(app, address, name, consent_text=consent, given_on=day, by=who)
    if as_json:
        print_json({"address": address, "outcome": added})
    else:
        say(f"{address}: {added.replace('_', ' ')}")
    kept_out = added in (Added.KEPT_UNSUBSCRIBED, Added.KEPT_SUPPRESSED)
    raise typer.Exit(1 if kept_out else 0)


@program.command()
def show(address: Address, as_json: AsJson = False) -> None:
    """Show all that is held on one reader: choices, consent, what was sent and why not."""
    from newsletter import dossier

    facts = dossier.show(open_app(), address)
    if as_json:
        print_json(facts)
    else:
        views.print_reader(facts)


@program.command("list")
def list_(
    status: Status = "",
    search: Search = "",
    tag: Tag = "",
    where: Where = "",
    limit: Annotated[
        int, typer.Option(min=0, help="At most so many; on a screen 100 by default, else all.")
    ] = 0,
    after: Annotated[int, typer.Option(help="Readers with an id above this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List readers in the order of their ids, which is that of their coming."""
    size = limit or (ON_A_SCREEN if on_terminal() and not as_json else 0)
    _print_page(open_app(), wanted(status, search, tag, where), after, size, as_json=as_json)


@program.command()
def search(
    text: Annotated[str, typer.Argument(help="Part of an address or a name.")],
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    after: Annotated[int, typer.Option(help="Readers with an id above this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Find readers by a part of their address or name; exit 1 where there is none."""
    if not text.strip():
        raise typer.BadParameter("say what to search for")
    found = _print_page(open_app(), wanted("", text, "", ""), after, limit, as_json=as_json)
    raise typer.Exit(0 if found else 1)


@program.command()
def count(as_json: AsJson = False) -> None:
    """Count readers by status."""
    from newsletter import readers

    counts = readers.counts(open_app())
    if as_json:
        print_json(counts)
    else:
        print_facts((status, f"{number:,}") for status, number in counts.items())


@program.command()
def unsubscribe(address: Address, by: By = "", as_json: AsJson = False) -> None:
    """Take one reader off the list; their own sign-up brings them back, or an undo."""
    from newsletter import desk

    outcome = desk.unsubscribe(open_app(), address, by=by or getpass.getuser())
    if as_json:
        print_json({"address": address, "outcome": outcome})
    else:
        say(f"{address}: {'was not on the list any more' if outcome == 'already' else outcome}")


@program.command()
def erase(address: Address, by: By = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase who a reader is, for good, when they ask you to; only counts and dates stay."""
    from newsletter import own_page

    refuse_to_ask_in_json(as_json=as_json, answered=yes)
    app = open_app()
    if not yes:
        say(f"{address}: name, address, choices, tags and behaviour go; nobody can undo this")
        sure("Erase them?")
    outcome = own_page.erase_by_operator(app, address, by=by or getpass.getuser())
    if as_json:
        print_json({"address": address, "outcome": outcome})
    else:
        say(f"{address}: {outcome}")


def _day(app: App, given_on: str) -> str:
    """The day stated, else the day of stating it."""
    return given_on or app.clock().date().isoformat()


def _print_page(app: App, whom: Wanted, after_id: int, size: int, *, as_json: bool) -> bool:
    """Prints at most `size` readers (0: all, as they are read); whether there was any."""
    from newsletter import desk

    rows = map(asdict, desk.readers(app, whom, after_id=after_id))
    if not size:
        _print_rows(rows, as_json=as_json)
        return True
    page = list(islice(rows, size + 1))
    _print_rows(page[:size], as_json=as_json)
    if len(page) > size and not as_json:
        say_aside(f"there are more: add --after {page[size - 1]['id']}")
    return bool(page)


def _print_rows(rows: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json_list(rows)
        return
    print_table(
        ("address", "name", "status", "confirmed", "id"),
        (
            (row["address"], row["name"], row["status"], stamp(row["confirmed_at"]), row["id"])
            for row in rows
        ),
    )
