"""Approval: bound to rendered bytes and an audience rule, void as soon as either changes."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.editorial import issues, planning
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import ApprovalError
from newsletter.store import models
from newsletter.store.states import IssueState
from subscribers import segments

SEGMENT = "segment:"  # before the name of a segment
EVERYONE = "all"  # the audience rule: everyone ever confirmed and not erased
UNTRACKED = ", nobody tracked"  # after the rule of an issue that counts nobody's reading


def audience_of(session: Session, issue: IssueDetails, *, tracking: bool) -> str:
    """The audience rule: everyone; of a correction, those who may have got what it corrects.

    Of an issue for a segment its name and the rule it has now, so that an approval is void once
    the segment means other people; and so it is once their reading is to be counted after all, by
    the issue or by the setting `tracking`. Raises SegmentError where the segment is no more.
    """
    return _rule(session, issue) + ("" if tracking and issue.is_tracked else UNTRACKED)


def _covers(session: Session, approved: str, issue: IssueDetails, *, tracking: bool) -> bool:
    """Whether an approval of the audience `approved` is one of the audience there is now.

    With tracking switched off by setting it stays: of the same readers less is kept than an editor
    agreed to. Never the other way round.
    """
    return approved in {audience_of(session, issue, tracking=one) for one in (tracking, True)}


def _rule(session: Session, issue: IssueDetails) -> str:
    if issue.corrects_id is not None:
        return f"readers of issue {issue.corrects_id}"
    if not issue.audience.startswith(SEGMENT):
        return EVERYONE
    segment = segments.find(session, issue.audience.removeprefix(SEGMENT))
    return f"{issue.audience}: {segment.rule}"


def grant(
    session: Session,
    issue_id: int,
    *,
    sha256: str | None,
    by: str,
    tracking: bool,
    now: datetime,
) -> None:
    """Binds an approval to the render that was looked at, `sha256`, if it still stands.

    tracking: the publication's setting. Raises ApprovalError, saying what is open.
    """
    issue = issues.details(session, issue_id)
    if issue.sha256 != sha256:  # another editor was quicker
        raise ApprovalError(
            f"issue {issue.ref} was changed while you approved it",
            hint=f"look at it again (`newsletter issue show {issue.ref}`), then approve",
        )
    errors = [finding for finding in issue.findings if finding["severity"] == "error"]
    if errors:
        listed = "\n".join(f"  {f['rule']}: {f['what']} ({f['place']})" for f in errors)
        raise ApprovalError(
            f"issue {issue.ref} has {len(errors)} error finding(s):\n{listed}",
            hint=f"mend them, then `newsletter issue check {issue.ref}`",
        )
    drafts = issues.unfinished_items(session, issue_id)
    if drafts:
        raise ApprovalError(
            f"issue {issue.ref} holds what is a draft again: {', '.join(drafts)}",
            hint="finish it, or `newsletter issue edit --exclude` it",
        )
    if issue.sha256 is None:
        raise ApprovalError(f"issue {issue.ref} has not been rendered", hint="render it first")
    if issue.state is not IssueState.APPROVED:
        planning.set_state(session, issue_id, IssueState.APPROVED)
    void(session, issue_id, reason="approved anew", now=now)
    session.add(
        models.Approval(
            issue_id=issue_id,
            sha256=issue.sha256,
            audience=audience_of(session, issue, tracking=tracking),
            by=by.strip(),
            at=now,
        )
    )


def void(session: Session, issue_id: int, *, reason: str, now: datetime) -> bool:
    """Ends the standing approval, if there is one."""
    query = select(models.Approval).where(
        models.Approval.issue_id == issue_id, col(models.Approval.voided_at).is_(None)
    )
    standing = session.exec(query).all()
    for approval in standing:
        approval.voided_at = now
        approval.void_reason = reason
    return bool(standing)


def why_void(
    session: Session, issue_id: int, sha256: str, *, tracking: bool, differences: str = ""
) -> str:
    """Why the issue, which renders to `sha256` now, may not go out; "" when it may.

    tracking: the publication's setting. differences: what the render comes from and did not then.
    """
    issue = issues.details(session, issue_id)
    approval = issue.approval
    if approval is None:
        return "nobody has approved it"
    if approval.voided_at is not None:
        return f"the approval by {approval.by} is void: {approval.void_reason}"
    if approval.sha256 != sha256:
        told = f" ({differences})" if differences else ""
        return f"it renders differently from what was approved{told}"
    if not _covers(session, approval.audience, issue, tracking=tracking):
        return f"it was approved for the audience {approval.audience!r}, which has changed"
    drafts = issues.unfinished_items(session, issue_id)
    if drafts:
        return f"an editor took back to draft: {', '.join(drafts)}"
    return ""
