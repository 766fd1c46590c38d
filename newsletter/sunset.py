"""The sunset rule at work: silent readers are asked by mail, then paused. Off until switched on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from sqlmodel import Session, select

from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.store.models import SystemMail
from newsletter.store.states import SystemMailState
from subscribers import hygiene
from subscribers.hygiene import Silence, Step

KIND = "still_there"
AT_ONCE = 500  # readers a transaction


def apply(app: App) -> Iterator[str]:
    """A part of the tick: does what is due by `sunset_after_issues`, and says how many."""
    issues = app.settings.sunset_after_issues
    if not issues:
        return
    done: Counter[Step] = Counter()
    now, after_id = app.clock(), 0
    while batch := _next(app, issues, after_id, now):
        after_id = batch[-1].subscriber_id
        steps = [(one, hygiene.next_step(one, after_issues=issues, now=now)) for one in batch]
        due = [(one, step) for one, step in steps if step is not Step.NOTHING]
        if due:
            with app.session() as session:
                done.update(_do(session, one, step, issues, now) for one, step in due)
    if done[Step.ASK]:
        yield f"silent readers asked: {done[Step.ASK]}"
    if done[Step.PAUSE]:
        yield f"silent readers paused: {done[Step.PAUSE]}"


def _next(app: App, issues: int, after_id: int, now: datetime) -> list[Silence]:
    with app.session(readonly=True) as session:
        found = hygiene.silent(
            session, after_issues=issues, now=now, after_id=after_id, most=AT_ONCE
        )
        return list(found)


def _do(session: Session, one: Silence, step: Step, issues: int, now: datetime) -> Step:
    """What was done: a question that never left us is asked again before anybody is paused."""
    if step is Step.PAUSE and one.asked_at and _reached(session, one.subscriber_id, one.asked_at):
        paused = hygiene.pause_silent(session, one.subscriber_id, now=now)
        return Step.PAUSE if paused else Step.NOTHING
    system_mail.queue(
        session,
        KIND,
        once=_once(one.subscriber_id, now),
        subscriber_id=one.subscriber_id,
        facts={"issues": str(issues)},
        now=now,
    )
    hygiene.asked(session, one.subscriber_id, now)
    return Step.ASK


def _reached(session: Session, subscriber_id: int, asked_at: datetime) -> bool:
    once = _once(subscriber_id, asked_at)
    state = session.exec(select(SystemMail.state).where(SystemMail.once == once)).first()
    return state == SystemMailState.SUBMITTED


def _once(subscriber_id: int, asked_at: datetime) -> str:
    return f"{KIND}:{subscriber_id}:{asked_at.isoformat()}"
