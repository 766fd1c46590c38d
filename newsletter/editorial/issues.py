"""Issues as they are: reading them by week, number or state, with all that editors ask about."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from newsletter.errors import NotFoundError, RefusedError
from newsletter.rendering import view
from newsletter.rendering.rendered import Link, RenderedIssue
from newsletter.store import models
from newsletter.store.states import ComparisonState, IssueState
from newsletter.weeks import IssueWeek

WEEKLY, CORRECTION = view.WEEKLY, view.CORRECTION  # a week has one of each kind at most
OPEN = (IssueState.PLANNED, IssueState.APPROVED)
FROZEN = (IssueState.SENDING, IssueState.PAUSED, IssueState.DONE)
_ID = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class ApprovalDetails:
    """Who approved which bytes for whom; void once either changed."""

    by: str
    at: datetime
    sha256: str
    audience: str
    voided_at: datetime | None
    void_reason: str


@dataclass(frozen=True, slots=True)
class IssueDetails:
    """Everything about one issue but its bytes. `subject` and `preheader` as rendered."""

    id: int
    kind: str
    week: str
    slot_at: datetime  # of a correction, which has no slot, when it was written
    state: IssueState
    reason: str
    subject: str
    preheader: str
    intro: str
    items: tuple[str, ...]
    choices: tuple[dict[str, Any], ...]
    sha256: str | None
    findings: tuple[dict[str, Any], ...]
    approval: ApprovalDetails | None
    planned_at: datetime
    frozen_at: datetime | None
    done_at: datetime | None
    samples: bool
    own_templates: tuple[str, ...]  # of those it was rendered with, the publication's
    corrects_id: int | None = None  # of a correction: the issue it corrects
    audience: str = "all"  # or `segment:` and its name
    is_tracked: bool = True  # False: its editor wants nobody's reading counted

    @property
    def ref(self) -> str:
        """What a command calls it: `2026-W48`, `2026-W48/correction`."""
        return called(self.kind, self.week)

    @property
    def slug(self) -> str:
        """The same for addresses and Message-IDs: `2026-w48`, `2026-w48-correction`."""
        return self.folder.lower()

    @property
    def folder(self) -> str:
        """The same for a file system: `2026-W48`, `2026-W48-correction`."""
        return self.ref.replace("/", "-")

    @property
    def has_slot(self) -> bool:
        """Whether it goes out by itself when its slot comes; else only by a person's word."""
        return self.kind == WEEKLY

    @property
    def error_count(self) -> int:
        return sum(finding["severity"] == "error" for finding in self.findings)

    @property
    def warning_count(self) -> int:
        return len(self.findings) - self.error_count

    @property
    def frozen(self) -> bool:
        return self.state in FROZEN

    @property
    def standing_approval(self) -> ApprovalDetails | None:
        """The approval, unless it is void."""
        return self.approval if self.approval and not self.approval.voided_at else None


@dataclass(frozen=True, slots=True)
class StoredRender:
    """The bytes of an issue as they were rendered."""

    id: int
    sha256: str
    subject: str
    preheader: str
    html: str
    text: str
    mjml: str
    links: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]
    inputs: dict[str, Any]  # a snapshot: `rendering.snapshot`
    rendered_at: datetime

    def as_rendered(self) -> RenderedIssue:
        """The same as rendering handed it over."""
        return RenderedIssue(
            subject=self.subject,
            preheader=self.preheader,
            html=self.html,
            text=self.text,
            mjml=self.mjml,
            links=tuple(Link(**link) for link in self.links),
        )

    def of(self, fresh: RenderedIssue) -> StoredRender:
        """What storing `fresh` in its place would give."""
        return replace(
            self,
            sha256=fresh.sha256,
            subject=fresh.subject,
            preheader=fresh.preheader,
            html=fresh.html,
            text=fresh.text,
            mjml=fresh.mjml,
            links=tuple(asdict(link) for link in fresh.links),
            findings=tuple(finding.to_dict() for finding in fresh.findings),
        )


def called(kind: str, week: str) -> str:
    """How an issue is named: its week, and its kind where it is not the weekly one."""
    return week if kind == WEEKLY else f"{week}/{kind}"


def find(session: Session, ref: str) -> IssueDetails:
    """The issue of a week (`2026-W48`), its correction (`2026-W48/correction`), by number, or the
    `latest` weekly one. Raises NotFoundError.
    """
    query = select(models.Issue)
    if ref == "latest":
        query = query.where(models.Issue.kind == WEEKLY)
        query = query.order_by(col(models.Issue.slot_at).desc()).limit(1)
    elif _ID.fullmatch(ref):
        query = query.where(models.Issue.id == int(ref))
    else:
        week, slash, kind = ref.partition("/")
        query = query.where(
            models.Issue.week == str(IssueWeek.parse(week)),
            models.Issue.kind == (kind if slash else WEEKLY),
        )
    issue = session.exec(query).first()
    if issue is None:
        raise NotFoundError(
            "there is no issue yet" if ref == "latest" else f"there is no issue {ref}",
            hint="see `newsletter issue list`, or make one with `newsletter issue plan`",
        )
    return _details(session, issue)


def details(session: Session, issue_id: int) -> IssueDetails:
    return _details(session, row(session, issue_id))


def all_issues(session: Session) -> list[IssueDetails]:
    """Newest slot first, of every kind."""
    query = select(models.Issue).order_by(col(models.Issue.slot_at).desc())
    return [_details(session, issue) for issue in session.exec(query)]


