"""`newsletter issue test`: the very mail, to a few known mailboxes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.home import IssueRef, open_app
from newsletter.cli.screen import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from newsletter.trials import Trial

To = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="ADDRESS", help="A mailbox; NEWSLETTER_SEEDS always get it too."),
]


def send_test(issue: IssueRef, to: To = None, as_json: AsJson = False) -> None:
    """Send an issue, marked [Test], to a few addresses; it counts nowhere.

    Exit 1 where any of the messages was not taken.
    """
    from newsletter import trials

    trial = trials.send(open_app(), issue, to or [], run=secrets.token_hex(8))
    if as_json:
        print_json(_as_dict(trial))
    else:
        _print(trial)
    if trial.trouble is not None:
        raise trial.trouble
    raise typer.Exit(0 if trial.is_taken else 1)


def _as_dict(trial: Trial) -> dict[str, object]:
    return {
        "issue": trial.issue,
        "subject": trial.subject,
        "sha256": trial.sha256,
        "as_shown": trial.is_as_shown,
        "provider": trial.provider,
        "taken": trial.is_taken,
        "messages": [
            {
                "address": one.address,
                "message_id": one.message_id,
                "outcome": one.outcome.value,
                "detail": one.detail,
            }
            for one in trial.tried
        ],
    }


def _print(trial: Trial) -> None:
    say(f"{trial.issue} by way of {trial.provider}: {trial.subject}")
    if not trial.is_as_shown:
        say(
            "Templates or settings have changed since it was last rendered: "
            f"`newsletter issue render {trial.issue}` keeps what was sent here."
        )
    print_table(
        ("address", "outcome", "detail"),
        ((one.address, one.outcome.value, one.detail) for one in trial.tried),
    )
