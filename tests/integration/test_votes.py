"""Votes in the store: taken, changed, added up, carried along, withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publication import MONDAY, at, never_committing, open_home, planned_and_approved, readers
from served import SEED_SLUG
from sqlalchemy import event, text
from sqlmodel import Session, select

from newsletter import own_data, pipeline
from newsletter.app import App
from newsletter.editorial import judging, library, votes
from newsletter.editorial.content_model import Comparison
from newsletter.editorial.tallies import Tally
from newsletter.editorial.views import comparison_view
from newsletter.editorial.votes import Outcome
from newsletter.errors import NotFoundError
from newsletter.rendering.view import Verdict, VoteView
from newsletter.store.feedback import Ballot
from subscribers import consent, suppression
from subscribers.address import EmailAddress
from subscribers.models import SuppressionReason

pytestmark = pytest.mark.slow

HAIKU, MISTRAL = "claude-haiku-open-weights", "mistral-8b-instruct-v3"
SHIP, SKIP = Verdict.SHIP, Verdict.SKIP


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An issue that went to four readers, with the seed's comparison alone."""
    app = open_home(tmp_path_factory.mktemp("votes") / "home")
    pipeline.import_content(app)
    readers(app, 4)
    planned_and_approved(app)
    pipeline.send(app, "latest")
    yield app
    app.engine.dispose()


@pytest.fixture
def session(app: App) -> Iterator[Session]:
    yield from never_committing(app)


def say(
    session: Session,
    verdict: Verdict,
    *,
    reader: int = 1,
    tool: str = MISTRAL,
    after_s: float = 0,
    hurried: bool = False,
) -> Outcome:
    return votes.cast(
        session,
        votes.ask(session, issue_id=1, slug=SEED_SLUG, tool=tool),
        verdict,
        subscriber_id=reader,
        issue_id=1,
        at=MONDAY + timedelta(seconds=after_s),
        is_hurried=hurried,
        agent="Mail/1",
        network="192.0.2.7",
    )


def tally(session: Session, tool: str = MISTRAL) -> Tally:
    return votes.tallies(session, 1).get(tool, Tally())


def test_a_reader_has_one_vote_a_tool_and_may_change_it(session: Session) -> None:
    assert say(session, SHIP) is Outcome.COUNTED
    assert tally(session) == Tally(ship=1)
    assert say(session, SKIP, after_s=3_600) is Outcome.COUNTED
    assert tally(session) == Tally(skip=1)
    assert tally(session, HAIKU) == Tally()


def test_suspects_stand_apart_and_are_in_the_raw_tally(session: Session) -> None:
    say(session, SHIP)
    assert say(session, SKIP, reader=2, hurried=True) is Outcome.APART
    assert tally(session) == Tally(ship=1, suspect_skip=1)
    assert (tally(session).verified, tally(session).raw) == (1, 2)
    assert say(session, SKIP, reader=2, after_s=30) is Outcome.COUNTED
    assert tally(session) == Tally(ship=1, skip=1)


def test_a_hurried_press_leaves_a_vote_as_it_is(session: Session) -> None:
    say(session, SHIP)
    assert say(session, SKIP, after_s=60, hurried=True) is Outcome.APART
    assert tally(session) == Tally(ship=1)


def test_a_scanner_of_all_buttons_is_believed_in_none(session: Session) -> None:
    for n, (tool, verdict) in enumerate((t, v) for t in (HAIKU, MISTRAL) for v in Verdict):
        say(session, verdict, tool=tool, after_s=3 * n)
    assert [one.verified for one in votes.tallies(session, 1).values()] == [0, 0]
    assert [one.raw for one in votes.tallies(session, 1).values()] == [1, 1]


