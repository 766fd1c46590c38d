"""Suppressions: one stands, a complaint outranks, and lifting leaves a trace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from newsletter.store.engine import session_on
from subscribers.errors import AudienceError
from subscribers.models import Suppression, SuppressionReason
from subscribers.suppression import is_suppressed, lift, standing, suppress

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
KEY = "paula@example.com"


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def test_nobody_is_suppressed_until_someone_is(session: Session) -> None:
    assert is_suppressed(session, KEY) is None
    assert suppress(session, KEY, SuppressionReason.HARD_BOUNCE, detail="5.1.1", now=NOW)
    assert is_suppressed(session, KEY) is SuppressionReason.HARD_BOUNCE
    assert is_suppressed(session, "other@example.com") is None


def test_the_first_reason_stands_and_keeps_its_date(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.HARD_BOUNCE, detail="5.1.1", now=NOW)
    for reason in (SuppressionReason.HARD_BOUNCE, SuppressionReason.MANUAL):
        assert not suppress(session, KEY, reason, detail="again", now=LATER)
    [row] = standing(session)
    assert (row.reason, row.at, row.detail) == (SuppressionReason.HARD_BOUNCE, NOW, "5.1.1")


def test_a_complaint_outranks_the_others_and_is_outranked_by_none(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.MANUAL, detail="", now=NOW)
    assert suppress(session, KEY, SuppressionReason.COMPLAINT, detail="", now=LATER)
    assert not suppress(session, KEY, SuppressionReason.HARD_BOUNCE, detail="", now=LATER)
    assert is_suppressed(session, KEY) is SuppressionReason.COMPLAINT
    history = session.exec(select(Suppression).order_by("id")).all()
    assert [(row.reason, row.lifted_at) for row in history] == [
        (SuppressionReason.MANUAL, LATER),
        (SuppressionReason.COMPLAINT, None),
    ]


def test_a_lifted_suppression_stays_as_history(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.MANUAL, detail="asked by phone", now=NOW)
    assert lift(session, KEY, because="asked to come back", now=LATER)
    assert is_suppressed(session, KEY) is None
    assert standing(session) == []
    [row] = session.exec(select(Suppression)).all()
    assert (row.lifted_at, row.lifted_because) == (LATER, "asked to come back")
    assert not lift(session, KEY, because="twice", now=LATER)
    assert suppress(session, KEY, SuppressionReason.HARD_BOUNCE, detail="", now=LATER)


def test_an_operator_cannot_lift_a_complaint(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.COMPLAINT, detail="", now=NOW)
    with pytest.raises(AudienceError, match="complained") as caught:
        lift(session, KEY, because="they are important", now=LATER)
    assert KEY not in str(caught.value)
    assert is_suppressed(session, KEY) is SuppressionReason.COMPLAINT


def test_lifting_needs_a_reason_and_suppressing_an_address(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.MANUAL, detail="", now=NOW)
    with pytest.raises(AudienceError, match="reason"):
        lift(session, KEY, because=" ", now=LATER)
    with pytest.raises(AudienceError, match="address"):
        suppress(session, " ", SuppressionReason.MANUAL, detail="", now=NOW)


@pytest.mark.parametrize(
    "order",
    [
        (SuppressionReason.SOFT_BOUNCES, SuppressionReason.HARD_BOUNCE),
        (SuppressionReason.HARD_BOUNCE, SuppressionReason.SOFT_BOUNCES),
    ],
)
def test_a_mailbox_that_is_not_there_outranks_one_that_is_full_in_any_order(
    session: Session, order: tuple[SuppressionReason, SuppressionReason]
) -> None:
    for reason in order:
        suppress(session, KEY, reason, detail="", now=NOW)
    assert [row.reason for row in standing(session)] == [SuppressionReason.HARD_BOUNCE]


def test_a_bounce_does_not_undo_an_operators_word(session: Session) -> None:
    suppress(session, KEY, SuppressionReason.MANUAL, detail="asked by phone", now=NOW)
    assert not suppress(session, KEY, SuppressionReason.HARD_BOUNCE, detail="", now=LATER)
    assert is_suppressed(session, KEY) is SuppressionReason.MANUAL
