"""The whole week told on one page: plan, render, edit, approve, send, account; and the tick.

Each function opens its own transactions. What belongs together is committed together: a planned
issue has its render, an approval its bytes, a frozen issue its audience, its links and its slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from newsletter import mailings, notices, renders
from newsletter.app import App
from newsletter.delivery import evidence, freezing, ledger, proof, sender
from newsletter.delivery.account import Sending
from newsletter.delivery.owner import on_duty
from newsletter.delivery.watch import Progress
from newsletter.editorial import (
    approvals,
    content,
    issues,
    library,
    planning,
    slots,
    topics,
)
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.issues import IssueDetails
from newsletter.editorial.planning import Changes
from newsletter.endings import end_where_complete
from newsletter.errors import ApprovalError, RefusedError
from newsletter.store.states import IssueState
from newsletter.tracking import links
from newsletter.weeks import IssueWeek


def never() -> bool:
    """Nobody asks a send to stop."""
    return False


@dataclass(frozen=True, slots=True)
class SendResult:
    """Where an issue stands after a send, the account of its audience, and how the send went."""

    issue: IssueDetails
    proof: proof.Proof
    progress: Progress

    @property
    def stopped(self) -> str:
        """Why it ended while something was left; empty where nothing was left to claim."""
        return self.progress.stopped


def import_content(
    app: App, *, dry_run: bool = False, samples: bool = False
) -> library.ImportOutcome:
    """Reads every file of the content folder into the store; all of them or, with a fault, none.

    Raises ContentError with every fault of every file.
    """
    comparisons = content.load_all(app.content_dir, samples=samples)
    return take_into_store(app, comparisons, dry_run=dry_run)


def take_into_store(
    app: App, comparisons: Sequence[Comparison], *, dry_run: bool = False
) -> library.ImportOutcome:
    """A new revision shows in an issue not yet frozen, and voids it.

    The issue holds the comparison, or tells its readers what changed about a published one.
    """
    with app.session() as session:
        outcome = library.import_comparisons(session, comparisons, now=app.clock())
        if dry_run:
            session.rollback()
            return outcome
        if outcome.changed:
            because = f"new revision of {', '.join(outcome.changed)}"
            for issue in issues.in_states(session, issues.OPEN, kind=None):
                planning.take_new_revisions(session, issue.id)
                renders.keep(app, session, issue.id, because=because)
        return outcome


def plan(app: App, week: IssueWeek | None = None, *, samples: bool = False) -> IssueDetails:
    """Chooses and renders the issue of `week`, or of the next slot that has none.

    samples: let invented comparisons in, as the demo does. Raises RefusedError on a thin week and
    where the week has an issue.
    """
    with app.session() as session:
        wanted = week or _next_free_week(app, session)
        issue_id = _plan(app, session, wanted, samples=samples)
        if issue_id is None:
            raise RefusedError(
                f"week {wanted} has no issue: no comparison is finished and free",
                hint="finish one (status: finished), then run `newsletter content import`",
            )
        return issues.details(session, issue_id)


def edit(app: App, ref: str, changes: Changes) -> IssueDetails:
    """Writes an editor's decisions into the issue, chooses and renders again."""
    with app.session() as session:
        issue = issues.find(session, ref)
        planning.apply(session, issue.id, changes)
        because = _approved_otherwise(issue, changes)
        if because and approvals.void(session, issue.id, reason=because, now=app.clock()):
            planning.back_to_planned(session, issue.id)
        _choose_again(app, session, issue)
        renders.keep(app, session, issue.id, because="edited")
        return issues.details(session, issue.id)


def _approved_otherwise(issue: IssueDetails, changes: Changes) -> str:
    """What `changes` takes from under an approval beside the bytes; "" where nothing."""
    if changes.audience is not None and changes.audience != issue.audience:
        return f"its audience is now {changes.audience}"
    if changes.is_tracked is not None and changes.is_tracked != issue.is_tracked:
        return "its tracking is now " + ("on" if changes.is_tracked else "off")
    return ""


def render(app: App, ref: str) -> IssueDetails:
    """Renders again with the templates and settings of now; the same bytes keep the approval."""
    with app.session() as session:
        issue = issues.find(session, ref)
        if issue.state in issues.OPEN:
            renders.keep(
                app, session, issue.id, because="templates or settings changed", twice=True
            )
        return issues.details(session, issue.id)