PRESSES = st.lists(
    st.tuples(
        st.sampled_from(Verdict),
        st.integers(1, 3),
        st.sampled_from([HAIKU, MISTRAL]),
        st.integers(0, 30),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=25)
@given(PRESSES, st.randoms(use_true_random=False))
def test_any_order_and_duplication_gives_the_same_tallies(
    app: App, pressed: list[tuple[Verdict, int, str, int, bool]], chance: object
) -> None:
    again = [*pressed, *pressed[::2]]
    chance.shuffle(again)  # type: ignore[attr-defined]
    found = []
    for order in (pressed, again):
        with Session(app.engine) as session:
            for verdict, reader, tool, after_s, hurried in order:
                say(session, verdict, reader=reader, tool=tool, after_s=after_s, hurried=hurried)
            found.append(votes.tallies(session, 1))
            session.rollback()
    assert found[0] == found[1]


def test_a_press_that_counts_is_a_fact_and_gets_a_second_look(session: Session) -> None:
    say(session, SHIP)
    say(session, SHIP, reader=2, hurried=True)
    events = session.connection().execute(text("SELECT * FROM event")).mappings().all()
    told = [(one["kind"], one["subscriber_id"], one["issue_id"], one["method"]) for one in events]
    assert told == [("vote", 1, 1, "POST")]
    assert (events[0]["agent"], events[0]["network"]) == ("Mail/1", "192.0.2.0/24")
    due = session.connection().execute(text("SELECT issue_id, subscriber_id FROM to_classify"))
    assert [tuple(row) for row in due] == [(1, 1)]


def test_what_a_machine_pressed_takes_no_persons_vote_away(session: Session) -> None:
    say(session, SHIP)
    say(session, SKIP, after_s=60)
    assert tally(session) == Tally(skip=1)
    mark = "UPDATE ballot SET is_machine = verdict = :verdict"
    for verdict, counted in (("skip", Tally(ship=1)), ("ship", Tally(skip=1)), ("", Tally(skip=1))):
        session.connection().execute(text(mark), {"verdict": verdict})
        session.expire_all()
        judging.judge_again(session, 1)
        assert tally(session) == counted


def test_a_vote_that_only_a_machine_pressed_is_kept_apart(session: Session) -> None:
    say(session, SHIP)
    before = session.exec(select(Ballot)).all()  # held: judging reads them anew all the same
    session.connection().execute(text("UPDATE ballot SET is_machine = true"))
    judging.judge_again(session, 1)
    assert tally(session) == Tally(suspect_ship=1)
    assert [one.is_machine for one in before] == [True]


@pytest.mark.parametrize("work", [judging.judge_again, votes.withdraw])
def test_a_reader_is_held_before_their_ballots_are_looked_at(
    session: Session, work: Callable[[Session, int], object]
) -> None:
    """Else of two at once, one would write votes of ballots it has not seen."""
    say(session, SHIP)
    said: list[str] = []
    connection = session.connection()

    def hear(*told: Any) -> None:
        said.append(told[2])

    event.listen(connection, "before_cursor_execute", hear)
    work(session, 1)
    event.remove(connection, "before_cursor_execute", hear)
    assert "FROM subscriber" in said[0]
    assert any("ballot" in one for one in said[1:])


def test_visitors_are_tallied_apart_one_vote_each(session: Session) -> None:
    say(session, SKIP)
    for visitor, verdict, after_s in (
        ("a", SHIP, 0),
        ("b", SHIP, 0),
        ("a", SKIP, 9),
        ("b", SKIP, -9),
    ):
        moment = MONDAY + timedelta(seconds=after_s)
        votes.cast_as_visitor(session, 1, {MISTRAL: verdict}, visitor=visitor, at=moment)
    assert tally(session) == Tally(skip=1, visitors_ship=1, visitors_skip=1)
    assert (tally(session).raw, tally(session).visitors) == (1, 2)


def test_erased_suppressed_and_unknown_readers_are_not_counted(app: App, session: Session) -> None:
    own_data.erase(app, session, 1, source="test")
    address = EmailAddress.parse("reader2@example.com")
    suppression.suppress(session, address.key, SuppressionReason.COMPLAINT, detail="", now=MONDAY)
    assert [say(session, SHIP, reader=one) for one in (1, 2, 99)] == [Outcome.NOBODY] * 3
    assert votes.tallies(session, 1) == {}
    assert session.connection().execute(text("SELECT count(*) FROM ballot")).scalar() == 0


def test_who_unsubscribed_keeps_their_vote_and_may_change_it(session: Session) -> None:
    say(session, SHIP)
    consent.unsubscribe(session, 1, source="test", network="", now=MONDAY)
    assert tally(session) == Tally(ship=1)
    assert say(session, SKIP, after_s=60) is Outcome.COUNTED
    assert tally(session) == Tally(skip=1)


def test_withdrawn_votes_leave_nothing_and_the_tallies_follow(session: Session) -> None:
    say(session, SHIP)
    say(session, SKIP, tool=HAIKU, after_s=60)
    say(session, SHIP, reader=2)
    assert votes.withdraw(session, 1) == 2
    assert votes.withdraw(session, 1) == 0
    assert votes.tallies(session, 1) == {MISTRAL: Tally(ship=1)}
    left = session.connection().execute(text("SELECT subscriber_id FROM ballot")).scalars().all()
    assert left == [2]


def test_a_reader_is_given_their_own_votes(session: Session) -> None:
    say(session, SHIP)
    say(session, SKIP, after_s=60)
    say(session, SHIP, reader=2)
    (mine,) = votes.of_reader(session, 1)
    assert (mine["comparison"], mine["tool"], mine["verdict"]) == (SEED_SLUG, MISTRAL, "skip")
    assert [one["verdict"] for one in mine["pressed"]] == ["ship", "skip"]


def test_the_community_figure_adds_what_the_file_brings(app: App) -> None:
    with app.session(readonly=True) as session:
        comparison = library.load_revision(session, SEED_SLUG)
    tallies = {MISTRAL: Tally(ship=2, skip=1, suspect_ship=9, visitors_ship=9)}
    left, right = comparison_view(comparison, public_url="", tallies=tallies).tools
    assert (left.community, right.community) == (None, VoteView(2, 1))
    body = comparison.to_body()
    body["tools"][1]["community"] = {"ship": 10, "skip": 0}
    from_elsewhere = Comparison.from_body(body)
    _, right = comparison_view(from_elsewhere, public_url="", tallies=tallies).tools
    assert right.community == VoteView(12, 1)


def renamed(session: Session, *names: str) -> None:
    """The seed's comparison imported with other names of its tools."""
    old = library.load_revision(session, SEED_SLUG)
    left, right = (replace(tool, name=name) for tool, name in zip(old.tools, names, strict=True))
    library.import_comparisons(session, [replace(old, tools=(left, right))], now=MONDAY)


def test_a_tool_that_is_respelled_keeps_its_votes_and_its_old_links(session: Session) -> None:
    say(session, SHIP)
    renamed(session, "Claude Haiku Open Weights", "Mistral 8B Instruct 3")
    assert votes.tallies(session, 1) == {"mistral-8b-instruct-3": Tally(ship=1)}
    assert say(session, SKIP, after_s=60) is Outcome.COUNTED  # by the slug in the mail
    assert votes.tallies(session, 1) == {"mistral-8b-instruct-3": Tally(skip=1)}


def test_tools_that_change_places_keep_their_own_votes(session: Session) -> None:
    say(session, SHIP)
    renamed(session, "Mistral 8B Instruct v3", "Claude Haiku Open Weights")
    assert votes.tallies(session, 1) == {MISTRAL: Tally(ship=1)}
    assert votes.ask(session, issue_id=1, slug=SEED_SLUG, tool=MISTRAL).place == 0


@pytest.mark.parametrize(
    ("issue_id", "slug", "tool"),
    [
        (1, SEED_SLUG, "another-tool"),
        (1, "another-comparison", MISTRAL),
        (2, SEED_SLUG, MISTRAL),
        (0, SEED_SLUG, MISTRAL),
    ],
)
def test_what_an_issue_never_asked_is_not_found(
    session: Session, issue_id: int, slug: str, tool: str
) -> None:
    with pytest.raises(NotFoundError):
        votes.ask(session, issue_id=issue_id, slug=slug, tool=tool)


def test_a_million_votes_are_added_up_by_an_index_alone(app: App) -> None:
    with app.engine.connect() as connection:
        plan = connection.execute(
            text(f"EXPLAIN QUERY PLAN {votes._TALLY.text}"), {"comparison_id": 1}
        )
        said = " ".join(row[3] for row in plan)
    assert "USING COVERING INDEX ix_vote_tally" in said
    assert "TEMP B-TREE" not in said
    assert "(comparison_id=?)" in said
    assert "SCAN vote" not in said


def test_a_vote_months_later_still_counts(app: App, session: Session) -> None:
    late = at(app, MONDAY + timedelta(days=400))
    assert say(session, SHIP, after_s=(late.clock() - MONDAY).total_seconds()) is Outcome.COUNTED
    assert tally(session) == Tally(ship=1)
