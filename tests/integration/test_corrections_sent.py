"""A correction reaches those who may have got the mistake, and nobody else."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes, policy
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
from sqlalchemy import text

from newsletter import control, corrections, desk, dossier, pipeline, renders
from newsletter.app import App
from newsletter.editorial import issues
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import ApprovalError, NotFoundError, RefusedError
from newsletter.store.states import IssueState
from newsletter.tick import tick

pytestmark = pytest.mark.slow  # whole issues, planned and rendered, a test each

REF = f"{WEEK}/correction"
FOLDER = f"{WEEK}-correction"
WRONG = "We said that Left costs $12 a month.\n\nIt costs $21 a month."
WENT_OUT = ("submitted", "delivered", "deferred", "complained", "uncertain")
STAYED = ("failed", "bounced", "excluded")


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Nine readers of an issue that is done, the first of them in each state that it can end in."""
    app = open_home(tmp_path / "home")
    store(app, finished("Left vs Right"))
    readers(app, 9)
    planned_and_approved(app)
    pipeline.send(app, WEEK)
    for number, state in enumerate((*WENT_OUT, *STAYED), start=1):
        change(app, f"UPDATE delivery SET state='{state}' WHERE subscriber_id={number}")
    change(app, "UPDATE delivery SET reason='why' WHERE state NOT IN ('submitted', 'delivered')")
    return app


def change(app: App, statement: str) -> None:
    with app.session() as session:
        session.execute(text(statement))


def found(app: App, ref: str) -> IssueDetails:
    with app.session(readonly=True) as session:
        return issues.find(session, ref)


def candidates(app: App) -> dict[int, tuple[str, str]]:
    with app.session(readonly=True) as session:
        rows = session.execute(
            text("SELECT subscriber_id, state, reason FROM delivery WHERE issue_id=:id"),
            {"id": issues.find(session, REF).id},
        )
        return {row[0]: (row[1], row[2]) for row in rows}


def approved(app: App) -> None:
    corrections.correct(app, WEEK, text=WRONG)
    pipeline.approve(app, REF, by="the editor")


def test_a_correction_is_an_issue_of_the_same_week_without_a_slot(app: App) -> None:
    written = corrections.correct(app, WEEK, text=WRONG)
    assert (written.ref, written.slug, written.state) == (
        REF,
        "2026-w48-correction",
        IssueState.PLANNED,
    )
    assert (written.kind, written.corrects_id, written.items) == ("correction", 1, ())
    assert written.subject == "Correction to the issue of 24 November 2026"
    assert written.findings == ()
    assert found(app, REF).id == found(app, str(written.id)).id == written.id


def test_it_says_what_was_wrong_and_leads_to_the_pages(app: App) -> None:
    written = corrections.correct(app, WEEK, text=WRONG)
    with app.session(readonly=True) as session:
        stored = issues.rendered(session, written.id)
    seen = [link["url"] for link in stored.links if link["label"] != "canary"]
    assert seen == ["http://127.0.0.1:8000/comparisons/left-vs-right"]
    for part in (stored.html, stored.text):
        assert "It costs $21 a month." in part
        assert "http://127.0.0.1:8000/issues/2026-w48" in part
        assert "/unsubscribe/" in part
        assert found(app, WEEK).subject in part
    assert stored.preheader == "We said that Left costs $12 a month."


def test_it_goes_to_those_and_only_those_who_may_have_got_the_mistake(app: App) -> None:
    approved(app)
    readers(app, 12)  # three more have joined since
    result = pipeline.send(app, REF)
    complained = WENT_OUT.index("complained") + 1
    assert set(candidates(app)) == {*range(1, len(WENT_OUT) + 1), 9}
    assert result.proof.issue == REF
    assert (result.proof.candidates, result.proof.holds, result.proof.complete) == (6, True, True)
    assert candidates(app)[complained] == ("submitted", "")
    assert result.issue.state is IssueState.DONE
    assert len(outbox(app, FOLDER)) == 6
    assert len(outbox(app)) == 9


