"""An issue's renders: what the templates see of it, kept with what it came from, made again.

The functions with a session work in the caller's transaction.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlmodel import Session

from newsletter import mailings
from newsletter.app import App
from newsletter.editorial import (
    approvals,
    changes,
    corrections,
    heard,
    issues,
    library,
    planning,
    rebuilds,
)
from newsletter.editorial.issues import IssueDetails
from newsletter.editorial.rebuilds import Rebuilt
from newsletter.editorial.views import comparison_view
from newsletter.errors import RefusedError
from newsletter.rendering import examination, snapshot, untracked
from newsletter.rendering.view import IssueView
from newsletter.store.models import Issue
from subscribers.audience import Reader

MOST_TOLD = 3  # differences between two renders, in a sentence


def issue_view(app: App, session: Session, issue_id: int) -> IssueView:
    """What the templates see of an issue, from the revisions it is bound to."""
    issue = issues.row(session, issue_id)
    if issue.corrects_id is not None:
        return _correction_view(app, session, issue)

    def day_of(instant: datetime) -> date:
        return instant.astimezone(app.slot.zone).date()

    return IssueView(
        id=issue_id,
        week=issue.week,
        slug=issue.week.lower(),
        day=day_of(issue.slot_at),
        publication=app.publication,
        comparisons=tuple(
            comparison_view(
                library.load_revision(session, slug, number), public_url=app.publication.url
            )
            for slug, number in issues.revisions(session, issue_id)
        ),
        archive_url=f"{app.publication.url}/issues/{issue.week.lower()}",
        subject=issue.subject,
        preheader=issue.preheader,
        intro=issue.intro,
        changes=changes.changes_since(
            session,
            issue_id,
            public_url=app.publication.url,
            day_of=day_of,
        ),
        heard=heard.before(
            session, issue_id, public_url=app.publication.url, day_of=day_of, now=app.clock()
        ),
    )


def _correction_view(app: App, session: Session, issue: Issue) -> IssueView:
    wrong = issues.row(session, issue.corrects_id or 0)
    public_url, zone = app.publication.url, app.slot.zone
    return IssueView(
        id=issues.id_of(issue),
        week=issue.week,
        slug=issues.details(session, issues.id_of(issue)).slug,
        day=issue.slot_at.astimezone(zone).date(),
        publication=app.publication,
        comparisons=(),
        archive_url=f"{public_url}/issues/{issue.week.lower()}",
        subject=issue.subject,
        intro=issue.intro,
        corrected=corrections.corrected_view(
            session, issue, public_url=public_url, day=wrong.slot_at.astimezone(zone).date()
        ),
    )


def keep(app: App, session: Session, issue_id: int, *, because: str, twice: bool = False) -> bool:
    """Renders and keeps the result; new bytes void the approval. True when the bytes changed.

    twice: look whether a second render gives the same, for whoever is about to decide.
    """
    view = issue_view(app, session, issue_id)
    fresh = app.renderer.issue(view)
    fresh = untracked.examined(examination.attributed(app.renderer, view, fresh))
    if twice:
        fresh = examination.proven(app.renderer, view, fresh)
    inputs = snapshot.take(view, fresh, dict(issues.revisions(session, issue_id))).to_dict()
    changed = planning.keep_render(session, issue_id, fresh, inputs=inputs, now=app.clock())
    if changed and approvals.void(session, issue_id, reason=because, now=app.clock()):
        planning.back_to_planned(session, issue_id)
        if issue_view(app, session, issue_id) != view:  # planned, it counts votes anew
            keep(app, session, issue_id, because=because, twice=twice)
    return changed


def as_of_now(app: App, session: Session, issue: IssueDetails) -> tuple[str, str]:
    """The hash of what the issue renders to now, and what it comes from that it did not before.

    The second for a person; "" where the bytes are those that are stored, or no snapshot is.
    """
    view = issue_view(app, session, issue.id)
    fresh = app.renderer.issue(view, checked=False)
    if fresh.sha256 == issue.sha256:
        return fresh.sha256, ""
    try:
        then = snapshot.read(issues.rendered(session, issue.id).inputs)
    except RefusedError:
        return fresh.sha256, ""
    now = snapshot.take(view, fresh, dict(issues.revisions(session, issue.id)))
    found = (*snapshot.differences(then, now), *snapshot.moved_on(then, now))
    return fresh.sha256, ", ".join(found[:MOST_TOLD])


def rebuild(app: App, ref: str) -> Rebuilt:
    """Renders an issue from its snapshot, with the templates and libraries of now; keeps nothing.

    Raises RefusedError where the snapshot is damaged, or of another version of the views.
    """
    with app.session(readonly=True) as session:
        issue = issues.find(session, ref)
        return rebuilds.rebuild(
            app.renderer,
            issue,
            issues.rendered(session, issue.id),
            today=issue_view(app, session, issue.id),
            newest=issues.newest_revisions(session, issue.id),
        )


def refuse_what_is_no_message(app: App, session: Session, issue: IssueDetails) -> None:
    """Raises RefusedError where no mail can be made of the render: frozen, it could go nowhere."""
    mailings.issue_mailing(app, issue, issues.rendered(session, issue.id))


def sample_message(app: App, issue: IssueDetails, render: issues.StoredRender) -> bytes:
    """The render as one invented reader would get it: RFC 5322 bytes."""
    reader = Reader(id=mailings.NOBODY, address="reader@example.com", name="Sam Reader")
    mailing = mailings.issue_mailing(app, issue, render)
    return mailing.splice(mailings.envelope_maker(app, issue)(reader))
