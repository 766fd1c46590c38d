"""A search finds the same readers whether the store's index leads to them or the list is walked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlmodel import Session, col, select

from newsletter.store import search
from newsletter.store.engine import session_on
from subscribers import audience
from subscribers.models import Subscriber, SubscriberStatus

pytestmark = pytest.mark.slow  # a hundred lists are written and searched

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
LETTERS = st.text(alphabet="abAB ä😀%_@.'\"-", min_size=1, max_size=12)
ACTS = st.lists(st.sampled_from(["add", "rename", "move", "delete", "catch up"]), max_size=8)


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def person(session: Session, name: str, address: str = "") -> Subscriber:
    newest = session.exec(select(Subscriber.id).order_by(col(Subscriber.id).desc())).first() or 0
    address = address or f"reader{newest + 1}@example.com"
    row = Subscriber(
        address=address,
        address_key=address.lower(),
        name=name,
        status=SubscriberStatus.ACTIVE,
        created_at=NOW,
        confirmed_at=NOW,
    )
    session.add(row)
    session.flush()
    return row


def found(session: Session, part: str, *, walk: bool = False, limit: int = 1000) -> list[str]:
    """Everybody a search finds, page by page."""
    names: list[str] = []
    after_id = 0
    find = None if walk else search.find
    while page := audience.page(session, after_id=after_id, limit=limit, search=part, find=find):
        names += [one.name for one in page]
        after_id = page[-1].id or 0
    return names


def act(session: Session, what: str, text_: str) -> None:
    everybody = session.exec(select(Subscriber).order_by(col(Subscriber.id))).all()
    if what == "add" or not everybody:
        person(session, text_)
    elif what == "rename":
        everybody[0].name = text_
    elif what == "move":
        moved = everybody[len(everybody) // 2]
        moved.address = f"{text_}{moved.id}@Ä.example"
        moved.address_key = moved.address.lower()
    elif what == "delete":
        session.delete(everybody[-1])  # whose id the next one gets
    else:
        search.catch_up(session)
    session.flush()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    acts=ACTS, texts=st.lists(LETTERS, min_size=8, max_size=8), part=LETTERS, size=st.integers(1, 3)
)
def test_the_index_leads_to_everybody_a_walk_finds(
    session: Session, acts: list[str], texts: list[str], part: str, size: int
) -> None:
    for what, text_ in zip(acts, texts, strict=False):
        act(session, what, text_)
    for one in (part, *texts):
        assert found(session, one, limit=size) == found(session, one, walk=True)
    session.rollback()


def test_a_reader_is_found_before_and_after_the_index_knows_them(session: Session) -> None:
    ann = person(session, "Ann Smith")
    assert search.find(session, "smith", after_id=0, limit=9) == [ann.id]
    search.catch_up(session)
    assert search.find(session, "smith", after_id=0, limit=9) == [ann.id]
    ann.name = "Ann Jones"
    session.flush()
    assert found(session, "jones") == ["Ann Jones"]
    assert found(session, "smith") == []
    search.catch_up(session)
    assert search.find(session, "smith", after_id=0, limit=9) == []
    assert search.find(session, "jones", after_id=0, limit=9) == [ann.id]


def test_of_too_few_letters_and_while_many_are_new_the_list_is_walked(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(session, "Ann")
    assert search.find(session, "an", after_id=0, limit=9) is None
    monkeypatch.setattr(search, "MANY", 1)
    assert search.find(session, "ann", after_id=0, limit=9) is None
    assert found(session, "ann") == ["Ann"]


def test_what_many_have_is_paged_to_its_end(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "MOST_FINDS", 2)
    monkeypatch.setattr(audience, "MAX_IDS", 3)
    for n in range(20):
        one = person(session, f"Reader {n}")
        one.status = SubscriberStatus.ACTIVE if n % 9 else SubscriberStatus.PAUSED
    session.flush()
    for status in (None, SubscriberStatus.PAUSED):
        pages = [
            [one.name for one in audience.page(session, search="reader", status=status, find=find)]
            for find in (None, search.find)
        ]
        assert pages[0] == pages[1]
        assert len(pages[0]) == (20 if status is None else 3)


def test_nothing_of_a_text_that_is_gone_stays_in_the_index(session: Session) -> None:
    person(session, "Ann", "xyzzy@example.com")
    gone = person(session, "Quuxly", "plugh@example.com")
    search.catch_up(session)
    assert {"quu", "plu"} <= _letters(session)
    gone.name, gone.address, gone.address_key = "", "", "erased:1"
    session.flush()
    search.forget(session)
    assert "xyz" in _letters(session)
    assert not {"quu", "uux", "xly", "plu", "lug", "ugh"} & _letters(session)
    assert session.execute(text("SELECT count(*) FROM subscriber_search_due")).scalar() == 0


def _letters(session: Session) -> set[str]:
    """Every three letters the index has somebody for."""
    session.execute(
        text("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, subscriber_search, row)")
    )
    terms = set(session.execute(text("SELECT term FROM temp.terms")).scalars())
    session.execute(text("DROP TABLE temp.terms"))
    return terms
