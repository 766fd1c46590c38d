"""An issue that is sending to invented readers, and providers that misbehave on purpose."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from newsletter.delivery import freezing, ledger, proof
from newsletter.delivery.freezing import Frozen
from newsletter.delivery.owner import Owner, on_duty
from newsletter.delivery.proof import Proof
from newsletter.delivery.rate import Limits, Throttle
from newsletter.delivery.sender import deliver_issue
from newsletter.delivery.watch import Progress
from newsletter.providers.base import (
    AttemptLog,
    Content,
    Envelope,
    Evidence,
    Mailing,
    Outcome,
    Provider,
    Receipt,
)
from newsletter.providers.outbox import Outbox
from newsletter.store.engine import session_on
from newsletter.store.models import Issue
from subscribers.audience import Reader
from subscribers.models import Subscriber, Suppression

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
LEASE = timedelta(minutes=5)
FOLDER = "2026-W48"
CONTENT = Content(
    sender="Verdicts <news@example.com>",
    reply_to="",
    subject="A subject",
    html="<p>Hello</p>",
    text="Hello",
    headers={},
    tokens=lambda envelope: {},
    own_headers=lambda envelope: {},
)
BODY = b"x" * 70 + b"\r\n"

# An owner on a machine we know nothing of, so only its lease speaks for it.
STRANGER = Owner(host="elsewhere:1", boot="another-boot", pid=7, start=7)


def add_readers(engine: Engine, count: int, **fields: Any) -> list[int]:
    """Confirmed, active subscribers unless `fields` say otherwise; their ids."""
    given = {"status": "active", "created_at": NOW, "confirmed_at": NOW, **fields}
    with session_on(engine) as session:
        start = session.execute(text("SELECT coalesce(max(id), 0) FROM subscriber")).scalar_one()
        ids = list(range(start + 1, start + count + 1))
        for id_ in ids:
            address = f"reader{id_}@example.com"
            session.add(Subscriber(id=id_, address=address, address_key=address, **given))
    return ids


def add_issue(engine: Engine, *, state: str = "sending", week: str = FOLDER) -> int:
    with session_on(engine) as session:
        issue = Issue(week=week, slot_at=NOW, state=state, planned_at=NOW)
        session.add(issue)
        session.flush()
        assert issue.id is not None
        return issue.id


def freeze(engine: Engine, issue_id: int, *, batch_size: int = 1_000) -> Frozen:
    with session_on(engine) as session:
        return freezing.freeze(session, issue_id=issue_id, now=NOW, batch_size=batch_size)


def frozen_issue(engine: Engine, readers: int, *, batch_size: int = 1_000) -> int:
    """An issue in `sending`, frozen for that many new readers."""
    add_readers(engine, readers)
    issue_id = add_issue(engine)
    freeze(engine, issue_id, batch_size=batch_size)
    return issue_id


def suppress(engine: Engine, subscriber_id: int, reason: str = "complaint") -> None:
    with session_on(engine) as session:
        key = f"reader{subscriber_id}@example.com"
        session.add(Suppression(address_key=key, reason=reason, at=NOW))


def claim(
    engine: Engine, issue_id: int, *, owner: Owner | None = None, now: datetime = NOW
) -> ledger.Claim | None:
    with session_on(engine) as session:
        return ledger.claim(
            session, issue_id=issue_id, owner=owner or Owner.current(), now=now, lease=LEASE
        )


def claimed(
    engine: Engine, issue_id: int, *, owner: Owner | None = None, now: datetime = NOW
) -> ledger.Claim:
    taken = claim(engine, issue_id, owner=owner, now=now)
    assert taken is not None
    return taken


def rows(engine: Engine, issue_id: int) -> dict[int, tuple[str, str, int]]:
    """State, reason and attempts by subscriber."""
    query = "SELECT subscriber_id, state, reason, attempts FROM delivery WHERE issue_id = :id"
    with session_on(engine, readonly=True) as session:
        found = session.execute(text(query), {"id": issue_id})
        return {row[0]: (row[1], row[2], row[3]) for row in found}


def states(engine: Engine, issue_id: int) -> dict[int, str]:
    return {id_: row[0] for id_, row in rows(engine, issue_id).items()}


def batches(engine: Engine, issue_id: int) -> list[tuple[Any, ...]]:
    """State, owner and epoch of each batch by number."""
    query = "SELECT state, owner, epoch FROM batch WHERE issue_id = :id ORDER BY number"
    with session_on(engine, readonly=True) as session:
        return [tuple(row) for row in session.execute(text(query), {"id": issue_id})]


def prove(engine: Engine, issue_id: int) -> Proof:
    with session_on(engine, readonly=True) as session:
        return proof.prove(session, issue_id)


def envelope_for(reader: Reader) -> Envelope:
    return Envelope(reader.id, reader.address, reader.name, message_id(reader.id), {})


def message_id(subscriber_id: int) -> str:
    return f"w48.{subscriber_id:06}@news.example.com"


def splice(envelope: Envelope) -> bytes:
    head = f"To: {envelope.address}\r\nMessage-ID: <{envelope.message_id}>\r\n\r\n"
    return head.encode() + BODY


def mailing(make: Callable[[Envelope], bytes] = splice) -> Mailing:
    return Mailing(FOLDER, make, CONTENT)


def deliver(engine: Engine, issue_id: int, provider: Provider, **others: Any) -> Progress:
    """`deliver_issue` by this process at NOW, unless `others` say otherwise."""
    with on_duty() as owner:
        given: dict[str, Any] = {
            "mailing": mailing(),
            "envelope_for": envelope_for,
            "clock": lambda: NOW,
            "owner": owner,
            "journals": journals(engine),
            "throttle": Throttle(engine, Limits(), lambda: NOW),
            **others,
        }
        return deliver_issue(engine, issue_id, provider=provider, **given)


def journals(engine: Engine) -> Path:
    """The folder beside the database."""
    return Path(str(engine.url.database)).parent / "journals"


def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two messages are handed over at a time."""
    for provider in (Wire, Scripted, Outbox):
        monkeypatch.setattr(provider, "at_once", 2)


