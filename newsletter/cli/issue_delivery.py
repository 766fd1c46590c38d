"""`newsletter issue`, the operator's part: send, halt, account, settle, send again."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli import issue_views as views
from newsletter.cli.home import By, IssueRef, open_app
from newsletter.cli.proof_file import write_proof
from newsletter.cli.screen import AsJson, DryRun, print_json, say, stamp
from newsletter.errors import TransientError
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.pipeline import SendResult

Addresses = list[str] | None


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
        say(f"stopped; `newsletter issue send {sent.issue.ref}` goes on")
        raise typer.Exit(stop.exit_status)
    if sent.stopped and not account["complete"]:
        raise _unfinished(sent)
    raise typer.Exit(0 if account["holds"] else 1)


def _unfinished(sent: SendResult) -> TransientError:
    ref = sent.issue.ref
    reason, _, hint = sent.stopped.partition("\n  next: ")
    goes_on = f"`newsletter issue send {ref}` goes on"
    if sent.progress.goes_on_at is not None:
        at = stamp(sent.progress.goes_on_at)
        hint = f"from {at} on, {goes_on}; a running `newsletter serve` does it by itself"
    elif sent.issue.state == "paused":
        hint = f"mend the cause, then `newsletter issue resume {ref}` and `issue send {ref}`"
    else:
        hint = f"{hint}; then {goes_on}" if hint else f"once that is settled, {goes_on}"
    return TransientError(f"issue {ref} is not finished: {reason}", hint=hint)


def pause(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """Stop a send that is under way; what is on the wire is finished, the rest waits."""
    from newsletter import control

    paused = control.pause(open_app(), issue, by=by or getpass.getuser())
    views.print_one_line(paused, "paused", as_json=as_json)


def resume(issue: IssueRef, as_json: AsJson = False) -> None:
    """Let a paused issue go out again, at the next tick or with `issue send`."""
    from newsletter import control

    views.print_one_line(control.resume(open_app(), issue), "goes on", as_json=as_json)


def cancel(issue: IssueRef, by: By = "", as_json: AsJson = False) -> None:
    """End an issue: what is out stays out, the rest is never sent."""
    from newsletter import control

    cancelled = control.cancel(open_app(), issue, by=by or getpass.getuser())
    views.print_one_line(cancelled, "cancelled", as_json=as_json)


def proof(
    issue: IssueRef = "latest",
    file: Annotated[
        Path | None, typer.Argument(help="Of --csv: where to; - or none is standard output.")
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A row a candidate: the state, and why.")
    ] = False,
) -> None:
    """Account for everyone in an issue's audience; exit 1 where it does not hold."""
    from newsletter import pipeline

    if as_csv and as_json:
        raise typer.BadParameter("choose --json or --csv")
    if file is not None and not as_csv:
        raise typer.BadParameter("a file is written with --csv")
    app = open_app()
    if as_csv:
        holds = write_proof(app, issue, file)
    else:
        account = pipeline.prove(app, issue).to_dict()
        _print_account(account, as_json=as_json)
        holds = account["holds"]
    raise typer.Exit(0 if holds else 1)


def settle(
    issue: IssueRef,
    addresses: Annotated[
        Addresses, typer.Argument(help="Only these readers; else all uncertain ones.")
    ] = None,
    taken: Annotated[
        bool | None, typer.Option("--taken/--not-taken", help="They got it, or they did not.")
    ] = None,
    by_evidence: Annotated[
        bool, typer.Option("--by-evidence", help="Whoever loads, clicks or leaves has got it.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say what became of deliveries without an answer; without a word, list them."""
    from newsletter import control

    if by_evidence:
        if taken is not None or addresses:
            raise typer.BadParameter("--by-evidence looks at everybody, and takes no word")
        found = control.settle_by_evidence(open_app(), issue, dry_run=dry_run)
        views.print_settled_by_evidence(found, dry_run=dry_run, as_json=as_json)
        return
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


def resend(
    issue: IssueRef,
    addresses: Annotated[Addresses, typer.Argument(help="Readers to send it to again.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Everybody whose delivery failed or bounced.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Also to those named who have it already: they get it twice. Its Message-ID is "
            "the same, so their mail client may show one; an outbox keeps one file.",
        ),
    ] = False,
    by: By = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Plan deliveries once more; `issue send` or the next tick delivers them.

    Failed, bounced and uncertain ones; with --again those too who have it. Never to who was
    excluded, or may not be written to any more; exit 1 where one of the named is refused.
    """
    from newsletter import control

    if not addresses and not failed:
        raise typer.BadParameter("name readers by their addresses, or give --failed")
    done = control.resend_to(
        open_app(),
        issue,
        addresses=addresses or (),
        failed=failed,
        again=again,
        by=by or getpass.getuser(),
        dry_run=dry_run,
    )
    views.print_resent(done, issue, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(1 if addresses and done.refused_count else 0)


def _print_account(account: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(account)
        return
    say(f"Issue {account['issue']}: {counted(account['candidates'], 'candidate')}")
    views.print_proof(account)


COMMANDS = (send, pause, resume, cancel, proof, settle, resend)