def in_states(
    session: Session, states: Iterable[IssueState], *, kind: str | None = WEEKLY
) -> list[IssueDetails]:
    """Issues in one of `states`, oldest slot first; kind: None for every kind."""
    query = (
        select(models.Issue)
        .where(col(models.Issue.state).in_(list(states)))
        .order_by(col(models.Issue.slot_at))
    )
    if kind is not None:
        query = query.where(models.Issue.kind == kind)
    return [_details(session, issue) for issue in session.exec(query)]


def of_week(session: Session, week: IssueWeek, *, kind: str = WEEKLY) -> IssueDetails | None:
    query = select(models.Issue).where(models.Issue.week == str(week), models.Issue.kind == kind)
    issue = session.exec(query).first()
    return None if issue is None else _details(session, issue)


def rendered(session: Session, issue_id: int) -> StoredRender:
    """The render that stands now. Raises NotFoundError when the issue was never rendered."""
    issue = row(session, issue_id)
    stored = session.get(models.Rendered, issue.rendered_id) if issue.rendered_id else None
    if stored is None or stored.id is None:
        raise NotFoundError(
            f"issue {called(issue.kind, issue.week)} has not been rendered",
            hint=f"run `newsletter issue render {called(issue.kind, issue.week)}`",
        )
    return StoredRender(
        id=stored.id,
        sha256=stored.sha256,
        subject=stored.subject,
        preheader=stored.preheader,
        html=stored.html,
        text=stored.text,
        mjml=stored.mjml,
        links=tuple(stored.links),
        findings=tuple(stored.findings),
        inputs=stored.inputs,
        rendered_at=stored.rendered_at,
    )


def row(session: Session, issue_id: int) -> models.Issue:
    issue = session.get(models.Issue, issue_id)
    if issue is None:
        raise NotFoundError(f"there is no issue {issue_id}", hint="see `newsletter issue list`")
    return issue


def unfinished_items(session: Session, issue_id: int) -> list[str]:
    """Comparisons in the issue that an editor took back to draft."""
    return [
        comparison.slug
        for _item, comparison in items_with_comparisons(session, issue_id)
        if comparison.state == ComparisonState.DRAFT
    ]


def revisions(session: Session, issue_id: int) -> list[tuple[str, int]]:
    """(slug, revision number) of the issue's comparisons, lead first."""
    return [(c.slug, item.revision) for item, c in items_with_comparisons(session, issue_id)]


def newest_revisions(session: Session, issue_id: int) -> dict[str, int]:
    """Of each of the issue's comparisons the revision an editor wrote last, in it or not."""
    return {c.slug: c.revision for _item, c in items_with_comparisons(session, issue_id)}


def weeks_sharing_items(session: Session, issue_id: int) -> list[str]:
    """Weeks of other frozen weekly issues that hold one of this issue's comparisons."""
    mine = [comparison.id for _item, comparison in items_with_comparisons(session, issue_id)]
    query = (
        select(models.Issue.week)
        .join(models.IssueItem, col(models.IssueItem.issue_id) == models.Issue.id)
        .where(
            col(models.IssueItem.comparison_id).in_(mine),
            models.Issue.id != issue_id,
            models.Issue.kind == WEEKLY,
            col(models.Issue.state).in_(FROZEN),
        )
        .distinct()
    )
    return sorted(session.exec(query))


def _details(session: Session, issue: models.Issue) -> IssueDetails:
    issue_id = id_of(issue)
    stored = session.get(models.Rendered, issue.rendered_id) if issue.rendered_id else None
    return IssueDetails(
        id=issue_id,
        kind=issue.kind,
        week=issue.week,
        slot_at=issue.slot_at,
        state=IssueState(issue.state),
        reason=issue.reason,
        subject=stored.subject if stored else issue.subject or "",
        preheader=stored.preheader if stored else issue.preheader or "",
        intro=issue.intro or "",
        items=tuple(c.slug for _item, c in items_with_comparisons(session, issue_id)),
        choices=tuple(issue.choices),
        sha256=stored.sha256 if stored else None,
        findings=tuple(stored.findings) if stored else (),
        approval=_latest_approval(session, issue_id),
        planned_at=issue.planned_at,
        frozen_at=issue.frozen_at,
        done_at=issue.done_at,
        samples=issue.samples,
        own_templates=_own_templates(stored),
        corrects_id=issue.corrects_id,
        audience=issue.audience,
        is_tracked=issue.is_tracked,
    )


def _own_templates(stored: models.Rendered | None) -> tuple[str, ...]:
    used = stored.inputs["templates"] if stored else {}
    return tuple(name for name, (origin, _sha256) in sorted(used.items()) if origin == "own")


def _latest_approval(session: Session, issue_id: int) -> ApprovalDetails | None:
    query = (
        select(models.Approval)
        .where(models.Approval.issue_id == issue_id)
        .order_by(col(models.Approval.id).desc())
        .limit(1)
    )
    found = session.exec(query).first()
    if found is None:
        return None
    return ApprovalDetails(
        by=found.by,
        at=found.at,
        sha256=found.sha256,
        audience=found.audience,
        voided_at=found.voided_at,
        void_reason=found.void_reason,
    )


def items_with_comparisons(
    session: Session, issue_id: int
) -> list[tuple[models.IssueItem, models.Comparison]]:
    query = (
        select(models.IssueItem, models.Comparison)
        .join(models.Comparison, col(models.IssueItem.comparison_id) == models.Comparison.id)
        .where(models.IssueItem.issue_id == issue_id)
        .order_by(col(models.IssueItem.position))
    )
    return [(item, comparison) for item, comparison in session.exec(query)]


def id_of(issue: models.Issue) -> int:
    if issue.id is None:
        raise RefusedError("this issue is not stored yet", hint="flush the session first")
    return issue.id
