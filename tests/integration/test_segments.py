"""Segments against a real list: who is meant, who is not, and that nobody gets in by the rule."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import session_on
from subscribers import engagement, flags, segments
from subscribers.errors import SegmentError
from subscribers.models import (
    ConsentRecord,
    Engagement,
    Subscriber,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
)

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DISPOSABLE = frozenset({"throwaway.example"})


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        for id_, address, rest in (
            (1, "ann@example.org", {"confirmed_at": days_ago(40), "name": "Ann O'Neil"}),
            (2, "info@example.org", {"confirmed_at": days_ago(10), "frequency": "monthly"}),
            (3, "cy@throwaway.example", {"language": "de", "is_tracked": False}),
            (4, "dan%@example.com", {"status": "unsubscribed", "unsubscribed_at": days_ago(1)}),
        ):
            row = {"status": "active", "created_at": datetime(2026, 4, id_, tzinfo=UTC), **rest}
            session.add(Subscriber(id=id_, address=address, address_key=address, **row))
        session.flush()
        session.add(SubscriberTopic(subscriber_id=1, topic="Developer Tools"))
        session.add_all(SubscriberTag(subscriber_id=id_, tag="beta") for id_ in (1, 2))
        session.add(ConsentRecord(subscriber_id=2, action="signed_up", at=NOW, source="form"))
        session.add(Suppression(address_key="ann@example.org", reason="manual", at=NOW))
        engagement.sign_of_life(session, 1, days_ago(5))
        engagement.soft_bounces_are(session, 2, 1, newest=7)
        yield session


def who(session: Session, rule: str) -> set[int]:
    meant = segments.compiled(segments.parse(rule), now=NOW, disposable_domains=DISPOSABLE)
    statement = meant.statement("SELECT s.id FROM subscriber s WHERE", "ORDER BY s.id")
    return {row.id for row in session.connection().execute(statement)}


EVERYBODY = {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('topic = "Developer Tools" and confirmed > 30 days ago', {1}),
        ('topic != "Developer Tools"', {2, 3, 4}),
        ('tag in ("beta", "press") or domain = "throwaway.example"', {1, 2, 3}),
        ('tag not in ("beta")', {3, 4}),
        ('tag contains "ET"', {1, 2}),
        ("status = active", {1, 2, 3}),
        ("signed_up before 2026-04-03", {1, 2}),
        ("signed_up on 2026-04-03", {3}),
        ("signed_up after 2026-04-03", {4}),
        ("confirmed < 30 days ago", {2}),
        ("not confirmed < 30 days ago", {1, 3, 4}),
        ("confirmed ever", {1, 2}),
        ("left within 1 week", {4}),
        ('language = "DE"', {3}),
        ("frequency = monthly", {2}),
        ("tracked", {1, 2, 4}),
        ("suppressed", {1}),
        ("role address", {2}),
        ("disposable", {3}),
        ("seen within 60 days", {1}),
        ("seen > 4 days ago", {1}),
        ("soft_bounces >= 1", {2}),
        ('source = "form"', {2}),
        ('domain in ("@EXAMPLE.org", "example.com")', {1, 2, 4}),
        ('domain contains "ample.o"', {1, 2}),
        ('address = "ANN@example.ORG"', {1}),
        ('address contains "%"', {4}),
        ('name = "ann o\'neil"', {1}),
        ('name contains "_"', set()),
        ("silent for 1 issue", set()),
        ("opened last 4 issues", EVERYBODY),
        ('name = "\' OR 1=1 --"', set()),
        ('tag = "beta\'); DROP TABLE subscriber; --"', set()),
        ('topic != "\' OR \'\'=\'"', EVERYBODY),
        ('name = ":segment_0"', set()),
    ],
)  # fmt: skip
def test_a_rule_means_these_readers(session: Session, rule: str, expected: set[int]) -> None:
    assert who(session, rule) == expected
    assert who(session, f"not ({rule})") == EVERYBODY - expected


def test_silence_is_counted_in_issues(session: Session) -> None:
    one_more = engagement.issue_sent("SELECT id AS subscriber_id FROM subscriber")
    for _ in range(3):
        session.connection().execute(one_more, {"since": days_ago(1)})
    assert who(session, "silent for 3 issues") == {1, 2, 4}  # 3 is not tracked: nothing is known
    engagement.sign_of_life(session, 2, NOW)
    assert who(session, "silent for 3 issues") == {1, 4}
    assert who(session, "not opened last 4 issues") == set()


def test_a_segment_is_kept_as_it_is_written_and_counted_live(session: Session) -> None:
    segments.save(session, "beta", "tag in ('beta')  AND tracked", by="ann", now=NOW)
    kept = segments.find(session, "beta")
    assert (kept.rule, kept.saved_by) == ('tag in ("beta") and tracked', "ann")
    assert segments.every(session) == [kept]
    rule = segments.parse(kept.rule)
    assert segments.count(session, rule, now=NOW) == segments.Counted(readers=2, active=2)
    session.add(SubscriberTag(subscriber_id=4, tag="beta"))
    assert segments.count(session, rule, now=NOW) == segments.Counted(readers=3, active=2)


def test_saving_again_replaces_the_rule_and_the_same_rule_changes_nothing(session: Session) -> None:
    segments.save(session, "beta", "tracked", by="ann", now=NOW)
    same = segments.save(session, "beta", " tracked ", by="bob", now=NOW)
    assert same.saved_by == "ann"
    assert segments.save(session, "beta", "suppressed", by="bob", now=NOW).saved_by == "bob"
    assert [one.rule for one in segments.every(session)] == ["suppressed"]


@pytest.mark.parametrize("name", ["", "Beta", "a b", "-a", "a" * 61, "a\n", "x;y"])
def test_a_segment_needs_a_plain_name(session: Session, name: str) -> None:
    with pytest.raises(SegmentError):
        segments.save(session, name, "tracked", by="ann", now=NOW)


def test_a_segment_that_is_not_there_is_named_with_its_nearest(session: Session) -> None:
    segments.save(session, "beta-testers", "tracked", by="ann", now=NOW)
    with pytest.raises(SegmentError, match="did you mean beta-testers"):
        segments.condition(session, "beta-tester", NOW)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("info@example.org", {flags.AddressFlag.ROLE}),
        ("informer@example.org", set()),
        ("sales@throwaway.example", set(flags.AddressFlag)),
        ("ann@not-throwaway.example", set()),
    ],
)
def test_an_address_is_flagged(address: str, expected: set[flags.AddressFlag]) -> None:
    assert flags.flags_of(address, DISPOSABLE) == expected


def test_a_list_of_domains_is_read_as_people_write_them() -> None:
    assert flags.read_domains("# ours\nA.example \n\n@b.example # note\n") == {
        "a.example",
        "b.example",
    }


def test_soft_bounces_are_what_was_last_said_of_them(session: Session) -> None:
    engagement.soft_bounces_are(session, 1, 2, newest=8)
    assert who(session, "soft_bounces >= 2") == {1}
    engagement.soft_bounces_are(session, 1, 0, newest=None)
    engagement.soft_bounces_are(session, 3, 0, newest=None)  # never bounced: no row is made
    engagement.soft_bounces_are(session, 999, 1, newest=8)  # unknown
    assert who(session, "soft_bounces >= 1") == {2}
    assert session.get(Engagement, 3) is None


def test_an_old_sign_of_life_does_not_hide_a_newer_one(session: Session) -> None:
    engagement.signs_of_life(session, {1: days_ago(20), 999: NOW})
    assert who(session, "seen within 6 days") == {1}
