"""`newsletter schedule`: when issues are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import open_app
from newsletter.cli.screen import AsJson, print_facts, print_json, print_table, when

if TYPE_CHECKING:
    from newsletter.app import App

program = typer.Typer(help="When issues are planned and due.", no_args_is_help=True)


@program.command()
def show(as_json: AsJson = False) -> None:
    """Show the weekly rule and what comes next."""
    app = open_app()
    settings = app.settings
    week, slot_at = app.slot.next_after(app.clock())
    rule = {
        "send_at": str(settings.send_at),
        "timezone": str(settings.timezone),
        "plan_ahead_hours": settings.plan_ahead_hours,
        "catch_up_hours": settings.catch_up_hours,
        "approval": settings.approval,
    }
    if as_json:
        print_json({**rule, "next": _slot(app, str(week), slot_at)})
        return
    print_facts(
        [
            ("weekly slot", f"{rule['send_at']} {rule['timezone']}"),
            ("planned", f"{rule['plan_ahead_hours']} hours ahead"),
            ("approval", rule["approval"]),
            (
                "caught up",
                f"within {rule['catch_up_hours']} hours; a slot missed by more is skipped",
            ),
            ("next", f"{week}, {when(slot_at)}"),
            ("its issue", _slot(app, str(week), slot_at)["issue"] or "not planned yet"),
        ]
    )


@program.command("next")
def upcoming(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=520, help="How many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """List the slots to come: the week, its instant, its issue's state."""
    app = open_app()
    slots = [
        _slot(app, str(week), slot_at)
        for week, slot_at in islice(app.slot.upcoming(app.clock()), count)
    ]
    if as_json:
        print_json(slots)
        return
    zone = app.settings.timezone
    print_table(
        ("week", "planned from", "due", "issue"),
        (
            (
                slot["week"],
                when(slot["planned_from"].astimezone(zone)),
                when(slot["slot_at"].astimezone(zone)),
                slot["issue"] or "-",
            )
            for slot in slots
        ),
    )


def _slot(app: App, week: str, slot_at: datetime) -> dict[str, Any]:
    from newsletter.editorial import issues
    from newsletter.weeks import IssueWeek

    with app.session(readonly=True) as session:
        issue = issues.of_week(session, IssueWeek.parse(week))
    return {
        "week": week,
        "slot_at": slot_at.astimezone(UTC),
        "planned_from": slot_at - timedelta(hours=app.settings.plan_ahead_hours),
        "issue": None if issue is None else str(issue.state),
    }
