"""`newsletter subscribers import` and `export`: the list as a file."""

from __future__ import annotations

import getpass
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from newsletter.cli.home import By, open_app
from newsletter.cli.import_progress import ImportProgress
from newsletter.cli.screen import AsJson, DryRun, print_facts, print_json, say
from newsletter.cli.subscribers import program
from newsletter.errors import RefusedError
from newsletter.plurals import counted

if TYPE_CHECKING:
    from sqlmodel import Session

    from newsletter.app import App
    from subscribers.transfer import ImportReport, Judged

__all__ = ["program"]


@program.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A CSV, or with --whole a whole list.")],
    consent: Annotated[str, typer.Option(help="What they agreed to, and how; in words.")] = "",
    given_on: Annotated[
        str, typer.Option(help="The day they did, as 2026-05-31; today by default.")
    ] = "",
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COL=FIELD", help="Take a column for a field, or `ignore`."),
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help="Write rejected rows here, to be mended and imported.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="A zip of `export --whole`, into an empty list.")
    ] = False,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Import a list with its stated consent; every row is accounted for.

    Export files of Mailchimp, Substack, Ghost, Buttondown, beehiiv, Kit and listmonk are known by
    their headers. All of the list is imported, or nothing.
    """
    app = open_app()
    if whole:
        _import_whole(app, file, by=by, dry_run=dry_run, as_json=as_json)
        return
    if errors is not None and errors.exists() and errors.samefile(file):
        raise RefusedError(
            f"{errors} is the list itself: its rejected rows would take the place of the others",
            hint="name another file with --errors",
        )
    with ImportProgress(silent=as_json) as progress:
        report = _import(
            app, file, (consent, given_on), mapping or [], errors, progress, by=by, dry_run=dry_run
        )
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
        return
    if dry_run:
        say("nothing was written; it would be:")
    _tell(report, errors)


def _import(
    app: App,
    file: Path,
    consent: tuple[str, str],
    mapping: Iterable[str],
    errors: Path | None,
    progress: ImportProgress,
    *,
    by: str,
    dry_run: bool,
) -> ImportReport:
    from newsletter.store import search
    from subscribers.transfer import Stated, judged, take_in

    now = app.clock()
    # The day of stating it, where the consent is stated here; columns state their own.
    given_on = consent[1] or (now.date().isoformat() if consent[0].strip() else "")
    stated = Stated(f"import:{file.name}", consent[0], given_on)
    with (
        _opened(file) as stream,
        judged(stream, stated, now=now, chosen=_chosen(mapping), watch=progress) as read,
    ):
        if errors is not None and read.staging.reasons:
            _write_rejected(read, errors)  # before anything is imported: it may fail
        with app.session(readonly=dry_run) as session:
            report = take_in(
                session,
                read,
                now=now,
                fingerprint_of=app.keyring.of_address,
                dry_run=dry_run,
                watch=progress,
            )
            if not dry_run:
                _log(session, app, by, "import", stated.source, report.added)
                search.catch_up(session)
            return report


def _log(session: Session, app: App, by: str, action: str, source: str, readers: int) -> None:
    """In the same transaction: what was done and who did it are there together, or neither."""
    from subscribers import audit

    who, now = by or getpass.getuser(), app.clock()
    audit.record(
        session, by=who, action=action, detail={"source": source}, readers=readers, now=now
    )


def _chosen(mapping: Iterable[str]) -> dict[str, str]:
    chosen = {}
    for choice in mapping:
        column, equals, field = choice.rpartition("=")
        if not equals or not column.strip():
            raise typer.BadParameter(f"{choice!r} is no mapping; write COL=FIELD")
        chosen[column] = field or "ignore"
    return chosen


def _write_rejected(read: Judged, errors: Path) -> None:
    with _replacing(errors) as target:
        target.writelines(line.encode() for line in read.errors())


def _import_whole(app: App, file: Path, *, by: str, dry_run: bool, as_json: bool) -> None:
    from newsletter.store import search
    from subscribers.whole import import_whole

    with _opened(file) as stream, app.session() as session:
        counts = import_whole(session, stream)
        readers = counts["subscribers.csv"]
        if dry_run:
            session.rollback()
        else:
            _log(session, app, by, "import whole", f"import:{file.name}", readers)
            search.catch_up(session)
    if as_json:
        print_json({"dry_run": dry_run, "rows": counts})
        return
    if dry_run:
        say("nothing was written; it would be:")
    print_facts((name.removesuffix(".csv"), f"{number:,}") for name, number in counts.items())


def _tell(report: ImportReport, errors: Path | None) -> None:
    say(f"read as {report.dialect}:")
    for column, field in report.columns:
        say(f"  {column or '(no name)'} -> {field or 'not used'}")
    facts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    print_facts((name.replace("_", " "), f"{value:,}") for name, value in facts.items())
    for reason, number in report.newly_suppressed.items():
        say(f"  newly suppressed: {number:,} ({reason.replace('_', ' ')})")
    for reason, number in report.reasons.items():
        say(f"  {counted(number, 'row')} rejected: {reason}")
    for row in report.examples:
        say(f"  line {row.line}: {row.reason}")
    if report.rejected:
        say(f"  rejected rows: {errors or 'name a file with --errors to get them all'}")


@program.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; standard output if none.")] = None,
    shape: Annotated[
        str, typer.Option("--as", help="plain, or the service it is for: mailchimp, ghost, ...")
    ] = "plain",
    segment: Annotated[str, typer.Option(help="Only who is in this saved segment.")] = "",
    whole: Annotated[
        bool, typer.Option("--whole", help="All there is on everybody, as a zip to move house.")
    ] = False,
) -> None:
    """Export the list as CSV: consent, status and suppression beside each address."""
    from subscribers.dialects import DIALECTS

    if shape not in DIALECTS:
        raise typer.BadParameter(f"{shape!r} is no shape; there are {', '.join(DIALECTS)}")
    if whole and (file is None or segment or shape != "plain"):
        raise typer.BadParameter("--whole needs a FILE, and goes with no other choice")
    app = open_app()
    if whole and file is not None:
        _export_whole(app, file)
        return
    if file is None:
        sys.stdout.writelines(_lines(app, shape, segment))
        return
    count = -1  # the header is no line
    with _replacing(file) as target:
        for line in _lines(app, shape, segment):
            target.write(line.encode())
            count += 1
    say(f"{file}: {counted(count, 'line')}")


def _lines(app: App, shape: str, segment: str) -> Iterator[str]:
    from newsletter import segments
    from subscribers.dialects import DIALECTS
    from subscribers.exports import export_lines

    with app.session(readonly=True) as session:
        only = None
        if segment:
            only = segments.condition(app, session, segment)
        yield from export_lines(session, DIALECTS[shape], only=only)


def _export_whole(app: App, file: Path) -> None:
    from subscribers.whole import export_whole

    with _replacing(file) as target, app.session(readonly=True) as session:
        counts = export_whole(session, target)
    say(f"{file}: {counted(sum(counts.values()), 'row')}")


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be read: {error.strerror}", hint="check its path"
        ) from None
    with stream:
        if not stream.seekable():
            raise RefusedError(
                f"{file} cannot be read twice, which it must be", hint="save it as a file first"
            )
        yield stream


@contextmanager
def _replacing(file: Path) -> Iterator[BinaryIO]:
    """What is written takes the file's place when all of it is there; for the owner's eyes only."""
    try:
        if file.exists() and not file.is_file():  # a terminal, a pipe: there is nothing to replace
            with file.open("wb") as target:
                yield target
            return
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as made:
            part = Path(made.name)
            try:
                yield made  # type: ignore[misc]
                made.flush()
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise RefusedError(
            f"{file} cannot be written: {error.strerror}", hint="name another file"
        ) from None
