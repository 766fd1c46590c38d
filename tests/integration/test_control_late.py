"""A cancelled issue whose sender died in the middle, and other corners of an operator's hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from publication import WEEK, finished, open_home, planned_and_approved, readers, store
from sqlalchemy import text

from newsletter import control, pipeline
from newsletter.app import App
from newsletter.delivery import ledger
from newsletter.delivery.journal import Journal
from newsletter.delivery.ledger import Answer
from newsletter.delivery.owner import Owner
from newsletter.delivery.watch import Progress
from newsletter.editorial.issues import IssueDetails
from newsletter.errors import ProviderError
from newsletter.store.models import Issue
from newsletter.store.states import DeliveryState
from newsletter.tick import tick

DEAD = replace(Owner.current(), pid=2**22 + 1, start=1)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return open_home(tmp_path / "home")


def _sending(app: App) -> IssueDetails:
    store(app, finished("Left vs Right"))
    readers(app, 3)
    planned_and_approved(app)
    with app.session(readonly=True) as session:
        issue = pipeline.issues.find(session, WEEK)
    pipeline.freeze(app, issue)
    return issue


def _left_by_a_dead_sender(app: App) -> None:
    issue = _sending(app)
    with app.session() as session:
        claim = ledger.claim(
            session, issue_id=issue.id, owner=DEAD, now=app.clock(), lease=pipeline.sender.LEASE
        )
        assert claim is not None
        book = Journal.begin(app.home / "journals", claim)
    one, two, _three = claim.fresh
    book.attempting([one])
    book.answered(Answer(one, DeliveryState.SUBMITTED, receipt="r1"))
    book.attempting([two])
    book.close()


def test_cancelled_after_its_sender_died_everybody_is_accounted_for(app: App) -> None:
    _left_by_a_dead_sender(app)
    control.cancel(app, WEEK, by="Ops")
    tick(app)
    account = pipeline.prove(app, WEEK)
    # The outbox knows that it never got the second one; another provider leaves it uncertain.
    assert account.states["attempting"] == 0
    assert (account.states["submitted"], account.excluded) == (1, {"issue cancelled": 2})
    assert account.holds
    assert account.complete


def test_what_a_sender_gives_back_of_an_issue_cancelled_meanwhile_is_withdrawn_with_it(
    app: App,
) -> None:
    """In one commit: were it two, a death in between would leave them planned for ever."""
    _left_by_a_dead_sender(app)
    control.cancel(app, WEEK, by="Ops")
    with app.session() as session:
        issue = pipeline.issues.find(session, WEEK)
        owner = Owner.current()
        claim = ledger.claim(
            session, issue_id=issue.id, owner=owner, now=app.clock(), lease=pipeline.sender.LEASE
        )
        assert claim is not None
        back = [Answer(id_, DeliveryState.PLANNED, tried=False) for id_ in claim.unanswered]
        ledger.finish(session, claim, back, app.clock())
        states = set(session.execute(text("SELECT state, reason FROM delivery")))
        assert states == {("excluded", "issue cancelled")}
        assert session.execute(text("SELECT state FROM batch")).scalars().all() == ["done"]


def test_nothing_of_a_cancelled_issue_is_sent_by_whoever_accounts_for_it(app: App) -> None:
    _left_by_a_dead_sender(app)
    control.cancel(app, WEEK, by="Ops")
    with app.session() as session:  # as an operator's word may have left it
        session.execute(text("UPDATE delivery SET state='planned' WHERE subscriber_id = 3"))
    tick(app)
    assert pipeline.prove(app, WEEK).states["submitted"] == 1
    assert not list((app.home / "outbox").rglob("*.eml"))


def test_an_issue_that_cannot_go_out_holds_no_other_back(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sending(app)
    deliver = pipeline.deliver
    with app.session() as session:
        good = pipeline.issues.find(session, WEEK).id
        bad = Issue(
            week="2026-W40",
            slot_at=app.clock() - timedelta(days=50),
            state="sending",
            planned_at=app.clock(),
        )
        session.add(bad)

    def faulty(app: App, issue_id: int, **others: Any) -> Progress:
        if issue_id != good:
            raise ProviderError("broke off", hint="mend it")
        return deliver(app, issue_id, **others)

    monkeypatch.setattr(pipeline, "deliver", faulty)
    with pytest.raises(ProviderError, match="broke off"):
        tick(app)
    assert pipeline.prove(app, WEEK).states["submitted"] == 3


def test_one_reader_is_settled_by_address_though_another_in_doubt_was_erased(app: App) -> None:
    _sending(app)
    with app.session() as session:
        session.execute(
            text("UPDATE delivery SET state='uncertain', reason='no answer', attempts=1")
        )
        session.execute(text("UPDATE batch SET state='done'"))
        first = session.execute(text("SELECT address FROM subscriber WHERE id=1")).scalar_one()
        session.execute(
            text("UPDATE subscriber SET status='erased', address='', address_key='' WHERE id=2")
        )
    assert control.settle(app, WEEK, taken=True, addresses=[first]).submitted == 1
