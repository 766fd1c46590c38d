"""`newsletter settings`: every setting, its value and where it comes from."""

from __future__ import annotations

from newsletter.cli.screen import AsJson, print_json, print_table


def settings(as_json: AsJson = False) -> None:
    """Show every setting, its value (secrets masked) and where it comes from."""
    from newsletter.settings import described, load_settings

    rows = list(described(load_settings()))
    if as_json:
        print_json({key: {"value": value, "source": source} for key, value, source in rows})
    else:
        print_table(("setting", "value", "from"), rows)
