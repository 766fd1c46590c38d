"""Votes on tools that are respelled again and again: each stays with its tool, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publication import (
    MONDAY,
    finished,
    never_committing,
    open_home,
    planned_and_approved,
    readers,
    store,
)
from sqlalchemy import text
from sqlmodel import Session

from newsletter import pipeline
from newsletter.app import App
from newsletter.editorial import library, votes
from newsletter.editorial.tallies import Tally
from newsletter.errors import NotFoundError
from newsletter.rendering.view import Verdict
from newsletter.store.feedback import Ballot, Vote

pytestmark = pytest.mark.slow

SHIP, SKIP = Verdict.SHIP, Verdict.SKIP
SLUG = "one-vs-two"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An issue that asked three readers about the tools A and B."""
    app = open_home(tmp_path_factory.mktemp("respelled") / "home")
    first = finished("One vs Two")
    left, right = first.tools
    store(app, replace(first, tools=(replace(left, name="A"), replace(right, name="B"))))
    readers(app, 3)
    planned_and_approved(app)
    pipeline.send(app, "latest")
    yield app
    app.engine.dispose()


@pytest.fixture
def session(app: App) -> Iterator[Session]:
    yield from never_committing(app)


def call(session: Session, left: str, right: str) -> None:
    """Imports the comparison with its tools called so."""
    old = library.load_revision(session, SLUG)
    tools = (replace(old.tools[0], name=left), replace(old.tools[1], name=right))
    library.import_comparisons(session, [replace(old, tools=tools)], now=MONDAY)


def say(
    session: Session,
    tool: str,
    verdict: Verdict,
    *,
    reader: int = 1,
    after_s: int = 0,
    hurried: bool = False,
) -> None:
    votes.cast(
        session,
        votes.ask(session, issue_id=1, slug=SLUG, tool=tool),
        verdict,
        subscriber_id=reader,
        issue_id=1,
        at=MONDAY + timedelta(seconds=after_s),
        is_hurried=hurried,
    )


def as_visitor(session: Session, tool: str, verdict: Verdict, *, after_s: int = 0) -> None:
    moment = MONDAY + timedelta(seconds=after_s)
    votes.cast_as_visitor(session, 1, {tool: verdict}, visitor="v", at=moment)


def test_a_tool_that_comes_back_finds_its_own_votes(session: Session) -> None:
    """A and B stood beside each other: what was said of B is not said of A."""
    say(session, "a", SHIP)
    say(session, "b", SKIP, after_s=60)
    call(session, "B", "C")
    assert votes.tallies(session, 1)["b"] == Tally(skip=1)
    call(session, "A", "C")
    assert votes.tallies(session, 1)["a"] == Tally(ship=1)


def test_votes_under_both_names_are_one_the_later(session: Session) -> None:
    """A was dropped; B is called D, and then as A was: its place says that it is B still."""
    say(session, "a", SHIP)
    say(session, "a", SKIP, reader=2, after_s=90)
    say(session, "a", SHIP, reader=3)
    as_visitor(session, "a", SHIP)
    call(session, "B", "C")
    say(session, "b", SKIP, after_s=60)
    say(session, "b", SHIP, reader=2, after_s=30)
    say(session, "b", SKIP, reader=3, after_s=60, hurried=True)  # later, and not believed
    as_visitor(session, "b", SKIP, after_s=60)
    call(session, "D", "C")
    call(session, "A", "C")
    assert votes.tallies(session, 1) == {"a": Tally(ship=1, skip=2, visitors_skip=1)}
    pressed = [len(one["pressed"]) for n in (1, 2, 3) for one in votes.of_reader(session, n)]
    assert pressed == [2, 2, 2]  # the ballots behind them went along


def test_a_ballot_that_came_while_a_file_was_imported_joins_the_others(session: Session) -> None:
    """Its question was read before the import and it was written after."""
    say(session, "a", SHIP)
    call(session, "A2", "B")
    late = Ballot(
        subscriber_id=1, comparison_id=1, tool="a", at=MONDAY, verdict=SHIP, is_hurried=False,
        issue_id=1,
    )  # fmt: skip
    session.add(late)
    session.add(Vote(comparison_id=1, tool="a", subscriber_id=1, verdict=SHIP, at=MONDAY))
    session.flush()
    call(session, "A", "B")
    assert votes.tallies(session, 1) == {"a": Tally(ship=1)}


def test_a_link_follows_its_tool_through_every_name(session: Session) -> None:
    call(session, "B", "C")
    call(session, "D", "C")
    assert votes.ask(session, issue_id=1, slug=SLUG, tool="b").tool == "d"
    with pytest.raises(NotFoundError):
        votes.ask(session, issue_id=1, slug=SLUG, tool="a")  # it is gone, and D is not it


NAMES = st.lists(st.permutations("ABCD").map(lambda some: (some[0], some[1])), max_size=5)
SAID = st.tuples(st.sampled_from("abcd"), st.sampled_from(Verdict), st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(NAMES, st.lists(SAID, max_size=8))
def test_whatever_is_respelled_an_import_goes_through_and_every_vote_has_its_ballots(
    app: App, names: list[tuple[str, str]], said: list[tuple[str, Verdict, int]]
) -> None:
    with Session(app.engine) as session:
        for n, (left, right) in enumerate([("A", "B"), *names]):
            call(session, left, right)
            for tool, verdict, reader in said:
                if tool in (left.lower(), right.lower()):
                    say(session, tool, verdict, reader=reader, after_s=3600 * n)
                    as_visitor(session, tool, verdict, after_s=n)
        both = [
            set(session.connection().execute(text(statement)).all())
            for statement in (
                "SELECT subscriber_id, tool FROM vote WHERE subscriber_id IS NOT NULL",
                "SELECT subscriber_id, tool FROM ballot",
            )
        ]
        assert both[0] == both[1]
        session.rollback()