def test_whoever_left_or_is_suppressed_meanwhile_is_excluded_with_that_reason(app: App) -> None:
    approved(app)
    desk.unsubscribe(app, "reader1@example.com", by="an operator")
    desk.suppress(app, "reader2@example.com", because="asked by phone", by="us")
    proof = pipeline.send(app, REF).proof
    assert proof.excluded == {"unsubscribed": 1, "suppressed: manual": 1}
    assert (proof.candidates, proof.holds) == (6, True)


def test_its_messages_are_its_own(app: App) -> None:
    approved(app)
    pipeline.send(app, REF)
    first = message_from_bytes(outbox(app, FOLDER)[0].read_bytes(), policy=policy.default)
    assert first["Message-ID"].startswith("<2026-w48-correction.")
    assert first["Feedback-ID"].startswith("issue2:2026-W48:correction:")
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    weekly = {path.name.partition(".")[2] for path in outbox(app)}
    assert not weekly & {path.name.partition(".")[2] for path in outbox(app, FOLDER)}


def test_no_tick_sends_it_and_no_slot_is_taken_by_it(app: App) -> None:
    approved(app)
    for later in (timedelta(), timedelta(hours=3), timedelta(days=3), timedelta(days=30)):
        said = tick(at(app, SLOT + later))
        assert not any("correction" in line for line in said)
    assert found(app, REF).state is IssueState.APPROVED
    slots = "SELECT count(*) FROM slot"
    with app.session() as session:
        before = session.execute(text(slots)).scalar_one()
    assert pipeline.send(at(app, SLOT + timedelta(days=30)), REF).proof.complete
    with app.session() as session:
        assert session.execute(text(slots)).scalar_one() == before


def test_a_correction_under_way_goes_on_at_the_next_tick(app: App) -> None:
    approved(app)
    pipeline.freeze(app, found(app, REF))
    said = tick(at(app, MONDAY + timedelta(minutes=1)))
    assert f"{REF}: 6 of 6 submitted, proof complete" in said


def test_approval_is_bound_to_its_bytes_and_to_whom_it_goes_to(app: App) -> None:
    approved(app)
    approval = found(app, REF).standing_approval
    assert approval is not None
    assert approval.audience == "readers of issue 1"
    corrections.correct(app, WEEK, text="Something else.")
    with pytest.raises(ApprovalError, match="2026-W48/correction is not approved"):
        pipeline.send(app, REF)
    assert outbox(app, FOLDER) == []


def test_written_anew_it_stays_one_issue_and_keeps_an_editors_subject(app: App) -> None:
    first = corrections.correct(app, WEEK, text=WRONG, subject="The price was wrong")
    again = corrections.correct(app, WEEK, text="Shorter.")
    assert (again.id, again.subject, again.intro) == (first.id, "The price was wrong", "Shorter.")
    assert corrections.correct(app, WEEK, text="Shorter.", subject="").subject.startswith("Correc")


def test_a_correction_that_went_out_stands(app: App) -> None:
    approved(app)
    pipeline.send(app, REF)
    with pytest.raises(RefusedError, match="has a correction already: it is done"):
        corrections.correct(app, WEEK, text="And another thing.")


def test_an_editors_words_are_words_and_no_markup(app: App) -> None:
    written = corrections.correct(app, WEEK, text="<script>a</script> & {{ facts }} cost $21.")
    with app.session(readonly=True) as session:
        stored = issues.rendered(session, written.id)
    assert "<script>" not in stored.html
    assert "&lt;script&gt;a&lt;/script&gt; &amp; {{ facts }} cost $21." in stored.html
    assert "<script>a</script> & {{ facts }} cost $21." in stored.text


def test_an_error_finding_blocks_a_correction_as_it_blocks_an_issue(app: App) -> None:
    written = corrections.correct(app, WEEK, text="The price is at https://example.com/prices now.")
    assert written.error_count
    with pytest.raises(ApprovalError, match="error finding"):
        pipeline.approve(app, REF, by="the editor")


@pytest.mark.parametrize("nothing", ["", "  \n "])
def test_a_correction_says_something(app: App, nothing: str) -> None:
    with pytest.raises(RefusedError, match="says nothing"):
        corrections.correct(app, WEEK, text=nothing)


