"""What endpoints are told: each fact once, from the moment they were added, and no address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from publication import finished, planned_and_approved, readers, store
from sqlalchemy import text
from webhook_home import Home, opened
from webhook_receiver import Receiver

from newsletter import pipeline
from newsletter.errors import NotFoundError, RefusedError
from newsletter.webhooks import endpoints, facts, kinds, messages
from newsletter.webhooks.kinds import OFFERED, Kind
from subscribers import audit, consent, erasure, leaving
from subscribers.address import EmailAddress

pytestmark = pytest.mark.slow  # to keep the quick run under two minutes


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home") as home:
        yield home


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
    assert receiver.unsigned == []


def test_a_readers_life_is_told_in_its_order(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    reader = home.comes("ann")
    home.complains("ann")
    home.goes(reader)
    assert home.round() == ["webhooks delivered: 3"]
    told = sorted((one.body for one in receiver.calls), key=lambda one: str(one["type"]))
    assert told == [
        {
            "type": kind,
            "timestamp": "2026-11-23T10:00:00Z",
            "data": {"subscriber": reader, "because": word},
        }
        for kind, word in (
            (Kind.COMPLAINED, "complaint"),
            (Kind.CONFIRMED, "confirmed"),
            (Kind.UNSUBSCRIBED, "unsubscribed"),
        )
    ]
    assert len({one.id for one in receiver.calls}) == 3
    assert home.round() == []


def test_an_issue_is_told_once_it_is_done_and_not_again_when_it_is_sent_again(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    store(home.app, finished("Left vs Right"))
    readers(home.app, 1)
    planned_and_approved(home.app)
    assert home.round() == []
    pipeline.send(home.app, "latest")
    home.round()
    (call,) = receiver.calls
    assert call.body["type"] == "issue.sent"
    assert call.body["data"]["issue"] == "2026-W48"
    with home.app.session() as session:
        session.execute(text("UPDATE issue SET done_at = '2026-12-01 00:00:00'"))
        messages.forget_before(session, home.clock() + timedelta(days=1))  # nor after that
    assert home.log() == []
    assert home.round() == []


def test_what_happened_before_an_endpoint_was_added_is_no_news_to_it(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as earlier:
        home.add(earlier)
        home.comes("ann")  # nobody looked since
        home.add(receiver)
        home.comes("bob")
        home.round()
        assert len(earlier.calls) == 2
    assert len(receiver.calls) == 1


def test_what_operators_add_is_not_told(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    readers(home.app, 3)
    assert home.round() == []


def test_who_takes_their_leaving_back_is_told_of_as_confirmed(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver)
    reader = home.comes("ann")
    home.goes(reader)
    with home.app.session() as session:
        left = leaving.left_at(session, reader)
        assert left
        leaving.undo(session, reader, left=left, source="page", network="", now=home.clock())
    home.round()
    words = [(one.body["type"], one.body["data"]["because"]) for one in receiver.calls]
    assert words == [
        ("subscriber.confirmed", "confirmed"),
        ("subscriber.unsubscribed", "unsubscribed"),
        ("subscriber.confirmed", "returned"),
    ]


def test_an_endpoint_is_told_only_the_kinds_it_wants(home: Home, receiver: Receiver) -> None:
    home.add(receiver, "subscriber.unsubscribed")
    home.goes(home.comes("ann"))
    home.round()
    assert receiver.kinds == ["subscriber.unsubscribed"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_no_fact_is_missed_or_doubled_however_few_are_taken_in_at_once(
    home: Home, receiver: Receiver, at_once: int
) -> None:
    home.add(receiver)
    for name in ("ann", "bob", "cem"):
        home.comes(name)
        home.complains(name)
    with home.app.session() as session:
        for _ in range(20):
            facts.take_in(session, now=home.clock(), at_once=at_once)
    assert sorted(one.event.partition(":2026-11-23T")[0] for one in home.log()) == [
        "consent_record:2", "consent_record:4", "consent_record:6",
        "suppression:1", "suppression:2", "suppression:3",
    ]  # fmt: skip


def test_a_transaction_that_fails_moves_no_bookmark(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    home.comes("ann")
    with home.app.session() as session:
        facts.take_in(session, now=home.clock())
        session.rollback()
    assert home.log() == []
    home.round()
    assert receiver.kinds == ["subscriber.confirmed"]


def test_an_endpoint_is_told_of_one_event_once_whoever_writes_it(
    home: Home, receiver: Receiver
) -> None:
    new = messages.New(home.add(receiver), "consent_record:1", Kind.CONFIRMED, "{}")
    for _ in range(2):
        with home.app.session() as session:
            messages.write(session, [new, new], now=home.clock())
    assert len(home.log()) == 1


def test_an_address_is_told_only_where_it_is_wanted_and_is_kept_nowhere(
    home: Home, receiver: Receiver
) -> None:
    with Receiver() as curious:
        home.add(receiver)
        home.add(curious, sends_addresses=True)
        home.comes("ann")
        home.round()
        assert curious.calls[0].body["data"]["address"] == "ann@example.com"
        assert curious.unsigned == []
    assert "address" not in receiver.calls[0].body["data"]
    with home.app.engine.connect() as connection:
        kept = connection.execute(text("SELECT body FROM webhook_message")).scalars().all()
    assert len(kept) == 2
    assert "example.com" not in "".join(kept)


def test_an_erased_reader_is_told_of_without_an_address(home: Home, receiver: Receiver) -> None:
    home.add(receiver, sends_addresses=True)
    reader = home.comes("ann")
    with home.app.session() as session:
        erasure.erase(
            session,
            reader,
            fingerprint_of=home.app.keyring.of_address,
            source="page",
            now=home.clock(),
        )
    home.round()
    assert [one.body["data"] for one in receiver.calls] == [
        {"subscriber": reader, "because": "confirmed"},
        {"subscriber": reader, "because": "erased"},
    ]


def test_an_erased_readers_complaint_is_still_told(home: Home, receiver: Receiver) -> None:
    home.add(receiver, "subscriber.complained")
    reader = home.comes("ann")
    home.complains("ann")
    with home.app.session() as session:
        erasure.erase(
            session,
            reader,
            fingerprint_of=home.app.keyring.of_address,
            source="page",
            now=home.clock(),
        )
    home.round()
    assert [one.body["data"]["subscriber"] for one in receiver.calls] == [reader]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "http://10.0.0.5/x",
        "ftp://hooks.example.com/",
        "hooks.example.com/x",
        "https://",
        "https://ann:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX-Header: 1",
        "https://hooks.example.com/é",
        "https://[::1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:169.254.169.254]/",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
        "https://hooks.example.com/" + "a" * 2_000,
    ],
)
def test_an_address_that_is_no_receivers_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(RefusedError) as refused:
        endpoints.checked(url)
    for secret in ("secret", "hooks.example.com/x", "latest"):
        assert secret not in refused.value.what


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/x?key=1",
        "https://10.0.0.5:8443/x",
        "http://127.0.0.1:9000/",
        "http://localhost/",
        "http://[::1]:9000/",
    ],
)
def test_an_operators_own_machines_may_be_told(url: str) -> None:
    assert endpoints.checked(url) == url


def test_plain_http_elsewhere_is_taken_by_insistence_but_never_with_addresses(home: Home) -> None:
    url = "http://10.0.0.5/x"
    assert endpoints.checked(url, insecure=True) == url
    with home.app.session() as session, pytest.raises(RefusedError, match="without TLS"):
        endpoints.add(
            session, url, OFFERED, sends_addresses=True, insecure=True, by="ann", now=home.clock()
        )


def test_endpoints_are_few_and_each_address_is_one(home: Home) -> None:
    def add(n: int) -> None:
        with home.app.session() as session:
            endpoints.add(
                session,
                f"https://hooks.example.com/{n}",
                OFFERED,
                sends_addresses=False,
                insecure=False,
                by="ann",
                now=home.clock(),
            )

    for n in range(endpoints.MOST):
        add(n)
    with pytest.raises(RefusedError, match="most"):
        add(99)
    with home.app.session() as session:
        endpoints.remove(session, 1, because="done", by="ann", now=home.clock())
    with pytest.raises(RefusedError, match="already"):
        add(2)
    add(0)


def test_a_removed_endpoint_is_told_nothing_and_every_act_is_in_the_audit_log(
    home: Home, receiver: Receiver
) -> None:
    number = home.add(receiver)
    home.comes("ann")
    with home.app.session() as session:
        facts.take_in(session, now=home.clock())
        endpoints.remove(session, number, because="not needed", by="bob", now=home.clock())
    home.comes("bea")
    assert home.round() == []
    assert [one.state for one in home.log()] == ["dropped"]
    with home.app.session() as session:
        with pytest.raises(NotFoundError, match="removed"):
            endpoints.remove(session, number, because="", by="bob", now=home.clock())
        entries = audit.entries(session)
        assert [(one.action, one.by) for one in entries] == [
            ("remove webhook", "bob"),
            ("add webhook", "ann"),
        ]
        for entry in entries:
            assert entry.detail["host"] == "127.0.0.1"
            assert receiver.secret not in str(entry.detail)
            assert "key=abc" not in str(entry.detail)
    assert receiver.calls == []


def test_kinds_are_ours_and_in_our_order() -> None:
    assert kinds.parse([]) == OFFERED
    assert kinds.parse(["subscriber.complained", "issue.sent", "issue.sent"]) == (
        Kind.ISSUE_SENT,
        Kind.COMPLAINED,
    )
    for unknown in ("webhook.test", "issue.opened"):
        with pytest.raises(RefusedError, match=unknown):
            kinds.parse([unknown])


def test_what_is_forgotten_is_not_told_again(home: Home, receiver: Receiver) -> None:
    home.add(receiver)
    home.comes("ann")
    home.round()
    receiver.usual = receiver.usual.__class__(500)
    home.comes("bob")
    home.round()
    home.clock.forward(days=100)
    with home.app.session() as session:
        assert messages.forget_before(session, home.clock() - timedelta(days=90)) == 1
        assert messages.forget_before(session, home.clock() - timedelta(days=90)) == 0
    assert [one.state for one in home.log()] == ["planned"]  # what is not over is kept
    assert home.count("webhook_attempt") == 1
    home.round()
    assert len(receiver.calls) == 3
    assert len({one.id for one in receiver.calls}) == 2


def test_ids_are_each_endpoints_own_and_say_nothing(home: Home, receiver: Receiver) -> None:
    with Receiver() as other:
        home.add(receiver)
        home.add(other)
        home.comes("ann")
        home.round()
        assert receiver.calls[0].id != other.calls[0].id
    event = "consent_record:2:2026-11-23T10:00:00Z"
    with home.app.session(readonly=True) as session:
        id_key = endpoints.standing(session, 1).id_key
    assert messages.wire_id(id_key, event) == receiver.calls[0].id
    assert id_key not in receiver.secret
    assert "." not in receiver.calls[0].id


def test_an_address_that_changed_is_told_as_it_is_when_it_is_told(
    home: Home, receiver: Receiver
) -> None:
    home.add(receiver, sends_addresses=True)
    home.comes("ann")
    with home.app.session() as session:
        reader = consent.find(session, EmailAddress.parse("ann@example.com"))
        assert reader
        reader.address = reader.address_key = "new@example.com"
    home.round()
    assert receiver.calls[0].body["data"]["address"] == "new@example.com"
