"""An issue's figures, counted by hand and by the program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import facts
import pytest
from facts import GMAIL, IPHONE, THUNDERBIRD, Did
from sqlalchemy import Engine, text
from sqlmodel import Session

from newsletter.errors import LedgerError
from newsletter.store.engine import session_on
from newsletter.store.models import Delivery, Issue
from newsletter.tracking.figures import ClientFigure, IssueFigures, Labelled, Share
from newsletter.tracking.stats import About, Judged, comparison_of, measure
from newsletter.tracking.stats_checks import disagreements, verified
from subscribers.models import Subscriber

pytestmark = pytest.mark.slow

PAGE = "https://verdicts.example.com/comparisons"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LATE = timedelta(hours=80)
STATES = ("delivered",) * 6 + ("complained", "deferred", "bounced", "uncertain", "excluded")


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def sent(session: Session) -> int:
    """Eleven candidates, one of them excluded; nine handed over, eight of them reached."""
    issue_id = facts.issue(session, STATES)
    facts.links(session, issue_id, f"{PAGE}/a-vs-b", f"{PAGE}/c-vs-d/", "https://example.com/x")
    return issue_id


def busy(session: Session) -> int:
    """The same, and what its readers did: readers 1 to 5 are the ones to look at."""
    issue_id = sent(session)
    facts.did(
        session,
        issue_id,
        # Apple fetched reader 1's mail at once; they opened it, twice, and followed two links.
        Did(1, label="machine", after=MINUTE, agent=IPHONE),
        Did(1, after=5 * HOUR),
        Did(1, after=6 * HOUR),
        Did(1, kind="click", link=1, after=5 * HOUR),
        Did(1, kind="click", link=2, after=5 * HOUR),
        # A scanner followed all of reader 2's links, and asked for the image by HEAD.
        *(Did(2, kind="click", link=n, label="machine", after=MINUTE) for n in (1, 2, 3)),
        Did(2, label="machine", after=MINUTE, method="HEAD"),
        Did(1, kind="click", link=3, label="machine", after=MINUTE, method="HEAD"),
        # Nobody has looked at what reader 3 did; of reader 4 it cannot be told.
        Did(3, label="", after=2 * HOUR, agent=GMAIL),
        Did(4, label="unknown", after=LATE, agent=GMAIL),
        Did(4, kind="click", link=3, label="unknown", after=LATE),
        Did(5, kind="unsubscribe", method="POST"),
        # The mailbox of reader 9 refused the mail, and still somebody fetched its image.
        Did(9, after=MINUTE),
        # Somebody who had their data erased since; and an operator's word.
        Did(None),
        Did(3, kind="resend", label="", agent="Ann: was failed after 1 attempt"),
    )
    facts.vote(session, issue_id, 1)
    facts.vote(session, issue_id, 6, suspicion="both_ways")
    facts.told(session, issue_id, 6, "unsubscribed")
    return issue_id


def test_the_waterfall_begins_with_everybody_it_was_for(session: Session) -> None:
    fall = facts.figures(session, sent(session)).waterfall
    assert fall.candidates == 11
    assert fall.excluded == {"unsubscribed": 1}
    assert fall.states == {
        "delivered": 6,
        "deferred": 1,
        "bounced": 1,
        "complained": 1,
        "uncertain": 1,
    }
    assert list(fall.states)[:2] == ["delivered", "deferred"]
    assert (fall.reached, fall.delivered, fall.complained) == (8, 7, 1)


def test_readers_count_once_under_the_best_that_is_known_of_them(session: Session) -> None:
    figures = facts.figures(session, busy(session))
    fall = figures.waterfall
    assert fall.loads == Labelled(human=1, unknown=2, machine=0)
    assert fall.clicks == Labelled(human=1, unknown=1, machine=1)
    assert (fall.voters, fall.suspects, fall.unsubscribed) == (1, 1, 2)
    assert figures.probes == 2
    assert figures.unlabelled == 1
    assert figures.erased_events == 1
    assert figures.strays == 1
    assert figures.rules == {"human_rule": 7, "machine_rule": 6, "unknown_rule": 2}


def test_rates_name_what_they_are_of(session: Session) -> None:
    rates = facts.figures(session, busy(session)).rates
    assert rates == {
        "loads": Share(1, 8, "readers it reached"),
        "clicks": Share(1, 8, "readers it reached"),
        "voters": Share(1, 8, "readers it reached"),
        "unsubscribed": Share(2, 8, "readers it reached"),
        "complained": Share(1, 7, "readers it was delivered to"),
        "bounced": Share(1, 9, "messages handed over"),
    }


def test_links_and_comparisons_know_who_followed_them(session: Session) -> None:
    figures = facts.figures(session, busy(session))
    assert [(one.n, one.comparison, one.readers) for one in figures.links] == [
        (1, "a-vs-b", Labelled(human=1, machine=1)),
        (2, "c-vs-d", Labelled(human=1, machine=1)),
        (3, "", Labelled(unknown=1, machine=1)),
    ]


def test_who_loaded_and_clicked_is_one_stray_and_a_click_on_no_link_is_a_click(
    session: Session,
) -> None:
    id_ = sent(session)
    facts.did(
        session,
        id_,
        *(Did(9), Did(9, kind="click", link=1), Did(9, kind="click", link=2)),  # refused the mail
        Did(10, kind="click", link=1),  # of whom nobody knows whether they got it
        Did(1, kind="click", label="machine", after=MINUTE),
    )
    figures = facts.figures(session, id_)
    assert figures.strays == 2
    assert figures.waterfall.clicks == Labelled(machine=1)
    assert [one.readers.total for one in figures.links] == [0, 0, 0]


def test_a_comparison_s_reader_counts_once_under_the_best_of_its_links(session: Session) -> None:
    id_ = facts.issue(session, STATES)
    facts.links(session, id_, f"{PAGE}/a-vs-b", f"{PAGE}/a-vs-b/")
    facts.did(
        session,
        id_,
        Did(1, kind="click", link=1, label="machine", after=MINUTE),
        Did(1, kind="click", link=2, after=HOUR),
        Did(2, kind="click", link=2, label="", after=HOUR),
    )
    about = About(id_, "w", "w", "weekly", "", facts.SENT, 11, True, [Judged("a-vs-b", "A", ())])
    (figure,) = measure(session, about, now=facts.NOW).comparisons
    assert figure.readers == Labelled(human=1, unknown=1)


def test_hours_go_by_the_first_of_the_best_label_and_end_after_three_days(session: Session) -> None:
    hours = facts.figures(session, busy(session)).hours
    assert [one.hour for one in hours] == [0, 1, 2, 3, 4, 5]
    assert hours[5].loads == Labelled(human=1)  # not hour 0, when a machine had it
    assert hours[2].loads == Labelled(unknown=1)
    assert hours[0].clicks == Labelled(machine=1)
    assert sum(one.loads.total for one in hours) == 2  # the third came on the fourth day


def test_a_clock_behind_the_sender_s_falls_into_the_first_hour(session: Session) -> None:
    issue_id = sent(session)
    facts.did(session, issue_id, Did(1, after=timedelta(seconds=-90)))
    assert facts.figures(session, issue_id).hours[0].loads == Labelled(human=1)


def test_mail_programs_are_told_from_the_load_that_counts(session: Session) -> None:
    clients = facts.figures(session, busy(session)).clients
    assert clients == (ClientFigure("Gmail", 2), ClientFigure("Thunderbird", 1))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_loads_in_one_instant_always_the_same_one_counts(
    session: Session, order: tuple[int, int]
) -> None:
    issue_id = sent(session)
    loads = (Did(1, agent=THUNDERBIRD), Did(1, agent=GMAIL))
    facts.did(session, issue_id, *(loads[place] for place in order))
    assert facts.figures(session, issue_id).clients == (ClientFigure("Gmail", 1),)


def test_a_provider_that_tells_nothing_leaves_delivered_unknown(session: Session) -> None:
    issue_id = facts.issue(session, ("submitted", "submitted", "complained"))
    figures = facts.figures(session, issue_id)
    assert figures.waterfall.delivered is None
    assert figures.waterfall.reached == 3
    assert figures.rates["complained"] == Share(1, 3, "readers it reached")
    assert figures.domains[0].delivered is None


def test_an_instant_of_delivery_is_telling(session: Session) -> None:
    issue_id = facts.issue(session, ("submitted", "delivered"), delivered_at=True)
    assert facts.figures(session, issue_id).waterfall.delivered == 1


def test_an_issue_without_tracking_counts_deliberate_acts_alone(session: Session) -> None:
    issue_id = facts.issue(session, ("delivered", "delivered"), tracked=False)
    facts.did(session, issue_id, Did(1, kind="unsubscribe", method="POST"))
    facts.vote(session, issue_id, 2)
    figures = facts.figures(session, issue_id)
    assert figures.untracked_readers == 2
    assert (figures.rates["loads"].of, figures.rates["loads"].rate) == (0, None)
    assert figures.rates["loads"].interval == (0.0, 1.0)
    assert (figures.waterfall.voters, figures.waterfall.unsubscribed) == (1, 1)


def test_a_reader_without_tracking_is_in_no_denominator(session: Session) -> None:
    issue_id = facts.issue(session, ("delivered",) * 4)
    facts.did(session, issue_id, Did(1), Did(2))
    reader = session.get(Subscriber, 2)
    assert reader is not None
    reader.is_tracked = False  # turned it off after they had read
    figures = facts.figures(session, issue_id)
    words = "readers it reached who are tracked"
    assert figures.rates["loads"] == Share(1, 3, words)
    assert (figures.untracked_readers, figures.strays) == (1, 1)


def test_an_issue_never_sent_has_nothing_but_zeros(session: Session) -> None:
    issue = Issue(week="2026-W50", slot_at=facts.SENT, state="planned", planned_at=facts.SENT)
    session.add(issue)
    session.flush()
    figures = facts.figures(session, issue.id or 0)
    assert figures.sent_at is None
    assert figures.waterfall.candidates == 0
    assert (figures.hours, figures.links, figures.domains, figures.clients) == ((), (), (), ())
    assert {share.rate for share in figures.rates.values()} == {None}
    assert not figures.alarm


def test_an_erased_reader_leaves_the_sums_as_they_were(session: Session) -> None:
    issue_id = busy(session)
    before = facts.figures(session, issue_id)
    reader = session.get(Subscriber, 1)
    assert reader is not None
    reader.status, reader.address_key, reader.is_tracked = "erased", "erased:0123", False
    session.execute(text("UPDATE event SET subscriber_id = NULL WHERE subscriber_id = 1"))
    session.execute(text("DELETE FROM vote WHERE subscriber_id = 1"))
    after = facts.figures(session, issue_id)
    assert after.waterfall.candidates == before.waterfall.candidates
    assert after.waterfall.states == before.waterfall.states
    assert after.waterfall.loads == Labelled(human=0, unknown=2)
    assert after.rates["loads"] == Share(0, 7, "readers it reached who are tracked")
    assert after.erased_events == before.erased_events + 6
    assert {one.domain: one.audience for one in after.domains} == {"example.com": 9, "other": 1}


def test_what_came_of_an_erased_reader_waits_for_no_label(session: Session) -> None:
    id_ = sent(session)
    facts.did(session, id_, Did(1, label=""), Did(None, label=""))
    assert facts.figures(session, id_).unlabelled == 1


def test_counting_waits_for_no_writer_and_holds_none_up(database: Engine) -> None:
    with session_on(database) as writer:
        issue_id = busy(writer)
    with session_on(database) as writer:
        facts.did(writer, issue_id, Did(6))
        with session_on(database, readonly=True) as reader:
            assert facts.figures(reader, issue_id).waterfall.loads.human == 1
    with session_on(database, readonly=True) as reader:
        assert facts.figures(reader, issue_id).waterfall.loads.human == 2
        with session_on(database) as writer:
            facts.did(writer, issue_id, Did(7))
        assert facts.figures(reader, issue_id).waterfall.loads.human == 2  # as of one instant


def test_comparisons_are_told_from_their_pages() -> None:
    assert comparison_of(f"{PAGE}/a-vs-b?utm=1#top") == "a-vs-b"
    assert comparison_of("https://example.com/comparisons/") == ""
    assert comparison_of("https://example.com/news/comparisons/x/y") == ""
    assert comparison_of("https://[::1") == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"candidates": 12}, "12 have a delivery"),
        ({"excluded": {"paused": 3}}, "3 excluded"),
        ({"reached": 9}, "9 were reached"),
        ({"loads": Labelled(human=9)}, "9 loaded images, of 8"),
        ({"loads": Labelled(human=1, unknown=1)}, "2 loaded images, by mail program 3"),
        ({"clicks": Labelled(machine=1)}, "2 followed one link, 1 followed any"),
        ({"voters": 9}, "voted, of 8"),
        ({"unsubscribed": 9}, "unsubscribed, of 8"),
        ({"complained": 2}, "2 complaints, by mailbox domain 1"),
        ({"delivered": 3}, "3 delivered to, by mailbox domain 7"),
    ],
)
def test_figures_that_disagree_are_refused(
    session: Session, change: dict[str, object], says: str
) -> None:
    figures: IssueFigures = facts.figures(session, busy(session))
    assert not list(disagreements(figures, frozen=11))
    doctored = replace(figures, waterfall=replace(figures.waterfall, **change))  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match=says):
        verified(doctored, frozen=11)


def test_a_delivery_that_is_lost_is_noticed(session: Session) -> None:
    issue_id = sent(session)
    session.delete(session.get(Delivery, (issue_id, 3)))
    with pytest.raises(LedgerError, match="11 candidates were frozen, 10 have a delivery"):
        facts.figures(session, issue_id)
