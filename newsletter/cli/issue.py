"""`newsletter issue`: the week's issue, from its plan to the account of its audience."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli import issue_views as views
from newsletter.cli.home import IssueRef, open_app
from newsletter.cli.screen import (
    AsJson,
    DryRun,
    counted,
    print_json,
    print_table,
    say,
    stamp,
    when,
)
from newsletter.errors import TransientError

if TYPE_CHECKING:
    from newsletter.editorial.issues import IssueDetails

program = typer.Typer(
    help="Issues: plan, look, change, approve, send, account.", no_args_is_help=True
)

By = Annotated[str, typer.Option("--by", help="Who decides; the user of this shell by default.")]
Slugs = list[str] | None


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
    _print(pipeline.plan(open_app(), wanted, samples=samples), as_json=as_json)


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
        ("week", "state", "due", "in it", "subject"),
        ((i.week, i.state, stamp(i.slot_at), len(i.items), i.subject) for i in found),
    )


@program.command()
def show(issue: IssueRef = "latest", as_json: AsJson = False) -> None:
    """Show an issue: what was chosen and why, findings, approval."""
    from newsletter.editorial import issues

    with open_app().session(readonly=True) as session:
        found = issues.find(session, issue)
    _print(found, as_json=as_json)


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
    say(f"{rendered.week}: {rendered.subject}")
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
    )
    if changes == Changes():
        raise typer.BadParameter("nothing to change: give --subject, --include, ...")
    _print(pipeline.edit(open_app(), issue, changes), as_json=as_json)


@program.command()
def approve(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """Approve an issue's bytes for its audience; refused while an error finding stands."""
    from newsletter import pipeline

    approved = pipeline.approve(open_app(), issue, by=by or getpass.getuser())
    _print_one_line(approved, f"approved, due {when(approved.slot_at)}", as_json=as_json)


@program.command()
def cancel(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """End an issue: what is out stays out, the rest is never sent."""
    from newsletter import control

    cancelled = control.cancel(open_app(), issue, by=by or getpass.getuser())
    _print_one_line(cancelled, "cancelled", as_json=as_json)


@program.command()
def pause(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """Stop a send that is under way; what is on the wire is finished, the rest waits."""
    from newsletter import control

    _print_one_line(
        control.pause(open_app(), issue, by=by or getpass.getuser()), "paused", as_json=as_json
    )


@program.command()
def resume(issue: IssueRef, as_json: AsJson = False) -> None:
    """Let a paused issue go out again, at the next tick or with `issue send`."""
    from newsletter import control

    _print_one_line(control.resume(open_app(), issue), "goes on", as_json=as_json)


@program.command()
def settle(
    issue: IssueRef,
    addresses: Annotated[
        list[str] | None, typer.Argument(help="Only these readers; else all uncertain ones.")
    ] = None,
    taken: Annotated[
        bool | None, typer.Option("--taken/--not-taken", help="They got it, or they did not.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say what became of deliveries without an answer; without a word, list them."""
    from newsletter import control

    if taken is None:
        views.print_held(control.held(open_app(), issue), as_json=as_json)
        return
    settled = control.settle(
        open_app(), issue, taken=taken, addresses=addresses or (), dry_run=dry_run
    )
    if as_json:
        print_json({"dry_run": dry_run, **asdict(settled)})
    else:
        said = "would be" if dry_run else "are"
        say(f"{settled.submitted} {said} submitted, {settled.planned} {said} planned again")


@program.command()
def send(issue: IssueRef, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Send an approved issue now, whatever its slot; started again, it goes on."""
    from newsletter import pipeline
    from newsletter.cli.progress import SendProgress
    from newsletter.cli.signals import StopWish

    app = open_app(running_clock=True)
    if dry_run:
        _print_account(pipeline.rehearse_freeze(app, issue).to_dict(), as_json=as_json)
        return
    with StopWish() as stop, SendProgress(silent=as_json) as progress:
        sent = pipeline.send(app, issue, on_progress=progress, should_stop=stop)
    account = sent.proof.to_dict()
    _print_account(account, as_json=as_json)
    if stop() and not account["complete"]:
        say(f"stopped; `newsletter issue send {sent.issue.week}` goes on")
        raise typer.Exit(stop.exit_status)
    if sent.stopped and not account["complete"]:
        reason, _, hint = sent.stopped.partition("\n  next: ")
        goes_on = f"`newsletter issue send {sent.issue.week}` goes on"
        raise TransientError(
            f"issue {sent.issue.week} is not finished: {reason}",
            hint=f"{hint}; then {goes_on}" if hint else f"once that is settled, {goes_on}",
        )
    raise typer.Exit(0 if account["holds"] else 1)


@program.command()
def proof(issue: IssueRef = "latest", as_json: AsJson = False) -> None:
    """Account for everyone in an issue's audience; exit 1 where it does not hold."""
    from newsletter import pipeline

    account = pipeline.prove(open_app(), issue).to_dict()
    _print_account(account, as_json=as_json)
    raise typer.Exit(0 if account["holds"] else 1)


def _print_account(account: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(account)
        return
    say(f"Issue {account['issue']}: {counted(account['candidates'], 'candidate')}")
    views.print_proof(account)


def _print(issue: IssueDetails, *, as_json: bool) -> None:
    if as_json:
        print_json(views.as_dict(issue))
    else:
        views.print_issue(issue)


def _print_one_line(issue: IssueDetails, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(views.as_dict(issue))
    else:
        say(f"{issue.week}: {what}")
