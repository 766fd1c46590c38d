"""What commands print: JSON, tables on a terminal, plain tab-separated lines in a pipe."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from textwrap import indent
from typing import Annotated, Any

import typer

REPLACED = "\N{REPLACEMENT CHARACTER}"
STEERING = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}  # controls, directions, halves, line ends
JOINERS = "\n\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # lines, Indic and Persian names

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]


def on_terminal() -> bool:
    return sys.stdout.isatty()


def say(line: str = "") -> None:
    print(clean(line), flush=True)


def say_aside(line: str) -> None:
    """On stderr, beside an answer that goes into a pipe."""
    print(clean(line), file=sys.stderr, flush=True)


def clean(value: object) -> str:
    """Text that cannot steer a terminal: readers' names are strangers' input."""
    return "".join(character if _is_harmless(character) else REPLACED for character in str(value))


def _is_harmless(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character) not in STEERING


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain), flush=True)


def print_json_list(values: Iterable[object]) -> None:
    """The same as `print_json` of a list, of any length, printed as it is read."""
    opening = "["
    for value in values:
        text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
        print(opening, indent(text, "  "), sep="\n", end="")
        opening = ","
    print("[]" if opening == "[" else "\n]", flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; in a pipe one line a row, fields separated by tabs."""
    if not on_terminal():
        for row in rows:
            print("\t".join(" ".join(clean(value).split()) for value in row), flush=True)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")  # a slug is there to be typed again: never cut it
    for row in rows:
        table.add_row(*(Text(clean(value)) for value in row))
    Console().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Name and value, a line each; empty values are left out."""
    shown = [(name, clean(value)) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        say(f"  {name:<{width}}  {value}")


def when(instant: datetime | None) -> str:
    """`Tue 24 Nov 2026 09:00 UTC`; empty for none."""
    return "" if instant is None else f"{instant:%a} {instant.day} {instant:%b %Y %H:%M %Z}"


def stamp(instant: datetime | None) -> str:
    """`2026-11-24 09:00 UTC`, for columns."""
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M %Z}"


def _plain(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