def approve(app: App, ref: str, *, by: str) -> IssueDetails:
    """Binds an approval to the bytes that were looked at; ApprovalError says what is open."""
    with app.session() as session:
        issue = issues.find(session, ref)
        # Committed even when approval is refused: the editor shall see what changed.
        because = "templates or settings changed"
        changed = renders.keep(app, session, issue.id, because=because, twice=True)
    if changed:
        raise ApprovalError(
            f"issue {issue.ref} renders differently from what was last shown",
            hint=f"look at it again (`newsletter issue show {issue.ref}`), then approve",
        )
    with app.session() as session:
        approvals.grant(
            session,
            issue.id,
            sha256=issue.sha256,
            by=by,
            tracking=app.settings.tracking,
            now=app.clock(),
        )
        renders.refuse_what_is_no_message(app, session, issue)
        return issues.details(session, issue.id)


def send(
    app: App,
    ref: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = never,
) -> SendResult:
    """Freezes the issue unless it is frozen, and delivers what the ledger says is left.

    By hand it ignores slot and catch-up, never approval. Started again, it goes on; on an issue
    that is done it sends nothing. Raises RefusedError or ApprovalError with the reason.
    """
    with app.session(readonly=True) as session:
        issue = issues.find(session, ref)
    if not issue.frozen:
        freeze(app, issue)
    ended = deliver(app, issue.id, on_progress=on_progress, should_stop=should_stop)
    with app.session(readonly=True) as session:
        return SendResult(issues.details(session, issue.id), proof.prove(session, issue.id), ended)


def rehearse_freeze(app: App, ref: str) -> proof.Proof:
    """What freezing the issue now would account for; every check is made, nothing is kept."""
    with app.session() as session:
        issue = issues.find(session, ref)
        if not issue.frozen:
            _refuse_unapproved(app, session, issue)
            renders.refuse_what_is_no_message(app, session, issue)
            planning.start_sending(session, issue.id)
            _freeze_audience(app, session, issue)
        account = proof.prove(session, issue.id)
        session.rollback()
        return account


def freeze(app: App, issue: IssueDetails) -> None:
    """Audience, links, slot and state in one transaction: all of it, or nothing."""
    _ = app.sending_provider  # refuses before anything is frozen
    try:
        with app.session() as session:
            if issues.details(session, issue.id).frozen:
                return  # by another sender, between our look and this transaction
            _refuse_unapproved(app, session, issue)
            renders.refuse_what_is_no_message(app, session, issue)
            _freeze(app, session, issue)
    except ApprovalError as error:
        with app.session() as session:
            if approvals.void(session, issue.id, reason=error.reason, now=app.clock()):
                planning.back_to_planned(session, issue.id)
        raise


def deliver(
    app: App,
    issue_id: int,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = never,
) -> Progress:
    """Hands a frozen issue's open batches to the provider; done once nothing is left open.

    What a reader's mail has told meanwhile is heard first. How far it came, and why it ended while
    something was left; where too many messages in a row are refused, the issue is paused, and its
    editors are told.
    """
    with app.session(readonly=True) as session:
        issue = issues.details(session, issue_id)
        stored = issues.rendered(session, issue_id)
    if issue.state is IssueState.PAUSED:
        raise RefusedError(
            f"issue {issue.ref} is paused: {issue.reason}",
            hint=f"run `newsletter issue resume {issue.ref}`, then send it",
        )
    if issue.state is IssueState.CANCELLED and issue.frozen_at is not None:
        _account_for_the_cancelled(app, issue, stored)
    if issue.state is not IssueState.SENDING:
        return Progress(remaining=0)
    _write_links(app, issue_id, stored)
    with app.session() as session:
        evidence.settle_by_events(session, issue_id, app.clock())
    try:
        with on_duty() as owner:
            progress = sender.deliver_issue(
                app.engine,
                issue_id,
                provider=app.sending_provider,
                mailing=mailings.issue_mailing(app, issue, stored),
                envelope_for=mailings.envelope_maker(app, issue),
                clock=app.clock,
                owner=owner,
                journals=app.home / "journals",
                throttle=app.throttle,
                stop_after=app.settings.stop_after_errors,
                on_progress=on_progress,
                should_stop=should_stop,
            )
    except RefusedError:
        if _is_done(app, issue_id):  # another sender ended it between our look and our check
            return Progress(remaining=0)
        raise
    with app.session() as session:
        if progress.is_refused:
            _pause(app, session, issue_id, progress.stopped)
        end_where_complete(session, issue_id, now=app.clock())
    return progress