class Wire:
    """Takes each message by appending its key to a file, then answers; remembers nothing else.

    Like SMTP: whoever asks afterwards is told nothing, and a message sent twice is there twice.
    """

    name = "wire"
    at_once = 250

    def __init__(self, path: Path) -> None:
        self._path = path

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        line = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            for envelope in envelopes:
                log.attempting([envelope.key])
                os.write(line, f"{envelope.key}\n".encode())
                yield Receipt(envelope.key, Outcome.SUBMITTED, f"wire-{envelope.key}")
        finally:
            os.close(line)

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> Mapping[int, Evidence]:
        return {envelope.key: Evidence.UNKNOWN for envelope in envelopes}

    def taken(self) -> list[int]:
        """Every key in the order in which it came, again where it came again."""
        return [int(key) for key in self._path.read_text().split()] if self._path.exists() else []


class Scripted:
    """Answers by a function of the call's number and the envelopes; records what it was given."""

    name = "scripted"
    at_once = 250

    def __init__(
        self,
        answer: Callable[[int, Sequence[Envelope]], Iterator[Receipt]],
        evidence: Mapping[int, Evidence] | Exception | None = None,
    ) -> None:
        self._answer = answer
        self._evidence = evidence or {}
        self.calls: list[list[int]] = []

    def submit(
        self, mailing: Mailing, envelopes: Sequence[Envelope], log: AttemptLog
    ) -> Iterator[Receipt]:
        self.calls.append([envelope.key for envelope in envelopes])
        log.attempting(self.calls[-1])
        return self._answer(len(self.calls), envelopes)

    def evidence(self, mailing: Mailing, envelopes: Sequence[Envelope]) -> Mapping[int, Evidence]:
        if isinstance(self._evidence, Exception):
            raise self._evidence
        return self._evidence


def start_process(work: Callable[[], object]) -> int:
    """Runs `work` in a process of its own (no connection may be open here); its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001  (whatever happens, this process must not go on)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def taken(envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
    for envelope in envelopes:
        yield Receipt(envelope.key, Outcome.SUBMITTED, f"r{envelope.key}")


def failing(
    error: Exception, *, after: int = 0
) -> Callable[[int, Sequence[Envelope]], Iterator[Receipt]]:
    """A provider that takes the first `after` messages of each call, then raises."""

    def answer(_call: int, envelopes: Sequence[Envelope]) -> Iterator[Receipt]:
        yield from taken(envelopes[:after])
        raise error

    return answer
