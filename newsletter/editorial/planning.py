"""Planning an issue: what goes in, what an editor changes, and where the issue stands.

Functions take a Session and never commit: the pipeline decides what belongs together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from newsletter.editorial import corrections, issues, library, words
from newsletter.editorial.selection import Choice, Wishes, choose
from newsletter.errors import IllegalMoveError, RefusedError
from newsletter.rendering.rendered import RenderedIssue
from newsletter.store import models
from newsletter.store.states import ISSUE_MOVES, ComparisonState, IssueState, move
from newsletter.weeks import IssueWeek
from subscribers import segments

_WORDS = ("subject", "preheader", "intro")


@dataclass(frozen=True, slots=True)
class Changes:
    """What an editor decides; None or () leaves things, "" takes an editor's own words back."""

    subject: str | None = None
    preheader: str | None = None
    intro: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    audience: str | None = None  # `all`, or `segment:` and its name
    is_tracked: bool | None = None


def choose_for(
    session: Session,
    *,
    slot_at: datetime,
    previous_slot_at: datetime,
    samples: bool,
    issue_id: int | None = None,
) -> tuple[Choice, ...]:
    """The choice for a slot, with the wishes of the issue's editor where there is an issue."""
    return choose(
        library.candidates(session, for_issue_id=issue_id),
        slot_at=slot_at,
        previous_slot_at=previous_slot_at,
        wishes=Wishes() if issue_id is None else wishes(session, issue_id),
        samples=samples,
    )


def create(
    session: Session,
    week: IssueWeek,
    *,
    slot_at: datetime,
    choices: Sequence[Choice],
    samples: bool,
    now: datetime,
) -> int:
    """A planned issue with its items. Raises RefusedError when the week has one already."""
    issue = models.Issue(
        week=str(week),
        slot_at=slot_at,
        state=IssueState.PLANNED,
        choices=_as_rows(choices),
        samples=samples,
        planned_at=now,
    )
    session.add(issue)
    try:
        session.flush()
    except IntegrityError:  # another scheduler, or an earlier command, planned this week
        raise already_planned(week) from None
    _put_items(session, issue, choices)
    return issues.id_of(issue)


def already_planned(week: IssueWeek) -> RefusedError:
    return RefusedError(
        f"week {week} has an issue already", hint=f"see `newsletter issue show {week}`"
    )


def wishes(session: Session, issue_id: int) -> Wishes:
    wanted = issues.row(session, issue_id).wanted
    return Wishes(
        include=tuple(wanted.get("include", ())),
        exclude=tuple(wanted.get("exclude", ())),
        order=tuple(wanted.get("order", ())),
    )


def apply(session: Session, issue_id: int, changes: Changes) -> None:
    """Writes an editor's decisions down; the caller chooses and renders again.

    A slug that is now included is no longer excluded, and the other way round. Raises RefusedError
    once the issue is frozen or ended.
    """
    issue = issues.row(session, issue_id)
    if issue.kind == issues.CORRECTION:
        raise RefusedError(
            f"issue {issues.called(issue.kind, issue.week)} is a correction: it has no comparisons",
            hint=f"write it anew with `newsletter issue correct {issue.week} --text ...`",
        )
    if issue.state not in issues.OPEN:
        raise RefusedError(
            f"issue {issue.week} is {issue.state}: it can no longer be changed",
            hint="changes reach readers with the next issue",
        )
    for field in _WORDS:
        said = getattr(changes, field)
        if said is not None:
            setattr(issue, field, words.kept(field, said))
    if changes.audience is not None:
        issue.audience = _audience(session, changes.audience)
    if changes.is_tracked is not None:
        issue.is_tracked = changes.is_tracked
    include = _without(issue.wanted.get("include", ()), changes.exclude) | set(changes.include)
    exclude = _without(issue.wanted.get("exclude", ()), changes.include) | set(changes.exclude)
    issue.wanted = {
        "include": sorted(include),
        "exclude": sorted(exclude),
        "order": list(changes.order or issue.wanted.get("order", ())),
    }


def _audience(session: Session, said: str) -> str:
    """An audience there is. Raises SegmentError, RefusedError for what is neither."""
    if said == "all":
        return said
    segment, colon, name = said.partition(":")
    if not colon or segment != "segment":
        raise RefusedError(
            f"{said} is no audience",
            hint="say all, or segment:NAME (see `newsletter segments list`)",
        )
    return f"segment:{segments.find(session, name).name}"


def choose_again(session: Session, issue_id: int, choices: Sequence[Choice]) -> None:
    """Replaces the issue's items by what was chosen."""
    issue = issues.row(session, issue_id)
    issue.choices = _as_rows(choices)
    for item in _items(session, issue_id):
        session.delete(item)
    session.flush()
    _put_items(session, issue, choices)


