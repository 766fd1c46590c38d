"""Corrections: a second mailing in an issue's week, to those and only those who may have it wrong.

A correction is an issue of its own kind: it has bytes, findings, an approval, a frozen audience and
a proof like any other. It has no slot and no comparisons of its own, and goes out by a person's
word alone. Functions take a Session and never commit.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Session, col, func, select

from newsletter.editorial import issues, library, words
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import RefusedError
from newsletter.rendering.view import CorrectedView, PageView
from newsletter.store import models
from newsletter.store.states import DeliveryState, IssueState

_ON_THE_WAY = (DeliveryState.PLANNED, DeliveryState.ATTEMPTING)


def write(
    session: Session, wrong: IssueDetails, *, text: str, subject: str | None, now: datetime
) -> int:
    """The correction of `wrong`, new or written anew while nobody has it; its id.

    text: what was wrong and what is right, in paragraphs. subject: None leaves what there is, ""
    takes an editor's own back. Raises RefusedError where nobody can have got the issue, where it is
    no weekly one, and where its correction went out or was cancelled.
    """
    said = words.kept("text", text)
    if said is None:
        raise RefusedError("the correction says nothing", hint="give it with --text")
    _refuse_what_nobody_got(wrong)
    issue = _row_of(session, wrong) or _new(session, wrong, now)
    if issue.state not in issues.OPEN:
        raise RefusedError(
            f"issue {wrong.week} has a correction already: it is {issue.state}",
            hint=f"see `newsletter issue show {wrong.week}/{issues.CORRECTION}`; what else there is"
            " to say reaches readers with the next issue",
        )
    issue.intro = said
    if subject is not None:
        issue.subject = words.kept("subject", subject)
    session.flush()
    return issues.id_of(issue)


def corrected_view(
    session: Session, issue: models.Issue, *, public_url: str, day: date
) -> CorrectedView:
    """What the templates see of the issue that `issue` corrects; its pages as they are called now.

    day: of its slot, on the publication's calendar.
    """
    wrong = _wrong(session, issue)
    return CorrectedView(
        subject=wrong.subject,
        day=day,
        pages=tuple(
            PageView(library.load_revision(session, slug).title, f"{public_url}/comparisons/{slug}")
            for slug in wrong.items
        ),
    )


def refuse_too_early(session: Session, issue: models.Issue) -> None:
    """Raises RefusedError where somebody may still get what `issue` corrects: they would miss it.

    Nothing to say of an issue that corrects none.
    """
    if issue.corrects_id is None:
        return
    wrong = _wrong(session, issue)
    query = select(func.count(col(models.Delivery.subscriber_id))).where(
        models.Delivery.issue_id == wrong.id, col(models.Delivery.state).in_(_ON_THE_WAY)
    )
    if count := session.exec(query).one():
        raise RefusedError(
            f"issue {wrong.ref} is still going out: {count:,} of its readers would get the mistake "
            "and not the correction",
            hint=f"end it with `newsletter issue cancel {wrong.ref}`, or wait until it is done",
        )


def _wrong(session: Session, issue: models.Issue) -> IssueDetails:
    if issue.corrects_id is None:
        raise RefusedError(
            f"issue {issue.week} corrects nothing", hint="write one with `newsletter issue correct`"
        )
    return issues.details(session, issue.corrects_id)


def _refuse_what_nobody_got(wrong: IssueDetails) -> None:
    if wrong.kind != issues.WEEKLY:
        raise RefusedError(
            f"issue {wrong.ref} is a correction itself",
            hint=f"name the issue that was wrong: `newsletter issue correct {wrong.week}`",
        )
    if wrong.frozen_at is None:
        raise RefusedError(
            f"issue {wrong.ref} is {wrong.state}: nobody has got it",
            hint=f"mend it with `newsletter issue edit {wrong.ref}`, or in its comparisons' files",
        )


def _row_of(session: Session, wrong: IssueDetails) -> models.Issue | None:
    query = select(models.Issue).where(
        models.Issue.kind == issues.CORRECTION, models.Issue.week == wrong.week
    )
    return session.exec(query).first()


def _new(session: Session, wrong: IssueDetails, now: datetime) -> models.Issue:
    issue = models.Issue(
        kind=issues.CORRECTION,
        week=wrong.week,
        slot_at=now,
        state=IssueState.PLANNED,
        samples=wrong.samples,
        planned_at=now,
        corrects_id=wrong.id,
        is_tracked=wrong.is_tracked,
    )
    session.add(issue)
    return issue
