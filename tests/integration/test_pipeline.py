"""The week, step by step: plan, edit, approve, send, account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from publication import (
    MONDAY,
    SLOT,
    WEEK,
    at,
    finished,
    open_home,
    outbox,
    planned_and_approved,
    readers,
    store,
)

from newsletter import control, desk, pipeline
from newsletter.app import App
from newsletter.delivery.watch import Progress
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.planning import Changes
from newsletter.errors import ApprovalError, ContentError, NotFoundError, RefusedError
from newsletter.rendering.render import Renderer
from newsletter.store.states import ComparisonState, IssueState

SEED = "claude-haiku-open-weights-vs-mistral-8b-instruct-v3"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home")


def test_the_seed_becomes_an_issue_that_every_reader_gets_once(app: App) -> None:
    pipeline.import_content(app)
    readers(app, 3)
    planned = pipeline.plan(app)
    assert (planned.week, planned.slot_at, planned.items) == (WEEK, SLOT, (SEED,))
    assert planned.state is IssueState.PLANNED
    assert planned.error_count == 0
    pipeline.approve(app, WEEK, by="the editor")
    result = pipeline.send(app, WEEK)
    assert result.issue.state is IssueState.DONE
    assert result.proof.states["submitted"] == result.proof.candidates == 3
    assert (result.proof.holds, result.proof.complete) == (True, True)
    assert len(outbox(app)) == 3


def test_sending_again_sends_nothing_and_says_where_it_stands(app: App) -> None:
    pipeline.import_content(app)
    readers(app, 3)
    planned_and_approved(app)
    first = pipeline.send(app, WEEK)
    written = {path: path.stat().st_mtime_ns for path in outbox(app)}
    again = pipeline.send(app, WEEK)
    assert (again.issue, again.proof) == (first.issue, first.proof)
    assert again.progress == Progress(remaining=0)
    assert {path: path.stat().st_mtime_ns for path in outbox(app)} == written


def test_an_issue_nobody_approved_is_not_sent(app: App) -> None:
    pipeline.import_content(app)
    readers(app, 1)
    pipeline.plan(app)
    with pytest.raises(ApprovalError, match="nobody has approved it"):
        pipeline.send(app, WEEK)
    assert outbox(app) == []
    with pytest.raises(RefusedError):
        pipeline.prove(app, WEEK)


def test_an_edit_after_approval_voids_it_and_sending_says_so(app: App) -> None:
    pipeline.import_content(app)
    readers(app, 1)
    planned_and_approved(app)
    edited = pipeline.edit(app, WEEK, Changes(subject="Another subject"))
    assert edited.state is IssueState.PLANNED
    assert edited.subject == "Another subject"
    with pytest.raises(ApprovalError, match="void: edited"):
        pipeline.send(app, WEEK)
    pipeline.approve(app, WEEK, by="the editor")
    assert pipeline.send(app, WEEK).proof.complete


def test_a_setting_changed_after_approval_voids_it_at_sending(app: App) -> None:
    pipeline.import_content(app)
    readers(app, 1)
    planned_and_approved(app)
    moved = replace(app, publication=replace(app.publication, postal_address="2 Other Street"))
    with pytest.raises(ApprovalError, match="differently from what was approved"):
        pipeline.send(moved, WEEK)
    assert outbox(app) == []
    with app.session() as session:
        assert pipeline.issues.find(session, WEEK).state is IssueState.PLANNED


def test_approval_shows_an_editor_what_changed_since_it_was_last_rendered(app: App) -> None:
    pipeline.import_content(app)
    pipeline.plan(app)
    moved = replace(app, publication=replace(app.publication, postal_address="2 Other Street"))
    with pytest.raises(ApprovalError, match="differently from what was last shown"):
        pipeline.approve(moved, WEEK, by="the editor")
    assert pipeline.approve(moved, WEEK, by="the editor").state is IssueState.APPROVED


def test_rendering_again_to_the_same_bytes_keeps_the_approval(app: App) -> None:
    pipeline.import_content(app)
    planned_and_approved(app)
    again = pipeline.render(app, WEEK)
    assert again.state is IssueState.APPROVED
    assert again.standing_approval is not None


def test_an_error_finding_blocks_approval_and_is_named(app: App) -> None:
    pipeline.import_content(app)
    pipeline.plan(app)
    pipeline.edit(app, WEEK, Changes(subject="zqHname7zq is a placeholder of ours"))
    with pytest.raises(ApprovalError, match="error finding"):
        pipeline.approve(app, WEEK, by="the editor")


def test_a_new_revision_enters_the_open_issue_and_voids_its_approval(app: App) -> None:
    comparison = finished("Left vs Right")
    store(app, comparison)
    planned_and_approved(app)
    before = pipeline.render(app, WEEK).sha256
    _import(app, replace(comparison, verdict="A reason that somebody corrected."))
    with app.session() as session:
        issue = pipeline.issues.find(session, WEEK)
    assert issue.state is IssueState.PLANNED
    assert issue.approval.void_reason == "new revision of left-vs-right"
    assert issue.sha256 == pipeline.render(app, WEEK).sha256
    assert issue.sha256 != before or issue.approval.voided_at is not None


def test_a_comparison_taken_back_to_draft_stops_the_issue(app: App) -> None:
    comparison = finished("Left vs Right")
    store(app, comparison)
    readers(app, 1)
    planned_and_approved(app)
    _import(app, replace(comparison, status=ComparisonState.DRAFT))
    with pytest.raises(ApprovalError, match="took back to draft: left-vs-right"):
        pipeline.send(app, WEEK)
    with pytest.raises(ApprovalError, match="draft again"):
        pipeline.approve(app, WEEK, by="the editor")
    assert outbox(app) == []


def test_an_issue_in_the_mail_is_not_touched_by_a_new_revision(app: App) -> None:
    comparison = finished("Left vs Right")
    store(app, comparison)
    readers(app, 1)
    planned_and_approved(app)
    sent = pipeline.send(app, WEEK).issue
    _import(app, replace(comparison, deck="Corrected later."))
    assert pipeline.render(app, WEEK).sha256 == sent.sha256


def test_a_thin_week_makes_no_issue_and_says_what_would(app: App) -> None:
    with pytest.raises(RefusedError, match="content import"):
        pipeline.plan(app)
    with app.session() as session, pytest.raises(NotFoundError):
        pipeline.issues.find(session, "latest")


def test_samples_never_enter_a_real_issue(app: App) -> None:
    store(app, finished("Real vs Real"), finished("Made vs Up", sample=True))
    issue = pipeline.plan(app)
    assert issue.items == ("real-vs-real",)
    assert {choice["slug"]: choice["chosen"] for choice in issue.choices} == {
        "real-vs-real": True,
        "made-vs-up": False,
    }
    with pytest.raises(RefusedError, match="sample"):
        _refused_include(app)


def test_a_week_is_planned_once(app: App) -> None:
    store(app, finished("Left vs Right"))
    pipeline.plan(app)
    with pytest.raises(RefusedError, match="has an issue already"):
        pipeline.plan(app, pipeline.IssueWeek.parse(WEEK))


def test_planning_without_a_week_takes_the_next_slot_that_has_no_issue(app: App) -> None:
    store(app, finished("Left vs Right"))
    assert pipeline.plan(app).week == WEEK
    later = at(app, MONDAY + timedelta(hours=1))
    store(later, finished("Up vs Down"))
    assert pipeline.plan(later).week == "2026-W49"


def test_an_editor_sets_words_order_and_choice(app: App) -> None:
    store(app, *[finished(f"Tool {letter} vs Rival") for letter in "ABC"])
    pipeline.plan(app)
    issue = pipeline.edit(
        app,
        WEEK,
        Changes(
            subject="Our own subject",
            preheader="Our own preheader",
            intro="Our own intro.",
            exclude=("tool-b-vs-rival",),
            order=("tool-c-vs-rival", "tool-a-vs-rival"),
        ),
    )
    assert issue.items == ("tool-c-vs-rival", "tool-a-vs-rival")
    assert (issue.subject, issue.preheader) == ("Our own subject", "Our own preheader")
    back = pipeline.edit(app, WEEK, Changes(include=("tool-b-vs-rival",), subject=""))
    assert set(back.items) == {f"tool-{letter}-vs-rival" for letter in "abc"}
    assert back.subject != "Our own subject"


def test_excluding_everything_is_refused_and_changes_nothing(app: App) -> None:
    store(app, finished("Left vs Right"))
    before = pipeline.plan(app)
    with pytest.raises(RefusedError, match="nothing would be left"):
        pipeline.edit(app, WEEK, Changes(exclude=("left-vs-right",)))
    assert pipeline.render(app, WEEK) == before


def test_a_frozen_issue_can_no_longer_be_edited_or_approved(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    with pytest.raises(RefusedError, match="can no longer be changed"):
        pipeline.edit(app, WEEK, Changes(subject="Too late"))
    with pytest.raises(RefusedError):
        pipeline.approve(app, WEEK, by="the editor")
    with pytest.raises(RefusedError):
        control.cancel(app, WEEK, by="the editor")


def test_approving_what_is_out_cannot_change_its_bytes(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 1)
    planned_and_approved(app)
    sent = pipeline.send(app, WEEK).issue
    moved = replace(app, publication=replace(app.publication, postal_address="2 Other Street"))
    with pytest.raises(RefusedError):
        pipeline.approve(moved, WEEK, by="the editor")
    with app.session(readonly=True) as session:
        assert pipeline.issues.find(session, WEEK) == sent


def test_a_cancelled_issue_is_never_sent_and_frees_its_comparisons(app: App) -> None:
    store(app, finished("Left vs Right"))
    planned_and_approved(app)
    control.cancel(app, WEEK, by="the editor")
    with pytest.raises(RefusedError):
        pipeline.send(app, WEEK)
    assert pipeline.plan(app).items == ("left-vs-right",)


def test_a_dry_run_of_an_import_writes_nothing(app: App) -> None:
    assert pipeline.import_content(app, dry_run=True).new == (SEED,)
    assert pipeline.import_content(app).new == (SEED,)
    assert pipeline.import_content(app).unchanged == (SEED,)


def test_one_broken_file_keeps_the_whole_import_out(app: App, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    (folder / "comparisons").mkdir(parents=True)
    source = app.content_dir
    (folder / "reviewers.yaml").write_bytes((source / "reviewers.yaml").read_bytes())
    good = (source / "comparisons" / f"{SEED}.md").read_text()
    (folder / "comparisons" / f"{SEED}.md").write_text(good)
    (folder / "comparisons" / "broken.md").write_text(good.replace("50, 100", "75, 100"))
    broken = replace(app, settings=app.settings.model_copy(update={"content_dir": folder}))
    with pytest.raises(ContentError, match=r"broken\.md:\d+"):
        pipeline.import_content(broken)
    assert pipeline.import_content(app, dry_run=True).new == (SEED,)


def test_who_unsubscribed_is_a_candidate_with_the_reason(app: App) -> None:
    store(app, finished("Left vs Right"))
    addresses = readers(app, 2)
    desk.unsubscribe(app, addresses[0], by="an operator")
    planned_and_approved(app)
    account = pipeline.send(app, WEEK).proof.to_dict()
    assert account["candidates"] == 2
    assert account["excluded"] == {"unsubscribed": 1}
    assert account["holds"]
    assert account["complete"]


def test_a_dry_run_of_a_send_counts_the_audience_and_keeps_nothing(app: App) -> None:
    store(app, finished("Left vs Right"))
    addresses = readers(app, 3)
    desk.unsubscribe(app, addresses[0], by="an operator")
    pipeline.plan(app)
    with pytest.raises(ApprovalError):
        pipeline.rehearse_freeze(app, WEEK)
    pipeline.approve(app, WEEK, by="the editor")
    account = pipeline.rehearse_freeze(app, WEEK)
    assert (account.candidates, account.states["planned"]) == (3, 2)
    assert account.excluded == {"unsubscribed": 1}
    with app.session() as session:
        assert pipeline.issues.find(session, WEEK).state is IssueState.APPROVED
    assert outbox(app) == []
    assert pipeline.send(app, WEEK).proof.states["submitted"] == 2


def test_an_outbox_that_cannot_be_written_stops_the_send_with_the_reason(app: App) -> None:
    store(app, finished("Left vs Right"))
    readers(app, 2)
    planned_and_approved(app)
    (app.home / "outbox").write_text("a file where the folder should be")
    stopped = pipeline.send(app, WEEK)
    assert "outbox cannot write" in stopped.stopped
    assert stopped.issue.state is IssueState.SENDING
    assert stopped.proof.states["planned"] == 2
    (app.home / "outbox").unlink()
    assert pipeline.send(app, WEEK).proof.complete


def test_a_template_of_the_publication_replaces_ours(app: App, tmp_path: Path) -> None:
    own = tmp_path / "own" / "email" / "weekly"
    own.mkdir(parents=True)
    (own / "subject.txt").write_text("Of the publication itself")
    store(app, finished("Left vs Right"))
    themed = replace(app, renderer=Renderer(tmp_path / "own"))
    assert pipeline.plan(themed).subject == "Of the publication itself"


def _import(app: App, comparison: Comparison) -> None:
    """Like `import_content`, of one comparison."""
    pipeline.take_into_store(app, [comparison])


def _refused_include(app: App) -> None:
    issue = pipeline.edit(app, WEEK, Changes(include=("made-vs-up",)))
    reason = next(c["reason"] for c in issue.choices if c["slug"] == "made-vs-up")
    assert "made-vs-up" not in issue.items
    raise RefusedError(reason)
