"""`newsletter db`: the database's schema."""

from __future__ import annotations

import typer

from newsletter.cli.home import log_to_stderr
from newsletter.cli.screen import AsJson, print_json, say

program = typer.Typer(help="The database: bring it up to date, check it.", no_args_is_help=True)


@program.command()
def upgrade() -> None:
    """Bring the database's schema to this version's; safe to run again."""
    from newsletter.settings import load_settings
    from newsletter.store.engine import HEAD, open_engine
    from newsletter.store.engine import upgrade as migrate

    log_to_stderr()
    migrate(open_engine(load_settings().database))
    say(f"the database has schema {HEAD}")


@program.command()
def check(as_json: AsJson = False) -> None:
    """Compare the database with this version's tables; exit 1 where they differ."""
    from newsletter.settings import load_settings
    from newsletter.store.engine import HEAD, open_engine, require_current_schema
    from newsletter.store.engine import schema_differences as differences_of

    log_to_stderr()
    engine = open_engine(load_settings().database)
    require_current_schema(engine)
    differences = [str(difference) for difference in differences_of(engine)]
    if as_json:
        print_json({"schema": HEAD, "differences": differences, "holds": not differences})
    else:
        say(f"the database has schema {HEAD}, and " + ("differs:" if differences else "holds"))
        for difference in differences:
            say(f"  {difference}")
    raise typer.Exit(1 if differences else 0)
