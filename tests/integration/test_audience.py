"""Who is a candidate, who is excluded and why, and the operator's pages of the list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from newsletter.store.engine import session_on
from subscribers import audience, consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import Subscriber, SubscriberStatus, SuppressionReason

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def person(
    session: Session,
    address: str,
    status: SubscriberStatus = SubscriberStatus.ACTIVE,
    *,
    name: str = "",
    confirmed: bool = True,
    suppressed: SuppressionReason | None = None,
) -> int:
    parsed = EmailAddress.parse(address)
    row = Subscriber(
        address=parsed.given,
        address_key=parsed.key,
        name=name,
        status=status,
        created_at=NOW,
        confirmed_at=NOW if confirmed else None,
    )
    session.add(row)
    session.flush()
    if suppressed:
        suppression.suppress(session, parsed.key, suppressed, detail="", now=NOW)
    assert row.id is not None
    return row.id


def candidates(session: Session) -> list[tuple[int, str]]:
    rows = session.connection().execute(text(audience.CANDIDATES_SQL))
    return [(row.subscriber_id, row.reason) for row in rows]


def test_every_candidate_is_eligible_or_has_its_reason(session: Session) -> None:
    complaint, bounce = SuppressionReason.COMPLAINT, SuppressionReason.HARD_BOUNCE
    expected = [
        (person(session, "active@example.com"), ""),
        (person(session, "left@example.com", SubscriberStatus.UNSUBSCRIBED), "unsubscribed"),
        (person(session, "paused@example.com", SubscriberStatus.PAUSED), "paused"),
        (person(session, "again@example.com", SubscriberStatus.PENDING), "pending"),
        (person(session, "spam@example.com", suppressed=complaint), "suppressed: complaint"),
        (person(session, "gone@example.com", suppressed=bounce), "suppressed: hard_bounce"),
        (
            person(session, "b@example.com", SubscriberStatus.UNSUBSCRIBED, suppressed=complaint),
            "suppressed: complaint",
        ),
        (
            person(session, "c@example.com", SubscriberStatus.UNSUBSCRIBED, suppressed=bounce),
            "unsubscribed",
        ),
    ]
    assert candidates(session) == expected


def test_the_never_confirmed_and_the_erased_are_no_candidates(session: Session) -> None:
    person(session, "new@example.com", SubscriberStatus.PENDING, confirmed=False)
    person(session, "erased@example.com", SubscriberStatus.ERASED)
    assert candidates(session) == []


def test_a_lifted_suppression_excludes_nobody(session: Session) -> None:
    id_ = person(session, "ann@example.com", suppressed=SuppressionReason.MANUAL)
    suppression.lift(session, "ann@example.com", because="by mistake", now=NOW)
    suppression.suppress(session, "ann@example.com", SuppressionReason.MANUAL, detail="", now=NOW)
    suppression.lift(session, "ann@example.com", because="by mistake again", now=NOW)
    assert candidates(session) == [(id_, "")]


def test_the_candidates_can_be_written_where_they_are_asked_for(session: Session) -> None:
    person(session, "ann@example.com")
    person(session, "bob@example.com", SubscriberStatus.PAUSED)
    connection = session.connection()
    connection.execute(text("CREATE TEMPORARY TABLE frozen (id INTEGER, reason TEXT)"))
    connection.execute(
        text(f"INSERT INTO frozen SELECT subscriber_id, reason FROM ({audience.CANDIDATES_SQL}) c")
    )
    counts = connection.execute(text("SELECT reason, count(*) FROM frozen GROUP BY reason"))
    assert {row.reason: row[1] for row in counts} == {"": 1, "paused": 1}


def test_asking_for_candidates_sorts_nothing_and_uses_the_index(session: Session) -> None:
    rows = session.connection().execute(text(f"EXPLAIN QUERY PLAN {audience.CANDIDATES_SQL}"))
    plan = " ".join(row[-1] for row in rows)
    assert "uq_suppression_address_key_standing" in plan
    assert "TEMP B-TREE" not in plan


def test_who_became_ineligible_is_found_at_claim_time(session: Session) -> None:
    ids = [person(session, f"reader{n}@example.com") for n in range(audience.MAX_IDS + 5)]
    assert audience.still_excluded(session, ids) == {}
    consent.unsubscribe(session, ids[0], source="page", network="", now=NOW)
    suppression.suppress(
        session,
        f"reader{audience.MAX_IDS + 4}@example.com",
        SuppressionReason.COMPLAINT,
        detail="",
        now=NOW,
    )
    assert audience.still_excluded(session, [*ids, 999_999]) == {
        ids[0]: "unsubscribed",
        ids[-1]: "suppressed: complaint",
        999_999: "erased",
    }
    assert audience.still_excluded(session, []) == {}


@pytest.mark.parametrize(
    ("stored", "sent_to"),
    [
        ("Ann@Example.com", "Ann@Example.com"),
        ("bob@bücher.example.com", "bob@xn--bcher-kva.example.com"),
        ("jörg@bücher.example.com", "jörg@xn--bcher-kva.example.com"),
    ],
)
def test_readers_have_the_address_their_mail_needs(stored: str, sent_to: str) -> None:
    assert audience.reader(1, stored, "Ann") == audience.Reader(1, sent_to, "Ann")


def test_every_status_is_counted(session: Session) -> None:
    person(session, "ann@example.com")
    person(session, "bob@example.com")
    person(session, "eve@example.com", SubscriberStatus.PAUSED)
    assert audience.count_by_status(session) == {
        "pending": 0,
        "active": 2,
        "paused": 1,
        "unsubscribed": 0,
        "erased": 0,
    }


def test_pages_walk_the_whole_list_once(session: Session) -> None:
    ids = [person(session, f"reader{n}@example.com") for n in range(7)]
    seen: list[int] = []
    while found := audience.page(session, after_id=seen[-1] if seen else 0, limit=3):
        seen += [one.id for one in found if one.id is not None]
    assert seen == ids


def test_a_page_can_be_narrowed(session: Session) -> None:
    ann = person(session, "ann@example.com", name="Ann Smith")
    bob = person(session, "Bob_100%@example.com", SubscriberStatus.PAUSED)
    person(session, "bobx100y@example.com")

    def ids(search: str | None = None, status: SubscriberStatus | None = None) -> list[int | None]:
        return [one.id for one in audience.page(session, search=search, status=status)]

    assert ids(search=" SMITH ") == [ann]
    assert ids(search="b_100%") == [bob]  # not wildcards
    assert ids(search="B_100%@EX") == [bob]
    assert ids(search="@example.com", status=SubscriberStatus.PAUSED) == [bob]
    assert ids(search="%@") == [bob]
    assert ids(status=SubscriberStatus.PAUSED) == [bob]
    assert ids(search="ann", status=SubscriberStatus.PAUSED) == []
