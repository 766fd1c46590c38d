"""`newsletter webhooks`: whom else we tell, what they took, and what they did not."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.home import By, open_app
from newsletter.cli.screen import AsJson, DryRun, print_facts, print_json, print_table, say, stamp
from newsletter.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from newsletter.webhooks.endpoints import Endpoint
    from newsletter.webhooks.messages import Logged

program = typer.Typer(
    help="Endpoints that are told of issues sent and of readers who come and go.",
    no_args_is_help=True,
)

EndpointId = Annotated[int, typer.Argument(metavar="ENDPOINT", help="The number of an endpoint.")]


@program.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://...; called by POST.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only this: issue.sent, subscriber.confirmed, ... All by default."),
    ] = None,
    with_addresses: Annotated[
        bool, typer.Option("--with-addresses", help="Tell readers' addresses beside their ids.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Take http:// to another machine as well.")
    ] = False,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Tell an address of what happens from now on; prints its secret, this once."""
    from newsletter.webhooks import endpoints, kinds

    app, wanted = open_app(), kinds.parse(kind or ())
    with app.session() as session:
        added, secret = endpoints.add(
            session,
            url,
            wanted,
            sends_addresses=with_addresses,
            insecure=insecure,
            by=by or getpass.getuser(),
            now=app.clock(),
        )
    if as_json:
        print_json({**asdict(added), "secret": secret})
        return
    say(f"endpoint {added.id}: told of {', '.join(added.kinds)}")
    say(f"secret: {secret}")
    say("It is shown this once. Its receiver checks every call by it (standardwebhooks.com).")
    say(f"`newsletter webhooks test {added.id}` tries it.")


@program.command("list")
def list_(
    also_removed: Annotated[
        bool, typer.Option("--all", help="Removed ones and their reason as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Every endpoint: what it is told, what waits, what was given up, since when it fails."""
    from newsletter.webhooks import endpoints

    app = open_app()
    with app.session(readonly=True) as session:
        found = endpoints.listed(session, also_removed=also_removed)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("endpoint", "address", "told of", "since", "waiting", "failed", ""),
        [_row(one, app.clock()) for one in found],
    )


@program.command()
def remove(
    endpoint: EndpointId,
    because: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Tell an endpoint nothing any more; what waits for it is dropped."""
    from newsletter.webhooks import endpoints

    app, who = open_app(), by or getpass.getuser()
    with app.session() as session:
        gone = endpoints.remove(
            session, endpoint, because=because or f"removed by {who}", by=who, now=app.clock()
        )
    if as_json:
        print_json(asdict(gone))
    else:
        say(f"endpoint {gone.id}: removed")


@program.command()
def rotate(
    endpoint: EndpointId,
    hours: Annotated[
        int, typer.Option(min=0, max=168, help="So long the old secret signs as well; 0: no more.")
    ] = 24,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Give an endpoint a new secret; prints it, this once. Until the old one's end both sign."""
    from datetime import timedelta

    from newsletter.webhooks import endpoints

    app, who, keep = open_app(), by or getpass.getuser(), timedelta(hours=hours)
    with app.session() as session:
        rotated, secret = endpoints.rotate(session, endpoint, keep=keep, by=who, now=app.clock())
    if as_json:
        print_json({**asdict(rotated), "secret": secret})
        return
    say(f"endpoint {rotated.id} has a new secret: {secret}")
    say("It is shown this once: give it to the receiver.")
    until = f"signs as well until {stamp(rotated.old_secret_until)}" if hours else "signs no more"
    say(f"The old one {until}.")
    say(f"`newsletter webhooks test {rotated.id}` tries it.")


@program.command()
def log(
    failed: Annotated[bool, typer.Option("--failed", help="Only what was given up.")] = False,
    endpoint: Annotated[int, typer.Option(help="Only of this endpoint.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest messages first, each with its last attempt."""
    from newsletter.webhooks import messages
    from newsletter.webhooks.messages import MessageState

    state = MessageState.FAILED if failed else ""
    with open_app().session(readonly=True) as session:
        found = messages.log(session, endpoint_id=endpoint, state=state, most=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("message", "endpoint", "what", "at", "state", "attempts", "answer"), map(_logged, found)
    )


@program.command()
def retry(
    message: Annotated[
        list[int] | None, typer.Argument(metavar="MESSAGE...", help="Numbers of messages.")
    ] = None,
    failed_of: Annotated[
        int, typer.Option(metavar="ENDPOINT", help="All that was given up of this endpoint.")
    ] = 0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Deliver messages again, delivered ones too, with all their attempts before them.

    Their endpoint is called with the next tick, even where it asked for a longer wait.
    """
    from newsletter.webhooks import endpoints, messages

    if bool(message) == bool(failed_of):
        raise typer.BadParameter("give the numbers of messages, or --failed-of ENDPOINT")
    app = open_app()
    with app.session() as session:
        for one in message or ():
            messages.again(session, one, now=app.clock())
        planned = len(set(message or ()))
        if failed_of:
            endpoints.standing(session, failed_of)
            planned = messages.failed_again(session, failed_of, now=app.clock())
        if dry_run:
            session.rollback()
    if as_json:
        print_json({"planned": planned, "dry_run": dry_run})
    else:
        said = "would go" if dry_run else "go" if planned != 1 else "goes"
        say(f"{counted(planned, 'message')} {said} out again with the next tick")


@program.command("test")
def try_(endpoint: EndpointId, as_json: AsJson = False) -> None:
    """Call an endpoint now with a message that says nothing; exit 1 where it is not taken."""
    from newsletter.webhooks import delivery

    answer = delivery.try_now(open_app(), endpoint)
    if as_json:
        shown = {"status": answer.status, "trouble": answer.trouble, "took_ms": answer.took_ms}
        print_json({"endpoint": endpoint, "taken": answer.is_taken, **shown})
    else:
        print_facts(
            [
                ("endpoint", endpoint),
                ("answer", answer.status if answer.is_taken else answer.trouble),
                ("took", f"{answer.took_ms:,} ms"),
            ]
        )
    raise typer.Exit(0 if answer.is_taken else 1)


def _row(one: Endpoint, now: datetime) -> tuple[Any, ...]:
    told = ", ".join(one.kinds) + (", with addresses" if one.sends_addresses else "")
    return one.id, one.url, told, stamp(one.added_at), one.waiting, one.failed, _state(one, now)


def _state(one: Endpoint, now: datetime) -> str:
    """What there is to know of it; "" for one that takes what it is told."""
    signs = one.old_secret_until is not None and one.old_secret_until > now
    old = f"an older secret signs until {stamp(one.old_secret_until)}" if signs else ""
    return "; ".join(filter(None, (_plight(one, now), old)))


def _plight(one: Endpoint, now: datetime) -> str:
    """Why it is not told; "" for one that takes what it is told."""
    if one.removed_at:
        return f"removed {stamp(one.removed_at)}: {one.removed_because}"
    if not one.failing_since:
        return ""
    is_held = one.held_until is not None and one.held_until > now
    until = f", asked to wait until {stamp(one.held_until)}" if is_held else ""
    return f"takes nothing since {stamp(one.failing_since)}{until}"


def _logged(one: Logged) -> tuple[Any, ...]:
    answer = one.trouble or one.status or ""
    waits = f"{one.state}, again {stamp(one.due_at)}" if one.due_at and one.attempts else one.state
    return one.id, one.endpoint_id, one.kind, stamp(one.created_at), waits, one.attempts, answer
