"""`newsletter templates`: which are the publication's own, and a copy to start one from."""

from __future__ import annotations

from typing import Annotated

import typer

from newsletter.cli.screen import AsJson, print_json, print_table, say

program = typer.Typer(
    help="Templates: what is bundled, and what the publication has made its own.",
    no_args_is_help=True,
)


@program.command("list")
def list_(as_json: AsJson = False) -> None:
    """List every template, and whether it is bundled or the publication's own."""
    from newsletter.rendering.overrides import listed
    from newsletter.settings import load_settings

    found = listed(load_settings().templates_dir)
    if as_json:
        print_json([one.to_dict() for one in found])
        return
    print_table(("template", "whose", ""), ((one.name, one.origin, one.note) for one in found))


@program.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="weekly/body.mjml, web/base.html")],
    as_json: AsJson = False,
) -> None:
    """Copy a bundled template into the publication's folder, to make it its own."""
    from newsletter.rendering.overrides import copy_bundled
    from newsletter.settings import load_settings

    path = copy_bundled(name, load_settings().templates_dir)
    if as_json:
        print_json({"file": path})
    else:
        say(str(path))