def test_what_nobody_got_needs_no_correction(tmp_path: Path) -> None:
    app = open_home(tmp_path / "home")
    store(app, finished("Left vs Right"))
    planned_and_approved(app)
    with pytest.raises(RefusedError, match="is approved: nobody has got it"):
        corrections.correct(app, WEEK, text=WRONG)


def test_a_correction_is_not_corrected_nor_edited(app: App) -> None:
    corrections.correct(app, WEEK, text=WRONG)
    with pytest.raises(RefusedError, match="is a correction itself"):
        corrections.correct(app, REF, text=WRONG)
    with pytest.raises(RefusedError, match="has no comparisons"):
        pipeline.edit(app, REF, pipeline.Changes(exclude=("left-vs-right",)))


def test_nobody_gets_the_mistake_after_its_correction_was_frozen(app: App) -> None:
    change(app, "UPDATE delivery SET state='planned' WHERE subscriber_id=9")
    change(app, "UPDATE batch SET state='planned'")
    change(app, "UPDATE issue SET state='sending'")
    approved(app)
    with pytest.raises(RefusedError, match="still going out: 1 of its readers"):
        pipeline.send(app, REF)
    control.cancel(app, WEEK, by="Ops")
    pipeline.send(app, REF)
    assert 9 not in candidates(app)


def test_the_week_has_one_weekly_issue_whatever_else_it_has(app: App) -> None:
    corrections.correct(at(app, SLOT + timedelta(days=1)), WEEK, text=WRONG)
    assert found(app, "latest").ref == WEEK
    assert found(app, WEEK).kind == "weekly"
    with pytest.raises(RefusedError, match="has an issue already"):
        pipeline.plan(app, pipeline.IssueWeek.parse(WEEK))
    with app.session(readonly=True) as session:
        assert {issue.ref for issue in issues.all_issues(session)} == {WEEK, REF}
        assert issues.in_states(session, [IssueState.PLANNED]) == []
        (waiting,) = issues.in_states(session, [IssueState.PLANNED], kind=None)
    assert waiting.ref == REF


def test_a_reference_to_no_kind_of_issue_is_not_found(app: App) -> None:
    for ref in (f"{WEEK}/weakly", REF, f"{WEEK}/"):
        with pytest.raises(NotFoundError, match="there is no issue"):
            found(app, ref)


def test_the_next_issue_goes_out_as_if_there_were_no_correction(app: App) -> None:
    approved(app)
    pipeline.send(app, REF)
    week_later = at(app, MONDAY + timedelta(days=7))
    store(week_later, finished("Up vs Down"))
    pipeline.plan(week_later)
    pipeline.approve(week_later, "latest", by="the editor")
    said = tick(at(app, SLOT + timedelta(days=7)))
    assert "2026-W49: 9 of 9 submitted, proof complete" in said


def test_a_correction_rebuilds_to_the_same_bytes(app: App) -> None:
    approved(app)
    pipeline.send(app, REF)
    rebuilt = renders.rebuild(app, REF)
    assert (rebuilt.holds, rebuilt.moved_on) == (True, ())


def test_what_a_correction_leaves_uncertain_is_settled_and_sent_again_like_any_other(
    app: App,
) -> None:
    approved(app)
    pipeline.send(app, REF)
    change(
        app,
        "UPDATE delivery SET state='uncertain', reason='why', receipt='' WHERE issue_id=2"
        " AND subscriber_id IN (1, 2)",
    )
    change(app, "UPDATE issue SET state='sending', done_at=NULL WHERE id=2")
    assert control.settle(app, REF, taken=True, addresses=["reader1@example.com"]).submitted == 1
    assert control.resend_to(app, REF, addresses=["reader2@example.com"], by="Ops").planned == 1
    assert pipeline.send(app, REF).issue.state is IssueState.DONE


def test_a_reader_is_shown_both_deliveries_by_their_names(app: App) -> None:
    approved(app)
    pipeline.send(app, REF)
    shown = dossier.show(app, "reader1@example.com")["deliveries"]
    assert {one["issue"] for one in shown} == {WEEK, REF}
