"""What came in, for an operator to look at."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session, col, select

from newsletter.app import App
from newsletter.editorial.issues import called
from newsletter.errors import NotFoundError
from newsletter.store.models import Delivery, InboundReport, Issue
from subscribers.models import Subscriber
from subscribers.policy import Verdict

MAX_SHOWN = 1000


def listed(app: App, *, unclassified: bool, limit: int = MAX_SHOWN) -> list[dict[str, Any]]:
    """The newest reports first."""
    query = select(InboundReport).order_by(col(InboundReport.id).desc()).limit(limit)
    if unclassified:
        query = query.where(InboundReport.verdict == Verdict.UNCLASSIFIED)
    with app.session(readonly=True) as session:
        return [_described(session, report) for report in session.exec(query)]


def shown(app: App, report_id: int) -> dict[str, Any]:
    """One report, with what its delivery is now. Raises NotFoundError."""
    with app.session(readonly=True) as session:
        report = session.get(InboundReport, report_id)
        if report is None:
            raise NotFoundError(
                f"there is no report {report_id}", hint="see `newsletter bounces list`"
            )
        ids = (report.issue_id or 0, report.subscriber_id or 0)
        delivery = session.get(Delivery, ids)
        return _described(session, report) | {
            "delivery": delivery.state if delivery else "",
            "digest": report.digest,
        }


def _described(session: Session, report: InboundReport) -> dict[str, Any]:
    issue = session.get(Issue, report.issue_id) if report.issue_id else None
    reader = session.get(Subscriber, report.subscriber_id) if report.subscriber_id else None
    return {
        "id": report.id,
        "received_at": report.received_at,
        "kind": report.kind,
        "verdict": report.verdict,
        "code": report.code,
        "reason": report.reason,
        "issue": called(issue.kind, issue.week) if issue else "",
        "address": reader.address if reader else "",
    }