def _account_for_the_cancelled(app: App, issue: IssueDetails, stored: issues.StoredRender) -> None:
    """A sender that died may have been at it: what it had in hand is nobody's else."""
    with on_duty() as owner:
        sender.account_for_the_cancelled(
            Sending(
                engine=app.engine,
                issue_id=issue.id,
                provider=app.sending_provider,
                mailing=mailings.issue_mailing(app, issue, stored),
                envelope_for=mailings.envelope_maker(app, issue),
                clock=app.clock,
                owner=owner,
                journals=app.home / "journals",
                throttle=app.throttle,
            )
        )


def _pause(app: App, session: Session, issue_id: int, why: str) -> None:
    """Nothing more goes out until a person has looked; another sender may have paused it first."""
    if ledger.is_sending(session, issue_id):
        planning.set_state(session, issue_id, IssueState.PAUSED, reason=why)
        notices.send_paused(app, session, issues.details(session, issue_id), why=why)


def _is_done(app: App, issue_id: int) -> bool:
    with app.session(readonly=True) as session:
        return issues.details(session, issue_id).state is IssueState.DONE


def prove(app: App, ref: str) -> proof.Proof:
    """The account of everyone in the issue's audience."""
    with app.session(readonly=True) as session:
        return proof.prove(session, issues.find(session, ref).id)


def _freeze(app: App, session: Session, issue: IssueDetails) -> None:
    now = app.clock()
    planning.start_sending(session, issue.id)
    issues.row(session, issue.id).is_tracked &= app.settings.tracking  # its figures depend on it
    slots.take(session, issue, now=now)
    _freeze_audience(app, session, issue)
    stored = issues.rendered(session, issue.id)
    links.store_links(
        session, issue.id, [(link["n"], link["url"], link["label"]) for link in stored.links]
    )
    _write_links(app, issue.id, stored)


def _freeze_audience(app: App, session: Session, issue: IssueDetails) -> None:
    topics.write(session, issue.id)  # whose chosen topics it is about
    freezing.freeze(
        session,
        issue_id=issue.id,
        now=app.clock(),
        language=app.settings.language,
        disposable_domains=app.disposable_domains(),
    )


def _refuse_unapproved(app: App, session: Session, issue: IssueDetails) -> None:
    """Raises ApprovalError unless what the issue renders to now is what was approved."""
    sha256, differences = renders.as_of_now(app, session, issue)
    reason = approvals.why_void(
        session, issue.id, sha256, tracking=app.settings.tracking, differences=differences
    )
    if reason:
        raise ApprovalError(
            f"issue {issue.ref} is not approved: {reason}",
            hint=f"look at it (`newsletter issue show {issue.ref}`), then "
            f"`newsletter issue approve {issue.ref}`",
            reason=reason,
        )


def _plan(app: App, session: Session, week: IssueWeek, *, samples: bool) -> int | None:
    """The id of the planned and rendered issue; None on a thin week."""
    if issues.of_week(session, week) is not None:
        raise planning.already_planned(week)
    now = app.clock()
    slot_at = app.slot.of(week)
    choices = planning.choose_for(
        session, slot_at=slot_at, previous_slot_at=app.slot.before(slot_at), samples=samples
    )
    if not any(choice.chosen for choice in choices):
        return None
    issue_id = planning.create(
        session, week, slot_at=slot_at, choices=choices, samples=samples, now=now
    )
    renders.keep(app, session, issue_id, because="")
    return issue_id


def _choose_again(app: App, session: Session, issue: IssueDetails) -> None:
    choices = planning.choose_for(
        session,
        slot_at=issue.slot_at,
        previous_slot_at=app.slot.before(issue.slot_at),
        samples=issue.samples,
        issue_id=issue.id,
    )
    if not any(choice.chosen for choice in choices):
        raise RefusedError(
            f"nothing would be left in issue {issue.ref}",
            hint=f"keep one comparison, or `newsletter issue cancel {issue.ref}`",
        )
    planning.choose_again(session, issue.id, choices)


def _write_links(app: App, issue_id: int, stored: issues.StoredRender) -> None:
    links.write_links(app.home, issue_id, {link["n"]: link["url"] for link in stored.links})


def _next_free_week(app: App, session: Session) -> IssueWeek:
    return next(
        week
        for week, _slot_at in app.slot.upcoming(app.clock())
        if issues.of_week(session, week) is None
    )
