"""`newsletter rehearse`: the real issue to invented readers, through faults and kills."""

from __future__ import annotations

import secrets
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from newsletter.cli.home import IssueRef, log_to_stderr
from newsletter.cli.screen import AsJson, print_facts, print_json, say
from newsletter.plurals import counted

if TYPE_CHECKING:
    from newsletter.app import App
    from newsletter.rehearsal.certificate import Certificate
    from newsletter.settings import Settings

DEFAULT_FAULTS = "429=0.5%,4xx=1%,5xx=0.5%,bounce=1%,timeout=0.2%,slow=1%,drop=0.5%"
MAX_READERS = 100_000
WIDTH = 80
Provider = Literal["smtp", "sendgrid"]


def rehearse(
    issue: IssueRef = "latest",
    readers: Annotated[
        int, typer.Option(min=1, max=MAX_READERS, help="How many invented readers.")
    ] = 1_000,
    faults: Annotated[
        str, typer.Option(help="What goes wrong, and how often; none for nothing.")
    ] = DEFAULT_FAULTS,
    kills: Annotated[
        int, typer.Option(min=0, max=100, help="How often a sender is killed with -9.")
    ] = 3,
    senders: Annotated[int, typer.Option(min=1, max=16, help="Processes sending at once.")] = 1,
    provider: Annotated[
        Provider | None, typer.Option(help="Whose way; the configured one, else smtp.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same faults and kills as an earlier rehearsal.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep database, logs and journals here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send the real issue to invented readers, through faults and kills; certify the account.

    Nothing leaves this machine and nothing of the home changes. Exit 1 where it is not certified.
    """
    from newsletter.errors import LedgerError
    from newsletter.rehearsal.faults import Faults
    from newsletter.rehearsal.performance import rehearse as perform
    from newsletter.rehearsal.supervisor import Plan
    from newsletter.settings import load_settings

    parsed = Faults.parse(faults)
    settings = load_settings()
    configured = "smtp" if settings.provider == "outbox" else settings.provider
    plan = Plan(
        readers=readers,
        faults=parsed,
        kills=kills,
        senders=senders,
        provider=provider or configured,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
    )
    certificate = perform(
        _app_on(settings), issue, plan, keep=keep, tell=_ignore if as_json else _tell
    )
    if as_json:
        print_json(certificate.to_dict())
    else:
        _print(certificate, keep)
    if not certificate.is_certified:
        failed = ", ".join(f"{one.name} ({one.found})" for one in certificate.failed)
        again = f"newsletter rehearse {certificate.evidence.proof.issue} --seed {plan.seed}"
        raise LedgerError(
            f"the rehearsal is not certified; what does not hold: {failed}",
            hint=f"send nothing before it is; `{again} --keep DIR` keeps what it leaves",
        )


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _ignore(_sentence: str) -> None:
    """Nothing beside the JSON."""


def _app_on(settings: Settings) -> App:
    """The real home, which is only read: one that is not there is not made."""
    from sqlalchemy.engine import make_url

    from newsletter.app import build_app
    from newsletter.errors import NotFoundError

    log_to_stderr()
    path = make_url(settings.database).database
    if path is None or not Path(path).is_file():
        raise NotFoundError(
            "there is no issue to rehearse: this home has no database yet",
            hint="see NEWSLETTER_HOME, or make an issue with `newsletter issue plan`",
        )
    return build_app(settings)


def _print(certificate: Certificate, keep: Path | None) -> None:
    evidence, plan = certificate.evidence, certificate.evidence.plan
    way = "SMTP" if plan.provider == "smtp" else "SendGrid"
    proof = evidence.proof
    say(f"Issue {proof.issue} to {counted(plan.readers, 'invented reader')} over {way}\n")
    shown = certificate.to_dict()
    _print_wrapped(
        [
            ("faults", str(plan.faults).replace(",", ", ")),
            ("met", _counts(shown["faults_met"]) or "none"),
            (
                "senders",
                f"{plan.senders} at once, {counted(evidence.course.kills, 'kill')} with -9",
            ),
            ("rate", f"{evidence.rate:,.0f} messages a second, from the first to the last"),
            (
                "took",
                f"{evidence.course.seconds:.1f} s, {counted(evidence.course.rounds, 'round')}",
            ),
            ("readers", _counts(proof.states)),
            ("seed", f"{plan.seed}: the same one makes the same faults again"),
            ("kept in", "" if keep is None else str(keep)),
        ]
    )
    say()
    for one in certificate.conditions:
        say(f"  {'yes' if one.holds else 'NO':<3}  {one.name:<30}  {one.found}")
    say()
    say("Certified." if certificate.is_certified else "Not certified.")


def _print_wrapped(facts: list[tuple[str, str]]) -> None:
    """A fact may take several lines, all within the width of a screen."""
    names = max(len(name) for name, _ in facts) + 4
    lines: list[tuple[str, str]] = []
    for name, value in facts:
        for number, line in enumerate(textwrap.wrap(value, WIDTH - names)):
            lines.append((name if number == 0 else "", line))
    print_facts(lines)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
