"""`newsletter suppressions`: addresses nobody may write to, and why."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from newsletter.cli.home import By, open_app
from newsletter.cli.screen import AsJson, print_json, print_table, say, when

program = typer.Typer(help="Addresses that must not be written to.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="A mail address.")]


@program.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every suppression that stands, newest first."""
    from newsletter import readers

    found = readers.suppressions(open_app())
    if as_json:
        print_json(
            [
                {"address": s.address_key, "reason": s.reason, "at": s.at, "detail": s.detail}
                for s in found
            ]
        )
        return
    print_table(
        ("address", "reason", "since", "detail"),
        [(s.address_key, s.reason.replace("_", " "), when(s.at), s.detail) for s in found],
    )


@program.command()
def add(
    address: Address,
    because: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Never write to an address again, on the list or not."""
    from newsletter import desk

    who = by or getpass.getuser()
    news = desk.suppress(open_app(), address, because=because, by=who)
    if as_json:
        print_json({"address": address, "outcome": "suppressed" if news else "already"})
    else:
        say(f"{address}: {'suppressed' if news else 'was suppressed already'}")


@program.command()
def remove(
    address: Address,
    because: Annotated[str, typer.Option(help="Why; needed, and kept as history.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Lift a suppression; a complaint is lifted by the reader alone, by signing up again."""
    from newsletter import desk

    who = by or getpass.getuser()
    lifted = desk.lift_suppression(open_app(), address, because=because, by=who)
    if as_json:
        print_json({"address": address, "outcome": "lifted" if lifted else "none"})
    else:
        say(f"{address}: {'may be written to again' if lifted else 'was not suppressed'}")
