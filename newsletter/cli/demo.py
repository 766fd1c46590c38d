"""`newsletter demo`: the main job from a file to a mailbox, on a fresh home, in a few seconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli import demo_reactions
from newsletter.cli.demo_readers import DOMAIN, invented
from newsletter.cli.home import log_to_stderr
from newsletter.cli.issue_views import findings_count, verdict
from newsletter.cli.screen import AsJson, print_json, say, when
from newsletter.cli.serve import HOST, serve_app
from newsletter.errors import LedgerError, RefusedError
from newsletter.plurals import counted

if TYPE_CHECKING:
    from sqlmodel import Session

    from newsletter.app import App
    from newsletter.editorial.issues import IssueDetails

MARKER = ".demo"
BY = "the demo"
COMMAND = "python3 -m newsletter"
DEFAULT_HOME = Path("var")
SAMPLE_SETTINGS = """\
# Settings of the demo's home, as `newsletter settings` shows them.
postal_address = "1 Example Street, Sampleton"
"""
TITLE_WIDTH = 50  # columns


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells each step as it is done, unless the answer shall be JSON alone."""

    silent: bool

    def step(self, name: str, *lines: str) -> None:
        for number, line in enumerate(lines):
            self.line(f"  {name if number == 0 else '':<9} {line}")

    def line(self, line: str = "") -> None:
        if not self.silent:
            say(line)


