"""What readers chose and whom an issue is for, at the freeze and again at the claim."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import publication
import pytest
from postroom import NOW, add_issue, add_readers, claim, rows
from sqlalchemy import Engine, text, update
from sqlmodel import col

from newsletter import pipeline
from newsletter.delivery import engagement, freezing
from newsletter.editorial import approvals, issues, topics
from newsletter.editorial.planning import Changes
from newsletter.errors import ApprovalError, RefusedError
from newsletter.store.engine import session_on
from newsletter.store.models import Delivery, Issue, IssueTopic
from newsletter.tracking import events
from subscribers import segments
from subscribers.errors import SegmentError
from subscribers.models import Engagement, Subscriber, SubscriberTag, SubscriberTopic

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes


def change(engine: Engine, id_: int, **fields: object) -> None:
    with session_on(engine) as session:
        session.execute(update(Subscriber).where(col(Subscriber.id) == id_).values(**fields))


def choose_topics(engine: Engine, chosen: dict[int, list[str]]) -> None:
    with session_on(engine) as session:
        for id_, names in chosen.items():
            session.add_all(SubscriberTopic(subscriber_id=id_, topic=name) for name in names)


def reasons(engine: Engine, issue_id: int) -> dict[int, str]:
    """Of everyone excluded."""
    query = "SELECT subscriber_id, reason FROM delivery WHERE state = 'excluded' AND issue_id = :id"
    with session_on(engine) as session:
        return {row[0]: row[1] for row in session.execute(text(query), {"id": issue_id})}


def frozen(engine: Engine, *, about: tuple[str, ...] = (), audience: str = "all") -> int:
    issue_id = add_issue(engine)
    with session_on(engine) as session:
        session.add_all(IssueTopic(issue_id=issue_id, topic=topic) for topic in about)
        session.execute(update(Issue).where(col(Issue.id) == issue_id).values(audience=audience))
        freezing.freeze(session, issue_id=issue_id, now=NOW, language="en-GB")
    return issue_id


def test_choices_not_served_exclude_with_their_reason(database: Engine) -> None:
    add_readers(database, 8)
    change(database, 2, frequency="monthly")
    change(database, 3, language="de")
    change(database, 4, language="en-US")  # English is English
    change(database, 5, frequency="monthly", status="unsubscribed")
    choose_topics(database, {6: ["Chat"], 7: ["Chat", "Developer Tools"]})
    change(database, 8, status="paused")
    assert reasons(database, frozen(database, about=("Developer Tools", "Data"))) == {
        2: "monthly: not served yet",
        3: "language: not served yet",
        5: "unsubscribed",
        6: "topics: none of theirs",
        8: "paused",
    }


def test_an_issue_about_nothing_in_particular_is_for_everybody(database: Engine) -> None:
    add_readers(database, 2)
    choose_topics(database, {1: ["Chat"]})
    issue_id = frozen(database)
    assert reasons(database, issue_id) == {}
    assert claim(database, issue_id).fresh == (1, 2)


def test_what_they_chose_after_the_freeze_counts_at_the_claim(database: Engine) -> None:
    add_readers(database, 6)
    issue_id = frozen(database, about=("Chat",))
    change(database, 2, frequency="monthly")
    change(database, 3, language="fr-CA")
    change(database, 4, language="EN")
    choose_topics(database, {5: ["Data"], 6: ["Data", "Chat"]})
    assert claim(database, issue_id).fresh == (1, 4, 6)
    assert reasons(database, issue_id) == {
        2: "monthly: not served yet",
        3: "language: not served yet",
        5: "topics: none of theirs",
    }


def test_a_correction_goes_to_who_got_the_error_whatever_they_chose(database: Engine) -> None:
    add_readers(database, 2)
    wrong = frozen(database, about=("Chat",))
    with session_on(database) as session:
        session.execute(update(Delivery).values(state="delivered"))
        session.add(
            Issue(kind="correction", week="2026-W48", slot_at=NOW, state="sending", planned_at=NOW,
                  corrects_id=wrong)
        )  # fmt: skip
    change(database, 1, frequency="monthly", language="de")
    choose_topics(database, {2: ["Data"]})
    with session_on(database) as session:
        freezing.freeze(session, issue_id=wrong + 1, now=NOW, language="en")
    assert reasons(database, wrong + 1) == {}
    assert claim(database, wrong + 1).fresh == (1, 2)


def test_who_is_outside_the_segment_stays_a_candidate_and_is_excluded(database: Engine) -> None:
    add_readers(database, 4)
    change(database, 3, status="unsubscribed")
    choose_topics(database, {2: ["Data"], 4: ["Data"]})
    with session_on(database) as session:
        session.add_all(SubscriberTag(subscriber_id=id_, tag="beta") for id_ in (1, 4))
        segments.save(session, "beta", 'tag = "beta"', by="ann", now=NOW)
    issue_id = frozen(database, about=("Chat",), audience="segment:beta")
    assert len(rows(database, issue_id)) == 4
    assert reasons(database, issue_id) == {
        2: "not in the segment beta",
        3: "unsubscribed",
        4: "topics: none of theirs",
    }


def test_two_issues_with_segments_are_frozen_one_after_the_other(database: Engine) -> None:
    add_readers(database, 2)
    with session_on(database) as session:
        segments.save(session, "nobody", "suppressed", by="ann", now=NOW)
        for week in ("2026-W48", "2026-W49"):
            issue = Issue(week=week, slot_at=NOW + timedelta(days=int(week[-2:])), state="sending",
                          planned_at=NOW, audience="segment:nobody")  # fmt: skip
            session.add(issue)
            session.flush()
            assert issue.id
            found = freezing.freeze(session, issue_id=issue.id, now=NOW)
            assert (found.planned, found.excluded) == (0, 2)


def test_a_segment_that_is_gone_freezes_nothing(database: Engine) -> None:
    add_readers(database, 1)
    with pytest.raises(SegmentError, match="no segment beta"):
        frozen(database, audience="segment:beta")


@pytest.mark.slow
def test_an_approval_is_for_the_rule_the_segment_had(tmp_path: Path) -> None:
    app = publication.open_home(tmp_path)
    publication.store(app, publication.finished("Left vs Right"))
    publication.readers(app, 2)
    with app.session() as session:
        segments.save(session, "beta", "tracked", by="ann", now=NOW)
    pipeline.plan(app)
    edited = pipeline.edit(app, "latest", Changes(audience="segment:beta"))
    assert edited.audience == "segment:beta"
    approved = pipeline.approve(app, "latest", by="the editor")
    assert approved.approval
    assert approved.approval.audience == "segment:beta: tracked"
    with app.session() as session:
        segments.save(session, "beta", "not tracked", by="ann", now=NOW)
        assert approved.sha256
        assert "has changed" in approvals.why_void(
            session, approved.id, approved.sha256, tracking=True
        )
    with pytest.raises(ApprovalError, match="segment:beta: tracked"):
        pipeline.freeze(app, approved)
    with app.session() as session:
        assert issues.details(session, approved.id).standing_approval is None


@pytest.mark.slow
def test_an_issue_is_only_for_an_audience_there_is(tmp_path: Path) -> None:
    app = publication.open_home(tmp_path)
    publication.store(app, publication.finished("Left vs Right"))
    pipeline.plan(app)
    for said in ("", "beta", "segment:", "segment:beta", "segments:beta"):
        with pytest.raises((RefusedError, SegmentError)):
            pipeline.edit(app, "latest", Changes(audience=said))


@pytest.mark.slow
def test_an_issue_is_about_the_categories_of_its_tools(tmp_path: Path) -> None:
    app = publication.open_home(tmp_path)
    comparison = publication.finished("Left vs Right")
    publication.store(app, comparison)
    planned = pipeline.plan(app)
    with app.session() as session:
        assert topics.write(session, planned.id) == topics.write(session, planned.id)
        assert set(topics.topics_of(session, planned.id)) == {t.category for t in comparison.tools}


def happened(engine: Engine, issue_id: int, kinds: dict[int, str]) -> None:
    with session_on(engine) as session:
        for id_, kind in kinds.items():
            events.append(
                session,
                issue_id=issue_id,
                subscriber_id=id_,
                kind=kind,
                link=1 if kind == "click" else None,
                at=NOW,
                method="GET",
                agent="Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
                network="",
            )


def test_what_people_do_is_heard_once_and_image_loads_are_not_people(database: Engine) -> None:
    add_readers(database, 4)
    issue_id = frozen(database)
    happened(database, issue_id, {1: "click", 2: "image_load", 3: "unsubscribe"})
    with session_on(database) as session:
        settled = NOW + timedelta(minutes=1)
        assert engagement.take_in(session, now=settled, at_once=2).events == 2
        assert engagement.take_in(session, now=settled, at_once=2).events == 1
        assert engagement.take_in(session, now=settled, at_once=2).events == 0
        seen = session.execute(text("SELECT subscriber_id FROM engagement ORDER BY 1")).scalars()
        assert list(seen) == [1, 3]


def test_silence_counts_once_an_issue_when_people_had_time_to_read(database: Engine) -> None:
    add_readers(database, 4)
    change(database, 4, is_tracked=False)
    issue_id = frozen(database)
    with session_on(database) as session:
        session.execute(
            update(Delivery).where(col(Delivery.subscriber_id) != 3).values(state="delivered")
        )
        session.execute(update(Issue).values(done_at=NOW, state="done"))
    happened(database, issue_id, {1: "click"})
    with session_on(database) as session:
        engagement.take_in(session, now=NOW + timedelta(days=2))
        assert session.get(Engagement, 2) is None
        for _ in range(2):
            engagement.take_in(session, now=NOW + timedelta(days=4))
        found = session.execute(text("SELECT subscriber_id, issues_without FROM engagement"))
        counts = {row[0]: row[1] for row in found}
        assert counts == {1: 0, 2: 1}  # 3 did not get it, 4 is not tracked


def test_an_issue_without_tracking_says_nothing_of_anybodys_silence(database: Engine) -> None:
    add_readers(database, 2)
    frozen(database)
    with session_on(database) as session:
        session.execute(update(Delivery).values(state="delivered"))
        session.execute(update(Issue).values(done_at=NOW, state="done", is_tracked=False))
        engagement.take_in(session, now=NOW + timedelta(days=4))
        assert session.execute(text("SELECT count(*) FROM engagement")).scalar() == 0
