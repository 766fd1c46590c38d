"""One tick: whatever is due at this instant, done. The tables decide, the clock only asks.

Ticking twice, from two processes, or after a week of silence is harmless: planning is unique on the
week, sending on the slot, a notice on what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from sqlmodel import Session

from newsletter import (
    alarms,
    feedback,
    forgetting,
    hits,
    labels,
    notices,
    own_faults,
    pipeline,
    report,
    stats,
    sunset,
)
from newsletter.app import App
from newsletter.delivery import evidence, ledger
from newsletter.editorial import issues, planning, slots
from newsletter.editorial.issues import IssueDetails
from newsletter.endings import end_where_complete
from newsletter.errors import ApprovalError, NewsletterError, RefusedError, StoreError
from newsletter.letters import drain_system_mail
from newsletter.store import search
from newsletter.store.states import IssueState, SlotOutcome
from newsletter.webhooks import delivery as webhooks
from newsletter.weeks import IssueWeek
from subscribers import consent

AUTOMATIC = "automatic"


def tick(
    app: App,
    *,
    should_stop: Callable[[], bool] = pipeline.never,
    done: list[str] | None = None,
) -> list[str]:
    """Does what is due and says it, a sentence each; empty when nothing was.

    should_stop: asked between hand-overs; a send it stops goes on at the next tick. done: filled
    as things happen, for who wants to know what was done even where a part of the tick fails. A
    part that fails keeps no other back (a broken template of the issue must not hold up
    confirmations); its error is raised once all had their turn. A StoreError ends the tick.
    """
    done = [] if done is None else done
    parts = (
        _plan_ahead(app),
        _look_at_the_latest_slot(app),
        _remind_editors(app),
        _resume_pauses(app),
        _send_what_is_due(app, should_stop),
        _account_for_the_cancelled(app),
        hear_readers(app, should_stop=should_stop),
        sunset.apply(app),
        forgetting.apply(app, should_stop=should_stop),
        _keep_search_up(app),
        _drain(app),
    )
    for sentence in _each(parts):
        done.append(sentence)  # at once: what was done is known even where the next part fails
    return done


def hear_readers(app: App, *, should_stop: Callable[[], bool] = pipeline.never) -> Iterator[str]:
    """What came back since the last time: taken in, labelled, counted, told to who asked for it.

    A part of the tick, and safe beside one: while an issue goes out for hours, `serve` calls it.
    """
    yield from _each(
        (
            hits.take_in(app, should_stop=should_stop),
            feedback.look_again(app),
            _settle_the_uncertain(app),
            labels.take_in(app, should_stop=should_stop),
            stats.refresh(app),
            alarms.tell(app),
            own_faults.tell(app),
            report.tell(app),
            webhooks.deliver(app, should_stop=should_stop),
        )
    )


def _settle_the_uncertain(app: App) -> Iterator[str]:
    """Whoever reacts to a mail has it: a fact that came in may settle what is held."""
    with app.session(readonly=True) as session:
        open_issues = issues.in_states(session, [IssueState.SENDING, IssueState.PAUSED], kind=None)
        proven = [one for one in open_issues if evidence.by_events(session, one.id)]
    for issue in proven:
        with app.session() as session:
            settled = evidence.settle_by_events(session, issue.id, app.clock())
            end_where_complete(session, issue.id, now=app.clock())
        yield f"{issue.ref}: {settled} uncertain, settled by what their readers did"


def _keep_search_up(app: App) -> Iterator[str]:
    """Whoever came or was renamed since the last tick is found as fast as everybody else."""
    yield from ()
    with app.session() as session:
        search.catch_up(session)


def _drain(app: App) -> Iterator[str]:
    mails = drain_system_mail(app)
    if mails.submitted:
        yield f"system mails submitted: {mails.submitted}"
    if mails.failed or mails.uncertain:
        yield f"system mails failed: {mails.failed}, uncertain: {mails.uncertain}"


def _resume_pauses(app: App) -> Iterator[str]:
    """Before anything is frozen: who asked for silence until today gets today's issue."""
    with app.session() as session:
        resumed = consent.resume_due(session, app.clock())
    if resumed:
        yield f"pauses that ended: {resumed}"


def _plan_ahead(app: App) -> Iterator[str]:
    """Plans the next slot's issue once it is near."""
    now = app.clock()
    week, slot_at = app.slot.next_after(now)
    if now < slot_at - timedelta(hours=app.settings.plan_ahead_hours):
        return
    yield from _plan(app, week, slot_at)


def _look_at_the_latest_slot(app: App) -> Iterator[str]:
    """A slot that passed while nobody looked: planned late, or closed as thin or missed."""
    now = app.clock()
    week, slot_at = app.slot.latest_at(now)
    with app.session(readonly=True) as session:
        if slots.outcome_of(session, week) or issues.of_week(session, week):
            return
    if not _too_late(app, slot_at, now):
        yield from _plan(app, week, slot_at)
        with app.session(readonly=True) as session:
            if issues.of_week(session, week):
                return
    yield from _close_without_issue(app, week, slot_at, now)


def _plan(app: App, week: IssueWeek, slot_at: datetime) -> Iterator[str]:
    with app.session() as session:
        if issues.of_week(session, week):
            return
        if not _has_candidates(app, session, slot_at):
            if app.clock() < slot_at:
                notices.thin_week(app, session, week, slot_at)
            return
    try:
        planned = pipeline.plan(app, week)
    except RefusedError:  # another scheduler planned it between our look and our insert
        return
    yield f"{week}: planned with {len(planned.items)} comparison(s), due {slot_at:%Y-%m-%d %H:%M}Z"


