"""`newsletter subscribers`: the list, one reader at a time or as a file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import (
    AsJson,
    DryRun,
    counted,
    print_facts,
    print_json,
    print_table,
    say,
    stamp,
)
from newsletter.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from newsletter.app import App
    from subscribers.models import Subscriber

program = typer.Typer(help="Readers: add, look up, import, export.", no_args_is_help=True)

PAGE = 500

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The reader's mail address.")]
Consent = Annotated[str, typer.Option(help="What they agreed to, and how; in words.")]
GivenOn = Annotated[str, typer.Option(help="The day they did, as 2026-05-31; today by default.")]


@program.command()
def add(
    address: Address,
    consent: Consent = "",
    given_on: GivenOn = "",
    name: Annotated[str, typer.Option(help="How the mail greets them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add one reader whose consent you can state; who left or must not be written to stays out."""
    from newsletter import readers
    from subscribers.outcomes import Added

    app = open_app()
    added = readers.add(app, address, name, consent_text=consent, given_on=_day(app, given_on))
    if as_json:
        print_json({"address": address, "outcome": added})
    else:
        say(f"{address}: {added.replace('_', ' ')}")
    kept_out = added in (Added.KEPT_UNSUBSCRIBED, Added.KEPT_SUPPRESSED)
    raise typer.Exit(1 if kept_out else 0)


@program.command()
def show(address: Address, as_json: AsJson = False) -> None:
    """Show all that is held on one reader: status, consent, what was sent and why not."""
    from newsletter import readers

    facts = readers.show(open_app(), address)
    if as_json:
        print_json(facts)
        return
    print_facts((name, value) for name, value in facts.items() if not isinstance(value, list))
    for record in facts["consent"]:
        words = f": {record['wording']}" if record["wording"] else ""
        say(f"  {record['at']}  {record['action']} by {record['source']}{words}")
    for delivery in facts["deliveries"]:
        reason = f" ({delivery['reason']})" if delivery["reason"] else ""
        say(f"  issue {delivery['issue']}: {delivery['state']}{reason}")


@program.command("list")
def list_(
    status: Annotated[str, typer.Option(help="Only these: active, pending, ...")] = "",
    search: Annotated[str, typer.Option(help="Part of an address or a name.")] = "",
    as_json: AsJson = False,
) -> None:
    """List readers, oldest first."""
    rows = [_row(one) for one in _pages(open_app(), status, search)]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("address", "name", "status", "confirmed"),
        ((r["address"], r["name"], r["status"], stamp(r["confirmed_at"])) for r in rows),
    )


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
def unsubscribe(address: Address, as_json: AsJson = False) -> None:
    """Take one reader off the list; only their own sign-up brings them back."""
    from newsletter import readers

    outcome = readers.operator_unsubscribe(open_app(), address)
    if as_json:
        print_json({"address": address, "outcome": outcome})
    else:
        say(f"{address}: {'was not on the list any more' if outcome == 'already' else outcome}")


@program.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV with the columns email and name.")],
    consent: Consent = "",
    given_on: GivenOn = "",
    errors: Annotated[
        Path | None, typer.Option(help="Write rejected rows here, to be mended and imported.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Import a list with its stated consent; every row is accounted for."""
    from newsletter import readers
    from subscribers.transfer import write_rejected

    app = open_app()
    report = readers.import_list(
        app,
        _bytes_of(file),
        source=f"import:{file.name}",
        consent_text=consent,
        given_on=_day(app, given_on),
        dry_run=dry_run,
    )
    if errors is not None and report.rejected:
        _write(errors, write_rejected(report))
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
        return
    if dry_run:
        say("nothing was written; it would be:")
    print_facts((name.replace("_", " "), value) for name, value in _account(asdict(report)))
    for row in report.rejected[:10]:
        say(f"  line {row.line}: {row.reason}")
    if report.rejected:
        say(f"  rejected rows: {errors or 'name a file with --errors to get them all'}")


def _day(app: App, given_on: str) -> str:
    """The day stated, else the day of stating it."""
    return given_on or app.clock().date().isoformat()


@program.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output if none.")] = None,
) -> None:
    """Export the list as CSV: consent, status and suppression beside each address."""
    from subscribers.transfer import export_csv

    with open_app().session(readonly=True) as session:
        if file is None:
            sys.stdout.writelines(export_csv(session))
            return
        lines = "".join(export_csv(session))
    _write(file, lines)
    say(f"{file}: {counted(lines.count(chr(10)) - 1, 'line')}")


def _pages(app: App, status: str, search: str) -> Iterator[Subscriber]:
    from subscribers import audience
    from subscribers.models import SubscriberStatus

    if status and status not in list(SubscriberStatus):
        known = ", ".join(SubscriberStatus)
        raise typer.BadParameter(f"{status!r} is no status; there are {known}")
    wanted, after_id = SubscriberStatus(status) if status else None, 0
    with app.session(readonly=True) as session:
        while found := audience.page(
            session, after_id=after_id, limit=PAGE, status=wanted, search=search or None
        ):
            yield from found
            after_id = found[-1].id or after_id


def _row(subscriber: Subscriber) -> dict[str, Any]:
    return {
        "address": subscriber.address,
        "name": subscriber.name,
        "status": subscriber.status,
        "confirmed_at": subscriber.confirmed_at,
    }


def _account(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in report.items():
        yield name, f"{len(value) if name == 'rejected' else value:,}"


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be read: {error.strerror}", hint="check its path"
        ) from None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be written: {error.strerror}", hint="name another file"
        ) from None
