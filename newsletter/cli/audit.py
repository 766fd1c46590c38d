"""`newsletter audit`: who did what to the list."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, print_facts, print_json, print_table, say, stamp, when
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.desk import Entry

program = typer.Typer(help="Who did what to the list, and to whom.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]


@program.command("list")
def list_(
    by: Annotated[str, typer.Option(help="Only what this person did.")] = "",
    action: Annotated[str, typer.Option(help="Only this: add, tag, undo, ...")] = "",
    since: Annotated[
        str, typer.Option(metavar="DAY", help="Only from this day on, as 2026-05-31 (UTC).")
    ] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """The newest acts of operators first."""
    from newsletter import desk

    found = desk.audit_entries(open_app(), by=by, action=action, since=_instant(since), limit=limit)
    if as_json:
        print_json([_facts(entry) for entry in found])
        return
    print_table(
        ("entry", "at", "by", "what", "readers", ""),
        (
            (
                entry.id,
                stamp(entry.at),
                entry.by,
                _named(entry),
                f"{entry.readers:,}",
                f"undone by {entry.undone_by}" if entry.undone_by else "",
            )
            for entry in found
        ),
    )


@program.command()
def show(
    entry: Annotated[int, typer.Argument(metavar="ID", help="The entry's number.")],
    limit: Limit = 100,
    after: Annotated[int, typer.Option(help="Readers with an id above this one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """One act with its readers: what they were before, what they are now."""
    from newsletter import desk

    found = desk.audit_entry(open_app(), entry, after_id=after, limit=limit)
    if as_json:
        touched = [
            {"id": one.subscriber_id, "address": one.address, "status": one.status}
            | {"before": one.before}
            for one in found.touched
        ]
        print_json({**_facts(found), "erased": found.erased, "touched": touched})
        return
    print_facts(
        [
            ("entry", found.id),
            ("at", when(found.at)),
            ("by", found.by),
            ("what", _named(found)),
            ("readers", f"{found.readers:,}"),
            ("erased since", found.erased or ""),
            ("undone by", found.undone_by),
            *((name.replace("_", " "), _plain(value)) for name, value in found.detail.items()),
        ]
    )
    print_table(
        ("reader", "before", "now", "id"),
        ((one.address, one.before, one.status, one.subscriber_id) for one in found.touched),
    )
    if len(found.touched) == limit < found.readers:
        last = found.touched[-1].subscriber_id
        say(f"{counted(limit, 'reader')} of {found.readers:,}; to go on: --after {last}")


def _named(entry: Entry) -> str:
    """`tag vip`, `undo of 7`, `import`."""
    detail = entry.detail
    words = detail.get("tag", "") or (f"of {detail['undoes']}" if "undoes" in detail else "")
    return f"{entry.action} {words}".strip()


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "by": entry.by,
        "action": entry.action,
        "readers": entry.readers,
        "undone_by": entry.undone_by,
        "detail": entry.detail,
    }


def _plain(value: Any) -> str:
    """A value of the detail in words: `unsubscribed 24, erased 2`."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _instant(day: str) -> datetime | None:
    if not day:
        return None
    try:
        instant = datetime.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter(f"{day!r} is no day; write it as 2026-05-31") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