def _remind_editors(app: App) -> Iterator[str]:
    """Approval is due for every planned issue whose slot is near; each is mailed once."""
    yield from ()  # a part of the tick that has nothing to say here
    now = app.clock()
    near = now + timedelta(hours=app.settings.plan_ahead_hours)
    with app.session() as session:
        for issue in issues.in_states(session, [IssueState.PLANNED]):
            if now < issue.slot_at <= near:
                notices.approval_due(app, session, issue)


def _close_without_issue(
    app: App, week: IssueWeek, slot_at: datetime, now: datetime
) -> Iterator[str]:
    with app.session() as session:
        missed = _has_candidates(app, session, slot_at)
        outcome = SlotOutcome.MISSED if missed else SlotOutcome.THIN
        why = (
            f"nobody was running within {app.settings.catch_up_hours} hours of it"
            if missed
            else "nothing was finished"
        )
        if not slots.close(session, week, slot_at, outcome, now=now, note=why):
            return
        if missed:
            by_hand = f"newsletter issue plan --week {week}"
            notices.slot_missed(app, session, str(week), slot_at, why=why, command=by_hand)
    if missed or not _too_late(app, slot_at, now):  # a home's first tick finds old thin slots
        yield f"{week}: no issue: {why}"


def _send_what_is_due(app: App, should_stop: Callable[[], bool]) -> Iterator[str]:
    now = app.clock()
    with app.session(readonly=True) as session:
        waiting = issues.in_states(session, issues.OPEN)
        sending = issues.in_states(session, [IssueState.SENDING], kind=None)
    parts: list[Iterator[str]] = []
    for issue in waiting:
        if issue.slot_at > now:
            continue
        if _too_late(app, issue.slot_at, now):
            parts.append(_skip(app, issue, now))
        else:
            parts.append(_send(app, issue, should_stop))
    # A sender that died, or was told to stop, left these unfinished.
    parts += [_deliver(app, issue, should_stop) for issue in sending]
    yield from _each(parts)


def _each(parts: Iterable[Iterator[str]]) -> Iterator[str]:
    """One after the other; a fault of one is raised once all had their turn, a StoreError at once.

    One issue that cannot go out must not hold up another.
    """
    faults: list[NewsletterError] = []
    for part in parts:
        try:
            yield from part
        except StoreError:
            raise
        except NewsletterError as error:
            faults.append(error)
    if faults:
        raise faults[0]


def _account_for_the_cancelled(app: App) -> Iterator[str]:
    """Of an issue cancelled while its sender was dead, somebody has to say what became of it."""
    yield from ()
    with app.session(readonly=True) as session:
        left = ledger.left_behind(session)
    for issue_id in left:
        pipeline.deliver(app, issue_id)


def _send(app: App, issue: IssueDetails, should_stop: Callable[[], bool]) -> Iterator[str]:
    with app.session(readonly=True) as session:
        outcome = slots.outcome_of(session, IssueWeek.parse(issue.week))
    if outcome is not None:  # closed or taken: from here on only a person sends it
        return
    try:
        if issue.state is IssueState.PLANNED:
            _approve_by_itself(app, issue)
        yield from _deliver(app, issue, should_stop)
    except RefusedError as error:
        with app.session() as session:
            if issues.details(session, issue.id).state not in issues.OPEN:
                return  # another scheduler took the slot between our look and our claim
            notices.approval_overdue(app, session, issue, why=error.what)
        yield f"{issue.week}: due and not sent: {error.what}"


def _approve_by_itself(app: App, issue: IssueDetails) -> None:
    if app.settings.approval != AUTOMATIC:
        raise ApprovalError("nobody has approved it")
    pipeline.approve(app, issue.week, by="automatic approval (NEWSLETTER_APPROVAL)")


def _deliver(app: App, issue: IssueDetails, should_stop: Callable[[], bool]) -> Iterator[str]:
    with app.session(readonly=True) as session:
        issue = issues.details(session, issue.id)  # approved by itself a moment ago, maybe
    if not issue.frozen:
        pipeline.freeze(app, issue)
    progress = pipeline.deliver(app, issue.id, should_stop=should_stop)
    with app.session(readonly=True) as session:
        is_over = issues.details(session, issue.id).state is not IssueState.SENDING
    if not (progress.batches or is_over):  # all that is left waits for a time, or for a person
        return
    account = pipeline.prove(app, str(issue.id))
    submitted = account.states.get("submitted", 0)
    ending = "proof complete" if account.complete else f"not finished: {progress.stopped}"
    yield f"{issue.ref}: {submitted} of {account.candidates} submitted, {ending}"


def _skip(app: App, issue: IssueDetails, now: datetime) -> Iterator[str]:
    """A slot missed by more than the catch-up window is skipped, loudly."""
    why = f"its slot passed more than {app.settings.catch_up_hours} hours ago"
    why += "" if issue.state is IssueState.APPROVED else " and nobody approved it"
    with app.session() as session:
        if not slots.close(
            session, issue.week, issue.slot_at, SlotOutcome.MISSED, now=now, note=why
        ):
            return
        planning.set_state(session, issue.id, IssueState.SKIPPED, reason=why)
        by_hand = f"newsletter issue send {issue.week}"
        notices.slot_missed(app, session, issue.week, issue.slot_at, why=why, command=by_hand)
    yield f"{issue.week}: skipped: {why}; `{by_hand}` sends it after all"


def _has_candidates(app: App, session: Session, slot_at: datetime) -> bool:
    choices = planning.choose_for(
        session, slot_at=slot_at, previous_slot_at=app.slot.before(slot_at), samples=False
    )
    return any(choice.chosen for choice in choices)


def _too_late(app: App, slot_at: datetime, now: datetime) -> bool:
    return now - slot_at > timedelta(hours=app.settings.catch_up_hours)