def demo(
    home: Annotated[
        Path | None, typer.Option(help="A folder of the demo's own; NEWSLETTER_HOME, or var.")
    ] = None,
    subscribers: Annotated[
        int, typer.Option("--subscribers", min=1, max=100_000, help="How many invented readers.")
    ] = 100,
    reactions: Annotated[
        bool,
        typer.Option("--reactions", help="Sent yesterday, and read since: by people and machines."),
    ] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Then serve its pages.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take real comparisons to invented readers' mailboxes, and account for every one."""
    from newsletter.store.engine import not_waiting_for_the_disk

    started = monotonic()
    tell = Teller(silent=as_json)
    app = _fresh_app(home)
    today = app
    if reactions:
        app = replace(app, clock=lambda: today.clock() - demo_reactions.A_DAY)
    tell.line(f"{app.publication.name}: a whole week, in {app.home}\n")
    with not_waiting_for_the_disk(app.engine):  # 200 waits could take longer than all the rest
        _import_content(app, tell)
        _gather_readers(app, subscribers, tell)
    issue = _make_issue(app, tell)
    result = _send(app, issue, tell)
    if reactions:
        _let_react(today, issue, tell)
    app = today
    if as_json:
        print_json(result)
    else:
        tell.line(f"\nDone in {monotonic() - started:.1f} s. Open next:")
        _tell_next(app, issue, Path(result["example"]), tell, reactions=reactions)
    if serve:
        serve_app(app, host=HOST, port=None, with_scheduler=True)


def _fresh_app(home: Path | None) -> App:
    """An application on an emptied home, with embedded defaults whatever the environment says."""
    from newsletter.app import build_app
    from newsletter.settings import FILE, load_settings

    log_to_stderr()
    fixed: dict[str, Any] = {"database_url": None, "provider": "outbox"}
    if home is not None:
        fixed["home"] = home
    settings = load_settings(**fixed)
    _empty(settings.home)
    if not settings.postal_address:  # a weekly mail without one would be unlawful in many places
        (settings.home / FILE).write_text(SAMPLE_SETTINGS, encoding="utf-8")
        settings = load_settings(**fixed)
    return build_app(settings, running_clock=True)


def _empty(home: Path) -> None:
    """Empties a home that an earlier demo marked; refuses any other that holds something."""
    marker = home / MARKER
    try:
        home.mkdir(parents=True, exist_ok=True)
        if any(home.iterdir()) and not marker.is_file():
            raise RefusedError(
                f"{home} is not empty, and no demo made it: it will not be wiped",
                hint="give the demo a folder of its own: newsletter demo --home var/demo",
            )
        marker.touch()  # first: a demo that is interrupted leaves a home the next one may wipe
        for path in home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != marker:
                path.unlink()
    except OSError as error:
        raise RefusedError(
            f"{home} cannot be made ready: {error.strerror}",
            hint="give the demo a folder that can be written to: newsletter demo --home DIR",
        ) from None


def _import_content(app: App, tell: Teller) -> None:
    from newsletter import pipeline

    outcome = pipeline.import_content(app, samples=True)
    tell.step("content", f"{counted(len(outcome.new), 'comparison')} imported, samples among them")


def _gather_readers(app: App, count: int, tell: Teller) -> None:
    """Everybody signs up, gets the confirmation mail, follows its link and is welcomed."""
    from sqlmodel import col, select

    from newsletter import readers
    from newsletter.letters import drain_system_mail
    from subscribers.models import Subscriber

    names = {address: name for name, address in invented(count)}
    for address in names:
        readers.sign_up(app, address, source="demo", network="192.0.2.1")
    mailed = drain_system_mail(app).submitted
    with app.session() as session:
        people = session.exec(select(Subscriber).order_by(col(Subscriber.id))).all()
        for reader in people:
            reader.name = names[reader.address]  # the form asks for no name; greetings need some
    for reader in people:
        token = app.keyring.confirm(reader.id or 0, app.clock())
        readers.confirm(app, token, source="demo", network="192.0.2.1")
    drain_system_mail(app)  # the welcome
    tell.step(
        "readers",
        f"{counted(count, 'sign-up')}, {counted(mailed, 'confirmation mail')}, "
        f"{readers.counts(app)['active']:,} confirmed",
    )


def _make_issue(app: App, tell: Teller) -> IssueDetails:
    from newsletter import pipeline
    from newsletter.editorial import issues

    planned = pipeline.plan(app, samples=True)
    with app.session(readonly=True) as session:
        lineup = _lineup(session, planned)
        size_bytes = len(issues.rendered(session, planned.id).html.encode())
    tell.step("planned", f"issue {planned.week}, due {when(planned.slot_at)}", *lineup)
    tell.step("rendered", planned.subject, f"{size_bytes / 1000:.0f} kB of HTML")
    tell.step("checked", findings_count(planned))
    approved = pipeline.approve(app, planned.week, by=BY)
    tell.step("approved", f"sha256 {(approved.sha256 or '')[:16]}, and no other bytes")
    return approved


def _lineup(session: Session, issue: IssueDetails) -> Sequence[str]:
    """A line a comparison: its title, cut to fit 80 columns, and what the panel says of both."""
    from newsletter.editorial.library import load_revision

    lines = []
    for slug in issue.items:
        comparison = load_revision(session, slug)
        title = comparison.title
        short = title if len(title) <= TITLE_WIDTH else title[: TITLE_WIDTH - 1] + "…"
        left, right = comparison.panel
        lines.append(f"  {short:<{TITLE_WIDTH}} {left:>3} % : {right:>3} %")
    return lines


def _send(app: App, issue: IssueDetails, tell: Teller) -> dict[str, Any]:
    from newsletter import pipeline

    started = monotonic()
    account = pipeline.send(app, issue.week).proof.to_dict()
    messages = sorted((app.home / "outbox" / issue.week).glob("*.eml"))
    tell.step("sent", f"{counted(len(messages), 'message')} in {monotonic() - started:.2f} s")
    tell.step("proof", f"{counted(account['candidates'], 'candidate')}, {_states(account)}")
    tell.step("", f"twice {account['duplicates']}, unexplained {account['unexplained']}")
    tell.step("", verdict(account))
    if not account["complete"] or not messages:
        raise LedgerError(
            f"the proof of {issue.week} is not complete", hint="see `newsletter issue proof`"
        )
    return {
        "home": app.home,
        "issue": issue.week,
        "messages": len(messages),
        "example": messages[0],
        "proof": account,
    }


def _states(account: dict[str, Any]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in account["states"].items() if count)


def _let_react(app: App, issue: IssueDetails, tell: Teller) -> None:
    """A day of readers' doings, taken in by a tick; the first report goes to the outbox."""
    from newsletter import stats
    from newsletter.editorial import issues
    from newsletter.store.engine import not_waiting_for_the_disk
    from newsletter.tick import hear_readers

    with app.session(readonly=True) as session:
        sent = issues.details(session, issue.id)
    with not_waiting_for_the_disk(app.engine):
        demo_reactions.react(app, sent)
        list(hear_readers(app))
        fall = stats.load(app, str(issue.id), fresh=True).waterfall
    tell.step(
        "read",
        f"images: {fall.loads.human} people, {fall.loads.unknown} unknown, "
        f"{fall.loads.machine} machines",
        f"links: {fall.clicks.human} people, {fall.clicks.machine} machines",
        f"{counted(fall.voters, 'voter')}, {fall.unsubscribed} left",
    )


def _tell_next(
    app: App, issue: IssueDetails, example: Path, tell: Teller, *, reactions: bool
) -> None:
    if app.home != _home_of_this_shell():
        tell.line(f"  export NEWSLETTER_HOME={app.home}\n      so that the commands below find it")
    tell.line(f"  {example}\n      one reader's message, for any mail program")
    tell.line(f"  {COMMAND} serve\n      then {app.publication.url}/issues/{issue.slug}")
    if reactions:
        tell.line(f"      and {app.publication.url}/desk/issues/{issue.slug}/stats")
        tell.line(f"  {COMMAND} issue stats latest")
    tell.line(f"  {COMMAND} subscribers show amina.okafor@{DOMAIN}")
    tell.line("      what is held on one reader")
    tell.line("  README.md\n      for editors, operators and developers")
    tell.line(f"\n{app.home} is the demo's own: the next demo empties it.")


def _home_of_this_shell() -> Path:
    return Path(os.environ.get("NEWSLETTER_HOME") or DEFAULT_HOME)
