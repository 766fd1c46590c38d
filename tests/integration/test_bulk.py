"""One act on many readers: who is affected, who is left out and why, and what is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from desk_people import NOW, history, person, states
from sqlalchemy import Engine
from sqlmodel import Session, select

from newsletter.store.engine import session_on
from subscribers import audit, bulk, consent, segments, suppression, tags
from subscribers.bulk import Choice, act_of
from subscribers.effects import BulkAction
from subscribers.errors import AudienceError
from subscribers.models import AuditEntry, AuditRow, SubscriberStatus, SuppressionReason

EVERY_STATUS = tuple(SubscriberStatus)


@pytest.fixture
def session(database: Engine) -> Iterator[Session]:
    with session_on(database) as session:
        yield session


def one_of_each(session: Session) -> dict[str, int]:
    return {str(status): person(session, str(status), status) for status in EVERY_STATUS}


def everybody(session: Session) -> Choice:
    return Choice(ids=tuple(range(1, 100)))


def perform(session: Session, action: BulkAction, choice: Choice, tag: str = "") -> int | None:
    return bulk.perform(session, act_of(action, tag), choice, by="Olga", now=NOW)[0]


@pytest.mark.parametrize(
    ("action", "affected", "left_out"),
    [
        (
            BulkAction.PAUSE,
            ["active"],
            {"not confirmed": 1, "paused already": 1, "unsubscribed": 1, "erased": 1},
        ),
        (
            BulkAction.RESUME,
            [],
            {
                "not paused": 1, "not confirmed": 1, "unsubscribed": 1, "erased": 1,
                "paused by their own choice": 1,
            },
        ),
        (
            BulkAction.UNSUBSCRIBE,
            ["pending", "active", "paused"],
            {"unsubscribed already": 1, "erased": 1},
        ),
        (BulkAction.SUPPRESS, ["pending", "active", "paused", "unsubscribed"], {"erased": 1}),
    ],
)  # fmt: skip
def test_a_preview_counts_everybody_chosen_once_and_names_the_reason(
    session: Session, action: BulkAction, affected: list[str], left_out: dict[str, int]
) -> None:
    one_of_each(session)
    account = bulk.preview(session, act_of(action), everybody(session))
    assert account.sample == [f"{name}@example.com" for name in affected]
    assert (account.affected, dict(account.left_out)) == (len(affected), left_out)
    assert session.exec(select(AuditEntry)).all() == []


def test_the_act_does_what_the_preview_said_and_writes_down_what_each_reader_was(
    session: Session,
) -> None:
    people = one_of_each(session)
    entry = perform(session, BulkAction.UNSUBSCRIBE, everybody(session))
    assert entry is not None
    assert states(session) == {
        "pending": "unsubscribed", "active": "unsubscribed", "paused": "unsubscribed",
        "unsubscribed": "unsubscribed", "erased": "erased",
    }  # fmt: skip
    assert history(session, people["active"]) == [("unsubscribed", f"operator:entry-{entry}")]
    assert history(session, people["unsubscribed"]) == []
    before = {row.subscriber_id: row.before for row in session.exec(select(AuditRow))}
    assert before == {people[name]: name for name in ("pending", "active", "paused")}
    logged = audit.entry(session, entry)
    assert (logged.by, logged.action, logged.readers) == ("Olga", "unsubscribe", 3)
    assert logged.detail["left_out"] == {"unsubscribed already": 1, "erased": 1}


def test_a_tag_is_put_on_once_and_taken_off(session: Session) -> None:
    ann, bob = person(session, "ann"), person(session, "bob")
    perform(session, BulkAction.TAG, Choice(ids=(ann,)), "early bird")
    account = bulk.preview(session, act_of(BulkAction.TAG, "early bird"), everybody(session))
    assert (account.sample, account.left_out) == (["bob@example.com"], {"has the tag already": 1})
    perform(session, BulkAction.TAG, everybody(session), "early bird")
    assert tags.count_tags(session) == {"early bird": 2}
    perform(session, BulkAction.UNTAG, Choice(tag="early bird", ids=(bob,)), "early bird")
    assert (tags.tags_of(session, ann), tags.tags_of(session, bob)) == (["early bird"], [])


def test_an_act_that_affects_nobody_leaves_no_entry(session: Session) -> None:
    person(session, "ann")
    assert perform(session, BulkAction.UNTAG, everybody(session), "vip") is None
    assert session.exec(select(AuditEntry)).all() == []


def test_silence_a_reader_asked_for_is_not_ended_by_an_operator(session: Session) -> None:
    ann, bob = person(session, "ann"), person(session, "bob")
    consent.pause(session, ann, source="page", network="", now=NOW)
    perform(session, BulkAction.PAUSE, Choice(ids=(bob,)))
    perform(session, BulkAction.RESUME, Choice(status=SubscriberStatus.PAUSED))
    assert states(session) == {"ann": "paused", "bob": "active"}


def test_who_paused_themselves_after_an_operator_did_is_left_in_peace(session: Session) -> None:
    ann = person(session, "ann")
    perform(session, BulkAction.PAUSE, Choice(ids=(ann,)))
    consent.resume(session, ann, source="page", network="", now=NOW)
    consent.pause(session, ann, source="page", network="", now=NOW)
    account = bulk.preview(session, act_of(BulkAction.RESUME), everybody(session))
    assert account.left_out == {"paused by their own choice": 1}


def test_suppressing_leaves_what_stands_as_it_is(session: Session) -> None:
    person(session, "ann")
    person(session, "spam", suppressed=SuppressionReason.COMPLAINT)
    person(session, "gone", suppressed=SuppressionReason.HARD_BOUNCE)
    account = bulk.preview(session, act_of(BulkAction.SUPPRESS), everybody(session))
    assert account.left_out == {
        "suppressed already: complaint": 1,
        "suppressed already: hard bounce": 1,
    }
    perform(session, BulkAction.SUPPRESS, everybody(session))
    reasons = {s.address_key: s.reason for s in suppression.standing(session)}
    assert reasons == {
        "ann@example.com": "manual",
        "spam@example.com": "complaint",
        "gone@example.com": "hard_bounce",
    }


def test_readers_are_chosen_by_status_search_tag_and_rule_together(session: Session) -> None:
    ann, bob = person(session, "ann"), person(session, "anna", SubscriberStatus.PAUSED)
    person(session, "bob")
    perform(session, BulkAction.TAG, Choice(ids=(ann, bob)), "vip")

    def names(choice: Choice) -> list[str]:
        return [one.name for one in bulk.chosen(session, choice)]

    rule = segments.compiled(segments.parse('tag = "vip"'), now=NOW).statement("")
    assert names(Choice(search="ann")) == ["Ann", "Anna"]
    assert names(Choice(tag="vip", status=SubscriberStatus.PAUSED)) == ["Anna"]
    assert names(Choice(search="ann", status=SubscriberStatus.ACTIVE)) == ["Ann"]
    assert names(Choice(condition=rule)) == ["Ann", "Anna"]
    assert names(Choice(condition=rule, search="anna")) == ["Anna"]
    account = bulk.preview(session, act_of(BulkAction.UNTAG, "vip"), Choice(condition=rule))
    assert account.affected == 2


def test_a_page_begins_after_the_last(session: Session) -> None:
    ids = [person(session, f"reader{n}") for n in range(5)]
    assert [one.id for one in bulk.chosen(session, Choice(), after_id=ids[2])] == ids[3:]
    found = bulk.chosen(session, Choice(search="reader"), after_id=ids[2])
    assert [one.id for one in found] == ids[3:]


def test_who_came_after_the_preview_is_not_touched(session: Session) -> None:
    person(session, "ann")
    choice = Choice(status=SubscriberStatus.ACTIVE)
    seen = bulk.preview(session, act_of(BulkAction.PAUSE), choice)
    person(session, "late")
    bulk.perform(
        session, act_of(BulkAction.PAUSE), choice, by="Olga", now=NOW, up_to_id=seen.last_id
    )
    assert states(session) == {"ann": "paused", "late": "active"}


def test_everybody_is_never_chosen_by_saying_nothing(session: Session) -> None:
    person(session, "ann")
    with pytest.raises(AudienceError, match="nobody is chosen"):
        perform(session, BulkAction.UNSUBSCRIBE, Choice())
    assert states(session) == {"ann": "active"}


def test_an_act_that_fails_leaves_neither_entry_nor_change(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_on(database) as session:
        person(session, "ann")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bulk, "close", broken)
    with pytest.raises(ZeroDivisionError), session_on(database) as session:
        perform(session, BulkAction.PAUSE, Choice(ids=(1,)))
    with session_on(database) as session:
        assert states(session) == {"ann": "active"}
        assert session.exec(select(AuditEntry)).all() == []


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "ann@example.com", "x" * 61, 'a"b', "a\x1bb"])
def test_what_cannot_be_a_tag_is_refused(tag: str) -> None:
    with pytest.raises(AudienceError, match="a tag "):
        act_of(BulkAction.TAG, tag)


def test_an_act_without_a_tag_takes_none() -> None:
    assert act_of(BulkAction.TAG, "  early \t bird ").tag == "early bird"
    with pytest.raises(AudienceError, match="takes no tag"):
        act_of(BulkAction.PAUSE, "vip")


@pytest.mark.slow
def test_a_long_list_is_walked_in_pages_and_comes_out_whole(session: Session) -> None:
    total = 2 * bulk.PAGE + 7
    for n in range(total):
        person(session, f"reader{n}")
    choice = Choice(search="reader")
    entry, account = bulk.perform(
        session, act_of(BulkAction.TAG, "all"), choice, by="Olga", now=NOW + timedelta(hours=1)
    )
    assert entry is not None
    assert account.affected == audit.count_touched(session, entry) == total
    assert tags.count_tags(session) == {"all": total}
