"""Comparisons in the store: imports are idempotent, revisions stay, issues hold what they have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from newsletter.editorial import library
from newsletter.editorial.content import Comparison, load_all
from newsletter.errors import NotFoundError, RefusedError
from newsletter.store import models
from newsletter.store.engine import session_on
from newsletter.store.states import ComparisonState, IssueState

CONTENT = Path(__file__).parents[2] / "content"
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"


@pytest.fixture(scope="module")
def files() -> list[Comparison]:
    return load_all(CONTENT, samples=True)


@pytest.fixture
def seed(files: list[Comparison]) -> Comparison:
    return next(comparison for comparison in files if comparison.slug == SEED)


def draft_of(comparison: Comparison) -> Comparison:
    return replace(comparison, status=ComparisonState.DRAFT)


def put_in_issue(session: Session, slug: str, week: str, state: IssueState) -> int:
    row = session.exec(select(models.Comparison).where(models.Comparison.slug == slug)).one()
    issue = models.Issue(week=week, slot_at=MONDAY, state=state, planned_at=MONDAY)
    session.add(issue)
    session.flush()
    assert issue.id is not None
    assert row.id is not None
    session.add(
        models.IssueItem(issue_id=issue.id, position=0, comparison_id=row.id, revision=row.revision)
    )
    session.flush()
    return issue.id


def row_of(session: Session, slug: str = SEED) -> models.Comparison:
    return session.exec(select(models.Comparison).where(models.Comparison.slug == slug)).one()


def test_importing_twice_changes_nothing_the_second_time(
    database: Engine, files: list[Comparison]
) -> None:
    slugs = tuple(comparison.slug for comparison in files)
    with session_on(database) as session:
        first = library.import_comparisons(session, files, now=MONDAY)
    with session_on(database) as session:
        second = library.import_comparisons(session, files, now=TUESDAY)
        revisions = session.exec(select(models.ComparisonRevision)).all()
        finished = session.exec(select(models.Comparison.finished_at)).all()
    assert (first.new, first.changed, first.unchanged) == (slugs, (), ())
    assert (second.new, second.changed, second.unchanged) == ((), (), slugs)
    assert len(revisions) == len(files)
    assert set(finished) == {MONDAY}


def test_a_changed_file_is_a_new_revision_and_the_old_one_stays(
    database: Engine, seed: Comparison
) -> None:
    changed = replace(seed, deck="Corrected.")
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
    with session_on(database) as session:
        outcome = library.import_comparisons(session, [changed], now=TUESDAY)
    with session_on(database, readonly=True) as session:
        assert outcome.changed == (SEED,)
        assert library.load_revision(session, SEED) == changed
        assert library.load_revision(session, SEED, 1) == seed
        assert library.load_revision(session, SEED, 2) == changed
        assert row_of(session).finished_at == MONDAY
        hashes = session.exec(
            select(models.ComparisonRevision.sha256).order_by(models.ComparisonRevision.number)
        ).all()
    assert hashes == [seed.sha256, changed.sha256]


def test_going_back_to_an_old_text_is_a_third_revision(database: Engine, seed: Comparison) -> None:
    with session_on(database) as session:
        for text in (seed, replace(seed, deck="Corrected."), seed):
            library.import_comparisons(session, [text], now=MONDAY)
        assert row_of(session).revision == 3


def test_finished_since_the_first_import_that_said_so(database: Engine, seed: Comparison) -> None:
    with session_on(database) as session:
        library.import_comparisons(session, [draft_of(seed)], now=MONDAY)
        assert (row_of(session).state, row_of(session).finished_at) == ("draft", None)
        library.import_comparisons(session, [seed], now=TUESDAY)
        assert (row_of(session).state, row_of(session).finished_at) == ("finished", TUESDAY)
        library.import_comparisons(session, [draft_of(seed)], now=TUESDAY)
        assert (row_of(session).state, row_of(session).finished_at) == ("draft", None)


def test_a_published_comparison_stays_published_and_gets_its_correction(
    database: Engine, seed: Comparison
) -> None:
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
        row_of(session).state = ComparisonState.PUBLISHED
        outcome = library.import_comparisons(
            session, [replace(seed, deck="Corrected.")], now=TUESDAY
        )
        row = row_of(session)
        assert outcome.changed == (SEED,)
        assert (row.state, row.revision, row.finished_at) == ("published", 2, MONDAY)


def test_a_published_comparison_cannot_be_a_draft_again_and_nothing_is_written(
    database: Engine, files: list[Comparison], seed: Comparison
) -> None:
    others = [comparison for comparison in files if comparison is not seed]
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
        row_of(session).state = ComparisonState.PUBLISHED
    with (
        pytest.raises(RefusedError, match="cannot be a draft again"),
        session_on(database) as session,
    ):
        library.import_comparisons(session, [*others, draft_of(seed)], now=TUESDAY)
    with session_on(database, readonly=True) as session:
        assert session.exec(select(models.Comparison.slug)).all() == [SEED]


def test_one_file_named_twice_is_imported_once(database: Engine, seed: Comparison) -> None:
    with session_on(database) as session:
        outcome = library.import_comparisons(session, [seed, seed], now=MONDAY)
        assert (outcome.new, outcome.unchanged) == ((SEED,), (SEED,))
        assert row_of(session).revision == 1


def test_candidates_are_what_the_choice_needs(database: Engine, files: list[Comparison]) -> None:
    with session_on(database) as session:
        library.import_comparisons(session, files, now=MONDAY)
        found = {one.slug: one for one in library.candidates(session)}
    assert set(found) == {comparison.slug for comparison in files}
    for comparison in files:
        one = found[comparison.slug]
        assert (one.panel_gap, one.sample) == (comparison.gap, comparison.sample)
        assert (one.state, one.finished_at) == (ComparisonState.FINISHED, MONDAY)
        assert one.in_issue is None


@pytest.mark.parametrize(
    ("state", "week"),
    [
        (IssueState.PLANNED, "2026-W48"),
        (IssueState.SENDING, "2026-W48"),
        (IssueState.DONE, "2026-W48"),
        (IssueState.CANCELLED, None),
        (IssueState.SKIPPED, None),
    ],
)
def test_an_issue_holds_its_comparisons_until_it_is_cancelled_or_skipped(
    database: Engine, seed: Comparison, state: IssueState, week: str | None
) -> None:
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
        issue_id = put_in_issue(session, SEED, "2026-W48", state)
        assert [one.in_issue for one in library.candidates(session)] == [week]
        own = library.candidates(session, for_issue_id=issue_id)
        assert [one.in_issue for one in own] == [None]


def test_pages_list_the_finished_newest_first_and_no_sample_unless_asked(
    database: Engine, files: list[Comparison], seed: Comparison
) -> None:
    invented = [comparison for comparison in files if comparison.sample]
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
        library.import_comparisons(session, invented[:2], now=TUESDAY)
        library.import_comparisons(session, [draft_of(invented[2])], now=TUESDAY)
    with session_on(database, readonly=True) as session:
        assert library.listed(session, samples=False) == [seed]
        everything = [comparison.slug for comparison in library.listed(session, samples=True)]
    assert everything == [*sorted(comparison.slug for comparison in invented[:2]), SEED]


def test_an_unknown_comparison_or_revision_is_named(database: Engine, seed: Comparison) -> None:
    with session_on(database) as session:
        library.import_comparisons(session, [seed], now=MONDAY)
        with pytest.raises(NotFoundError) as raised:
            library.load_revision(session, SEED[:-1])
        assert raised.value.hint == f"did you mean {SEED}?"
        with pytest.raises(NotFoundError, match="no revision 7"):
            library.load_revision(session, SEED, 7)