def take_new_revisions(session: Session, issue_id: int) -> list[str]:
    """Moves items to the newest finished revision of their comparison; the slugs that moved."""
    moved = []
    for item, comparison in issues.items_with_comparisons(session, issue_id):
        finished = comparison.state != ComparisonState.DRAFT
        if finished and item.revision != comparison.revision:
            item.revision = comparison.revision
            moved.append(comparison.slug)
    return moved


def keep_render(
    session: Session,
    issue_id: int,
    fresh: RenderedIssue,
    *,
    inputs: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Stores a render unless the very same one stands; True when it is a new one.

    inputs: its snapshot; where the same bytes came of others, these are kept too. Raises
    RefusedError for a frozen issue: what readers got, and the rest will get, never changes.
    """
    issue = issues.row(session, issue_id)
    if issue.frozen_at is not None:
        name = issues.called(issue.kind, issue.week)
        raise RefusedError(
            f"issue {name} is {issue.state}: what it is made of can no longer change",
            hint=f"see `newsletter issue show {name}`",
        )
    standing = session.get(models.Rendered, issue.rendered_id) if issue.rendered_id else None
    findings = [finding.to_dict() for finding in fresh.findings]
    if standing and (standing.sha256, standing.findings, standing.inputs) == (
        fresh.sha256,
        findings,
        inputs,
    ):
        return False
    stored = models.Rendered(
        issue_id=issue_id,
        sha256=fresh.sha256,
        subject=fresh.subject,
        preheader=fresh.preheader,
        html=fresh.html,
        text=fresh.text,
        mjml=fresh.mjml,
        links=[asdict(link) for link in fresh.links],
        findings=findings,
        inputs=dict(inputs),
        rendered_at=now,
    )
    session.add(stored)
    session.flush()
    issue.rendered_id = stored.id
    return standing is None or standing.sha256 != fresh.sha256


def set_state(session: Session, issue_id: int, state: IssueState, *, reason: str = "") -> None:
    """Moves the issue; raises IllegalMoveError where the table of states does not allow it."""
    issue = issues.row(session, issue_id)
    try:
        issue.state = move(ISSUE_MOVES, IssueState(issue.state), state)
    except IllegalMoveError as error:
        name = issues.called(issue.kind, issue.week)
        raise IllegalMoveError(f"issue {name}: {error.what}", hint=error.hint) from None
    issue.reason = reason


def start_sending(session: Session, issue_id: int) -> None:
    """The issue goes out now: its comparisons are published from this instant on.

    Raises RefusedError where one of them went out with another issue meanwhile, and for a
    correction of what is still going out.
    """
    corrections.refuse_too_early(session, issues.row(session, issue_id))
    shared = issues.weeks_sharing_items(session, issue_id)
    if shared:
        raise RefusedError(
            f"a comparison of this issue already went out in {', '.join(shared)}",
            hint="exclude it with `newsletter issue edit --exclude`",
        )
    set_state(session, issue_id, IssueState.SENDING)
    for _item, comparison in issues.items_with_comparisons(session, issue_id):
        comparison.state = ComparisonState.PUBLISHED
    session.flush()  # the ledger speaks plain SQL to the same rows


def back_to_planned(session: Session, issue_id: int) -> None:
    """An approved issue whose approval is void waits for approval again."""
    if issues.row(session, issue_id).state == IssueState.APPROVED:
        set_state(session, issue_id, IssueState.PLANNED)


def finish(session: Session, issue_id: int, *, now: datetime) -> None:
    """Nothing is left to send. Another sender may have said so first: then nothing changes."""
    if issues.row(session, issue_id).state == IssueState.SENDING:
        set_state(session, issue_id, IssueState.DONE)
        issues.row(session, issue_id).done_at = now


def _items(session: Session, issue_id: int) -> Sequence[models.IssueItem]:
    query = (
        select(models.IssueItem)
        .where(models.IssueItem.issue_id == issue_id)
        .order_by(col(models.IssueItem.position))
    )
    return session.exec(query).all()


def _put_items(session: Session, issue: models.Issue, choices: Sequence[Choice]) -> None:
    chosen = [choice.slug for choice in choices if choice.chosen]
    known = {
        comparison.slug: comparison
        for comparison in session.exec(
            select(models.Comparison).where(col(models.Comparison.slug).in_(chosen))
        )
    }
    for position, slug in enumerate(chosen):
        session.add(
            models.IssueItem(
                issue_id=issues.id_of(issue),
                position=position,
                comparison_id=known[slug].id or 0,
                revision=known[slug].revision,
            )
        )


def _as_rows(choices: Sequence[Choice]) -> list[dict[str, Any]]:
    return [
        {"slug": choice.slug, "chosen": choice.chosen, "reason": choice.reason}
        for choice in choices
    ]


def _without(slugs: Iterable[str], gone: Iterable[str]) -> set[str]:
    return set(slugs) - set(gone)
