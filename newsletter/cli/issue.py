"""`newsletter issue`: the week's issue, from its plan to the account of its audience."""

from __future__ import annotations

import getpass
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli import issue_delivery, trial
from newsletter.cli import issue_views as views
from newsletter.cli.home import By, IssueRef, open_app
from newsletter.cli.screen import AsJson, print_json, print_table, say, stamp, when

if TYPE_CHECKING:
    from newsletter.editorial.issues import IssueDetails

program = typer.Typer(
    help="Issues: plan, look, change, approve, send, account.", no_args_is_help=True
)

Slugs = list[str] | None


class Tracking(StrEnum):
    """Whether an issue counts what its readers do with it."""

    ON = "on"
    OFF = "off"


@program.command()
def plan(
    week: Annotated[str, typer.Option(help="2026-W48; the next slot without an issue.")] = "",
    samples: Annotated[bool, typer.Option("--samples", help="Let invented ones in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Choose the comparisons of a week and render its issue."""
    from newsletter import pipeline
    from newsletter.weeks import IssueWeek

    wanted = IssueWeek.parse(week) if week else None
    views.print_or_json(pipeline.plan(open_app(), wanted, samples=samples), as_json=as_json)


@program.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all issues, newest week first."""
    from newsletter.editorial import issues

    with open_app().session(readonly=True) as session:
        found = issues.all_issues(session)
    if as_json:
        print_json([views.as_dict(issue) for issue in found])
        return
    print_table(
        ("issue", "state", "due", "in it", "subject"),
        (_row(issue) for issue in found),
    )


@program.command()
def show(issue: IssueRef = "latest", as_json: AsJson = False) -> None:
    """Show an issue: what was chosen and why, findings, approval; how it goes while it goes out."""
    from newsletter import control, mailings
    from newsletter.editorial import issues

    app = open_app()
    with app.session(readonly=True) as session:
        found = issues.find(session, issue)
    found = replace(found, is_tracked=mailings.is_tracked(app, found))
    going = control.going(app, found)
    if as_json:
        print_json({**views.as_dict(found), "going": going and asdict(going)})
    else:
        views.print_issue(found, going)


@program.command()
def render(
    issue: IssueRef,
    out: Annotated[
        Path | None, typer.Option(help="Write issue.html, .txt, .mjml, .json and sample.eml here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render an issue again; the same bytes keep its approval."""
    from newsletter import pipeline
    from newsletter.cli.issue_files import write_issue

    app = open_app()
    rendered = pipeline.render(app, issue)
    files = [] if out is None else write_issue(app, rendered, out)
    if as_json:
        print_json({**views.as_dict(rendered), "files": files})
        return
    say(f"{rendered.ref}: {rendered.subject}")
    say(f"sha256 {rendered.sha256}, {views.findings_count(rendered)}")
    for path in files:
        say(str(path))


@program.command()
def check(
    issue: IssueRef = "latest",
    live: Annotated[
        bool, typer.Option("--live", help="Also ask the web whether each link answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the quality rules on an issue as it renders now; exit 1 on an error finding."""
    from newsletter import pipeline

    app = open_app()
    found = pipeline.render(app, issue)
    dead = views.dead_links(app, found) if live else []
    if as_json:
        print_json(views.check_as_dict(found, dead))
    else:
        views.print_check(found, dead)
    failed = found.error_count or any(one["severity"] == "error" for one in dead)
    raise typer.Exit(1 if failed else 0)


@program.command()
def rebuild(
    issue: IssueRef,
    verify: Annotated[
        bool, typer.Option("--verify", help="Exit 1 where the bytes are not the same.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write the rebuilt files here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Render an issue from its snapshot: the same bytes, or what differs."""
    from newsletter import renders
    from newsletter.cli.issue_files import write_rebuilt

    if not verify and out is None:
        raise typer.BadParameter("give --verify to compare, --out DIR to keep, or both")
    app = open_app()
    rebuilt = renders.rebuild(app, issue)
    files = [] if out is None else write_rebuilt(app, rebuilt, out)
    if as_json:
        print_json({**views.rebuilt_as_dict(rebuilt), "files": files})
    else:
        views.print_rebuilt(rebuilt, files)
    raise typer.Exit(1 if verify and not rebuilt.holds else 0)


@program.command()
def edit(
    issue: IssueRef,
    subject: Annotated[
        str | None, typer.Option(help='Under 50 characters; "" takes it back.')
    ] = None,
    preheader: Annotated[
        str | None, typer.Option(help='Under 90 characters; "" takes it back.')
    ] = None,
    intro: Annotated[str | None, typer.Option(help='A paragraph; "" takes it back.')] = None,
    include: Annotated[Slugs, typer.Option(help="A comparison that must be in.")] = None,
    exclude: Annotated[Slugs, typer.Option(help="A comparison that must stay out.")] = None,
    order: Annotated[str, typer.Option(help="Comparisons, lead first: slug,slug.")] = "",
    audience: Annotated[
        str | None, typer.Option(help="Who gets it: all, or segment:NAME of a saved segment.")
    ] = None,
    tracking: Annotated[
        Tracking | None, typer.Option(help="off: no pixel, and plain links, for everybody.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change an issue and render it again; a standing approval becomes void."""
    from newsletter import pipeline
    from newsletter.editorial.planning import Changes

    changes = Changes(
        subject=subject,
        preheader=preheader,
        intro=intro,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        order=tuple(slug.strip() for slug in order.split(",") if slug.strip()),
        audience=audience,
        is_tracked=None if tracking is None else tracking is Tracking.ON,
    )
    if changes == Changes():
        raise typer.BadParameter("nothing to change: give --subject, --include, ...")
    views.print_or_json(pipeline.edit(open_app(), issue, changes), as_json=as_json)


@program.command()
def approve(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """Approve an issue's bytes for its audience; refused while an error finding stands."""
    from newsletter import pipeline

    approved = pipeline.approve(open_app(), issue, by=by or getpass.getuser())
    due = f"due {when(approved.slot_at)}" if approved.has_slot else "sent by hand"
    views.print_one_line(approved, f"approved, {due}", as_json=as_json)


@program.command()
def correct(
    issue: IssueRef,
    text: Annotated[str, typer.Option(help="What was wrong, and what is right.")],
    subject: Annotated[
        str | None, typer.Option(help='Under 50 characters; "" takes it back.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a correction for those who may have got an issue; approve and send it by itself.

    It is called 2026-W48/correction. Given again, it is written anew until it is sent.
    """
    from newsletter import corrections

    written = corrections.correct(open_app(), issue, text=text, subject=subject)
    views.print_or_json(written, as_json=as_json)


def _row(issue: IssueDetails) -> tuple[object, ...]:
    due = stamp(issue.slot_at) if issue.has_slot else "by hand"
    return issue.ref, issue.state, due, len(issue.items), issue.subject


for command in issue_delivery.COMMANDS:
    program.command()(command)
program.command("test")(trial.send_test)
