"""A count takes short ways, and comes to what looking at everybody comes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session

from newsletter.store.engine import open_engine, session_on
from subscribers import segments
from subscribers.models import (
    Engagement,
    Subscriber,
    SubscriberStatus,
    SubscriberTag,
    SubscriberTopic,
    Suppression,
)
from subscribers.segments import Counted, counting
from subscribers.segments.tree import Rule

pytestmark = pytest.mark.slow  # a list of sixty, counted by two hundred rules

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DOMAINS = ("one.example", "two.example", "throwaway.example")
TERMS = (
    'topic = "Chat"', 'topic = "Images"', 'topic != "Chat"', 'topic in ("Chat", "Images")',
    'tag = "vip"', 'tag contains "vi"', "silent for 2 issues", "not opened last 3 issues",
    "opened last 3 issues", "not silent for 1 issue", "seen within 20 days", "seen > 10 days ago",
    "seen before 2026-11-10", "seen on 2026-11-13", "not seen ever", "seen ever",
    "soft_bounces >= 1", "soft_bounces > 1", "soft_bounces = 0", "soft_bounces != 2",
    "confirmed > 30 days ago", "confirmed within 30 days", "not confirmed ever",
    'language = "de"', 'language = "PT-br"', 'language != "de"', 'language contains "pt"',
    'language = ""', 'domain = "Two.Example"', 'domain contains "one"', "disposable", "suppressed",
    "status in (active, paused)", "status = erased", "tracked", "role address",
)  # fmt: skip
RULES = st.lists(st.sampled_from(TERMS), min_size=1, max_size=3, unique=True)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, migrated_file: object) -> Iterator[Session]:
    path = shutil.copy(str(migrated_file), tmp_path_factory.mktemp("counts") / "newsletter.db")
    engine = open_engine(f"sqlite:///{path}")
    with session_on(engine) as one:
        for n in range(60):
            reader(one, n)
        one.flush()
        yield one
    engine.dispose()


def reader(session: Session, n: int) -> None:
    """The n-th of a list in which every two facts meet."""
    local = "info" if n % 11 == 0 else f"reader{n}"
    key = f"{local}@{DOMAINS[n % 3]}" if n % 11 else f"info@{n}.{DOMAINS[n % 3]}"
    one = Subscriber(
        address=key,
        address_key=key,
        name=f"Reader {n}",
        status=list(SubscriberStatus)[n % 5] if n % 2 else SubscriberStatus.ACTIVE,
        created_at=NOW,
        confirmed_at=None if n % 13 == 0 else NOW - timedelta(days=n * 2),
        language=("", "de", "DE", "pt-BR", "pt")[n % 5 if n % 3 else 0],
        is_tracked=n % 4 > 0,
    )
    session.add(one)
    session.flush()
    if n % 7 == 0:
        session.add(Suppression(address_key=key, reason="manual", at=NOW))
    if n % 3:
        session.add(SubscriberTopic(subscriber_id=one.id, topic="Chat"))
    if n % 4 == 0:
        session.add(SubscriberTopic(subscriber_id=one.id, topic="Images"))
    if n % 5 < 2:
        session.add(SubscriberTag(subscriber_id=one.id, tag="vip"))
    if n % 6:
        seen = NOW - timedelta(days=n % 40) if n % 4 else None
        session.add(
            Engagement(
                subscriber_id=one.id, last_human_at=seen, issues_without=n % 5, soft_bounces=n % 3
            )
        )


def looked_at(session: Session, rule: Rule) -> Counted:
    """Everybody, one by one."""
    meant = segments.compiled(rule, now=NOW, disposable_domains={"throwaway.example"})
    found = session.execute(meant.statement("SELECT s.status FROM subscriber s WHERE")).scalars()
    statuses = [status for status in found if status != SubscriberStatus.ERASED]
    return Counted(len(statuses), statuses.count(SubscriberStatus.ACTIVE))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(terms=RULES, word=st.sampled_from([" and ", " or "]), are_few=st.booleans())
def test_every_way_of_counting_comes_to_the_same(
    session: Session, terms: list[str], word: str, are_few: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "FEW", 100 if are_few else 1)
        rule = segments.parse(word.join(terms))
        found = segments.count(session, rule, now=NOW, disposable_domains={"throwaway.example"})
    assert found == looked_at(session, rule)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_and_its_opposite_are_everybody(session: Session, term: str) -> None:
    both = [
        segments.count(session, segments.parse(rule), now=NOW, disposable_domains=DOMAINS[2:])
        for rule in (term, f"not ({term})", f"{term} or not ({term})")
    ]
    assert both[0].readers + both[1].readers == both[2].readers
    assert both[0].active + both[1].active == both[2].active


def test_a_domain_is_what_follows_the_last_at_sign(database: Engine) -> None:
    with session_on(database) as session:
        for key in ('"a@b"@two.example', "c@two.example.org", "d@xn--bcher-kva.example"):
            one = Subscriber(address=key, address_key=key, status="active", created_at=NOW)
            session.add(one)
        session.flush()
        for rule in ('domain = "two.example"', 'domain = "@BÜCHER.example"'):
            assert segments.count(session, segments.parse(rule), now=NOW).readers == 1
