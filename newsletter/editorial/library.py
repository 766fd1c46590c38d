"""The store of comparisons: importing files as revisions, and getting comparisons back out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from newsletter.editorial import respelling
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.issues import WEEKLY
from newsletter.editorial.selection import Candidate
from newsletter.errors import NotFoundError, RefusedError, StoreError
from newsletter.store import models
from newsletter.store.states import ComparisonState, IssueState

# An issue in one of these holds its comparisons no longer.
_RELEASED = (IssueState.CANCELLED, IssueState.SKIPPED)


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """Slugs by what an import did with them."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def import_comparisons(
    session: Session, comparisons: Sequence[Comparison], *, now: datetime
) -> ImportOutcome:
    """Each comparison in the store at its newest text; importing the same again changes nothing.

    A changed text is a new revision, the old one stays. A comparison is finished since the first
    import that said so; back in draft it loses that date. Once published it stays published, and a
    draft of it is refused. Raises RefusedError before anything is written.
    """
    rows = {row.slug: row for row in session.exec(select(models.Comparison))}
    _refuse_published_drafts(comparisons, rows)
    told: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
    for comparison in comparisons:
        row = rows.get(comparison.slug)
        if row is None:
            row = models.Comparison(slug=comparison.slug, state=ComparisonState.DRAFT)
            rows[comparison.slug] = row
        told[_import_one(session, comparison, row, now)].append(comparison.slug)
    session.flush()
    return ImportOutcome(**{outcome: tuple(slugs) for outcome, slugs in told.items()})


def candidates(session: Session, *, for_issue_id: int | None = None) -> list[Candidate]:
    """Every comparison as `selection.choose` wants it, by slug.

    `in_issue` is the week of the weekly issue that holds it, cancelled and skipped ones and
    `for_issue_id` itself left aside.
    """
    held = _held_by(session, for_issue_id)
    return [
        Candidate(
            slug=row.slug,
            state=ComparisonState(row.state),
            finished_at=row.finished_at,
            sample=row.sample,
            panel_gap=Comparison.from_body(revision.body).gap,
            in_issue=held.get(row.id),
        )
        for row, revision in session.exec(_current().order_by(col(models.Comparison.slug)))
    ]


def load_revision(session: Session, slug: str, number: int | None = None) -> Comparison:
    """The comparison as it is now, or as it was in revision `number`.

    Raises NotFoundError where there is no such comparison or revision.
    """
    row = _row(session, slug)
    wanted = row.revision if number is None else number
    found = session.exec(
        select(models.ComparisonRevision).where(
            models.ComparisonRevision.comparison_id == row.id,
            models.ComparisonRevision.number == wanted,
        )
    ).one_or_none()
    if found is None:
        raise NotFoundError(
            f"{slug} has no revision {wanted}", hint=f"its revisions are 1 to {row.revision}"
        )
    return Comparison.from_body(found.body)


def tool_pairs(session: Session, slug: str) -> list[respelling.Pair]:
    """The slugs of the comparison's two tools, revision after revision."""
    query = (
        select(models.ComparisonRevision)
        .where(models.ComparisonRevision.comparison_id == _id(_row(session, slug)))
        .order_by(col(models.ComparisonRevision.number))
    )
    return [Comparison.from_body(one.body).tool_slugs for one in session.exec(query)]


def listed(session: Session, *, samples: bool) -> list[Comparison]:
    """Finished and published comparisons for pages, newest first; `samples` shows invented ones."""
    row = models.Comparison
    statement = _current().where(col(row.state) != ComparisonState.DRAFT)
    if not samples:
        statement = statement.where(col(row.sample).is_(False))
    statement = statement.order_by(col(row.finished_at).desc(), col(row.slug))
    return [Comparison.from_body(revision.body) for _, revision in session.exec(statement)]


def _refuse_published_drafts(
    comparisons: Sequence[Comparison], rows: dict[str, models.Comparison]
) -> None:
    for comparison in comparisons:
        row = rows.get(comparison.slug)
        published = row is not None and row.state == ComparisonState.PUBLISHED
        if published and comparison.status is ComparisonState.DRAFT:
            raise RefusedError(
                f"{comparison.slug} was in an issue that went out: it cannot be a draft again",
                hint="write `status: finished` in its file, and import again",
            )


def _import_one(
    session: Session, comparison: Comparison, row: models.Comparison, now: datetime
) -> str:
    if row.revision == 0:
        _revise(session, row, comparison, now)
        return "new"
    if _current_sha256(session, row) == comparison.sha256:
        return "unchanged"
    _revise(session, row, comparison, now)
    return "changed"


def _revise(
    session: Session, row: models.Comparison, comparison: Comparison, now: datetime
) -> None:
    if row.revision:
        known = tool_pairs(session, row.slug)
        respelling.carry_votes(session, _id(row), known, comparison.tool_slugs)
    row.revision += 1
    row.sample = comparison.sample
    if row.state != ComparisonState.PUBLISHED:
        row.state = comparison.status
        is_finished = comparison.status is ComparisonState.FINISHED
        row.finished_at = (row.finished_at or now) if is_finished else None
    session.add(row)
    session.flush()
    session.add(
        models.ComparisonRevision(
            comparison_id=_id(row),
            number=row.revision,
            sha256=comparison.sha256,
            body=comparison.to_body(),
            imported_at=now,
        )
    )


def _current_sha256(session: Session, row: models.Comparison) -> str | None:
    return session.exec(
        select(models.ComparisonRevision.sha256).where(
            models.ComparisonRevision.comparison_id == row.id,
            models.ComparisonRevision.number == row.revision,
        )
    ).one_or_none()


def _held_by(session: Session, for_issue_id: int | None) -> dict[int | None, str]:
    """Comparison id to the week that holds it; the latest, should there be two."""
    statement = (
        select(models.IssueItem.comparison_id, models.Issue.week)
        .join(models.Issue, col(models.Issue.id) == col(models.IssueItem.issue_id))
        .where(models.Issue.kind == WEEKLY, col(models.Issue.state).not_in(_RELEASED))
        .order_by(col(models.Issue.week))
    )
    if for_issue_id is not None:
        statement = statement.where(models.Issue.id != for_issue_id)
    return dict(session.exec(statement).all())


def _current() -> Select[models.Comparison, models.ComparisonRevision]:
    """Comparisons, each with its current revision."""
    row, revision = models.Comparison, models.ComparisonRevision
    return select(row, revision).where(
        col(revision.comparison_id) == col(row.id), col(revision.number) == col(row.revision)
    )


def _row(session: Session, slug: str) -> models.Comparison:
    row = session.exec(
        select(models.Comparison).where(models.Comparison.slug == slug)
    ).one_or_none()
    if row is None:
        known = session.exec(select(models.Comparison.slug)).all()
        near = difflib.get_close_matches(slug, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else "`newsletter content list` shows them all"
        raise NotFoundError(f"there is no comparison {slug!r}", hint=hint)
    return row


def _id(row: models.Comparison) -> int:
    if row.id is None:
        raise StoreError(f"{row.slug} has no id", hint="run `newsletter db check`")
    return row.id
