"""`newsletter issue stats` and `newsletter stats list`: figures on a terminal, as JSON, as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import IssueRef, open_app
from newsletter.cli.screen import AsJson, print_json, say

if TYPE_CHECKING:
    from newsletter.tracking.tables import Table

program = typer.Typer(help="How the list grows and shrinks.", no_args_is_help=True)

Fresh = Annotated[
    bool, typer.Option("--fresh", help="Count now; by default what the tick kept is shown.")
]
AsCsv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE|DIR",
        help="A folder for a file a table; or a file (.csv) for one long table of table, row,"
        " column, value.",
    ),
]


def of_issue(
    ref: IssueRef, as_json: AsJson = False, csv: AsCsv = None, fresh: Fresh = False
) -> None:
    """Show what readers did with an issue: every count of readers, machines told apart.

    Rates have their denominators and intervals of 95 %. JSON and CSV have everything, also what the
    terminal cuts off.
    """
    from newsletter import stats
    from newsletter.cli.stats_views import issue_lines
    from newsletter.tracking.tables import issue_tables

    figures = stats.load(open_app(), ref, fresh=fresh)
    _show(figures, issue_lines(figures), issue_tables(figures), csv, as_json=as_json)


@program.command("list")
def of_list(as_json: AsJson = False, csv: AsCsv = None, fresh: Fresh = False) -> None:
    """Show growth and churn of the list by month, and what became of each month's readers."""
    from newsletter import stats
    from newsletter.cli.stats_views import list_lines
    from newsletter.tracking.tables import list_tables

    figures = stats.load_list(open_app(), fresh=fresh)
    _show(figures, list_lines(figures), list_tables(figures), csv, as_json=as_json)


def _show(
    figures: Any,
    lines: Iterable[str],
    tables: Mapping[str, Table],
    csv: Path | None,
    *,
    as_json: bool,
) -> None:
    from newsletter.tracking.figures_json import to_plain

    if csv is not None:
        written = _write(csv, tables)
        if not as_json:
            for path in written:
                say(str(path))
            return
    if as_json:
        print_json(to_plain(figures))
        return
    for line in lines:
        say(line)


def _write(target: Path, tables: Mapping[str, Table]) -> list[Path]:
    """One file, or one a table. Raises RefusedError where it cannot be written."""
    from newsletter.errors import RefusedError
    from newsletter.tracking.tables import one_long_table

    is_file = target.suffix.lower() == ".csv" and not target.is_dir()
    files = (
        {target: one_long_table(tables)}
        if is_file
        else {target / f"{name}.csv": table for name, table in tables.items()}
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not is_file:
            target.mkdir(exist_ok=True)
        for path, table in files.items():
            path.write_text("".join(table.csv()), encoding="utf-8", newline="")
    except OSError as error:
        raise RefusedError(
            f"the figures cannot be written to {target}: {error.strerror}",
            hint="name a folder, or a file that ends in .csv, where you may write",
        ) from None
    return list(files)
