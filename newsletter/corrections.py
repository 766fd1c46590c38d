"""Putting an issue right: a correction for those and only those who may have got the mistake."""

from __future__ import annotations

from newsletter import renders
from newsletter.app import App
from newsletter.editorial import corrections, issues
from newsletter.editorial.issues import IssueDetails


def correct(app: App, ref: str, *, text: str, subject: str | None = None) -> IssueDetails:
    """Writes the issue's correction, or writes it anew, and renders it; it waits for approval.

    Raises as `corrections.write` does. New bytes void a standing approval.
    """
    with app.session() as session:
        wrong = issues.find(session, ref)
        issue_id = corrections.write(session, wrong, text=text, subject=subject, now=app.clock())
        renders.keep(app, session, issue_id, because="the correction was written anew")
        return issues.details(session, issue_id)
