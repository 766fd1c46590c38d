"""Complaints above Gmail's limits: told to operators once the figures show it, not a day later.

By mail, once an issue and limit; a report says the same again in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlmodel import Session, col, select

from newsletter import notices, report, wording
from newsletter.app import App
from newsletter.delivery import system_mail
from newsletter.editorial import issues
from newsletter.plurals import counted
from newsletter.store.models import Issue, SystemMail
from newsletter.tracking import snapshots
from newsletter.tracking.figures import Alarm, IssueFigures

KIND = "alarm"
LATELY = timedelta(days=14)  # since an issue was sent: who complains later changes no sending


def tell(app: App) -> Iterator[str]:
    """A part of the tick, behind the figures: queues a mail for each alarm that is new."""
    yield from ()
    people = notices.operators(app)
    if not people:
        return
    for figures in _alarming(app):
        with app.session() as session:
            fresh = [one for one in people if not _was_told(app, session, figures, one)]
            for address in fresh:
                _queue(app, session, figures, address)
        if fresh:
            told = counted(len(fresh), "person", "people")
            yield f"{figures.ref}: complaints {worst(figures)}, queued for {told}"


def worst(figures: IssueFigures) -> Alarm:
    """The highest limit that complaints passed, in the whole or at one mailbox domain."""
    found = {figures.alarm, *(one.alarm for one in figures.domains)}
    return next((one for one in (Alarm.TOO_HIGH, Alarm.HIGH) if one in found), Alarm.NONE)


def facts_of(figures: IssueFigures, *, page_url: str) -> dict[str, str]:
    """The complaints as a mail's facts, a line each."""
    return {
        "ref": figures.ref,
        "limit": worst(figures),
        "said": "\n".join(wording.complaints(figures)),
        "as_of": wording.instant(figures.computed_at),
        "page_url": page_url,
        "pause": f"newsletter issue pause {figures.ref}",
        "who": "newsletter segments save wary 'silent for 3 issues'",
    }


def _alarming(app: App) -> list[IssueFigures]:
    # A scan of `issue`, which has a row a week; the snapshots by primary key.
    since = app.clock() - LATELY
    with app.session(readonly=True) as session:
        sent = session.exec(select(Issue.id).where(col(Issue.frozen_at) > since)).all()
        kept = snapshots.load_all(session, [snapshots.name_of(one or 0) for one in sent])
    figures = [one.issue_figures() for one in kept.values()]
    return [one for one in figures if worst(one)]


def _was_told(app: App, session: Session, figures: IssueFigures, address: str) -> bool:
    query = select(SystemMail.id).where(SystemMail.once == _once(app, figures, address))
    return session.exec(query).first() is not None


def _queue(app: App, session: Session, figures: IssueFigures, address: str) -> None:
    issue = issues.find(session, figures.ref)
    facts = facts_of(figures, page_url=report.page_url(app, issue))
    once = _once(app, figures, address)
    system_mail.queue(session, KIND, once=once, address=address, facts=facts, now=app.clock())


def _once(app: App, figures: IssueFigures, address: str) -> str:
    level = worst(figures).name.lower()
    return f"{KIND}:{figures.ref}:{level}:{app.keyring.fingerprint(address)}"
